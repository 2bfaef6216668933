"""`resolve`, `verify` and `localize`: ask, watch, report, and perhaps write the patch."""

import asyncio
import sys
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING

from thinklonger.agent.config import Settings
from thinklonger.agent.config.places import state_directory
from thinklonger.agent.config.values import is_weights_file
from thinklonger.agent.errors import InternalError, SandboxError, UsageError
from thinklonger.agent.trace import find_run, run_folder
from thinklonger.agent.trace.events import (
    Event,
    ExecutionUnavailable,
    ProblemFound,
    RunFailed,
    RunFinished,
    RunStarted,
)
from thinklonger.agent.types import Issue, Label, Message
from thinklonger.cli import machine, report
from thinklonger.cli.desk import Desk, error_lines, tell
from thinklonger.cli.dialogue import answering
from thinklonger.cli.issue import Source, read_file, read_issue
from thinklonger.cli.page import bad, good, line, warn
from thinklonger.cli.running import watch
from thinklonger.cli.steering import Keyboard, steered
from thinklonger.cli.views import view_for
from thinklonger.cli.words import clean_line

if TYPE_CHECKING:  # the pipeline is heavy; only who runs a job imports it
    from thinklonger.agent.pipeline import GivenReproduction, Request
    from thinklonger.agent.search import Steering

BUILTIN = "builtin"
CANCELLED = 130
PATCH_LIMIT = 64 * 1024**2
"""Bytes of a patch that are read."""
NO_SANDBOX = SandboxError.exit_code


@dataclass(slots=True)
class _Seen:
    """What the caller has to remember of a run's events."""

    started: RunStarted | None = None
    finished: RunFinished | None = None
    failed: RunFailed | None = None
    problems: list[ProblemFound] = field(default_factory=list[ProblemFound])
    unavailable: ExecutionUnavailable | None = None

    def follow(self, event: Event) -> None:
        """Take one more event in."""
        match event:
            case RunStarted():
                self.started = event
            case ProblemFound():
                self.problems.append(event)
            case ExecutionUnavailable():
                self.unavailable = event
            case RunFinished():
                self.finished = event
            case RunFailed():
                self.failed = event
            case _:
                pass


def resolve(desk: Desk) -> int:
    """Run `thinklonger resolve`."""
    return _report_patch(*_run("resolve", desk), desk)


def resume(desk: Desk) -> int:
    """Run `thinklonger runs resume`: an interrupted run goes on, and ends as `resolve` does."""
    from thinklonger.agent.pipeline.resuming import continued  # noqa: PLC0415 (heavy: few resume)

    folder = find_run(state_directory(desk.settings), desk.options.run)
    request = continued(folder, api_key=desk.surroundings.api_key, promoted=desk.options.promote)
    if request.settings.engine != BUILTIN:
        request = replace(request, answer_now=asyncio.Event())
    return _report_patch(*_watched("resolve", request, desk), desk)


def verify(desk: Desk) -> int:
    """Run `thinklonger verify`."""
    return _report_patch(*_run("verify", desk), desk)


def _report_patch(seen: _Seen, code: int, desk: Desk) -> int:
    finished = seen.finished
    if finished is None:
        return code
    folder = _folder(seen, desk)
    if desk.options.json:
        run_id = seen.started.run_id if seen.started else ""
        payload = machine.resolved(run_id, finished, folder=folder, problems=seen.problems, words=desk.words)
        desk.out.write(machine.dump(payload) + "\n")
    else:
        desk.out.show(report.resolved(finished, folder, desk.words))
    verified = bool(finished.patch) and finished.label is Label.VERIFIED
    if desk.options.apply:
        _apply(finished, Path(seen.started.repository) if seen.started else desk.repository, desk)
    return 0 if verified else _negative(seen)


