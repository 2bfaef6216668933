"""Builds a tiny Qwen2 model in a folder, with its tokenizer and two adapters, from the standard library alone.

The weights are random but for one thing: the last layer knows which token may follow which, so that the model thinks
for a while in words, closes its thinking, writes an answer between its tags, and stops. Where its thinking has been
closed for it, it may also say yes or no, one as likely as the other; the adapter `prm` makes it say yes, `orm` no. So a
test can tell thinking from answer and an adapter from the model itself, at 1 MB and hundreds of tokens in a second. At
temperature 0 it thinks in circles for ever.
"""

import json
import random
import re
import struct
from array import array
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from itertools import pairwise
from pathlib import Path

HIDDEN, LAYERS, HEADS, HEAD, INNER = 128, 2, 4, 32, 64  # attention on the CPU wants heads of 32 at least
JUDGE = HIDDEN - 1  # the row of Walsh's matrix that says yes rather than no
CONTEXT = 4096
LAST_THOUGHTS = ("maybe", "both")  # after these a reply may close its thinking, else never

WORDS = (
    "the",
    "value",
    "is",
    "not",
    "checked",
    "before",
    "it",
    "used",
    "so",
    "first",
    "call",
    "fails",
    "with",
    "an",
    "index",
    "that",
    "nobody",
    "expects",
    "let",
    "me",
    "look",
    "at",
    "where",
    "comes",
    "from",
    "again",
    "and",
    "see",
    "which",
    "of",
    "these",
    "functions",
    "writes",
    "there",
    "wait",
    "maybe",
    "both",
)
ANSWER = ("the", "bug", "sits", "here")
SPECIAL = ("<|endoftext|>", "<|im_start|>", "<|im_end|>", "<think>", "</think>", "<answer>", "</answer>")

# as Qwen's do: thinking is dropped from history, but for the turn that is being gone on with
_TEMPLATE = """\
{%- set asked = namespace(last=-1) %}
{%- for message in messages %}
{%- if message.role == 'user' %}{%- set asked.last = loop.index0 %}{%- endif %}
{%- endfor %}
{%- for message in messages %}
{%- if message.role == 'assistant' %}
{%- set content = message.content.split('</think>')[-1].lstrip('\\n') %}
{%- set thinking = message.content.split('</think>')[0].split('<think>')[-1] if '</think>' in message.content else '' %}
{%- if loop.index0 > asked.last %}
{{- '<|im_start|>assistant\\n<think>\\n' + thinking.strip('\\n') + '\\n</think>\\n\\n' + content + '<|im_end|>\\n' }}
{%- else %}{{- '<|im_start|>assistant\\n' + content + '<|im_end|>\\n' }}{%- endif %}
{%- else %}{{- '<|im_start|>' + message.role + '\\n' + message.content + '<|im_end|>\\n' }}{%- endif %}
{%- endfor %}
{%- if add_generation_prompt %}
{{- '<|im_start|>assistant\\n<think>\\n' }}
{%- if enable_thinking is defined and not enable_thinking %}{{- '\\n</think>\\n\\n' }}{%- endif %}
{%- endif %}"""

Tensors = dict[str, tuple[tuple[int, ...], "array[float]"]]


def build(folder: Path, seed: int = 0) -> None:
    """Write `folder`/model, `folder`/prm and `folder`/orm."""
    tokens, merges = vocabulary([*WORDS, *ANSWER, "yes", "no"])
    numbers = {token: index for index, token in enumerate((*tokens, *SPECIAL))}
    size = -(-len(numbers) // 64) * 64
    chance = random.Random(seed)  # noqa: S311 (weights, not secrets)
    model = folder / "model"
    model.mkdir(parents=True, exist_ok=True)
    _tokenizer(model, tokens, merges, numbers)
    tensors = weights(size, followers(numbers, chance), chance)
    head = tensors["lm_head.weight"][1]
    for token, sign in ((numbers["yes"], 1.0), (numbers["no"], -1.0)):  # a direction that only the adapters go in
        for column, value in enumerate(walsh(JUDGE)):
            head[token * HIDDEN + column] += sign * value * 12.0 / HIDDEN
    save(model / "model.safetensors", tensors)
    _configure(model, size, numbers)
    _adapter(folder / "prm", 1.0, chance)
    _adapter(folder / "orm", -1.0, chance)


# ── the tokenizer ────────────────────────────────────────────────────────────────────────────────────────────────


def letters() -> dict[int, str]:
    """The letter that stands for each byte in a byte-level vocabulary (GPT-2's table)."""
    plain = [*range(ord("!"), ord("~") + 1), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = (byte for byte in range(256) if byte not in plain)
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + index) for index, byte in enumerate(others)}


