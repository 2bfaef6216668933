"""How many tokens a card holds beside a model, and how long a context may therefore be: arithmetic, nothing else.

Sizes are bytes. The formulas stand in `docs/serving.md` with what they leave out.
"""

from dataclasses import dataclass

GIB = 1024**3
GB = 1000**3
UTILIZATION = 0.92
"""The part of a card that the server may fill: vLLM's own default."""
OVERHEAD = 1_500_000_000
"""Activations, graphs and what CUDA itself takes, on each card."""
STEP = 1024
"""Contexts are multiples of this."""


@dataclass(frozen=True, slots=True)
class Shape:
    """What of a model decides how much memory a token takes.

    `kv_layers`: the layers that keep keys and values of every token, each for `kv_heads` heads of `head_dim` numbers.
    `state`: what the other layers keep, bytes for each sequence however long it is. `longest`: tokens of the longest
    context that the model knows.
    """

    kv_layers: int
    kv_heads: int
    head_dim: int
    longest: int
    state: int = 0


def kv_bytes_of_token(shape: Shape, *, width: int = 2, gpus: int = 1) -> int:
    """Bytes that one token's keys and values take on each of `gpus` cards; `width` is a number's (fp8: 1).

    Heads are dealt out whole: where there are more cards than heads, each card keeps one.
    """
    return 2 * shape.kv_layers * -(-shape.kv_heads // gpus) * shape.head_dim * width


def kv_tokens_that_fit(  # noqa: PLR0913 (every figure of the formula, by name)
    memory: int,
    *,
    weights: int,
    shape: Shape,
    width: int = 2,
    sequences: int = 1,
    drafts: int = 0,
    overhead: int = OVERHEAD,
    utilization: float = UTILIZATION,
    gpus: int = 1,
) -> int:
    """Tokens of all sequences together whose keys and values fit beside the weights; 0 where none do.

    `memory` is one card's, and so is `overhead`; `weights` and states are shared by the cards. A sequence keeps two
    states (the running one and the last that the prefix cache keeps) and one more for each token drafted ahead:

        (memory · utilization - weights/gpus - overhead - sequences · (2 + drafts) · state/gpus) ÷ bytes of a token
    """
    states = sequences * (2 + drafts) * shape.state
    free = memory * utilization - (weights + states) / gpus - overhead
    return max(0, int(free // kv_bytes_of_token(shape, width=width, gpus=gpus)))


def context_that_fits(tokens: int, *, sequences: int, longest: int) -> int:
    """The longest context with which so many sequences run at once and none is ever put off; a multiple of `STEP`.

    The sequences of a stage share their prompt. Let the prompt be half of the context and a reply the other half:
    C/2 + sequences · C/2 ≤ tokens, so C = 2 · tokens ÷ (sequences + 1).
    """
    return min(longest, 2 * tokens // (sequences + 1)) // STEP * STEP
