"""What machines read: the JSON of each subcommand, from the same events as everything else."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import fields, is_dataclass
from datetime import datetime
from enum import Enum
from pathlib import Path, PurePath
from typing import TypeAlias, cast

from thinklonger.agent.trace.events import ProblemFound, RunFailed, RunFinished
from thinklonger.agent.trace.runs import CandidateState, Run, Summary
from thinklonger.agent.types import FileRank, Location, Message
from thinklonger.cli.words import IN_JSON, Words

Plain: TypeAlias = bool | int | float | str | list["Plain"] | dict[str, "Plain"] | None


def dump(value: Plain) -> str:
    """One JSON text on one line, harmless for a terminal.

    Bytes of a path or a diff that are not UTF-8 are lone surrogates, escaped: encode with `surrogateescape`.
    """
    return json.dumps(value, ensure_ascii=False).translate(IN_JSON)


def plain(value: object, words: Words) -> Plain:  # noqa: PLR0911 (one return for each kind of value)
    """Any noun as plain values; a message also carries its words in the user's language."""
    match value:
        case Message():
            return {"key": value.key, "params": dict(value.params), "text": words.render(value)}
        case Enum():
            return cast("str", value.value)
        case None | bool() | int() | float() | str():
            return value
        case PurePath():
            return str(value)
        case datetime():
            return value.isoformat().replace("+00:00", "Z")
        case Mapping():
            entries = cast("Mapping[object, object]", value)
            return {str(key): plain(entry, words) for key, entry in entries.items()}
        case tuple() | list() | frozenset() | set():
            return [plain(entry, words) for entry in cast("Sequence[object]", value)]
        case _ if is_dataclass(value):
            return {entry.name: plain(getattr(value, entry.name), words) for entry in fields(value)}
        case _:
            return str(value)


def resolved(
    run_id: str, finished: RunFinished, *, folder: Path | None, problems: Sequence[ProblemFound], words: Words
) -> Plain:
    """The JSON of `resolve`."""
    return {
        "run_id": run_id,
        "label": finished.label.value,
        "patch": finished.patch,
        "receipt": plain(finished.receipt, words),
        "candidates": plain(finished.candidates, words),
        "stop_reason": finished.stop_reason.value,
        "tokens": finished.tokens,
        "seconds": finished.seconds,
        "candidate": finished.candidate,
        "tried": finished.tried,
        **ranking(finished.files, finished.locations, words=words),
        "problems": told(problems, words),
        "record": str(folder) if folder else None,
    }


def told(problems: Iterable[ProblemFound], words: Words) -> Plain:
    """Problems, each with its words and the file that it is about, or null."""
    return [
        {**cast("dict[str, Plain]", plain(problem.message, words)), "path": plain(problem.path, words)}
        for problem in problems
    ]


def ranking(files: Sequence[FileRank], locations: Sequence[Location], *, words: Words) -> dict[str, Plain]:
    """Files and locations, most suspicious first."""
    return {"files": plain(tuple(files), words), "locations": plain(tuple(locations), words)}


def failure(failed: RunFailed, words: Words, *, run_id: str = "", folder: Path | None = None) -> Plain:
    """An error, where a result was expected."""
    body: dict[str, Plain] = {
        "type": failed.error,
        "message": plain(failed.message, words),
        "remedy": plain(failed.remedy, words),
        "exit_code": failed.exit_code,
    }
    return {"error": body, "run_id": run_id or None, "record": str(folder) if folder else None}


def summary(entry: Summary, words: Words) -> Plain:
    """A run in `runs list`."""
    return plain(entry, words)


def whole_run(run: Run, words: Words) -> Plain:
    """A run in `runs show`."""
    finished = run.finished
    return {
        **cast("dict[str, Plain]", plain(run.summary, words)),
        "issue": plain(run.started.issue if run.started else None, words),
        "commit": run.indexed.commit if run.indexed else None,
        "engine": run.started.engine if run.started else None,
        "version": run.started.version if run.started else None,
        "candidate": finished.candidate if finished else None,
        "patch": finished.patch if finished else "",
        "receipt": plain(finished.receipt if finished else None, words),
        "stop_reason": finished.stop_reason.value if finished else None,
        "tokens": finished.tokens if finished else 0,
        **ranking(run.files, run.locations, words=words),
        "candidates": [_candidate(candidate, words) for candidate in run.candidates],
        "error": plain(run.failed, words),
        "problems": told(_problems(run), words),
        "events": len(run.record.entries),
        "unread": len(run.record.unread),
    }


def _problems(run: Run) -> list[ProblemFound]:
    events = [entry.event for entry in run.record.entries]
    found = [event for event in events if isinstance(event, ProblemFound)]
    return [*map(ProblemFound, run.record.problems), *found]


def _candidate(candidate: CandidateState, words: Words) -> Plain:
    return {
        **cast("dict[str, Plain]", plain(candidate.proposed, words)),
        "tested": plain(candidate.tested, words),
        "pruned": plain(candidate.pruned, words),
        "receipt": plain(candidate.receipt, words),
    }
