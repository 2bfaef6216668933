"""The payload's entry: read the request, record, vary, replay on base and candidates, write the answer.

Request and answer are JSON; `comparison.py` on the other side says what the fields mean.
"""

# Values of the code under test can be anything at all, so what is inside them is unknown to the type checker:
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownLambdaType=false, reportUnknownParameterType=false

from __future__ import annotations

import gc
import importlib.util
import itertools
import json
import os
import signal
import sys
import time
import types
from typing import Any

from . import histories
from .canonical import TEST_FILES, text
from .histories import History
from .recording import Call, Recorder, State, distinct
from .rehearsal import Rehearsal
from .replay import Input, Job, Played, Pool
from .runners import run_tests
from .transplant import Module, Names, changed, compiled, loaded, tree
from .variation import variations

Value = Any  # values of the code under test: anything at all

BASE = -1
AGAIN = -2  # the base once more: what differs from the first time depends on more than the input
SEEDS = 40  # recorded calls that are varied
FIRST = 16  # inputs of the first round, which has the whole time again; a later one that the clock cuts is dropped
GROWING = 3  # a later round has so many times the inputs of all before it, at most
ROUND = 128
LARGEST, LONGEST, MOST = 100_000, 3, 12  # constants of the code that are worth trying: size, length, number
MOST_FURTHER = 4  # numbers that only candidates have
VARYING = 0.4  # of the time that is left after recording, for making inputs; each function has its part