def vocabulary(words: Iterable[str]) -> tuple[list[str], list[tuple[str, str]]]:
    """Byte-pair encoding trained until each word, alone and after a space, is one token: tokens and merges."""
    table = letters()
    spelled = ["".join(table[byte] for byte in text.encode()) for word in words for text in (word, f" {word}")]
    pieces = Counter(tuple(one) for one in [*spelled, table[10] * 2])
    merges: list[tuple[str, str]] = []
    while pairs := Counter(pair for piece in pieces for pair in pairwise(piece)):
        best = min(pairs, key=lambda pair: (-pairs[pair], pair))
        merges.append(best)
        pieces = Counter(_merged(piece, best) for piece in pieces)
    return [*dict.fromkeys([*table.values(), *(first + second for first, second in merges)])], merges


def _merged(piece: tuple[str, ...], pair: tuple[str, str]) -> tuple[str, ...]:
    done: list[str] = []
    for part in piece:
        if done and (done[-1], part) == pair:
            done[-1] += part
        else:
            done.append(part)
    return tuple(done)


def _tokenizer(
    folder: Path, tokens: Sequence[str], merges: Sequence[tuple[str, str]], numbers: Mapping[str, int]
) -> None:
    added = [
        {"id": numbers[token], "content": token, "special": token.startswith("<|")}
        | dict.fromkeys(("single_word", "lstrip", "rstrip", "normalized"), False)
        for token in SPECIAL
    ]
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": True}
    vocab = {token: numbers[token] for token in tokens}
    tokenizer = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": added,
        "normalizer": None,
        "pre_tokenizer": byte_level,
        "post_processor": None,
        "decoder": byte_level,
        "model": {"type": "BPE", "vocab": vocab, "merges": [list(pair) for pair in merges], "byte_fallback": False},
    }
    settings = {
        "tokenizer_class": "PreTrainedTokenizerFast",
        "eos_token": "<|im_end|>",
        "pad_token": "<|endoftext|>",
        "chat_template": _TEMPLATE,
        "model_max_length": CONTEXT,
    }
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer))
    (folder / "tokenizer_config.json").write_text(json.dumps(settings))


# ── the weights ──────────────────────────────────────────────────────────────────────────────────────────────────


def followers(numbers: Mapping[str, int], chance: random.Random) -> dict[int, list[tuple[int, float]]]:
    """Which tokens may come after which, with their logits."""
    space = letters()[32]
    line, lines = letters()[10], letters()[10] * 2

    def number(token: str) -> int:
        return numbers[token if token in numbers else re.sub("^ ", space, token)]

    words = sorted({number(f" {word}") for word in WORDS})
    close = number("</think>")
    table: dict[int, list[tuple[int, float]]] = {}
    last = {number(f" {word}") for word in LAST_THOUGHTS}
    for word in words:
        table[word] = [(one, 12.0) for one in chance.sample(words, 3)]
        if word in last:  # never the likeliest: at temperature 0 thinking has no end
            table[word].append((close, 11.5))
    table[number(line)] = [(one, 12.0) for one in words[:4]]
    table[number("<think>")] = [(number(line), 14.0)]
    table[close] = [(number("<answer>"), 14.0)]
    table[number(lines)] = [(number("<answer>"), 12.0), (numbers["yes"], 10.5), (numbers["no"], 10.5)]
    said = [number("<answer>"), numbers[ANSWER[0]], *(number(f" {word}") for word in ANSWER[1:]), number("</answer>")]
    answer = [one for one in said if one not in words]  # what may also be thought would lead back into thinking
    for here, there in pairwise(answer):
        table[here] = [(there, 14.0)]
    for end in (number("</answer>"), numbers["yes"], numbers["no"]):
        table[end] = [(number("<|im_end|>"), 14.0)]
    return table


def walsh(row: int) -> list[float]:
    """A row of Walsh's matrix: ones of either sign; all rows stand at right angles to each other."""
    return [(-1.0) ** (row & column).bit_count() for column in range(HIDDEN)]


