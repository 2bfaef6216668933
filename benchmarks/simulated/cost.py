"""The roofline: what a step of an engine costs, what a stage costs at least."""

import math
from collections.abc import Sequence

from simulated.cards import Card


def step_seconds(card: Card, tokens: float, context: float) -> float:
    """One forward pass over `tokens` new tokens whose sequences hold `context` tokens in sum.

    max((weights + context x KV) / bandwidth, 2 x parameters x tokens / operations): whichever is slower, reading or
    computing. Sequences read a shared beginning each for itself, as engines do without cascade attention.
    """
    read = (card.weights.resident + context * card.token_bytes) / (card.bandwidth * card.reads)
    return max(read, 2.0 * card.weights.parameters * tokens / (card.flops * card.computes))


def run_seconds(card: Card, batch: int, context: float, steps: int) -> float:
    """`steps` decoding steps in a row of `batch` sequences that hold `context` tokens in sum in the first one.

    In each step every sequence grows by a token, so the reads grow in arithmetic progression; what is below the time
    that the computing takes is lifted to it.
    """
    if steps <= 0:
        return 0.0
    rate = card.bandwidth * card.reads
    floor = 2.0 * card.weights.parameters * batch / (card.flops * card.computes)
    first = (card.weights.resident + context * card.token_bytes) / rate
    growth = batch * card.token_bytes / rate
    bound = 0 if first >= floor else min(steps, math.ceil((floor - first) / growth))
    rest = steps - bound
    return bound * floor + rest * first + growth * (rest * (2 * bound + rest - 1)) / 2


def prefill_seconds(card: Card, prompt: int, cached: int = 0) -> float:
    """Computing what is not cached of a prompt, in chunks as the engine makes them."""
    seconds, done = 0.0, cached
    while done < prompt:
        chunk = min(card.batched_tokens, prompt - done)
        done += chunk
        seconds += step_seconds(card, chunk, done)
    return seconds


def decode_seconds(card: Card, prompt: int, lengths: Sequence[int]) -> float:
    """All replies to one prompt decoding together from the same moment, the shorter ones leaving as they end.

    The prefill has yielded each reply's first token.
    """
    seconds, done = 0.0, 1
    ordered = sorted(lengths)
    for index, length in enumerate(ordered):
        batch = len(ordered) - index
        seconds += run_seconds(card, batch, batch * (prompt + done), length - done)
        done = max(done, length)
    return seconds


def stage_seconds(card: Card, prompt: int, lengths: Sequence[int], *, cached: int = 0) -> float:
    """The least time for a stage: what is new of the prompt once, then all replies together."""
    return prefill_seconds(card, prompt, cached) + decode_seconds(card, prompt, lengths)
