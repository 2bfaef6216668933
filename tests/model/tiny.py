"""A GGUF file of a model so small that it is written in milliseconds: Qwen2's architecture, one token decides the next.

Its one layer adds nothing, so the last token alone gives the next one's probabilities, and they are known exactly.
After `<think>` and a line end it thinks "Wait, Wait, …", after each comma `</think>` follows with probability 0.1; then
come two line ends and "Yes" (0.75) or "No" (0.25), a full stop, and the end. At temperature 0 its thinking never ends.
Format: GGUF 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), written without any package.
"""

import math
import struct
import sys
from array import array
from collections.abc import Sequence
from pathlib import Path

ALIGNMENT = 32
CONTEXT = 131072
THINKS_ON = 0.9
YES = 0.75

_WORDS = ["ĊĊ", "Wait", "Yes", "No"]
_NAMED = ["<think>", "</think>"]
_CONTROL = ["<|im_start|>", "<|im_end|>", "<|endoftext|>"]
_NORMAL_KIND, _CONTROL_KIND, _NAMED_KIND = 1, 3, 4
_TEMPLATE = (
    "{%- for message in messages %}"
    "{{- '<|im_start|>' + message.role + '\\n' }}"
    "{%- if message.role == 'assistant' and message.reasoning_content %}"
    "{{- '<think>\\n' + message.reasoning_content + '\\n</think>\\n\\n' }}"
    "{%- endif %}"
    "{{- message.content + '<|im_end|>\\n' }}"
    "{%- endfor %}"
    "{%- if add_generation_prompt %}"
    "{{- '<|im_start|>assistant\\n' }}"
    "{%- if enable_thinking is defined and enable_thinking is false %}{{- '<think>\\n\\n</think>\\n\\n' }}"
    "{%- else %}{{- '<think>\\n' }}{%- endif %}"
    "{%- endif %}"
)


def byte_letters() -> list[str]:
    """The letter that stands for each byte in GPT-2's vocabularies."""
    shown = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    hidden = [byte for byte in range(256) if byte not in shown]
    letters = {byte: chr(byte) for byte in shown} | {byte: chr(256 + place) for place, byte in enumerate(hidden)}
    return [letters[byte] for byte in range(256)]


LETTERS = byte_letters()
TOKENS = [*LETTERS, *_WORDS, *_NAMED, *_CONTROL]
NUMBER = {token: number for number, token in enumerate(TOKENS)}
_END = "<|im_end|>"
NEXT = {
    LETTERS[ord("\n")]: {"Wait": 1.0},
    "Wait": {",": 1.0},
    ",": {"Wait": THINKS_ON, "</think>": 1 - THINKS_ON},
    "</think>": {"ĊĊ": 1.0},
    "ĊĊ": {"Yes": YES, "No": 1 - YES},
    "Yes": {".": 1.0},
    "No": {".": 1.0},
    ".": {_END: 1.0},
}


def write(path: Path) -> None:
    """Write the model's file."""
    size = len(TOKENS) + -len(TOKENS) % 32
    tensors = _tensors(size)
    keys = _keys(size)
    head = b"GGUF" + struct.pack("<IQQ", 3, len(tensors), len(keys)) + b"".join(keys)
    offset = 0
    for name, (shape, values) in tensors.items():
        head += _text(name) + struct.pack(f"<I{len(shape)}QIQ", len(shape), *shape, 0, offset)
        offset += len(values) * 4 + -(len(values) * 4) % ALIGNMENT
    with path.open("wb") as file:
        file.write(head + bytes(-len(head) % ALIGNMENT))
        for _, values in tensors.values():
            if sys.byteorder == "big":
                values.byteswap()
            data = values.tobytes()
            file.write(data + bytes(-len(data) % ALIGNMENT))


def _tensors(size: int) -> dict[str, tuple[tuple[int, ...], "array[float]"]]:
    """Each token is a direction of its own; the output turns a token's direction into the next one's probabilities."""
    count = len(TOKENS)
    embedding = array("f", bytes(4 * count * size))
    output = array("f", bytes(4 * count * size))
    for number, token in enumerate(TOKENS):
        embedding[number * size + number] = 1.0
        for other, name in enumerate(TOKENS):
            chance = NEXT.get(token, {_END: 1.0}).get(name, 0.0)
            output[other * size + number] = (math.log(chance) if chance else -30.0) / math.sqrt(size)
    ones, nothing = array("f", [1.0] * size), array("f", bytes(4 * size))
    square = array("f", bytes(4 * size * size))
    return {
        "token_embd.weight": ((size, count), embedding),
        "output_norm.weight": ((size,), ones),
        "output.weight": ((size, count), output),
        "blk.0.attn_norm.weight": ((size,), ones),
        **{f"blk.0.attn_{part}.weight": ((size, size), square) for part in ("q", "k", "v", "output")},
        **{f"blk.0.attn_{part}.bias": ((size,), nothing) for part in ("q", "k", "v")},
        "blk.0.ffn_norm.weight": ((size,), ones),
        **{f"blk.0.ffn_{part}.weight": ((size, size), square) for part in ("gate", "up", "down")},
    }


def _keys(size: int) -> list[bytes]:
    kinds = [_NORMAL_KIND] * (256 + len(_WORDS)) + [_NAMED_KIND] * len(_NAMED) + [_CONTROL_KIND] * len(_CONTROL)
    numbers = {
        "qwen2.context_length": CONTEXT,
        "qwen2.embedding_length": size,
        "qwen2.block_count": 1,
        "qwen2.feed_forward_length": size,
        "qwen2.attention.head_count": size // 32,
        "qwen2.attention.head_count_kv": size // 32,
        "tokenizer.ggml.bos_token_id": NUMBER["<|endoftext|>"],
        "tokenizer.ggml.eos_token_id": NUMBER[_END],
        "tokenizer.ggml.padding_token_id": NUMBER["<|endoftext|>"],
    }
    texts = {
        "general.architecture": "qwen2",
        "general.name": "tiny",
        "tokenizer.ggml.model": "gpt2",
        "tokenizer.ggml.pre": "qwen2",
        "tokenizer.chat_template": _TEMPLATE,
    }
    return [
        *(_text(key) + struct.pack("<I", 8) + _text(text) for key, text in texts.items()),
        *(_text(key) + struct.pack("<II", 4, number) for key, number in numbers.items()),
        _text("qwen2.attention.layer_norm_rms_epsilon") + struct.pack("<If", 6, 1e-6),
        _text("qwen2.rope.freq_base") + struct.pack("<If", 6, 10000.0),
        _text("tokenizer.ggml.add_bos_token") + struct.pack("<I?", 7, False),  # noqa: FBT003 (a value, no mode)
        _list("tokenizer.ggml.tokens", 8, [_text(token) for token in TOKENS]),
        _list("tokenizer.ggml.token_type", 5, [struct.pack("<i", kind) for kind in kinds]),
        _list("tokenizer.ggml.merges", 8, [_text("Ċ Ċ")]),
    ]


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack("<Q", len(data)) + data


def _list(key: str, kind: int, items: Sequence[bytes]) -> bytes:
    return _text(key) + struct.pack("<IIQ", 9, kind, len(items)) + b"".join(items)


if __name__ == "__main__":
    write(Path(sys.argv[1]))