class Work:
    """One comparison: the request, the modules that candidates edit, and the clock."""

    def __init__(self, request: dict[str, Value], folder: str) -> None:
        """Take the request; `folder` holds the candidates' files."""
        self.request = request
        self.folder = folder
        self.root = os.getcwd()
        self.began = time.monotonic()
        self.problem = ""
        self.modules: dict[str, Module] = {}
        self.calls: list[Call] = []
        self.histories: list[History] = []
        self.shown: dict[type, set[str]] = {}
        self.skipped = 0
        self.constants: list[Value] = []
        self.further: list[Value] = []
        self.red: set[str] = set()
        self.tests: dict[str, str] = {}

    def left(self) -> float:
        """Seconds that are left of the time allowed."""
        return self.began + float(self.request["seconds"]) - time.monotonic()

    def candidate_source(self, candidate: int, path: str) -> bytes:
        """The bytes of one file as one candidate has it."""
        name = self.request["candidates"][candidate][path]
        with open(os.path.join(self.folder, name), "rb") as handle:
            return handle.read()

    def edited(self) -> dict[str, set[Names]]:
        """The functions of the base, by file, that some candidate edits; none stands for the whole file."""
        found: dict[str, set[Names]] = {}
        for path in sorted({path for files in self.request["candidates"] for path in files}):
            absolute = os.path.join(self.root, path)
            try:
                with open(absolute, "rb") as handle:
                    codes = tree(compiled(handle.read(), absolute))
            except (OSError, SyntaxError, ValueError):
                continue
            found[path] = self._edited_names(codes, absolute, path)
            for name in sorted(found[path]):
                self.constants.extend(_constants(codes[name], None))
        return found

    def positions(self, edited: dict[str, set[Names]], candidate: int) -> set[tuple[str, str, int]]:
        """File, name and first line of the edited functions, as they are in the base or in a candidate."""
        found: set[tuple[str, str, int]] = set()
        for path, names in edited.items():
            absolute = os.path.join(self.root, path)
            changed_here = candidate >= 0 and path in self.request["candidates"][candidate]
            with open(absolute, "rb") as handle:
                source = self.candidate_source(candidate, path) if changed_here else handle.read()
            codes = tree(compiled(source, absolute))
            for name in names or set(codes):
                if name in codes:
                    found.add((absolute, codes[name].co_name, codes[name].co_firstlineno))
        return found

    def _edited_names(self, codes: dict[Names, types.CodeType], absolute: str, path: str) -> set[Names]:
        names: set[Names] = set()
        for candidate, files in enumerate(self.request["candidates"]):
            if path in files:
                try:
                    new = tree(compiled(self.candidate_source(candidate, path), absolute))
                    found = changed(codes, new)
                    names |= found
                    for name in sorted(found & set(new)):
                        self.further.extend(item for item in _constants(new[name], None) if type(item) is int)
                except (SyntaxError, ValueError):
                    continue
        names = {_enclosing(name) for name in names}
        return {name for name in names if name in codes and codes[name].co_flags & 0x01}

    def record(self) -> None:
        """Run the tests on the base, and beside it on the first candidate; keep the calls to the edited code."""
        edited = self.edited()
        if importlib.util.find_spec(self.request["runner"]) is None:
            self.problem = "no-runner"
            return
        rehearsal = Rehearsal(lambda: self._watched(edited, 0)[1:]) if self.request["candidates"] else None
        states: list[State] = []
        self.tests, calls, lives = self._watched(edited, BASE, states)
        for state in states:
            state.restore()
        self.red = {name for name, word in self.tests.items() if word == "red"}
        if rehearsal is not None:
            more = rehearsal.recorded(max(0.5, self.left() / 3))
            calls, lives = calls + more[0], lives + more[1]
        self.calls = distinct(calls, SEEDS)
        self.histories = histories.distinct(lives, SEEDS)
        if not self.tests:
            self.problem = "no-tests"
        elif not self.calls and not self.histories:
            self.problem = "no-calls"

    def _watched(
        self, edited: dict[str, set[Names]], candidate: int, states: list[State] | None = None
    ) -> tuple[dict[str, str], list[Call], list[History]]:
        """Run the tests as base or candidate: each test's colour, the calls, and the histories of objects."""
        recorder = Recorder(self.root, self.positions(edited, candidate), set())

        def collected(test_files: set[str]) -> None:
            self.began = time.monotonic()
            recorder.is_test |= test_files
            TEST_FILES.update(test_files)
            if candidate >= 0:
                self.load()
                self.become(candidate)
            if states is not None:
                states.append(State([item for item in list(sys.modules.values()) if self._own(item)]))

        tests = run_tests(self.request, recorder, collected)
        self.skipped = recorder.skipped
        lives = recorder.follower.kept()
        if candidate < 0:
            self.shown = recorder.follower.shown()
        if recorder.outer and (_variable(recorder.outer) or not recorder.direct):
            return tests, recorder.outer, lives
        return tests, recorder.direct, lives

    def _own(self, module: Value) -> bool:
        path = getattr(module, "__file__", None)
        return isinstance(path, str) and path.startswith(os.path.join(self.root, "")) and "site-packages" not in path

    def load(self) -> None:
        """Find the imported modules that candidates edit."""
        for path in sorted({path for files in self.request["candidates"] for path in files}):
            absolute = os.path.join(self.root, path)
            module = loaded(absolute)
            if module is not None:
                with open(absolute, "rb") as handle:
                    self.modules[path] = Module(module, absolute, handle.read())

    def become(self, candidate: int) -> None:
        """Turn this process into one that runs a candidate."""
        if candidate < 0:
            return
        for path in self.request["candidates"][candidate]:
            self.modules[path].install(self.candidate_source(candidate, path))


def _enclosing(names: tuple[str, ...]) -> tuple[str, ...]:
    """The function with a name of its own around a comprehension or lambda."""
    while names and names[-1].startswith("<"):
        names = names[:-1]
    return names


def _constants(code: types.CodeType, documentation: str | None) -> list[Value]:
    """Small numbers and short texts that stand in a function and in those inside it."""
    found: list[Value] = []
    for item in code.co_consts:
        if isinstance(item, types.CodeType):
            found.extend(_constants(item, None))
        elif type(item) is int:
            found += [item] if abs(item) <= LARGEST else []
        elif isinstance(item, str):
            found += [item] if item != documentation and len(item) <= LONGEST else []
        elif isinstance(item, (tuple, frozenset)):
            found.extend(sorted((part for part in item if type(part) in (int, str)), key=repr))
    return found


