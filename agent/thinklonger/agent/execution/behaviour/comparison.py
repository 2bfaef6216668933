"""The comparison as seen from outside the sandbox: send the payload, read its answer, group, put into words."""

import json
import secrets
import time
from collections.abc import Mapping, Sequence
from functools import cache
from importlib.resources import files
from pathlib import PurePosixPath
from typing import cast

import msgspec

from thinklonger.agent.execution.behaviour.grouping import differences_of, digest_of, groups_of
from thinklonger.agent.execution.behaviour.nouns import (
    Behaviour,
    CallInput,
    CallOutcome,
    Comparison,
    Observation,
    Origin,
    OutcomeKind,
    Plain,
    Survivor,
)
from thinklonger.agent.execution.behaviour.words import call, history, shown
from thinklonger.agent.protocols import SandboxSession
from thinklonger.agent.types import Command, CommandResult, Limits, Message

_PACKAGE = "thinklonger_behaviour"
_BOOT = (
    "import os, sys; folder = os.environ['THINKLONGER_PAYLOAD']; sys.path.insert(0, folder); "
    f"from {_PACKAGE}.main import main; sys.path.remove(folder); "
    "sys.exit(main(folder, os.environ['THINKLONGER_OUT']))"
)
_MEMORY = 3 * 1024**3
_CALL_SECONDS = 0.1
_TEST_SECONDS = 0.6


class _Input(msgspec.Struct, frozen=True):
    function: str
    names: list[str]
    arguments: list[object]
    origin: Origin
    seed: int = -1
    steps: list[tuple[str, list[str], list[object], bool]] = []


class _Outcome(msgspec.Struct, frozen=True):
    kind: OutcomeKind
    value: object = None
    exception: str = ""
    said: object = None
    changed: list[tuple[int, object]] = []
    printed: str = ""
    odd: str = ""
    moved: list[bool] = []


class _Answer(msgspec.Struct, frozen=True):
    nonce: str
    problem: str = ""
    inputs: list[_Input] = []
    outcomes: list[_Outcome] = []
    rows: dict[str, list[int]] = {}
    called: int = 0
    skipped: int = 0


async def compare(session: SandboxSession, survivors: Sequence[Survivor], observation: Observation) -> Comparison:
    """Run every survivor on the calls that the tests make of the edited code, and on small variations of them.

    Everything happens in one command in a fresh layer of `session`. Code that can't be recorded or compared is a
    result (`Comparison.problem`), not an error; raises SandboxError only when the sandbox itself breaks.
    """
    began = time.perf_counter()
    nonce = secrets.token_hex(16)
    async with session.layer(observation.overlay) as layer:
        result = await layer.run(_command(survivors, observation, nonce))
    answer = _read(result, nonce)
    seconds = time.perf_counter() - began
    if isinstance(answer, Message):
        return Comparison(unknown=tuple(item.id for item in survivors), seconds=seconds, problem=answer)
    return _compared(answer, survivors, seconds)


def _command(survivors: Sequence[Survivor], observation: Observation, nonce: str) -> Command:
    payload = {f"{_PACKAGE}/{name}": content for name, content in _sources().items()}
    candidates: list[dict[str, str]] = []
    for number, survivor in enumerate(survivors):
        names: dict[str, str] = {}
        for place, (path, state) in enumerate(sorted(survivor.layer.items())):
            if path.suffix == ".py" and state is not None:
                names[str(path)] = f"candidates/{number}/{place}.py"
                payload[names[str(path)]] = state.content
        candidates.append(names)
    request = {
        "nonce": nonce,
        "runner": observation.runner.value,
        "tests": observation.tests,
        "options": observation.options,
        "python_path": observation.python_path,
        "inputs": observation.inputs,
        "seconds": observation.seconds,
        "seed": observation.seed,
        "workers": observation.workers,
        "call_seconds": _CALL_SECONDS,
        "test_seconds": _TEST_SECONDS,
        "candidates": candidates,
    }
    payload["request.json"] = json.dumps(request).encode()
    return Command(
        argv=(str(observation.interpreter), "-c", _BOOT),
        env={"PYTHONHASHSEED": "0", "PYTHONDONTWRITEBYTECODE": "1", **observation.environment},
        payload=payload,
        limits=Limits(wall_seconds=observation.seconds + observation.starting, memory_bytes=_MEMORY),
    )


@cache
def _sources() -> Mapping[str, bytes]:
    folder = files("thinklonger.agent.execution.behaviour").joinpath("payload")
    return {item.name: item.read_bytes() for item in folder.iterdir() if PurePosixPath(item.name).suffix == ".py"}