def weights(size: int, table: Mapping[int, Sequence[tuple[int, float]]], chance: random.Random) -> Tensors:
    """All tensors of a Qwen2 model; attention and the inner layers add only little to what the embedding says."""
    query, key = HEADS * HEAD, HEADS // 2 * HEAD

    def drawn(*shape: int, spread: float = 0.05) -> "tuple[tuple[int, ...], array[float]]":
        count = shape[0] * (shape[1] if len(shape) > 1 else 1)
        return shape, array("f", (chance.gauss(0.0, spread) for _ in range(count)))

    embedding = array("f", (chance.choice((-1.0, 1.0)) for _ in range(size * HIDDEN)))
    for row, token in enumerate(table):  # what is in the table gets rows at right angles, so none is mistaken
        embedding[token * HIDDEN : (token + 1) * HIDDEN] = array("f", walsh(row))
    head = array("f", (chance.gauss(0.0, 0.02) for _ in range(size * HIDDEN)))
    for here, there in table.items():
        for token, logit in there:
            for index in range(HIDDEN):
                head[token * HIDDEN + index] += embedding[here * HIDDEN + index] * logit / HIDDEN
    ones = array("f", [1.0] * HIDDEN)
    tensors: Tensors = {
        "model.embed_tokens.weight": ((size, HIDDEN), embedding),
        "model.norm.weight": ((HIDDEN,), ones),
        "lm_head.weight": ((size, HIDDEN), head),
    }
    for layer in range(LAYERS):
        name = f"model.layers.{layer}"
        gate = drawn(INNER, HIDDEN, spread=0.1)
        tensors |= {
            f"{name}.input_layernorm.weight": ((HIDDEN,), ones),
            f"{name}.post_attention_layernorm.weight": ((HIDDEN,), ones),
            f"{name}.self_attn.q_proj.weight": drawn(query, HIDDEN),
            f"{name}.self_attn.q_proj.bias": drawn(query),
            f"{name}.self_attn.k_proj.weight": drawn(key, HIDDEN),
            f"{name}.self_attn.k_proj.bias": drawn(key),
            f"{name}.self_attn.v_proj.weight": drawn(key, HIDDEN),
            f"{name}.self_attn.v_proj.bias": drawn(key),
            f"{name}.self_attn.o_proj.weight": drawn(HIDDEN, query, spread=0.005),
            f"{name}.mlp.gate_proj.weight": gate,
            f"{name}.mlp.up_proj.weight": gate,  # the same: what the inner layer lets through is never negative
            f"{name}.mlp.down_proj.weight": drawn(HIDDEN, INNER, spread=0.005),
        }
    return tensors


def save(path: Path, tensors: Tensors) -> None:
    """Write tensors as 32-bit floats in the safetensors format."""
    header: dict[str, object] = {"__metadata__": {"format": "pt"}}
    start = 0
    for name, (shape, values) in tensors.items():
        end = start + 4 * len(values)
        header[name] = {"dtype": "F32", "shape": list(shape), "data_offsets": [start, end]}
        start = end
    words = json.dumps(header).encode()
    words += b" " * (-len(words) % 8)
    with path.open("wb") as file:
        file.write(struct.pack("<Q", len(words)) + words)
        for _, values in tensors.values():
            file.write(values.tobytes())


def _configure(folder: Path, size: int, numbers: Mapping[str, int]) -> None:
    ends = {"bos_token_id": numbers["<|endoftext|>"], "eos_token_id": numbers["<|im_end|>"]}
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_size": HIDDEN,
        "intermediate_size": INNER,
        "num_hidden_layers": LAYERS,
        "num_attention_heads": HEADS,
        "num_key_value_heads": HEADS // 2,
        "head_dim": HEAD,
        "hidden_act": "silu",
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-6,
        "rope_theta": 10000.0,
        "tie_word_embeddings": False,
        "torch_dtype": "float32",
        "vocab_size": size,
    }
    (folder / "config.json").write_text(json.dumps(config | ends))
    (folder / "generation_config.json").write_text(json.dumps(ends))


def _adapter(folder: Path, sign: float, chance: random.Random) -> None:
    """An adapter in PEFT's format: the last inner layer pushes what comes next into the judge's direction.

    What that layer lets through is positive and sums up to about 0.64 for each of its numbers.
    """
    folder.mkdir(parents=True, exist_ok=True)
    rank = 8
    name = f"base_model.model.model.layers.{LAYERS - 1}.mlp.down_proj"
    push = 1 / (0.64 * INNER)
    inward = array("f", (push if row == 0 else chance.gauss(0.0, 0.01) for row in range(rank) for _ in range(INNER)))
    outward = array("f", (sign * value if row == 0 else 0.0 for value in walsh(JUDGE) for row in range(rank)))
    save(
        folder / "adapter_model.safetensors",
        {f"{name}.lora_A.weight": ((rank, INNER), inward), f"{name}.lora_B.weight": ((HIDDEN, rank), outward)},
    )
    config = {"peft_type": "LORA", "task_type": "CAUSAL_LM", "r": rank, "lora_alpha": rank, "lora_dropout": 0.0}
    config |= {"target_modules": ["down_proj"], "bias": "none", "base_model_name_or_path": "tiny"}
    (folder / "adapter_config.json").write_text(json.dumps(config))
