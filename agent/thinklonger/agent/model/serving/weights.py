"""Where a model's weights lie on this machine, and what its configuration says of its shape. Nothing is fetched."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias, cast

from thinklonger.agent.model.serving.capacity import Shape

Table: TypeAlias = dict[str, object]

_SIZE_LIMIT = 16 * 1024**2
_STATE_WIDTH = 4
_RANKS = (1, 8, 16, 32, 64, 128, 256, 320, 512)
"""The ranks that vLLM can be told."""


@dataclass(frozen=True, slots=True)
class Folder:
    """A model on this machine: bytes of its weights, the `model_type` of its configuration, its shape if it says so."""

    path: Path
    size: int
    kind: str = ""
    shape: Shape | None = None


def find_weights(model: str, cache: str = "") -> Folder | None:
    """The folder of a model: the one that is named, or its newest whole snapshot in the cache of downloads."""
    named = Path(model).expanduser()
    if named.is_dir():
        return _folder(named)
    if not cache or model.count("/") != 1:
        return None
    snapshots = Path(cache).joinpath(f"models--{model.replace('/', '--')}", "snapshots")
    try:
        found = sorted((path for path in snapshots.iterdir() if path.is_dir()), key=lambda path: path.stat().st_mtime)
    except OSError:
        return None
    return next((folder for path in reversed(found) if (folder := _folder(path)) is not None), None)


def adapter_rank(path: Path) -> int | None:
    """The least rank to tell vLLM for a LoRA adapter's folder; None where it is not one, or its rank is too large."""
    rank = read_table(path / "adapter_config.json").get("r")
    return next((known for known in _RANKS if isinstance(rank, int) and known >= rank), None)


def weights_size(path: Path) -> int:
    """Bytes of the weights in a folder."""
    return sum(part.stat().st_size for part in path.glob("*.safetensors") if part.exists())


def read_table(path: Path) -> Table:
    """A JSON file that holds a table; an empty one where it can't be read."""
    try:
        if path.stat().st_size > _SIZE_LIMIT:
            return {}
        found: object = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError):
        return {}
    return cast("Table", found) if isinstance(found, dict) else {}


def _folder(path: Path) -> Folder | None:
    """The model in a folder; None where its weights are missing or not whole."""
    config = read_table(path / "config.json")
    parts = [part for part in path.glob("*.safetensors") if part.exists()]
    index = read_table(path / "model.safetensors.index.json").get("weight_map")
    if isinstance(index, dict) and not {str(name) for name in cast("Table", index).values()} <= {p.name for p in parts}:
        return None
    if not config or not parts:
        return None
    text = config.get("text_config")
    shape = _shape(cast("Table", text) if isinstance(text, dict) else config)
    return Folder(path, weights_size(path), str(config.get("model_type", "")), shape)


def _shape(config: Table) -> Shape | None:
    """What a configuration says of the model's shape; None where it does not say enough."""

    def number(name: str) -> int:
        value = config.get(name)
        return value if isinstance(value, int) else 0

    layers, heads, longest = (
        number("num_hidden_layers"),
        number("num_attention_heads"),
        number("max_position_embeddings"),
    )
    if not (layers and heads and longest):
        return None
    head_dim = number("head_dim") or number("hidden_size") // heads
    kinds = config.get("layer_types")
    attending = layers
    if isinstance(kinds, list):
        attending = sum(kind != "linear_attention" for kind in cast("list[object]", kinds))
    elif every := number("full_attention_interval"):
        attending = layers // every
    state = number("linear_num_value_heads") * number("linear_value_head_dim") * number("linear_key_head_dim")
    return Shape(
        kv_layers=attending,
        kv_heads=number("num_key_value_heads") or heads,
        head_dim=head_dim,
        longest=longest,
        state=(layers - attending) * state * _STATE_WIDTH,
    )
