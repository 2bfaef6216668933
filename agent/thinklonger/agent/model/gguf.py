"""The head of a GGUF file: what a model is called, how long its context is, and what remembering a token costs.

The format is GGUF 2 and 3 (https://github.com/ggml-org/ggml/blob/master/docs/gguf.md), little-endian.
"""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, TypeAlias

Value: TypeAlias = int | float | bool | str | list[int] | None

_MAGIC = b"GGUF"
_VERSIONS = (2, 3)
_STRING, _ARRAY = 8, 9
_FORMATS = {0: "<B", 1: "<b", 2: "<H", 3: "<h", 4: "<I", 5: "<i", 6: "<f", 7: "<?", 10: "<Q", 11: "<q", 12: "<d"}
_MOST_KEYS = 10_000
_MOST_TEXT = 16 * 1024 * 1024
_HALF = 2
"""Bytes of a number in the server's memory of a token (16 bits)."""


class NotGgufError(ValueError):
    """The file is no GGUF file, or its head is damaged: at which part of it, and what stands there."""

    def __init__(self, part: str, found: object) -> None:
        """Say both."""
        super().__init__(f"{part}: {found!r}")


@dataclass(frozen=True, slots=True)
class GgufFacts:
    """What the head says. `context`: tokens that the model was trained for, None if it does not say.

    `token_bytes`: memory that the server needs for each token of a conversation, 0 if it can't be told.
    """

    name: str
    architecture: str
    context: int | None = None
    token_bytes: int = 0


def read_gguf(path: Path) -> GgufFacts:
    """The facts in a file's head; raises OSError, or NotGgufError."""
    with path.open("rb") as file:
        try:
            return _facts(_keys(file))
        except (struct.error, UnicodeDecodeError, MemoryError, OverflowError, RecursionError) as why:
            raise NotGgufError("head", str(why)) from None


def _keys(file: BinaryIO) -> dict[str, Value]:
    """The keys up to those of the tokenizer, which stand last and are large."""
    head = file.read(24)
    if head[:4] != _MAGIC:
        raise NotGgufError("beginning", head[:4])
    version, _, count = struct.unpack("<IQQ", head[4:])
    if version not in _VERSIONS:
        raise NotGgufError("version", version)
    found: dict[str, Value] = {}
    for _ in range(min(count, _MOST_KEYS)):
        name = _text(file)
        if name.startswith("tokenizer.") and any(key.endswith(".block_count") for key in found):
            break
        found[name] = _value(file, *struct.unpack("<I", file.read(4)))
    return found


def _value(file: BinaryIO, kind: int) -> Value:
    if kind == _STRING:
        return _text(file)
    if kind == _ARRAY:
        inner, count = struct.unpack("<IQ", file.read(12))
        if inner in _FORMATS:
            size = struct.calcsize(_FORMATS[inner])
            if count * size > _MOST_TEXT:
                raise NotGgufError("list", count)
            data = file.read(count * size)
            return [int(number) for (number,) in struct.iter_unpack(_FORMATS[inner], data)]
        for _ in range(min(count, _MOST_TEXT)):
            _value(file, inner)
        return None
    form = _FORMATS.get(kind)
    if form is None:
        raise NotGgufError("kind", kind)
    (value,) = struct.unpack(form, file.read(struct.calcsize(form)))
    return value


def _text(file: BinaryIO) -> str:
    (length,) = struct.unpack("<Q", file.read(8))
    if length > _MOST_TEXT:
        raise NotGgufError("text", length)
    return file.read(length).decode("utf-8")


def _facts(keys: dict[str, Value]) -> GgufFacts:
    architecture = str(keys.get("general.architecture") or "")

    def number(name: str) -> int:
        value = keys.get(f"{architecture}.{name}")
        return value if isinstance(value, int) else 0

    layers, heads = number("block_count"), number("attention.head_count")
    shared = keys.get(f"{architecture}.attention.head_count_kv")
    remembered = shared if isinstance(shared, list) else [number("attention.head_count_kv") or heads] * layers
    width = number("embedding_length") // heads if heads else 0
    wide = (number("attention.key_length") or width) + (number("attention.value_length") or width)
    return GgufFacts(
        name=str(keys.get("general.name") or ""),
        architecture=architecture,
        context=number("context_length") or None,
        token_bytes=_sum(remembered) * wide * _HALF,
    )


def _sum(numbers: Sequence[int]) -> int:
    return sum(number for number in numbers if number > 0)
