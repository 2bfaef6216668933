"""Which model, in which precision, with which settings, for these cards: from `models.toml`, contexts computed."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files

import msgspec

from thinklonger.agent.errors import ModelError, UsageError
from thinklonger.agent.model.serving.capacity import GB, GIB, OVERHEAD, Shape, context_that_fits, kv_tokens_that_fit
from thinklonger.agent.model.serving.devices import Gpu
from thinklonger.agent.model.serving.weights import Folder, find_weights

_NOMINAL = 0.93
"""A card of a class shows at least this part of the class's memory: an L40S of 48 GiB shows 45 with ECC."""
_FP8_KV = 8.9
"""The least CUDA capability whose kernels read an fp8 cache."""
_LEAST = 4096
"""A context below this is of no use: the shortest prompt and a short reply."""
_SEQUENCES = 8


class ModelEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model of the file."""

    title: str
    licence: str
    longest: int
    kv_layers: int
    kv_heads: int
    head_dim: int
    state_mb: float = 0.0
    parser: str = ""
    draft_gb: float = 0.0
    arguments: tuple[str, ...] = ()


class WeightsEntry(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A model's weights in one precision."""

    name: str
    model: str
    repository: str
    precision: str
    gb: float
    overhead_gb: float
    capability: float
    quantization: str = ""
    third_party: bool = False


