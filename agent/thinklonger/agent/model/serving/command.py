"""The command that serves a plan with vLLM, and the variables that keep it from telling anybody."""

import json
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from thinklonger.agent.errors import UsageError
from thinklonger.agent.model.serving.capacity import UTILIZATION
from thinklonger.agent.model.serving.recommendation import Plan
from thinklonger.agent.model.serving.weights import adapter_rank, weights_size

HOST = "127.0.0.1"
PORT = 8000
_TOKENS_PER_CHUNK = 4
"""Tokens in one streamed chunk: the client's work per token falls with it, and nobody reads faster."""
_LOOKUP = 4
"""How many of the last tokens an n-gram draft looks up in the prompt, at most."""


@dataclass(frozen=True, slots=True)
class Adapter:
    """A LoRA adapter, under which name it is served; `size`: bytes of its weights."""

    name: str
    path: Path
    rank: int
    size: int = 0


def adapters_of(*, prm: str = "", orm: str = "") -> tuple[Adapter, ...]:
    """The reward models' adapters in these folders; raises UsageError for a folder that holds none."""
    found: list[Adapter] = []
    for name, given in (("prm", prm), ("orm", orm)):
        if given:
            path = Path(given).expanduser().absolute()
            rank = adapter_rank(path)
            if rank is None:
                raise UsageError("serving.no-adapter", flag=f"--{name}", path=str(path))
            found.append(Adapter(name, path, rank, weights_size(path)))
    return tuple(found)


def command_for(
    plan: Plan, *, program: str = "vllm", port: int = PORT, adapters: Sequence[Adapter] = ()
) -> tuple[str, ...]:
    """The command, flag by flag."""
    words = [program, "serve", plan.model, "--host", HOST, "--port", str(port)]
    words += ["--max-model-len", str(plan.context) if plan.context else "auto"]
    words += ["--max-num-seqs", str(plan.sequences), "--gpu-memory-utilization", str(UTILIZATION)]
    words += ["--enable-prefix-caching", "--enable-prompt-tokens-details", "--stream-interval", str(_TOKENS_PER_CHUNK)]
    words += ["--reasoning-parser", plan.parser] if plan.parser else []
    words += ["--quantization", plan.quantization] if plan.quantization else []
    words += ["--kv-cache-dtype", plan.kv] if plan.kv != "auto" else []
    words += ["--tensor-parallel-size", str(plan.gpus)] if plan.gpus > 1 else []
    words += ["--speculative-config", json.dumps(drafting(plan))] if plan.draft else []
    words += plan.arguments
    if adapters:
        rank = max(adapter.rank for adapter in adapters)
        words += ["--enable-lora", "--max-loras", str(len(adapters)), "--max-lora-rank", str(rank), "--lora-modules"]
        words += [f"{adapter.name}={adapter.path}" for adapter in adapters]
    return tuple(words)


def drafting(plan: Plan) -> dict[str, str | int]:
    """How tokens are drafted ahead, as vLLM wants to be told."""
    settings: dict[str, str | int] = {"method": plan.draft, "num_speculative_tokens": plan.drafts}
    return {**settings, "prompt_lookup_max": _LOOKUP} if plan.draft == "ngram" else settings


def variables(*, download: bool) -> Mapping[str, str]:
    """What the server's environment says beside ours: nothing is reported, nothing is fetched unless it may be."""
    quiet = {"VLLM_NO_USAGE_STATS": "1", "DO_NOT_TRACK": "1", "HF_HUB_DISABLE_TELEMETRY": "1"}
    return quiet if download else {**quiet, "HF_HUB_OFFLINE": "1"}


def find_program(path: str | None = None) -> str | None:
    """Where vLLM's program is: beside the Python that runs ThinkLonger, else on PATH (`path` in place of it)."""
    import shutil  # noqa: PLC0415 (only who serves)

    beside = Path(sys.executable).with_name("vllm")
    return str(beside) if beside.is_file() else shutil.which("vllm", path=path)
