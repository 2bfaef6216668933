"""The servers that can be played, and how each differs; facts found by running them or told by their maintainers."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType

from thinklonger.agent.chat import Dialect
from thinklonger.agent.model.replay.script import Wording


class Product(StrEnum):
    """A server whose way of speaking can be played; `TAGS…` are vLLM without a reasoning parser."""

    VLLM = "vllm"
    VLLM_OLD = "vllm-old"
    SGLANG = "sglang"
    TAGS = "tags"
    TAGS_OPEN = "tags-open"
    LLAMA_CPP = "llama.cpp"
    LM_STUDIO = "lm-studio"
    OLLAMA = "ollama"
    TRANSFORMERS = "transformers"


class Several(StrEnum):
    """What becomes of a request for several choices."""

    GIVEN = "given"
    IGNORED = "ignored"
    SLOTS = "slots"
    """Given up to the number of slots, refused beyond."""


@dataclass(frozen=True, slots=True)
class Traits:
    """How a product differs.

    `thinking`: where thinking goes; `opening`: with tags, whether the opening one is sent (else the prompt's template
    held it). `strict`: unknown fields are refused (422). `usage`: a usage event is sent unasked. `cached`: it tells the
    cached tokens. `gap`: the blank text between thinking and answer is sent. `fits`: a prompt with its output limit
    beyond the context is refused; else only a prompt that is alone too long. `truncates`: an overlong prompt is cut
    silently. `names`: a model's name must be known (404). `prefills`: an assistant's turn at the end is gone on with
    unasked. `running`: usage so far can be asked for in each event. `joined`: the finish reason comes with the last
    text, where both are there. `budgets`: a thinking budget is kept to (True), passed over (None), refused (False).
    `paths`: what it serves beside chat completions and
    the list of models.
    """

    thinking: Dialect
    wording: Wording
    opening: bool = True
    several: Several = Several.GIVEN
    logprobs: bool = True
    strict: bool = False
    continues: bool = False
    usage: bool = False
    cached: bool = False
    gap: bool = False
    fits: bool = True
    truncates: bool = False
    names: bool = True
    prefills: bool = False
    running: bool = False
    joined: bool = False
    budgets: bool | None = None
    paths: frozenset[str] = frozenset()


_VLLM_PATHS = frozenset({"/health", "/version", "/metrics", "/tokenize", "/detokenize"})

TRAITS: Mapping[Product, Traits] = MappingProxyType(
    {
        Product.VLLM: Traits(
            thinking=Dialect.REASONING,
            wording=Wording.VLLM,
            continues=True,
            cached=True,
            gap=True,
            running=True,
            joined=True,
            budgets=True,
            paths=_VLLM_PATHS | {"/generative_scoring"},
        ),
        Product.VLLM_OLD: Traits(
            thinking=Dialect.REASONING_CONTENT,
            wording=Wording.VLLM_OLD,
            continues=True,
            gap=True,
            running=True,
            joined=True,
            paths=_VLLM_PATHS,
        ),
        Product.SGLANG: Traits(
            thinking=Dialect.REASONING_CONTENT,
            wording=Wording.SGLANG,
            continues=True,
            paths=frozenset({"/health", "/get_model_info", "/metrics"}),
        ),
        Product.TAGS: Traits(
            thinking=Dialect.TAGS,
            wording=Wording.VLLM,
            continues=True,
            cached=True,
            gap=True,
            running=True,
            joined=True,
            budgets=False,
            paths=_VLLM_PATHS,
        ),
        Product.TAGS_OPEN: Traits(
            thinking=Dialect.TAGS,
            wording=Wording.VLLM_OLD,
            opening=False,
            continues=True,
            gap=True,
            running=True,
            joined=True,
            budgets=False,
            paths=_VLLM_PATHS,
        ),
        Product.LLAMA_CPP: Traits(
            thinking=Dialect.REASONING_CONTENT,
            wording=Wording.LLAMA_CPP,
            several=Several.SLOTS,
            continues=True,
            prefills=True,
            cached=True,
            fits=False,
            names=False,
            paths=frozenset(
                {
                    "/health",
                    "/metrics",
                    "/props",
                    "/slots",
                    "/tokenize",
                    "/detokenize",
                    "/apply-template",
                    "/v1/chat/completions/control",
                }
            ),
        ),
        Product.LM_STUDIO: Traits(
            thinking=Dialect.REASONING_CONTENT,
            wording=Wording.LM_STUDIO,
            several=Several.IGNORED,
            logprobs=False,
            fits=False,
            names=False,
            paths=frozenset({"/api/v0/models"}),
        ),
        Product.OLLAMA: Traits(
            thinking=Dialect.REASONING,
            wording=Wording.OPENAI,
            several=Several.IGNORED,
            logprobs=False,
            fits=False,
            truncates=True,
            paths=frozenset({"/api/version", "/api/tags", "/api/show"}),
        ),
        Product.TRANSFORMERS: Traits(
            thinking=Dialect.TAGS,
            wording=Wording.OPENAI,
            several=Several.IGNORED,
            logprobs=False,
            strict=True,
            usage=True,
            gap=True,
            fits=False,
            paths=frozenset({"/health"}),
        ),
    }
)