def _variable(calls: list[Call]) -> bool:
    """Whether arguments can be varied at all: plain values or containers of them somewhere on top."""
    plain = (int, float, str, list, tuple, dict, set)
    return any(isinstance(item, plain) and not isinstance(item, bool) for call in calls for item in call.arguments)


def chosen_inputs(work: Work) -> tuple[list[Input], list[dict[str, Value]]]:
    """The inputs that candidates are compared on, recorded ones first, and what the answer says of each."""
    by_function: dict[int, list[Call]] = {}
    for call in _in_turn(work.calls, work.red):
        by_function.setdefault(id(call.function), []).append(call)
    inputs: list[Input] = []
    notes: list[dict[str, Value]] = []
    made: list[list[tuple[Input, dict[str, Value]]]] = []
    by_kind: dict[type, list[History]] = {}
    for history in _in_turn(work.histories, work.red):
        by_kind.setdefault(history.kind, []).append(history)
    parts = max(1, len(by_function) + len(by_kind))
    share = VARYING * max(0.5, work.left()) / parts
    limit = int(work.request["inputs"]) // parts
    for lives in by_kind.values():
        first = len(inputs)
        for history in lives:
            shown = work.shown.get(history.kind, set())
            inputs.append(Played(history.kind, history.steps, shown, traced=True))
            notes.append(_note(inputs[-1], "red" if history.test in work.red else "green"))
        made.append(_varied_histories(work, lives, limit, first, time.monotonic() + share))
    for group in by_function.values():
        first = len(inputs)
        for call in group:
            given = Input(call.function, call.arguments)
            inputs.append(given)
            notes.append(_note(given, "red" if call.test in work.red else "green"))
        made.append(_varied(work, group, limit, first, time.monotonic() + share))
    for i in range(max((len(row) for row in made), default=0)):
        for row in made:
            if i < len(row):
                inputs.append(row[i][0])
                notes.append(row[i][1])
    return inputs, notes


def _in_turn(calls: list[Value], red: set[str]) -> list[Value]:
    """The calls, or histories, of red and of green tests in turn: the clock cuts off the end, and both sides tell."""
    sides = [[call for call in calls if (call.test in red) is side] for side in (True, False)]
    pairs = itertools.zip_longest(*sides)
    return [call for pair in pairs for call in pair if call is not None]


def _varied(
    work: Work, group: list[Call], limit: int, first: int, until: float
) -> list[tuple[Input, dict[str, Value]]]:
    """Variations of the calls of one function, whose recorded inputs begin at `first`, each with its note."""
    seeds = group[:SEEDS]
    rows: list[tuple[Input, dict[str, Value]]] = []
    constants = _worth_trying(work, group[0].function)
    for item in variations([call.arguments for call in seeds], limit, int(work.request["seed"]), constants, until):
        red = seeds[item.seed].test in work.red
        varied = "red-varied" if red else "green-varied"
        origin = "edge" if item.edge else "loose" if item.broken else varied
        given = Input(seeds[item.seed].function, item.arguments)
        rows.append((given, _note(given, origin, first + item.seed)))
    return rows


def _varied_histories(
    work: Work, lives: list[History], limit: int, first: int, until: float
) -> list[tuple[Input, dict[str, Value]]]:
    """Variations of what tests do with objects of one class, like `_varied`."""
    rows: list[tuple[Input, dict[str, Value]]] = []
    kind = lives[0].kind
    constants = _worth_trying(work, lives[0].steps[0].function)
    for item in histories.variations_of(lives, limit, int(work.request["seed"]), constants, until):
        varied = "red-varied" if lives[item.seed].test in work.red else "green-varied"
        origin = "edge" if item.edge else "loose" if item.broken else varied
        given = Played(kind, item.steps, work.shown.get(kind, set()))
        rows.append((given, _note(given, origin, first + item.seed)))
    return rows


def _worth_trying(work: Work, function: types.FunctionType) -> list[Value]:
    """Values that stand in the edited code, in this function, and those that only candidates have."""
    constants = list(dict.fromkeys(work.constants + _constants(function.__code__, function.__doc__)))
    near = {item + step for item in constants if type(item) is int for step in (-1, 0, 1)}
    further = [item for item in dict.fromkeys(work.further) if item not in near]
    return constants[:MOST] + further[:MOST_FURTHER]