def localize(desk: Desk) -> int:
    """Run `thinklonger localize`."""
    seen, code = _run("localize", desk)
    finished = seen.finished
    if finished is None:
        return code
    top = desk.settings.localize.top
    locations = finished.locations[:top]
    match output_format(desk):
        case "json":
            ranking = machine.ranking(finished.files, locations, words=desk.words)
            about: dict[str, machine.Plain] = {
                "run_id": seen.started.run_id if seen.started else "",
                "seconds": finished.seconds,
                "problems": machine.told(seen.problems, desk.words),
                "record": str(_folder(seen, desk) or "") or None,
            }
            desk.out.write(machine.dump({**ranking, **about}) + "\n")
        case "sarif":
            from thinklonger.cli.sarif import sarif  # noqa: PLC0415 (only who wants SARIF)

            version = seen.started.version if seen.started else ""
            log = sarif(locations, root=desk.repository, version=version, words=desk.words)
            desk.out.write(machine.dump(log) + "\n")
        case _:
            desk.out.show(report.ranked(locations, desk.words, top=top))
            if folder := _folder(seen, desk):
                desk.err.show([] if desk.options.quiet else [report.record_line(folder, desk.words)])
    return 0 if locations else _negative(seen)


def _negative(seen: _Seen) -> int:
    """The exit code of a run that found nothing: an honest negative, or the want of a sandbox to run code in."""
    missing = seen.unavailable is not None and seen.unavailable.message.key.startswith("sandbox.")
    return NO_SANDBOX if missing else 1


def output_format(desk: Desk) -> str:
    """The format that the flags agree on; raises UsageError where they don't."""
    options = desk.options
    if options.json and options.format not in (None, "json"):
        raise UsageError("cli.two-formats", format=options.format or "")
    return "json" if options.json else options.format or "text"


def _run(job: str, desk: Desk) -> tuple[_Seen, int]:
    """Run a job in front of a view; the code is that of a run that did not finish."""
    output_format(desk)
    _check_engine(desk)
    with_model = desk.settings.engine != BUILTIN
    issue, problems = _issue(desk)
    from thinklonger.agent.pipeline import Request  # noqa: PLC0415 (heavy: after what can be wrong cheaply)

    request = Request(
        repository=desk.repository,
        issue=issue,
        settings=_settled(desk.settings),
        reproduction=_given(desk),
        patch=_patch(desk) if job == "verify" else "",
        api_key=desk.surroundings.api_key,
        answer_now=asyncio.Event() if with_model else None,
        steering=_steering(desk),
    )
    return _watched(job, request, desk, problems)


def _watched(job: str, request: "Request", desk: Desk, problems: tuple[Message, ...] = ()) -> tuple[_Seen, int]:
    """Run a job as it was asked for, in front of a view."""
    with_model = request.answer_now is not None
    before = (*desk.problems, *problems)
    if not desk.options.quiet:
        tell(before, desk.err, desk.words)
    seen = _Seen(problems=[ProblemFound(message) for message in before])
    keyboard = Keyboard() if with_model and desk.err.moving and not desk.options.quiet else None
    hint = desk.words.say("event.answer-now") if keyboard is not None and keyboard.listens else ""
    with view_for(desk.err, desk.words, quiet=desk.options.quiet, hint=hint) as view:

        def show(event: Event) -> None:
            seen.follow(event)
            view.show(event)

        def steering() -> AbstractContextManager[None]:
            if request.answer_now is None:
                return nullcontext()
            return steered(request.answer_now, keyboard=keyboard, heard=lambda: view.say(answering(desk.words)))

        def give_up() -> None:
            desk.err.show_cursor()
            if keyboard is not None:
                keyboard.close()

        ended = watch(desk.services.job(job)(request), show, give_up=give_up, steered=steering)
    if not ended:
        return seen, _say_ended(RunFailed("Cancelled", Message("cli.cancelled"), None, CANCELLED), seen, desk)
    if seen.failed is not None:
        return seen, _say_ended(seen.failed, seen, desk)
    if seen.finished is None:
        raise InternalError("cli.no-end")
    return seen, 0


def _say_ended(failed: RunFailed, seen: _Seen, desk: Desk) -> int:
    """Say how a run ended that has no result."""
    folder = _folder(seen, desk)
    if desk.options.json or desk.options.format in ("json", "sarif"):
        run_id = seen.started.run_id if seen.started else ""
        payload = machine.failure(failed, desk.words, run_id=run_id, folder=folder)
        desk.out.write(machine.dump(payload) + "\n")
    lines = error_lines(failed.message, failed.remedy, desk.words)
    desk.err.show(lines + ([report.record_line(folder, desk.words)] if folder else []))
    return failed.exit_code


