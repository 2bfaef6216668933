"""`doctor`: what ThinkLonger finds on this machine and in this repository, and what to do about what it does not."""

import asyncio
from collections.abc import Sequence
from contextlib import AsyncExitStack

from thinklonger.agent.errors import ExecutionError, SandboxError
from thinklonger.agent.execution import Harness, prove
from thinklonger.agent.execution.environments import Provided, Recipe, open_environment
from thinklonger.agent.execution.environments.at_hand import find_at_hand
from thinklonger.agent.pipeline.allowance import permission_of
from thinklonger.agent.protocols import Sandbox, SandboxSession
from thinklonger.agent.repository import open_repository
from thinklonger.agent.types import Interpreter, Message
from thinklonger.cli import machine
from thinklonger.cli.checkup import look_at_egress, look_at_gpu, look_at_programs, look_at_sandboxes
from thinklonger.cli.desk import Desk
from thinklonger.cli.diagnosis import Diagnosis, Finding, finding_json, finding_lines
from thinklonger.cli.interview import look_at_model
from thinklonger.cli.leaving import interrupt_on_signals
from thinklonger.cli.page import Line, dim, line, warn
from thinklonger.cli.words import Words, clean_line

NOT_READY = 3


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
    repository = desk.repository if desk.options.examined is not None else None
    await asyncio.to_thread(look_at_programs, desk, found, repository=repository)
    sandbox = await look_at_sandboxes(desk.settings, found)
    await asyncio.to_thread(look_at_gpu, desk, found)
    await look_at_model(desk, found)
    look_at_egress(desk.settings, found)
    if repository is not None:
        found.candidates += [reason for _, reason in find_at_hand(repository)]
        if sandbox is not None:
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
        found.findings.append(Finding("note", ok=True, said=note, note=True))
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
    lines += finding_lines(found.findings, words)
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

    recipe = found.recipe
    return {
        "ready": found.ready,
        "findings": [finding_json(finding, words) for finding in found.findings],
        "model": found.model,
        "candidates": [machine.plain(candidate, words) for candidate in found.candidates],
        "proof": found.proof,
        "recipe": None if recipe is None else msgspec.to_builtins(recipe),
        "commands": [] if recipe is None else [list(command) for command in recipe.commands()],
        "problems": [machine.plain(problem, words) for problem in desk.problems],
    }
