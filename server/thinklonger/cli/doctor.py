"""`doctor`: what ThinkLonger finds on this machine and in this repository, and what to do about what it does not."""

import asyncio
import platform
import shutil
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field

from thinklonger.agent.errors import ExecutionError, SandboxError, ThinkLongerError
from thinklonger.agent.execution import Harness, prove
from thinklonger.agent.execution.environments import Provided, Recipe, open_environment
from thinklonger.agent.execution.environments.at_hand import find_at_hand
from thinklonger.agent.execution.environments.pythons import find_pythons
from thinklonger.agent.pipeline.allowance import permission_of
from thinklonger.agent.protocols import Sandbox, SandboxSession
from thinklonger.agent.repository import open_repository
from thinklonger.agent.repository.moment import moment_of
from thinklonger.agent.sandbox import risk, select_sandbox
from thinklonger.agent.types import Interpreter, Message
from thinklonger.cli import machine
from thinklonger.cli.desk import Desk
from thinklonger.cli.leaving import interrupt_on_signals
from thinklonger.cli.page import Line, bad, dim, good, line, name, warn
from thinklonger.cli.words import Words, clean_line

NOT_READY = 3


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what was found, and what to do about it where something is wrong."""

    topic: str
    ok: bool
    said: Message
    remedy: Message | None = None


@dataclass(slots=True)
class Diagnosis:
    """All that was found; `provided` is the environment that proved itself, `proof` what it proved."""

    findings: list[Finding] = field(default_factory=list[Finding])
    candidates: list[Message] = field(default_factory=list[Message])
    recipe: Recipe | None = None
    proof: dict[str, machine.Plain] | None = None

    @property
    def ready(self) -> bool:
        """Whether tests can be run."""
        return all(finding.ok for finding in self.findings)

    def add(self, topic: str, key: str, /, *, ok: bool = True, **params: str | float) -> None:
        """Note what was found, a sentence of the catalogue."""
        self.findings.append(Finding(topic, ok, Message(key, params)))

    def failed(self, topic: str, error: ThinkLongerError) -> None:
        """Note what went wrong."""
        self.findings.append(Finding(topic, ok=False, said=error.message, remedy=error.remedy))


def doctor(desk: Desk) -> int:
    """Run `thinklonger doctor`."""
    interrupt_on_signals()
    found = asyncio.run(_examine(desk))
    if desk.options.json:
        desk.out.write(machine.dump(_as_json(found, desk)) + "\n")
    else:
        desk.out.show(_lines(found, desk))
    return 0 if found.ready else NOT_READY


async def _examine(desk: Desk) -> Diagnosis:
    found = Diagnosis()
    git = shutil.which("git")
    moment = await asyncio.to_thread(moment_of, desk.repository)
    if git is None:
        found.findings.append(
            Finding("git", ok=False, said=Message("doctor.no-git"), remedy=Message("doctor.no-git-remedy"))
        )
    elif moment is None:
        found.add("git", "doctor.git-without-commit", path=git)
    else:
        found.add("git", "doctor.git", path=git, day=moment.date().isoformat())
    versions = ", ".join(".".join(map(str, python.version)) for python in find_pythons())
    found.add("python", "doctor.python", version=platform.python_version(), path=sys.executable, others=versions or "-")
    allowed = desk.settings.environments
    found.add("egress", "doctor.egress-index" if allowed.build else "doctor.egress-none", index=allowed.index)
    found.candidates += [reason for _, reason in find_at_hand(desk.repository)]
    try:
        sandbox = await select_sandbox(desk.settings.sandbox)
    except SandboxError as error:
        found.failed("sandbox", error)
        return found
    warning = risk(sandbox)
    found.findings.append(
        Finding("sandbox", ok=True, said=warning or Message("doctor.sandbox", {"name": sandbox.name}))
    )
    await _environment(desk, sandbox, found)
    return found


async def _environment(desk: Desk, sandbox: Sandbox, found: Diagnosis) -> None:
    """Find the environment as a run would, and note what it proves."""

    async def proved(session: SandboxSession, interpreter: Interpreter, own: str | None) -> Harness:
        command = desk.options.test_command or own
        return await prove(session, interpreter, test_command=command, limits=desk.settings.sandbox.limits)

    from thinklonger.agent.config.places import cache_directory  # noqa: PLC0415 - with the rest of what takes a while

    repository = await open_repository(desk.repository, cache=cache_directory(desk.settings))
    try:
        permission = await asyncio.to_thread(permission_of, desk.settings, desk.repository)
        async with AsyncExitStack() as stack:
            files = repository.snapshot_files()
            opening = open_environment(sandbox, desk.repository, files, permission=permission, prove=proved)
            _note(await stack.enter_async_context(opening), found)
    except (ExecutionError, SandboxError) as error:
        found.failed("environment", error)
        if not desk.settings.environments.build and isinstance(error, ExecutionError):
            found.findings.append(Finding("build", ok=True, said=Message("doctor.may-build")))
    finally:
        await repository.close()


def _note(provided: Provided, found: Diagnosis) -> None:
    """Note an environment that proved itself."""
    record = provided.harness.environment
    found.findings.append(Finding("environment", ok=True, said=provided.environment.reason))
    found.add(
        "proof",
        "doctor.proof",
        count=record.tests_collected,
        runner=f"{record.runner} {record.runner_version}".strip(),
        python=record.python_version,
        path=record.interpreter,
    )
    for note in (*provided.notes, *provided.harness.problems):
        found.findings.append(Finding("note", ok=True, said=note))
    found.recipe = provided.environment.recipe
    found.proof = {
        "origin": str(provided.environment.origin),
        "interpreter": record.interpreter,
        "python": record.python_version,
        "runner": record.runner,
        "runner_version": record.runner_version,
        "tests_collected": record.tests_collected,
        "digest": record.digest,
    }


def _lines(found: Diagnosis, desk: Desk) -> list[Line]:
    """All of it for a person."""
    words = desk.words
    lines = [line(warn(f"{words.mark('!')} "), words.render(problem)) for problem in desk.problems]
    for finding in found.findings:
        sign = good(f"{words.mark('✓')} ") if finding.ok else bad(f"{words.mark('✗')} ")
        if finding.topic == "note":
            sign = warn(f"{words.mark('!')} ")
        lines.append(line(sign, name(words.say(f"doctor.topic-{finding.topic}")), "  ", words.render(finding.said)))
        if finding.remedy is not None:
            lines.append(line("    ", words.render(finding.remedy)))
    lines += [
        line("  ", dim(words.say("doctor.candidate")), "  ", words.render(candidate)) for candidate in found.candidates
    ]
    return [*lines, *(_recipe_lines(found.recipe, words) if found.recipe else [])]


def _recipe_lines(recipe: Recipe, words: Words) -> list[Line]:
    """The recipe: commands that make the same environment again, and what it lacks."""
    lines: list[Line] = [(), line(words.say("doctor.recipe", day=recipe.moment[:10] or "-"))]
    lines += [line("  ", clean_line(_shown(command))) for command in recipe.commands()]
    for dropped in recipe.dropped:
        said = words.say("doctor.dropped", requirement=dropped.requirement, reason=dropped.reason)
        lines.append(line(warn(f"  {words.mark('!')} "), said))
    return lines


def _shown(command: Sequence[str]) -> str:
    """A command as a person would type it."""
    import shlex  # noqa: PLC0415 - only where there is a recipe

    return shlex.join(command)


def _as_json(found: Diagnosis, desk: Desk) -> dict[str, machine.Plain]:
    """All of it for a machine."""
    import msgspec  # noqa: PLC0415 - only this output needs it

    words = desk.words

    def shown(message: Message | None) -> machine.Plain:
        if message is None:
            return None
        return {"key": message.key, "params": {**message.params}, "text": words.render(message)}

    recipe = found.recipe
    return {
        "ready": found.ready,
        "findings": [
            {
                "topic": finding.topic,
                "ok": finding.ok,
                "message": shown(finding.said),
                "remedy": shown(finding.remedy),
            }
            for finding in found.findings
        ],
        "candidates": [shown(candidate) for candidate in found.candidates],
        "proof": found.proof,
        "recipe": None if recipe is None else msgspec.to_builtins(recipe),
        "commands": [] if recipe is None else [list(command) for command in recipe.commands()],
        "problems": [shown(problem) for problem in desk.problems],
    }
