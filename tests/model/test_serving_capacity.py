"""How many tokens fit beside a model: the arithmetic, against figures that were worked out or measured elsewhere."""

import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinklonger.agent.errors import ModelError, UsageError
from thinklonger.agent.model.serving import Gpu, context_that_fits, find_gpus, kv_tokens_that_fit, plan, usable
from thinklonger.agent.model.serving.capacity import GB, GIB, Shape, kv_bytes_of_token
from thinklonger.agent.model.serving.recommendation import catalogue
from thinklonger.agent.model.serving.watching import Phase, Watch
from thinklonger.agent.model.serving.weights import adapter_rank, find_weights

CODER = Shape(kv_layers=64, kv_heads=8, head_dim=128, longest=32768)
"""Qwen2.5-32B."""
HYBRID = Shape(kv_layers=16, kv_heads=4, head_dim=256, longest=262144, state=151_000_000)
"""Qwen3.6-27B."""
MIB = 1024**2
SIZES = st.integers(1, 200)


def test_a_token_of_a_32b_model_takes_a_quarter_of_a_mebibyte() -> None:
    """2 · 64 layers · 8 heads · 128 · 2 bytes; half of it in fp8; shared out by whole heads."""
    assert kv_bytes_of_token(CODER) == 256 * 1024
    assert kv_bytes_of_token(CODER, width=1) == 128 * 1024
    assert kv_bytes_of_token(CODER, gpus=2) == 128 * 1024
    assert kv_bytes_of_token(CODER, gpus=16) == kv_bytes_of_token(CODER, gpus=8)


@pytest.mark.parametrize(
    ("gib", "gb", "width", "thousands"),
    [
        (24, 19.3, 2, 11),
        (24, 19.3, 1, 22),
        (48, 19.3, 2, 101),
        (48, 34.3, 2, 44),
        (80, 65.5, 2, 46),
        (80, 34.3, 2, 165),
        (141, 65.5, 2, 276),
        (141, 34.3, 1, 789),
    ],
)
def test_tokens_that_fit(gib: int, gb: float, width: int, thousands: int) -> None:
    """A 32B model in 4, 8 and 16 bits on the usual cards, as worked out by hand from the roofline."""
    tokens = kv_tokens_that_fit(gib * GIB, weights=int(gb * GB), shape=CODER, width=width)
    assert tokens / 1000 == pytest.approx(thousands, abs=0.6)


def test_a_hybrid_model_is_near_what_others_measured() -> None:
    """63 thousand tokens were reported for a 4-bit Qwen3.6-27B on a 24 GiB card with fp8 keys and values."""
    tokens = kv_tokens_that_fit(
        24564 * MIB, weights=int(18.5 * GB), shape=HYBRID, width=1, sequences=4, overhead=int(2.1 * GB)
    )
    assert 50_000 < tokens < 65_000


@given(gib=SIZES, gb=SIZES, sequences=st.integers(1, 64), drafts=st.integers(0, 4), gpus=st.sampled_from([1, 2, 4, 8]))
def test_more_memory_never_holds_less(gib: int, gb: int, sequences: int, drafts: int, gpus: int) -> None:
    """Tokens grow with memory and fall with weights, sequences and drafts; they are never below none."""

    def tokens(*, gib: int = gib, gb: int = gb, sequences: int = sequences, drafts: int = drafts) -> int:
        return kv_tokens_that_fit(
            gib * GIB, weights=gb * GB, shape=HYBRID, sequences=sequences, drafts=drafts, gpus=gpus
        )

    assert 0 <= tokens() <= tokens(gib=gib + 1)
    assert tokens(gb=gb + 1) <= tokens()
    assert tokens(sequences=sequences + 1) <= tokens()
    assert tokens(drafts=drafts + 1) <= tokens()


@given(tokens=st.integers(0, 5_000_000), sequences=st.integers(1, 64), longest=st.integers(1024, 1_000_000))
def test_no_sequence_is_ever_put_off(tokens: int, sequences: int, longest: int) -> None:
    """A shared prompt of half a context and a reply of the other half for each sequence fit together."""
    context = context_that_fits(tokens, sequences=sequences, longest=longest)
    assert context <= longest
    assert context // 2 + sequences * (context // 2) <= tokens


