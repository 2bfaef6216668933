"""How the start of a server goes, read from what vLLM prints: phases with their progress, and what went wrong."""

import re
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum

from thinklonger.agent.types import Message

TAIL = 40
"""Lines kept for a person, where nothing is recognised."""
_LINE = 2000
_WORDS = 400


class Phase(StrEnum):
    """What a server does until it answers."""

    STARTING = "starting"
    DOWNLOADING = "downloading"
    LOADING = "loading"
    COMPILING = "compiling"
    CAPTURING = "capturing"
    READY = "ready"


@dataclass(frozen=True, slots=True)
class Step:
    """Where a start stands; `percent` where the server counts. `tokens`: what it found room for, once it says so."""

    phase: Phase
    percent: int | None = None
    tokens: int | None = None


_PHASES: tuple[tuple[Phase, re.Pattern[str]], ...] = (
    (Phase.READY, re.compile(r"Application startup complete")),
    (Phase.CAPTURING, re.compile(r"Capturing (?:CUDA|cudagraph).*?(?::\s*(?P<percent>\d{1,3})%|$)")),
    (
        Phase.COMPILING,
        re.compile(
            r"Starting torch\.compile|for vLLM's torch\.compile|torch\.compile takes|Dynamo bytecode transform|"
            r"Compiling a graph|Directly load (?:the compiled|AOT)"
        ),
    ),
    (Phase.LOADING, re.compile(r"Loading (?:safetensors|pt) .*?(?:(?P<percent>\d{1,3})% Completed|$)")),
    (Phase.LOADING, re.compile(r"Starting to load model|Loading weights took|Model loading took")),
    (Phase.DOWNLOADING, re.compile(r"(?:Fetching \d+ files|\.safetensors):\s*(?P<percent>\d{1,3})%")),
)
_TOKENS = re.compile(r"[CG]PU KV cache size: ([\d,]+) tokens")

_FAILURES: tuple[tuple[str, re.Pattern[str]], ...] = (
    ("serving.unknown-flag", re.compile(r"error: (?:unrecognized arguments|argument)[: ]+(?P<reason>.+)")),
    ("serving.port-taken", re.compile(r"[Aa]ddress already in use")),
    (
        "serving.driver-too-old",
        re.compile(
            r"(?P<reason>NVIDIA driver on your system is too old[^.]*|"
            r"CUDA driver version is insufficient for CUDA runtime version)"
        ),
    ),
    (
        "serving.no-cuda",
        re.compile(
            r"(?P<reason>No CUDA GPUs are available|libcuda\.so\.1: cannot open[^\n]*|"
            r"Failed to infer device type[^\n]*|Driver/library version mismatch)"
        ),
    ),
    (
        "serving.card-too-old",
        re.compile(
            r"(?P<reason>no kernel image is available for execution on the device|"
            r"quantization method \S+ is not supported for the current GPU[^\n]*|"
            r"fp8e4nv not supported in this architecture)"
        ),
    ),
    ("serving.gated", re.compile(r"GatedRepoError|Access to model \S+ is restricted|401 Client Error")),
    (
        "serving.weights-missing",
        re.compile(
            r"LocalEntryNotFoundError|OfflineModeIsEnabled|outgoing traffic has been disabled|"
            r"couldn't connect to 'https?://|Cannot find an appropriate cached snapshot|MaxRetryError"
        ),
    ),
    (
        "serving.no-such-model",
        re.compile(
            r"RepositoryNotFoundError|is not a local folder and is not a valid model identifier|"
            r"Repo id must be in the form|Invalid repository ID or local directory"
        ),
    ),
    (
        "serving.unknown-architecture",
        re.compile(
            r"(?P<reason>Model architectures? \[?[^\n]*not supported[^\n]*|"
            r"model type `[^`]+` but Transformers does not recognize)"
        ),
    ),
    (
        "serving.memory-in-use",
        re.compile(r"Free memory on device \S+ \((?P<free>[\d.]+)/(?P<total>[\d.]+) GiB\) on startup is less than"),
    ),
    (
        "serving.context-too-large",
        re.compile(
            r"is larger than the available KV cache memory(?:.*?estimated maximum model length is (?P<most>\d+))?",
            re.DOTALL,
        ),
    ),
    ("serving.out-of-memory", re.compile(r"CUDA out of memory|OutOfMemoryError|No available memory for the cache")),
    (
        "serving.bad-adapter",
        re.compile(
            r"(?P<reason>No adapter found for[^\n]*|LoRA rank \d+ is greater than[^\n]*|"
            r"does not support LoRA[^\n]*|Loading lora \S+ failed[^\n]*)"
        ),
    ),
    ("serving.disk-full", re.compile(r"No space left on device")),
)
"""What is wrong, by what vLLM, CUDA and the downloader say; the first that is found in the order of this list."""


@dataclass(slots=True)
class Watch:
    """Folds a server's lines into the state of its start."""

    step: Step = field(default_factory=lambda: Step(Phase.STARTING))
    _tail: deque[str] = field(default_factory=lambda: deque[str](maxlen=400))

    def follow(self, line: str) -> Step | None:
        """Take one line in; the new step where it changes where the start stands."""
        line = line[:_LINE]
        if line.strip():
            self._tail.append(line.rstrip())
        if room := _TOKENS.search(line):
            return self._move(Step(self.step.phase, self.step.percent, int(room[1].replace(",", ""))))
        for phase, pattern in _PHASES:
            if found := pattern.search(line):
                percent = found.groupdict().get("percent")
                return self._move(Step(phase, int(percent) if percent else None, self.step.tokens))
        return None

    def _move(self, step: Step) -> Step | None:
        if step == self.step:
            return None
        self.step = step
        return step

    def failure(self, *, code: int | None, context: int | None = None, port: int = 0) -> Message:
        """What was wrong, in words, once the server has ended with this exit code."""
        text = "\n".join(self._tail)
        for key, pattern in _FAILURES:
            if found := pattern.search(text):
                groups = found.groupdict()
                given = {name: value.strip()[:_WORDS] for name, value in groups.items() if value is not None}
                return Message(key, {**_VARIABLES.get(key, {}), "port": port, "context": context or 0, **given})
        if code is not None and code in (-9, 137):
            return Message("serving.killed")
        return Message("serving.ended", {"code": "-" if code is None else code, "reason": self.reason()})

    def reason(self) -> str:
        """The last line that names an error, else the last line."""
        lines = list(self._tail)
        named = [line for line in lines if re.search(r"\b\w*(?:Error|Exception)\b: |\berror: ", line)]
        last = (named or lines or [""])[-1]
        return last.strip()[:_WORDS]

    def tail(self) -> tuple[str, ...]:
        """The last lines, for a person."""
        return tuple(self._tail)[-TAIL:]


_VARIABLES: dict[str, dict[str, str | float]] = {"serving.context-too-large": {"most": "-"}}
"""Variables that a pattern may leave open."""
