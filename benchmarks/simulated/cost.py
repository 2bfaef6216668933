"""The roofline: what a step of an engine costs, what a stage costs at least."""

import math
from collections.abc import Sequence

from simulated.cards import Card


def step_seconds(card: Card, tokens: float, context: float, sequences: int) -> float:
    """One forward pass over `tokens` new tokens of so many sequences, which hold `context` tokens in sum.

    max((weights + context x KV + sequences x states) / bandwidth, 2 x parameters x tokens / operations): whichever is
    slower, reading or computing. Sequences read a shared beginning each for itself, as engines do without cascade
    attention; a state is read and written.
    """
    return max(_read(card, context, sequences), _compute(card, tokens))


def run_seconds(card: Card, batch: int, context: float, steps: int) -> float:
    """`steps` decoding steps in a row of `batch` sequences that hold `context` tokens in sum in the first one.

    In each step every sequence grows by a token, so the reads grow in arithmetic progression; what is below the time
    that the computing takes is lifted to it. With speculation a step yields `accepted` tokens.
    """
    if steps <= 0:
        return 0.0
    floor = _compute(card, batch)
    first = _read(card, context, batch)
    growth = batch * card.token_bytes / (card.bandwidth * card.reads)
    bound = 0 if first >= floor else min(steps, math.ceil((floor - first) / growth))
    rest = steps - bound
    seconds = bound * floor + rest * first + growth * (rest * (2 * bound + rest - 1)) / 2
    return seconds / card.accepted


def prefill_seconds(card: Card, prompt: int, cached: int = 0) -> float:
    """Computing what is not cached of a prompt, in chunks as the engine makes them."""
    seconds, done = 0.0, cached
    while done < prompt:
        chunk = min(card.batched_tokens, prompt - done)
        done += chunk
        seconds += step_seconds(card, chunk, done, 1)
    return seconds


def decode_seconds(card: Card, replies: Sequence[tuple[int, int]]) -> float:
    """The least time for replies that could all begin at once; of each the tokens of its prompt and its own.

    Every token reads its own context, and every step the weights. There are at least as many steps as the longest reply
    has tokens, and as many as it takes when the card works on no more than `sequences` at once. The first tokens come
    with the prefill. Where all fit, this is exactly the time of all decoding together.
    """
    lengths = [length - 1 for _, length in replies]
    steps = max(*lengths, math.ceil(sum(lengths) / card.sequences))
    contexts = sum(
        length * (prompt + 1) + length * (length - 1) / 2 for (prompt, _), length in zip(replies, lengths, strict=True)
    )
    states = sum(lengths) * 2 * card.weights.state
    read = steps * card.weights.resident + contexts * card.token_bytes + states
    return read / (card.bandwidth * card.reads) / card.accepted


def stage_seconds(card: Card, prompt: int, lengths: Sequence[int], *, cached: int = 0) -> float:
    """The least time for a stage: what is new of its prompt once, then all replies."""
    return prefill_seconds(card, prompt, cached) + decode_seconds(card, [(prompt, length) for length in lengths])


def _read(card: Card, context: float, sequences: int) -> float:
    size = card.weights.resident + context * card.token_bytes + sequences * 2 * card.weights.state
    return size / (card.bandwidth * card.reads)


def _compute(card: Card, tokens: float) -> float:
    return 2.0 * card.weights.parameters * tokens / (card.flops * card.computes)