def _note(given: Input, origin: str, seed: int = -1) -> dict[str, Value]:
    if isinstance(given, Played):
        steps = [
            [step.function.__name__, list(code.co_varnames[1 : 1 + len(step.arguments)]), form, step.edited]
            for step, code, form in zip(given.steps, given.codes, given.forms)
        ]
        function = given.kind.__qualname__
        return {"function": function, "names": [], "arguments": [], "origin": origin, "seed": seed, "steps": steps}
    function = given.function
    return {
        "function": getattr(function, "__qualname__", function.__name__),
        "names": list(function.__code__.co_varnames[: len(given.arguments)]),
        "arguments": given.forms,
        "origin": origin,
        "seed": seed,
    }


def compared(work: Work, inputs: list[Input]) -> tuple[Pool, int]:
    """Run base and candidates round by round while there is time; how many inputs every one of them saw."""
    count = len(work.request["candidates"])
    pool = Pool(inputs, float(work.request["call_seconds"]), int(work.request["workers"]))
    deadline = work.began + float(work.request["seconds"])
    at = 0
    slowest = 0.0
    while at < len(inputs):
        size = min(ROUND, max(FIRST, GROWING * at))
        began = time.monotonic()
        if at and slowest * min(size, len(inputs) - at) > deadline - began:
            break
        indices = list(range(at, min(at + size, len(inputs))))
        jobs = [_job(work, candidate, indices) for candidate in [BASE, AGAIN, *range(count)]]
        allowed = deadline if at else max(deadline, began + float(work.request["seconds"]))
        if not pool.run(jobs, allowed):
            break
        slowest = (time.monotonic() - began) / len(indices)
        at += len(indices)
    return pool, at


def _job(work: Work, candidate: int, indices: list[int]) -> Job:
    return Job(candidate, list(indices), lambda: work.become(candidate))


def answer(work: Work) -> dict[str, Value]:
    """Do everything; the answer as JSON."""
    work.record()
    if work.problem:
        return {"problem": work.problem}
    work.load()
    inputs, notes = chosen_inputs(work)
    recorded = time.monotonic() - work.began
    gc.collect()
    gc.freeze()
    pool, complete = compared(work, inputs)
    first, again = pool.answers.get(BASE, {}), pool.answers.get(AGAIN, {})
    if not complete:
        return {"problem": "no-time"}
    kept = [i for i in range(complete) if first.get(i) == again.get(i)]
    place = {given: number for number, given in enumerate(kept)}
    for i in kept:
        notes[i]["seed"] = place.get(notes[i]["seed"], -1)
    table: dict[str, int] = {}
    rows = {
        str(candidate): [
            table.setdefault(pool.answers.get(candidate, {}).get(i, '{"kind":"skipped"}'), len(table)) for i in kept
        ]
        for candidate in [BASE, *range(len(work.request["candidates"]))]
    }
    return {
        "inputs": [notes[i] for i in kept],
        "outcomes": [json.loads(item) for item in table],
        "rows": rows,
        "recorded": len(work.calls),
        "called": len({item.test for item in (*work.calls, *work.histories)}),
        "skipped": work.skipped,
        "unstable": complete - len(kept),
        "seconds": {"recording": recorded, "all": time.monotonic() - work.began},
        "tests": work.tests,
    }


def main(folder: str, out: str) -> int:
    """Read `request.json` in the payload's folder, write the answer below `out`."""
    with open(os.path.join(folder, "request.json"), encoding="utf-8") as handle:
        request = json.load(handle)
    sys.path.extend(request["python_path"])
    sys.path.insert(0, os.getcwd())
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    work = Work(request, folder)
    said = answer(work)
    said["nonce"] = request["nonce"]
    target = os.path.join(out, "behaviour-{}.json".format(request["nonce"]))
    with open(target, "w", encoding="utf-8") as handle:
        handle.write(text(said))
    return 0