def _read(result: CommandResult, nonce: str) -> _Answer | Message:
    data = result.artifacts.get(f"behaviour-{nonce}.json")
    if data is None:
        tail = result.output.decode("utf-8", "replace").strip().rpartition("\n")[2]
        return Message("behaviour.no-answer", {"ending": result.ending.value, "output": tail[-300:]})
    try:
        answer = msgspec.convert(json.loads(data), type=_Answer)
    except (ValueError, msgspec.ValidationError) as error:
        return Message("behaviour.no-answer", {"ending": "unreadable", "output": str(error)})
    if answer.nonce != nonce:
        return Message("behaviour.no-answer", {"ending": "unreadable", "output": ""})
    return Message(f"behaviour.{answer.problem}") if answer.problem else answer


def _compared(answer: _Answer, survivors: Sequence[Survivor], seconds: float) -> Comparison:
    inputs = tuple(_input(given) for given in answer.inputs)
    silent = _silent(answer)
    rows = {name: _behaviour(answer, row, silent) for name, row in answer.rows.items()}
    behaviours: dict[str, Behaviour] = {}
    unknown: list[str] = []
    for number, survivor in enumerate(survivors):
        behaviour = rows[str(number)]
        if all(outcome.kind is OutcomeKind.SKIPPED for outcome in behaviour):
            unknown.append(survivor.id)
        else:
            behaviours[survivor.id] = behaviour
    groups = groups_of(inputs, behaviours)
    return Comparison(
        inputs=inputs,
        base=rows["-1"],
        behaviours=behaviours,
        groups=groups,
        differences=differences_of(inputs, behaviours, groups),
        unknown=tuple(unknown),
        called=answer.called,
        skipped=answer.skipped,
        seconds=seconds,
    )


def _input(given: _Input) -> CallInput:
    arguments = tuple(cast("list[Plain]", given.arguments))
    if given.steps:
        words = history(given.function, [(name, names, cast("list[Plain]", of)) for name, names, of, _ in given.steps])
        steps = tuple((name, edited) for name, _, _, edited in given.steps)
        return CallInput(given.function, words, (), given.origin, receiver=True, seed=given.seed, steps=steps)
    receiver = bool(given.names) and given.names[0] == "self"
    words = call(given.function, given.names, arguments)
    return CallInput(given.function, words, arguments, given.origin, receiver, given.seed)


def _silent(answer: _Answer) -> frozenset[int]:
    """Inputs on which nobody returns a value: there, what happens to the arguments is the outcome.

    So it is for all inputs of a function that returns the same to every failing test, whoever runs it: what these tests
    fail for is what it does to its arguments.
    """
    told = {
        given.function
        for place, given in enumerate(answer.inputs)
        if given.origin is Origin.RED and len({_returned(answer, row[place]) for row in answer.rows.values()}) > 1
    }
    red = {given.function for given in answer.inputs if given.origin is Origin.RED}
    return frozenset(
        place
        for place, given in enumerate(answer.inputs)
        if given.function in red - told
        or all(answer.outcomes[row[place]].value is None for row in answer.rows.values())
    )


def _returned(answer: _Answer, number: int) -> str:
    outcome = answer.outcomes[number]
    return json.dumps([outcome.kind, outcome.value, outcome.exception, outcome.printed], sort_keys=True)


def _behaviour(answer: _Answer, row: Sequence[int], silent: frozenset[int]) -> Behaviour:
    return tuple(
        _outcome(answer.outcomes[number], answer.inputs[place], whole=place in silent)
        for place, number in enumerate(row)
    )


def _outcome(outcome: _Outcome, given: _Input, *, whole: bool) -> CallOutcome:
    value = cast("Plain", outcome.value)
    counted = whole or (bool(given.names) and given.names[0] == "self")
    changed = [[place, cast("Plain", form)] for place, form in outcome.changed if whole or place == 0]
    effects = [[place, cast("Plain", form)] for place, form in outcome.changed if _is_effect(form)]
    left = cast("Plain", changed if counted else effects)
    return CallOutcome(
        kind=outcome.kind,
        digest=digest_of(outcome.kind, value, outcome.exception, outcome.printed, left, effects),
        words=_words(outcome, value, left),
        value=value,
        exception=outcome.exception,
        changed=cast("Plain", [[place, form] for place, form in outcome.changed]),
        moved=tuple(outcome.moved),
    )


def _is_effect(form: object) -> bool:
    """Whether a change to it is an effect of the call: a test's function that was called, a stream that was written."""
    return isinstance(form, dict) and ("callable" in form or "stream" in form)


def _words(outcome: _Outcome, value: Plain, changed: Plain) -> str:
    if outcome.kind is OutcomeKind.RAISED:
        said = cast("list[Plain]", outcome.said or [])
        return f"raise {outcome.exception}" + (f"({', '.join(map(shown, said))})" if said else "")
    if value is not None and isinstance(changed, list) and changed:
        effects = [form for _, form in cast("list[list[Plain]]", changed) if _is_effect(form)]
        return ", ".join([shown(value), *map(shown, effects)])
    if value is None and isinstance(changed, list) and changed:
        return shown(cast("list[list[Plain]]", changed)[0][1])
    return shown(value)