class Choice(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How weights are served on cards of a class."""

    weights: str
    kv: str = "auto"
    sequences: int = _SEQUENCES
    draft: str = ""
    tokens: int = 0
    capability: float = 0.0


class CardClass(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is recommended for so much memory, best first."""

    gib: float
    choices: tuple[Choice, ...]


class Catalogue(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The whole file."""

    models: dict[str, ModelEntry]
    weights: tuple[WeightsEntry, ...]
    classes: tuple[CardClass, ...]
    parsers: dict[str, str]
    cards: dict[str, float]


@dataclass(frozen=True, slots=True)
class Plan:
    """What is to be served, and how.

    `model`: the repository's name or the folder. `memory`: one card's bytes. `tokens`: of all sequences together that
    fit; `context`: of one; both None where the model's size is not known. `draft`: `mtp` or `ngram`, drafting
    `drafts` tokens ahead. `folder`: where the weights lie on this machine, None where they don't.
    """

    model: str
    title: str
    gpus: int
    memory: int
    kv: str = "auto"
    sequences: int = _SEQUENCES
    tokens: int | None = None
    context: int | None = None
    weights: int = 0
    precision: str = ""
    quantization: str = ""
    parser: str = ""
    draft: str = ""
    drafts: int = 0
    arguments: tuple[str, ...] = ()
    licence: str = ""
    third_party: bool = False
    folder: Folder | None = None


@cache
def catalogue() -> Catalogue:
    """The recommendations that ship with this version."""
    text = files("thinklonger.agent.model.serving").joinpath("models.toml").read_text("utf-8")
    return msgspec.convert(tomllib.loads(text), Catalogue)


def usable(gpus: Sequence[Gpu]) -> tuple[Gpu, ...]:
    """The cards to serve on: as many of the largest kind as make a power of two; memory by name where it is unknown.

    Raises ModelError where there is none, or none whose memory is known.
    """
    if not gpus:
        raise ModelError("serving.no-gpu")
    known = [gpu if gpu.memory else replace(gpu, memory=_nominal(gpu.name)) for gpu in gpus if not gpu.sliced]
    known = [gpu for gpu in known if gpu.memory]
    if not known:
        raise ModelError("serving.unknown-memory", gpu=gpus[0].name)
    largest = max(known, key=lambda gpu: gpu.memory)
    alike = [gpu for gpu in known if gpu.name == largest.name]
    return tuple(alike[: 1 << (len(alike).bit_length() - 1)])


def plan(
    gpus: Sequence[Gpu], *, model: str = "", context: int | None = None, cache_folder: str = "", beside: int = 0
) -> Plan:
    """What to serve on these cards (as `usable` gives them): the recommendation, or the model that the user names.

    `context` is the user's own. `cache_folder` is where downloaded models lie. `beside`: bytes of what is loaded on
    each card beside the weights (adapters). Raises ModelError where nothing fits,
    UsageError for a context that does not.
    """
    left = [replace(gpu, memory=gpu.memory - beside) for gpu in gpus]
    found = _named(left, model, cache_folder) if model else _recommended(left, cache_folder)
    found = replace(found, memory=gpus[0].memory)
    if context is None:
        return found
    if found.tokens is not None and context > (most := min(found.tokens, _longest(found))):
        raise UsageError("serving.context-too-long", context=context, model=found.title, most=most)
    return replace(found, context=context)


def _recommended(gpus: Sequence[Gpu], cache_folder: str) -> Plan:
    for choice in _choices(gpus):
        if (found := _fitted(gpus, choice, cache_folder)) is not None:
            return found
    raise ModelError(
        "serving.too-small", gib=round(_total(gpus)), least=round(min(entry.gib for entry in catalogue().classes))
    )


def _named(gpus: Sequence[Gpu], model: str, cache_folder: str) -> Plan:
    """The user's own choice, by the name of weights, of a repository or of a folder."""
    mine = [entry for entry in catalogue().weights if model.lower() in (entry.name, entry.repository.lower())]
    names = {entry.name for entry in mine}
    for choice in _choices(gpus):
        if choice.weights in names and (found := _fitted(gpus, choice, cache_folder)) is not None:
            return found
    if mine:
        entry = min(mine, key=lambda entry: entry.gb)
        kv = "fp8" if _capable(gpus, _FP8_KV) else "auto"
        for sequences in (_SEQUENCES, 4, 2, 1):
            if (found := _fitted(gpus, Choice(entry.name, kv, sequences), cache_folder)) is not None:
                return found
        raise ModelError("serving.does-not-fit", model=entry.repository, gb=entry.gb, gib=round(_total(gpus)))
    return _own(gpus, model, cache_folder)


def _choices(gpus: Sequence[Gpu]) -> list[Choice]:
    """What the file offers cards of this size, the largest class first."""
    fitting = [entry for entry in catalogue().classes if _total(gpus) >= _NOMINAL * entry.gib]
    return [choice for entry in sorted(fitting, key=lambda entry: -entry.gib) for choice in entry.choices]


def _fitted(gpus: Sequence[Gpu], choice: Choice, cache_folder: str) -> Plan | None:
    """The plan for a choice; None where these cards can't run it or the context would be of no use."""
    entry = next(entry for entry in catalogue().weights if entry.name == choice.weights)
    model = catalogue().models[entry.model]
    if not _capable(gpus, max(choice.capability, entry.capability)):
        return None
    drafting = choice.draft == "mtp"
    weights = int((entry.gb + (model.draft_gb if drafting else 0.0)) * GB)
    plan = Plan(
        model=entry.repository,
        title=model.title,
        gpus=len(gpus),
        memory=gpus[0].memory,
        kv=choice.kv,
        sequences=choice.sequences,
        weights=weights,
        precision=entry.precision,
        quantization=entry.quantization,
        parser=model.parser,
        draft=choice.draft,
        drafts=choice.tokens,
        arguments=model.arguments,
        licence=model.licence,
        third_party=entry.third_party,
        folder=find_weights(entry.repository, cache_folder),
    )
    return _measured(plan, shape_of(model, drafting=drafting), overhead=int(entry.overhead_gb * GB))


def shape_of(model: ModelEntry, *, drafting: bool) -> Shape:
    """The model's shape; a draft head is one more layer that keeps keys and values."""
    layers = model.kv_layers + (1 if drafting else 0)
    return Shape(layers, model.kv_heads, model.head_dim, model.longest, int(model.state_mb * 1000**2))


def _own(gpus: Sequence[Gpu], model: str, cache_folder: str) -> Plan:
    """A model that the file does not know: its size is that of its files, if they are here."""
    folder = find_weights(model, cache_folder)
    kv = "fp8" if _capable(gpus, _FP8_KV) and folder is not None else "auto"
    plan = Plan(
        model=model, title=model, gpus=len(gpus), memory=gpus[0].memory, kv=kv, sequences=_SEQUENCES, folder=folder
    )
    if folder is None or folder.shape is None:
        return replace(plan, kv="auto")
    plan = replace(plan, weights=folder.size, parser=catalogue().parsers.get(folder.kind, ""))
    for sequences in (_SEQUENCES, 4, 2, 1):
        measured = _measured(replace(plan, sequences=sequences), folder.shape, overhead=OVERHEAD)
        if measured is not None:
            return measured
    raise ModelError("serving.does-not-fit", model=model, gb=round(folder.size / GB, 1), gib=round(_total(gpus)))


def _measured(plan: Plan, shape: Shape, *, overhead: int) -> Plan | None:
    """The plan with its tokens and its context; None where the context would be of no use."""
    tokens = kv_tokens_that_fit(
        plan.memory,
        weights=plan.weights,
        shape=shape,
        width=1 if plan.kv.startswith("fp8") else 2,
        sequences=plan.sequences,
        drafts=plan.drafts,
        overhead=overhead,
        gpus=plan.gpus,
    )
    context = context_that_fits(tokens, sequences=plan.sequences, longest=shape.longest)
    return replace(plan, tokens=tokens, context=context) if context >= min(_LEAST, shape.longest) else None


def _longest(plan: Plan) -> int:
    """The longest context that the planned model knows."""
    if plan.folder is not None and plan.folder.shape is not None:
        return plan.folder.shape.longest
    models: Mapping[str, ModelEntry] = catalogue().models
    entry = next(entry for entry in catalogue().weights if entry.repository == plan.model)
    return models[entry.model].longest


def _capable(gpus: Sequence[Gpu], least: float) -> bool:
    """Whether every card's kernels reach this; a card that does not say is taken for a recent one."""
    return all(gpu.capability is None or gpu.capability >= least for gpu in gpus)


def _total(gpus: Sequence[Gpu]) -> float:
    return sum(gpu.memory for gpu in gpus) / GIB


def _nominal(name: str) -> int:
    """A card's memory by its name, 0 where the file does not know it."""
    return next((int(gib * GIB) for part, gib in catalogue().cards.items() if part.lower() in name.lower()), 0)
