"""Graphics cards, and a model as it is served on each: data from the vendors' sheets and the model's own shape."""

from dataclasses import dataclass

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Weights:
    """A model's weights in one format: the bytes that are read once for each step, and the model's shape.

    `layers`, `heads` and `head` are of the layers that keep keys and values of every token; `state` is what the other
    layers keep of a sequence, in bytes, however long it is. `overhead`: what the server takes beside the weights.
    """

    name: str
    resident: float
    parameters: float
    layers: int
    heads: int
    head: int
    state: float = 0.0
    overhead: float = 1.5e9


@dataclass(frozen=True, slots=True)
class Card:
    """One card and what is served on it.

    Bytes, bytes per second and dense operations per second at the weights' precision. `sequences`: how many replies the
    server works on at once, as `thinklonger serve` would tell it. `prompts`: tokens of the three stages' prompts.
    `reads` and `computes` are the shares of bandwidth and operations that an engine reaches. `accepted`: tokens that a
    step yields for each sequence, more than one with speculative decoding.
    """

    name: str
    memory: float
    bandwidth: float
    flops: float
    weights: Weights
    key_value_bytes: int = 1
    sequences: int = 8
    prompts: tuple[int, int, int] = (8_000, 12_000, 16_000)
    batched_tokens: int = 8_192
    utilization: float = 0.92
    reads: float = 0.75
    computes: float = 0.5
    accepted: float = 1.0

    @property
    def token_bytes(self) -> float:
        """Bytes of one token's keys and values."""
        return 2.0 * self.weights.layers * self.weights.heads * self.weights.head * self.key_value_bytes

    @property
    def capacity(self) -> int:
        """Tokens whose keys and values fit beside the weights and two states of each sequence."""
        states = 2 * self.sequences * self.weights.state
        room = self.memory * self.utilization - self.weights.resident - self.weights.overhead - states
        return int(room // self.token_bytes)


# Qwen2.5-32B keeps every token in all of its layers; Qwen3.6-27B in a quarter of them
DENSE_INT4 = Weights("32B int4", 19.3e9, 32.76e9, layers=64, heads=8, head=128)
DENSE_FP8 = Weights("32B fp8", 34.3e9, 32.76e9, layers=64, heads=8, head=128)
HYBRID_INT4 = Weights("27B int4", 18.5e9, 27e9, layers=16, heads=4, head=256, state=151e6, overhead=2.1e9)

# rates without sparsity, from the vendors' sheets: 16-bit with 32-bit sums for int4 weights, 8-bit for fp8
CARDS = (
    Card("24 GB (4090)", 24 * GIB, 1.008e12, 165e12, HYBRID_INT4, sequences=4, batched_tokens=2_048),
    Card(
        "24 GB (4090)",
        24 * GIB,
        1.008e12,
        165e12,
        DENSE_INT4,
        sequences=3,
        prompts=(4_000, 6_000, 8_000),
        batched_tokens=2_048,
    ),
    Card("48 GB (L40S)", 48 * GIB, 0.864e12, 362e12, DENSE_INT4, batched_tokens=2_048),
    Card("80 GB (H100)", 80 * GIB, 3.35e12, 1979e12, DENSE_FP8),
    Card("141 GB (H200)", 141 * GIB, 4.8e12, 1979e12, DENSE_FP8),
)
