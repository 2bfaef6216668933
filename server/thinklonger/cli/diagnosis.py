"""What `doctor` found: findings with what to do about them, as a table for people and as JSON for machines."""

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from thinklonger.agent.errors import ThinkLongerError
from thinklonger.agent.types import Message
from thinklonger.cli import machine
from thinklonger.cli.page import Line, Span, bad, good, line, strong, warn
from thinklonger.cli.words import Words, pad

if TYPE_CHECKING:  # heavy, and only a repository has one
    from thinklonger.agent.execution.environments import Recipe

_WIDTH = 16


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at: what was found, and what to do about it where something is wrong.

    `ok` is False where a run can't go without it; `note` says that it could be better, or that a person should know.
    """

    topic: str
    ok: bool
    said: Message
    remedy: Message | None = None
    note: bool = False


@dataclass(slots=True)
class Diagnosis:
    """All that was found; `proof` is what the repository's environment proved, `recipe` how it was made."""

    findings: list[Finding] = field(default_factory=list[Finding])
    candidates: list[Message] = field(default_factory=list[Message])
    recipe: "Recipe | None" = None
    proof: dict[str, machine.Plain] | None = None
    model: dict[str, machine.Plain] | None = None

    @property
    def ready(self) -> bool:
        """Whether a resolve could run."""
        return all(finding.ok for finding in self.findings)

    def add(self, topic: str, key: str, /, **params: str | float) -> None:
        """Note what was found, a sentence of the catalogue."""
        self.findings.append(Finding(topic, ok=True, said=Message(key, params)))

    def advise(self, topic: str, key: str, /, **params: str | float) -> None:
        """Note what works but could be better; what to do is the sentence's remedy in the catalogue."""
        self.findings.append(
            Finding(topic, ok=True, said=Message(key, params), remedy=Message(f"{key}-remedy", params), note=True)
        )

    def lack(self, topic: str, key: str, /, **params: str | float) -> None:
        """Note what a run can't go without; what to do is the sentence's remedy in the catalogue."""
        self.findings.append(
            Finding(topic, ok=False, said=Message(key, params), remedy=Message(f"{key}-remedy", params))
        )

    def failed(self, topic: str, error: ThinkLongerError, *, needed: bool = True) -> None:
        """Note what went wrong; `needed`: a run can't go without it."""
        finding = Finding(topic, ok=not needed, said=error.message, remedy=error.remedy, note=not needed)
        self.findings.append(finding)


def finding_lines(findings: list[Finding], words: Words) -> list[Line]:
    """A row for each finding, and below it what to do."""
    lines: list[Line] = []
    for finding in findings:
        title = strong(pad(words.say(f"doctor.topic-{finding.topic}"), _WIDTH))
        lines.append(line(_sign(finding, words), title, words.render(finding.said)))
        if finding.remedy is not None:
            lines.append(line(" " * (_WIDTH + (2 if words.unicode else 5)), words.render(finding.remedy)))
    return lines


def _sign(finding: Finding, words: Words) -> Span:
    sign, style = ("✓", good) if finding.ok else ("✗", bad)
    if finding.ok and finding.note:
        sign, style = "!", warn
    return style(pad(words.mark(sign), 2 if words.unicode else 5))


def finding_json(finding: Finding, words: Words) -> machine.Plain:
    """A finding for a machine."""
    return {
        "topic": finding.topic,
        "ok": finding.ok,
        "note": finding.note,
        "message": machine.plain(finding.said, words),
        "remedy": machine.plain(finding.remedy, words),
    }
