"""What every subcommand works with: the options, the settings, the words and the two outputs."""

import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from thinklonger.agent.config import Settings
from thinklonger.agent.config.environment import Surroundings
from thinklonger.agent.errors import ThinkLongerError
from thinklonger.agent.types import Message
from thinklonger.cli.arguments import Options
from thinklonger.cli.output import Output
from thinklonger.cli.page import Line, bad, line
from thinklonger.cli.services import Services
from thinklonger.cli.words import Words


@dataclass(frozen=True, slots=True)
class Desk:
    """Results go to `out`, everything else to `err`; `problems` are those of the settings."""

    options: Options
    settings: Settings
    surroundings: Surroundings
    words: Words
    out: Output
    err: Output
    services: Services
    problems: tuple[Message, ...] = ()

    @property
    def repository(self) -> Path:
        """The repository's folder, absolute."""
        return Path(self.options.repo).absolute()


def outputs(surroundings: Surroundings) -> tuple[Output, Output]:
    """Standard output and standard error."""
    color, moving = surroundings.color, surroundings.moving
    return Output(sys.stdout, color=color, moving=moving), Output(sys.stderr, color=color, moving=moving)


def error_lines(message: Message, remedy: Message | None, words: Words) -> list[Line]:
    """An error and what to do about it."""
    lines = [line(bad(f"{words.mark('✗')} "), words.render(message))]
    return lines + ([line("  ", words.render(remedy))] if remedy else [])


def error_json(error: ThinkLongerError, words: Words) -> str:
    """An error as the JSON that stands where a result was expected."""

    def shown(message: Message | None) -> dict[str, object] | None:
        if message is None:
            return None
        return {"key": message.key, "params": dict(message.params), "text": words.render(message)}

    body = {
        "type": type(error).__name__,
        "message": shown(error.message),
        "remedy": shown(error.remedy),
        "exit_code": error.exit_code,
    }
    return json.dumps({"error": body, "run_id": None, "record": None})


def tell(problems: Sequence[Message], output: Output, words: Words) -> None:
    """Print problems."""
    from thinklonger.agent.trace.events import ProblemFound  # noqa: PLC0415 (brings msgspec)
    from thinklonger.cli.narration import problem  # noqa: PLC0415 (the same)

    output.show([problem(ProblemFound(message), words) for message in problems])