def test_the_file_of_recommendations_is_whole() -> None:
    """Every choice names weights and they name a model; classes are those that are promised."""
    found = catalogue()
    names = {entry.name for entry in found.weights}
    assert len(names) == len(found.weights)
    assert {entry.model for entry in found.weights} <= found.models.keys()
    assert {choice.weights for entry in found.classes for choice in entry.choices} <= names
    assert sorted(entry.gib for entry in found.classes) == [24, 32, 48, 80, 141]
    assert all(choice.draft in ("", "mtp", "ngram") for entry in found.classes for choice in entry.choices)
    drafted = [choice for entry in found.classes for choice in entry.choices if choice.draft == "mtp"]
    heads = {entry.name: found.models[entry.model].draft_gb for entry in found.weights}
    assert all(heads[choice.weights] > 0 for choice in drafted)


def card(gib: float, *, capability: float | None = None, name: str = "card") -> Gpu:
    """A card of this size."""
    return Gpu(name, int(gib * GIB), capability=capability)


@pytest.mark.parametrize("capability", [None, 8.0, 8.6, 8.9, 9.0, 12.0])
@pytest.mark.parametrize("gib", [24, 32, 40, 48, 80, 96, 141, 180])
def test_every_card_from_24_gib_on_gets_a_plan_that_its_kernels_run(gib: float, capability: float | None) -> None:
    """Never fp8 on kernels that can't, never weights beyond the card, always a context of use."""
    chosen = plan([card(gib, capability=capability)])
    assert chosen.context is not None
    assert chosen.tokens is not None
    assert chosen.context >= 4096
    assert chosen.weights < 0.92 * gib * GIB
    if capability is not None and capability < 8.9:
        assert not chosen.kv.startswith("fp8")
        assert chosen.precision != "fp8"


def test_a_small_card_is_told_so() -> None:
    """Below the smallest class nothing is recommended, rather than something that does not start."""
    with pytest.raises(ModelError) as caught:
        plan([card(12)])
    assert caught.value.message.key == "serving.too-small"


def test_a_named_model_keeps_its_figures() -> None:
    """By the name of weights or of the repository; on another class too."""
    for name in ("qwen2.5-coder-32b-int4", "Qwen/Qwen2.5-Coder-32B-Instruct-AWQ"):
        assert plan([card(80)], model=name).model == "Qwen/Qwen2.5-Coder-32B-Instruct-AWQ"
    with pytest.raises(ModelError) as caught:
        plan([card(24)], model="Qwen/Qwen3.6-27B")
    assert caught.value.message.key == "serving.does-not-fit"


def test_a_context_that_does_not_fit_is_refused_with_the_one_that_does() -> None:
    """Both the room for tokens and what the model knows bound it."""
    most = plan([card(141)], model="qwen2.5-coder-32b")
    with pytest.raises(UsageError) as caught:
        plan([card(141)], model="qwen2.5-coder-32b", context=40_000)
    assert caught.value.message.params["most"] == 32768
    assert plan([card(141)], model="qwen2.5-coder-32b", context=32_000).context == 32_000
    assert most.context == 32768


def test_an_unknown_model_leaves_the_context_to_the_server() -> None:
    """Nothing is made up about a model whose files are not here."""
    chosen = plan([card(48)], model="somebody/something")
    assert (chosen.context, chosen.tokens, chosen.folder) == (None, None, None)


def write_model(folder: Path, config: dict[str, object], *, size: int = 1000, parts: int = 1) -> None:
    """Lay a model's files down."""
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(config), "utf-8")
    names = [f"model-{part}.safetensors" for part in range(parts)]
    for name in names:
        (folder / name).write_bytes(b"\0" * size)
    (folder / "model.safetensors.index.json").write_text(
        json.dumps({"weight_map": dict(zip("abcdefgh", names, strict=False))}), "utf-8"
    )


def test_a_model_on_this_machine_says_its_own_shape(tmp_path: Path) -> None:
    """A hybrid model's linear layers keep a state, its others keys and values; nested configurations count."""
    config = {
        "model_type": "qwen3_5",
        "text_config": {
            "num_hidden_layers": 8,
            "num_attention_heads": 4,
            "num_key_value_heads": 2,
            "head_dim": 64,
            "max_position_embeddings": 4096,
            "layer_types": (["linear_attention"] * 3 + ["full_attention"]) * 2,
            "linear_num_value_heads": 4,
            "linear_value_head_dim": 16,
            "linear_key_head_dim": 8,
        },
    }
    write_model(tmp_path / "mine", config, parts=2)
    found = find_weights(str(tmp_path / "mine"))
    assert found is not None
    assert found.size == 2000
    assert found.shape == Shape(kv_layers=2, kv_heads=2, head_dim=64, longest=4096, state=6 * 4 * 16 * 8 * 4)
    chosen = plan([card(24)], model=str(tmp_path / "mine"))
    assert (chosen.parser, chosen.context) == ("qwen3", 4096)


