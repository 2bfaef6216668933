"""What a comparison of candidates' behaviour is made of: survivors, inputs, outcomes, differences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from thinklonger.agent.types import FileState, Layer, Message

Plain: TypeAlias = "bool | int | float | str | Sequence[Plain] | Mapping[str, Plain] | None"
"""A value of the code under test in its canonical form, as JSON; `canonical.py` in the payload says how it is made."""


class Runner(StrEnum):
    """Who runs the tests whose calls are recorded."""

    PYTEST = "pytest"
    UNITTEST = "unittest"


@dataclass(frozen=True, slots=True)
class Survivor:
    """A candidate that passed every check: its id and the files that it lays over the base."""

    id: str
    layer: Layer


@dataclass(frozen=True, slots=True)
class Observation:
    """How to see the edited code at work.

    `tests` are the runner's own ids (pytest node ids; dotted unittest names), both red and green ones; `options` go
    to the runner before them. `python_path` is put behind the interpreter's own (where a runner lies that the
    environment lacks). `inputs` bounds the variations, `seconds` the wall-clock time of the whole comparison, of
    which recording takes a part, `starting` what importing and collecting may take on top; `seed` makes it
    repeatable. `overlay` are files that the base has and the frozen tree does not (an editor's unsaved text).
    """

    interpreter: Path
    tests: tuple[str, ...]
    runner: Runner = Runner.PYTEST
    options: tuple[str, ...] = ()
    python_path: tuple[str, ...] = ()
    environment: Mapping[str, str] = field(default_factory=dict[str, str])
    inputs: int = 320
    seconds: float = 5.0
    starting: float = 10.0
    seed: int = 20
    workers: int = 2
    overlay: Layer = field(default_factory=dict[PurePosixPath, FileState | None])


class Origin(StrEnum):
    """Where an input comes from: recorded from a test that was red or green on the base, or varied from one of these.

    `*_VARIED` inputs keep every relation that all recorded calls have; `EDGE` ones only bring in emptiness or zero,
    which tests often leave out; `LOOSE` ones break more than that and may be outside what the code is for.
    """

    RED = "red"
    GREEN = "green"
    RED_VARIED = "red-varied"
    GREEN_VARIED = "green-varied"
    EDGE = "edge"
    LOOSE = "loose"

    @property
    def recorded(self) -> bool:
        """Whether a test made this very call."""
        return self in (Origin.RED, Origin.GREEN)

    @property
    def near_red(self) -> bool:
        """Whether the input is, or keeps close to, one of a failing test."""
        return self in (Origin.RED, Origin.RED_VARIED)


@dataclass(frozen=True, slots=True)
class CallInput:
    """One call that every candidate was given: the callable, its arguments in words and in canonical form.

    `receiver`: whether the first argument is the object that the method is called on, or the input is a whole history
    of calls of one object, which has no arguments of its own. `seed`: where among the inputs
    the recorded call stands that a varied one was made of, -1 for recorded ones and where that was not kept.
    `steps`: the calls of a history, the constructor first, and whether some candidate edits the method.
    """

    function: str
    words: str
    arguments: tuple[Plain, ...]
    origin: Origin
    receiver: bool = False
    seed: int = -1
    steps: tuple[tuple[str, bool], ...] = ()


class OutcomeKind(StrEnum):
    """How one call ended. `DIED`: the process did; `SKIPPED`: not run, for lack of time or of a way to run it."""

    RETURNED = "returned"
    RAISED = "raised"
    HUNG = "hung"
    DIED = "died"
    SKIPPED = "skipped"


@dataclass(frozen=True, slots=True)
class CallOutcome:
    """How one call ended: `value` returned, or the exception's type; arguments that it `changed`; what it printed.

    `digest` is equal for two calls that behave alike to their caller. `moved`: of a history that a test made, which of
    its calls changed the object.
    """

    kind: OutcomeKind
    digest: str
    words: str
    value: Plain = None
    exception: str = ""
    changed: Plain = None
    moved: tuple[bool, ...] = ()


Behaviour: TypeAlias = tuple[CallOutcome, ...]
"""One candidate's outcomes, in the order of the comparison's inputs."""


@dataclass(frozen=True, slots=True)
class Difference:
    """The simplest input on which two groups part; `left` and `right` are members of theirs, `input` an index."""

    left: str
    right: str
    input: int
    message: Message


@dataclass(frozen=True, slots=True)
class Comparison:
    """How survivors behave on the tests' own inputs and on small variations of them.

    `groups` hold the ids of survivors that behave alike on every input, largest first; survivors that can't be
    loaded are in no group but in `unknown`. `base` is the behaviour before any edit. Where nothing could be
    compared, `inputs` is empty and `problem` says why. `called`: how many tests made the recorded calls; `skipped`:
    calls that could not be kept, because their arguments can't be copied, or not quickly.
    """

    inputs: tuple[CallInput, ...] = ()
    base: Behaviour = ()
    behaviours: Mapping[str, Behaviour] = field(default_factory=dict[str, Behaviour])
    groups: tuple[tuple[str, ...], ...] = ()
    differences: tuple[Difference, ...] = ()
    unknown: tuple[str, ...] = ()
    called: int = 0
    skipped: int = 0
    seconds: float = 0.0
    problem: Message | None = None