def _steering(desk: Desk) -> "Steering | None":
    """The places to keep to and to leave out; None where no place was named. Raises UsageError for one outside."""
    if not desk.options.pin and not desk.options.exclude:
        return None
    from thinklonger.agent.search import Place, Steering  # noqa: PLC0415 (few steer)

    def place(text: str) -> Place:
        path, _, symbol = text.partition("::")
        whole = Path(desk.repository, path).resolve()
        if not whole.is_file() or not whole.is_relative_to(desk.repository.resolve()):
            raise UsageError("cli.no-such-place", place=text, repository=str(desk.repository))
        return Place(PurePosixPath(whole.relative_to(desk.repository.resolve())), symbol)

    return Steering(pinned=map(place, desk.options.pin), excluded=map(place, desk.options.exclude))


def _settled(settings: Settings) -> Settings:
    """The settings with a GGUF file's whole path: the run may go on from another folder."""
    if not is_weights_file(settings.engine):
        return settings
    return replace(settings, engine=str(Path(settings.engine).expanduser().absolute()))


def _check_engine(desk: Desk) -> None:
    """Refuse what can be seen to be wrong, before anything is made."""
    engine = desk.settings.engine
    if engine == BUILTIN and desk.options.model:
        raise UsageError("cli.no-model", model=desk.options.model)
    if is_weights_file(engine) and not Path(engine).expanduser().is_file():
        raise UsageError("cli.no-weights-file", path=engine)


def _issue(desk: Desk) -> tuple[Issue, tuple[Message, ...]]:
    options = desk.options
    source = Source(options.issue, options.issue_text, options.test_command, options.fetch)
    token = desk.surroundings.github_token
    return read_issue(
        source,
        stdin=_read_stdin,
        fetch=lambda url: desk.services.fetch(url, token),
        language=desk.words.language,
    )


def _given(desk: Desk) -> "GivenReproduction | None":
    """The user's own reproduction; raises UsageError where it can't be read."""
    if desk.options.reproduction is None:
        return None
    from thinklonger.agent.pipeline import GivenReproduction  # noqa: PLC0415 (heavy, and rarely wanted)

    path = Path(desk.options.reproduction)
    return GivenReproduction(path.name, read_file(path, desk.options.reproduction))


def _patch(desk: Desk) -> str:
    """The patch to verify; raises UsageError where it can't be read."""
    given = desk.options.patch
    if given == "-" and desk.options.issue == "-":
        raise UsageError("cli.two-inputs")
    content = _read_stdin(PATCH_LIMIT) if given == "-" else read_file(Path(given), given, limit=PATCH_LIMIT)
    return content.decode("utf-8", "surrogateescape")


def _read_stdin(size: int) -> bytes:
    return sys.stdin.buffer.read(size)


def _folder(seen: _Seen, desk: Desk) -> Path | None:
    """Where the run's record lies."""
    return run_folder(state_directory(desk.settings), seen.started.run_id) if seen.started else None


def _apply(finished: RunFinished, root: Path, desk: Desk) -> None:
    """Write a verified patch into the user's tree, all of it or nothing; raises EditError."""
    words = desk.words
    if not finished.patch:
        desk.err.show([line(bad(f"{words.mark('✗')} "), words.say("report.nothing-to-apply"))])
        return
    if finished.label is not Label.VERIFIED:
        label = words.say(f"event.label-{finished.label}")
        desk.err.show([line(warn(f"{words.mark('!')} "), words.say("report.not-applied", label=label))])
        return
    from thinklonger.agent.edits import DirectoryTree, parse_diff, write_changes  # noqa: PLC0415 (only for --apply)

    write_changes(parse_diff(finished.patch, DirectoryTree(root)), root)
    applied = words.say("report.applied", folder=clean_line(str(root)))
    desk.err.show([line(good(f"{words.mark('✓')} "), applied)])
