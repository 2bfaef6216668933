"""Files beside a record: where they go, and what of an event is too long to stand in it."""

import json
from collections.abc import Sequence
from dataclasses import replace
from pathlib import PurePosixPath
from typing import Protocol

from thinklonger.agent.trace.events import Event, Reproduced
from thinklonger.agent.types import Artifact

INLINE = 20
"""Up to so many tests stand in the receipt and in a command; more of them stand in a file, one a line."""


WRITTEN = "reproduction.py"
"""The reproduction that the repository does not hold, to be edited and run again."""


class Keep(Protocol):
    """Where files beside a record go (`Recorder.keep`)."""

    def __call__(self, name: str, content: bytes, *, about: str = "", source: PurePosixPath | None = None) -> Artifact:
        """Keep one file."""
        ...


def slimmed(event: Event, keep: Keep) -> Event:
    """The event, with a file in place of hundreds of tests in a command; a written reproduction is a file, too."""
    if isinstance(event, Reproduced) and event.source:
        keep(WRITTEN, event.source.encode("utf-8", "surrogateescape"), about=WRITTEN)
    match event:
        case Reproduced(run=run) if len(run.results) > INLINE:
            tests = tuple(result.id for result in run.results)
            kept = keep("reproduced.txt", write_tests(tests), about="reproduced.txt")
            return replace(event, run=replace(run, command=(*without_tests(run.command, tests), f"@{kept.path}")))
        case _:
            return event


def write_tests(tests: Sequence[str]) -> bytes:
    """Test ids, one a line (as pytest's `@FILE` takes them); one that would not fit on a line is in JSON."""
    lines = (json.dumps(test) if not test.isprintable() or test[:1] == '"' else test for test in tests)
    return "".join(f"{line}\n" for line in lines).encode("utf-8", "surrogateescape")


def read_tests(content: bytes) -> tuple[str, ...]:
    """The ids that `write_tests` wrote."""
    lines = content.decode("utf-8", "surrogateescape").split("\n")
    return tuple(str(json.loads(line)) if line[:1] == '"' else line for line in lines if line)


def without_tests(command: Sequence[str], tests: Sequence[str]) -> tuple[str, ...]:
    """A command without the tests at its end: as many words as there are tests."""
    return tuple(command[: max(0, len(command) - len(tests))])
