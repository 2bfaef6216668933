"""Graphics cards, and a model as it is served on each: data from the vendors' sheets and the model's own shape."""

from dataclasses import dataclass

GIB = 2**30


@dataclass(frozen=True, slots=True)
class Weights:
    """A model's weights in one format. `flops` names which of a card's rates its products run at."""

    name: str
    resident: float
    """bytes in memory, read once for each step"""
    parameters: float = 32.76e9
    layers: int = 64
    heads: int = 8
    head: int = 128
    eight_bit: bool = False


@dataclass(frozen=True, slots=True)
class Card:
    """One card and what is served on it.

    Bytes, bytes per second and dense operations per second. `prompts`: tokens of the three stages' prompts; a small
    card is given shorter ones, as `thinklonger serve` and the prompts' budget would have it.
    """

    name: str
    memory: float
    bandwidth: float
    flops: float
    weights: Weights
    key_value_bytes: int = 1
    prompts: tuple[int, int, int] = (8_000, 12_000, 16_000)
    utilization: float = 0.92
    activations: float = 1.5e9
    batched_tokens: int = 8_192
    sequences: int = 64
    reads: float = 0.75
    """the share of the bandwidth that an engine reaches (published: vLLM, bf16, 14B on an A100, batch 1)"""
    computes: float = 0.5
    """the share of the operations that an engine reaches in prefill"""

    @property
    def token_bytes(self) -> float:
        """Bytes of one token's keys and values."""
        return 2.0 * self.weights.layers * self.weights.heads * self.weights.head * self.key_value_bytes

    @property
    def capacity(self) -> int:
        """Tokens whose keys and values fit beside the weights."""
        room = self.memory * self.utilization - self.weights.resident - self.activations
        return int(room // self.token_bytes)


INT4 = Weights("int4 (groups of 128)", 19.3e9)
FP8 = Weights("fp8", 34.3e9, eight_bit=True)

# dense rates without sparsity: RTX 4090 and L40S (Ada, 16-bit with 32-bit sums), H100 SXM and H200 (8-bit)
CARDS = (
    Card("24 GB (RTX 4090)", 24 * GIB, 1.008e12, 165e12, INT4, prompts=(4_000, 6_000, 8_000), batched_tokens=2_048),
    Card("48 GB (L40S)", 48 * GIB, 0.864e12, 362e12, INT4, batched_tokens=2_048),
    Card("80 GB (H100)", 80 * GIB, 3.35e12, 1979e12, FP8),
    Card("141 GB (H200)", 141 * GIB, 4.8e12, 1979e12, FP8),
)
