"""How much each signal counts for a file: one table, fitted on real issues."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from thinklonger.agent.issue import Part, Role
from thinklonger.agent.repository import Lengths


@dataclass(frozen=True, slots=True)
class Weights:
    """The table.

    Found by coordinate ascent on ranks over 204 real issues of five projects, each project left out in turn; what
    stands here is the middle of the five fits, rounded, and it has thus seen all five: in the fits themselves, the
    first file was right in 72 % of the issues of the project left out. `benchmarks/localize.py` measures the table.
    Shared words across singular and plural, words that cover a file's name, and hub names discounted by their users
    were tried and changed nothing. Execution weights are set so that what ran goes before what was only said: they
    are not fitted.
    """

    # ── words: BM25F (Robertson, Zaragoza and Taylor, CIKM 2004) ─────────────────────────────────────────────────
    parts: Mapping[Part, float] = field(
        default_factory=lambda: {Part.TITLE: 3.5, Part.PROSE: 0.8, Part.INLINE: 1.5, Part.CODE: 0.4, Part.ERROR: 0.5}
    )
    """A word's weight in the query, by where in the issue it stands."""
    repetition: float = 0.4
    """A word that a part repeats n times counts n to this power."""
    fields: Lengths = field(default=Lengths(path=8.0, symbols=1.0, docstrings=0.75, body=0.5))
    """A word's weight in a file, by field (`body` counts what stands in the others again)."""
    norms: Lengths = field(default=Lengths(path=0.3, symbols=0.4, docstrings=0.3, body=0.3))
    """How far a field's length discounts it (`b`)."""
    saturation: float = 2.0
    """`k1`."""

    # ── what the issue names; the best words of any file are 1 ───────────────────────────────────────────────────
    names: float = 0.45
    roles: Mapping[Role, float] = field(
        default_factory=lambda: {Role.TITLE: 0.9, Role.TEXT: 0.9, Role.FRAME: 0.9, Role.CODE: 0.2}
    )
    """How surely a name is meant, by where it stands; divided by the number of its definitions."""
    path: float = 1.2
    frame: float = 0.45
    frame_decay: float = 0.4
    """A frame's share of the next one inside it."""
    message: float = 0.2
    line: float = 0.1

    # ── around it ────────────────────────────────────────────────────────────────────────────────────────────────
    importers: float = 0.02
    imported: float = 0.005
    tested: float = 0.5
    """What the test files of a failing test's command import; not fitted."""
    history: float = 0.1

    # ── factors ──────────────────────────────────────────────────────────────────────────────────────────────────
    tests: float = 0.15
    accessories: float = 0.3
    """Documentation, examples, packaging."""

    # ── execution ────────────────────────────────────────────────────────────────────────────────────────────────
    run_frame: float = 2.0
    run_frame_decay: float = 0.6
    coverage: float = 2.0
    not_run: float = 0.25
    """Factor for files that no failing test ran a line of, where coverage is known."""


WEIGHTS = Weights()