def test_a_snapshot_counts_only_if_it_is_whole(tmp_path: Path) -> None:
    """A download that broke off is no model; another snapshot beside it is."""
    snapshots = tmp_path / "models--me--mine" / "snapshots"
    config: dict[str, object] = {"num_hidden_layers": 2, "num_attention_heads": 2, "max_position_embeddings": 64}
    write_model(snapshots / "one", {**config, "hidden_size": 32}, parts=2)
    assert find_weights("me/mine", str(tmp_path)) is not None
    (snapshots / "one" / "model-1.safetensors").unlink()
    assert find_weights("me/mine", str(tmp_path)) is None
    assert find_weights("me/other", str(tmp_path)) is None


@pytest.mark.parametrize(
    ("text", "rank"), [('{"r": 16}', 16), ('{"r": 20}', 32), ('{"r": 4096}', None), ("{}", None), ("{", None)]
)
def test_an_adapters_rank(tmp_path: Path, text: str, rank: int | None) -> None:
    """The least rank that vLLM can be told and that holds the adapter."""
    (tmp_path / "adapter_config.json").write_text(text, "utf-8")
    assert adapter_rank(tmp_path) == rank


def test_cards_are_found_without_the_drivers_tool(tmp_path: Path) -> None:
    """The kernel module shows names and the driver; the memory comes from the name where it is known."""
    for at, name in enumerate(("NVIDIA H100 80GB HBM3", "NVIDIA H100 80GB HBM3", "NVIDIA Something")):
        folder = tmp_path / "gpus" / f"0000:0{at}:00.0"
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: \t\t {name}\nIRQ:   \t\t 16\n", "utf-8")
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64 Kernel Module  570.86.15  Mon\n", "utf-8")
    found = find_gpus(tool="no-such-tool", driver=tmp_path)
    assert [gpu.driver for gpu in found.gpus] == ["570.86.15"] * 3
    assert [gpu.memory for gpu in usable(found.gpus)] == [80 * GIB] * 2
    assert find_gpus(tool="no-such-tool", driver=tmp_path / "none").gpus == ()
    with pytest.raises(ModelError) as caught:
        usable(found.gpus[2:])
    assert caught.value.message.key == "serving.unknown-memory"


def test_as_many_equal_cards_as_make_a_power_of_two() -> None:
    """Three of a kind serve as two; a smaller one beside them is left out."""
    cards = [*(card(48, name="big") for _ in range(3)), card(24, name="small")]
    assert [gpu.name for gpu in usable(cards)] == ["big", "big"]


def test_the_phases_of_a_start() -> None:
    """What vLLM prints becomes phases with their share; the room that it found is kept."""
    watch = Watch()
    lines = (
        "INFO 11-20 [gpu_model_runner.py:5040] Starting to load model Qwen/x...",
        "Loading safetensors checkpoint shards:  50% Completed | 1/2 [00:01<00:01,  1.0it/s]",
        "something else",
        "WARNING 11-20 [vllm.py:1703] Enforce eager set, disabling torch.compile, CUDAGraphs, and JIT kernel warmup.",
        "INFO 11-20 [backends.py:1] Dynamo bytecode transform time: 4.2 s",
        "INFO 11-20 [x.py:1] GPU KV cache size: 101,376 tokens, Maximum concurrency for 32,768 tokens: 3.09x",
        "Capturing CUDA graphs (decode, FULL):  51%|#####     | 34/67 [00:02<00:02, 14.2it/s]",
        "INFO:     Application startup complete.",
    )
    steps = [step for step in map(watch.follow, lines) if step is not None]
    assert [(step.phase, step.percent) for step in steps] == [
        (Phase.LOADING, None),
        (Phase.LOADING, 50),
        (Phase.COMPILING, None),
        (Phase.COMPILING, None),
        (Phase.CAPTURING, 51),
        (Phase.READY, None),
    ]
    assert steps[-1].tokens == 101376


@given(st.text(max_size=300))
def test_no_line_upsets_the_watch(text: str) -> None:
    """Whatever a server prints, a failure has words."""
    watch = Watch()
    watch.follow(text)
    assert watch.failure(code=1).key.startswith("serving.")


def test_adapters_take_their_room() -> None:
    """What is loaded beside the weights leaves less for the context; the card stays what it is."""
    alone, beside = plan([card(48)]), plan([card(48)], beside=GB)
    assert alone.tokens is not None
    assert beside.tokens is not None
    assert beside.tokens < alone.tokens
    assert beside.memory == alone.memory == 48 * GIB
