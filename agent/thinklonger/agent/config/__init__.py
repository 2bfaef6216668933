"""The settings that every front door shares: plain frozen data, every field defaulted and documented here once."""

from dataclasses import dataclass, field
from enum import StrEnum

from thinklonger.agent.types import Limits


class SandboxChoice(StrEnum):
    """Which sandbox runs the repository's code; `none` runs it unprotected and must be asked for by name."""

    AUTO = "auto"
    DOCKER = "docker"
    BUBBLEWRAP = "bubblewrap"
    NONE = "none"


class SandboxPreference(StrEnum):
    """Which of the two sandboxes `auto` takes where both work."""

    BUBBLEWRAP = "bubblewrap"
    DOCKER = "docker"


@dataclass(frozen=True, slots=True)
class SandboxSettings:
    """`kind`: which sandbox. `prefer`: which one `auto` tries first. `limits`: what one command may use.

    `image`: the image that Docker's containers start from; empty means this machine's own system, shown read-only.
    """

    kind: SandboxChoice = SandboxChoice.AUTO
    prefer: SandboxPreference = SandboxPreference.BUBBLEWRAP
    image: str = ""
    limits: Limits = Limits()


class Strategy(StrEnum):
    """How a model's rollouts are spent: see `agent.search`."""

    DEV_SEARCH = "dev-search"
    ADAPTIVE = "adaptive"
    EXEC = "exec"
    ORM_EXEC = "orm-exec"
    VOTING = "voting"


@dataclass(frozen=True, slots=True)
class SearchSettings:
    """How much to search.

    `budget`: rollouts, or None for 'auto' (widen while it pays). `seconds`: how long a run of the built-in solver
    should take; proposing stops early enough to prove what was found.
    `workers`: sandboxes at once; 0 means one for each core that this process may use. `candidates`: patches a
    rollout may try with the built-in solver. With a model: `strategy`; `samples`: replies that a stage asks for, of
    which the best `keep` go on; `tokens`: what all replies of a run may hold together, None for no such bound.
    """

    budget: int | None = None
    seconds: float = 50.0
    workers: int = 0
    candidates: int = 400
    strategy: Strategy = Strategy.ADAPTIVE
    samples: int = 4
    keep: int = 2
    tokens: int | None = None


class Effort(StrEnum):
    """How long a model may think; `auto` thinks longer on issues whose first candidates disagree or fail."""

    AUTO = "auto"
    LOW = "low"
    MEDIUM = "medium"
    HIGH = "high"


@dataclass(frozen=True, slots=True)
class ThinkingSettings:
    """`effort`: how long to think. `tokens`: of one reply's thinking, None by effort. `answer_tokens`: of an answer."""

    effort: Effort = Effort.AUTO
    tokens: int | None = None
    answer_tokens: int = 4096


@dataclass(frozen=True, slots=True)
class ServedSettings:
    """The model's server. `context`: tokens to use at most, None for all that it serves.

    `idle_seconds`: how long a stream may stay silent. `retries`: attempts after the first. `prm`, `orm`: the names of
    the reward models' adapters there; empty for a prompted judge.
    """

    context: int | None = None
    idle_seconds: float = 600.0
    retries: int = 4
    prm: str = ""
    orm: str = ""


@dataclass(frozen=True, slots=True)
class RegressionSettings:
    """Which other tests must not get worse: chosen under `seconds` of estimated running time; `whole` runs them all."""

    seconds: float = 20.0
    whole: bool = False


@dataclass(frozen=True, slots=True)
class EnvironmentsSettings:
    """Where the repository's tests find their Python and packages.

    `interpreter`: the Python to use (empty: look for one). `build`: whether an environment may be built from the
    registry where none is at hand: the only thing that uses the network. `index`: the registry (https). `seconds` and
    `megabytes`: what building one may take.
    """

    interpreter: str = ""
    build: bool = False
    index: str = "https://pypi.org/simple"
    seconds: float = 600.0
    megabytes: int = 4096


@dataclass(frozen=True, slots=True)
class LocalizeSettings:
    """`top`: how many locations to report. `execute`: run the failing test for its traceback and coverage."""

    top: int = 10
    execute: bool = True


@dataclass(frozen=True, slots=True)
class Settings:
    """All settings. `engine`: 'builtin', a model server's URL, or a GGUF file. `model`: its name at the server.

    `language`: of messages. `state_directory`, `cache_directory`: where run records and indexes live; empty means the
    platform's own places.
    """

    engine: str = "builtin"
    model: str = ""
    language: str = "en"
    state_directory: str = ""
    cache_directory: str = ""
    sandbox: SandboxSettings = field(default_factory=SandboxSettings)
    search: SearchSettings = field(default_factory=SearchSettings)
    thinking: ThinkingSettings = field(default_factory=ThinkingSettings)
    served: ServedSettings = field(default_factory=ServedSettings)
    regression: RegressionSettings = field(default_factory=RegressionSettings)
    environments: EnvironmentsSettings = field(default_factory=EnvironmentsSettings)
    localize: LocalizeSettings = field(default_factory=LocalizeSettings)
