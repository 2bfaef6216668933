"""`serve`: what it recommends for a card, what it starts, how it ends, and what it says when a start fails."""

import json
import os
import signal
import socket
import stat
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

import pytest

if TYPE_CHECKING:
    from conftest import Terminal

DEADLINE = 20.0
CARD = "0, GPU-aaaa, NVIDIA L40S, 46068, 3, 570.86.15, 8.9, Disabled"
NVIDIA_SMI = """\
#!{python}
import sys
if not any(word.startswith("--query-gpu=") for word in sys.argv):
    sys.exit("unexpected: " + " ".join(sys.argv))
sys.stdout.write({text!r})
sys.exit({code})
"""
VLLM = """\
#!{python}
import os, signal, subprocess, sys, time
if sys.argv[1] != "serve":
    sys.exit(2)
mode = os.environ["FAKE_VLLM"]
open(os.environ["FAKE_VLLM_SEEN"], "w").write("\\n".join(
    [*sys.argv[1:], os.environ.get("HF_HUB_OFFLINE", "-"), os.environ.get("VLLM_API_KEY", "-"), str(os.getpid())]))
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open(os.environ["FAKE_VLLM_SEEN"] + ".child", "w").write(str(child.pid))
if mode == "stubborn":
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
def say(text):
    sys.stderr.write(text + "\\n")
    sys.stderr.flush()
say("(APIServer pid=7) INFO 11-20 10:00:00 [model.py:1] Resolved architecture: Qwen2ForCausalLM")
say("(EngineCore pid=8) INFO 11-20 10:00:01 [gpu_model_runner.py:5040] Starting to load model Qwen/x...")
for done in (0, 50, 100):
    say(f"Loading safetensors checkpoint shards: {{done:3}}% Completed | {{done // 50}}/2 [00:01<00:01,  1.0it/s]")
failures = {failures!r}
if mode in failures:
    say("(EngineCore pid=8) ERROR 11-20 10:00:03 [core.py:1] EngineCore failed to start.")
    say("(EngineCore pid=8) " + failures[mode])
    say("RuntimeError: Engine core initialization failed. See root cause above. Failed core proc(s): {{}}")
    child.kill()
    if mode == "killed":
        os.kill(os.getpid(), signal.SIGKILL)
    sys.exit(1)
say("INFO 11-20 10:00:02 [default_loader.py:502] Loading weights took 2.10 seconds")
say("INFO 11-20 10:00:05 [backends.py:1] torch.compile takes 30.02 s in total")
say("INFO 11-20 10:00:06 [kv_cache_utils.py:2329] GPU KV cache size: 101,376 tokens, "
    "Maximum concurrency for 32,768 tokens per request: 3.09x")
for done in range(0, 101, 25):
    sys.stderr.write(f"\\rCapturing CUDA graphs (mixed prefill-decode, PIECEWISE): {{done:3}}%|##  | {{done}}/100")
    sys.stderr.flush()
say("")
if mode != "silent":
    say("INFO:     Application startup complete.")
if mode == "dies":
    say("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.")
    child.kill()
    sys.exit(1)
while True:
    time.sleep(0.2)
"""
FAILURES = {
    "flag": ("vllm: error: unrecognized arguments: --stream-interval 4", "serving.unknown-flag"),
    "memory": ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB.", "serving.out-of-memory"),
    "no-cache": ("ValueError: No available memory for the cache blocks. Try increasing", "serving.out-of-memory"),
    "busy": (
        "ValueError: Free memory on device cuda:0 (3.10/44.39 GiB) on startup is less than desired GPU memory.",
        "serving.memory-in-use",
    ),
    "driver": (
        "RuntimeError: The NVIDIA driver on your system is too old (found version 12020). Please update",
        "serving.driver-too-old",
    ),
    "offline": (
        "huggingface_hub.errors.LocalEntryNotFoundError: Cannot find an appropriate cached snapshot folder",
        "serving.weights-missing",
    ),
    "context": (
        """ValueError: To serve at least one request with the model's max seq len (262144), (16.00 GiB KV cache is \
needed, which is larger than the available KV cache memory (9.86 GiB). Based on the available memory, the \
estimated maximum model length is 161328.""",
        "serving.context-too-large",
    ),
    "port": ("OSError: [Errno 98] Address already in use", "serving.port-taken"),
    "kernel": (
        "torch.AcceleratorError: CUDA error: no kernel image is available for execution on the device",
        "serving.card-too-old",
    ),
    "gated": ("huggingface_hub.errors.GatedRepoError: 401 Client Error.", "serving.gated"),
    "architecture": (
        "pydantic_core.ValidationError: Model architectures ['OddForCausalLM'] are not supported for now.",
        "serving.unknown-architecture",
    ),
    "adapter": ("ValueError: LoRA rank 64 is greater than max_lora_rank 16.", "serving.bad-adapter"),
    "disk": ("OSError: [Errno 28] No space left on device", "serving.disk-full"),
    "killed": ("nothing to see", "serving.killed"),
    "odd": ("KeyError: 'something new'", "serving.ended"),
}
"""What vLLM, CUDA or the downloader says, and what we make of it."""


class Bench(NamedTuple):
    """A user whose PATH has a driver's tool and a vLLM that behave as told."""

    terminal: "Terminal"
    programs: Path
    seen: Path
    model: Path

    def smi(self, text: str, code: int = 0) -> None:
        """Put a driver's tool in place."""
        self.place("nvidia-smi", NVIDIA_SMI.format(python=sys.executable, text=text, code=code))

    def vllm(self) -> None:
        """Put a vLLM in place."""
        said = {mode: words for mode, (words, _) in FAILURES.items()}
        self.place("vllm", VLLM.format(python=sys.executable, failures=said))

    def place(self, name: str, text: str) -> None:
        """Put a program in place."""
        path = self.programs / name
        path.write_text(text, "utf-8")
        path.chmod(path.stat().st_mode | stat.S_IXUSR)


@pytest.fixture
def bench(terminal: "Terminal", tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    """Programs in front of PATH, and a model whose files are on this machine."""
    programs, seen, model = tmp_path / "programs", tmp_path / "seen", tmp_path / "weights"
    programs.mkdir()
    model.mkdir()
    config = {
        "model_type": "qwen3",
        "num_hidden_layers": 4,
        "num_attention_heads": 8,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "max_position_embeddings": 32768,
    }
    (model / "config.json").write_text(json.dumps(config), "utf-8")
    (model / "model.safetensors").write_bytes(b"\0" * 4096)
    monkeypatch.setenv("PATH", f"{programs}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setenv("FAKE_VLLM", "works")
    monkeypatch.setenv("FAKE_VLLM_SEEN", str(seen))
    monkeypatch.setenv("HF_HOME", str(tmp_path / "huggingface"))
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    return Bench(terminal, programs, seen, model)


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def lives(pid: int) -> bool:
    """Whether a process is there and no zombie."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text("utf-8")
    except OSError:
        return False


def gone(pid: int, seconds: float = 6.0) -> bool:
    """Whether a process goes within so many seconds."""
    until = time.monotonic() + seconds
    while lives(pid):
        if time.monotonic() > until:
            return False
        time.sleep(0.02)
    return True


def started(bench: Bench, *argv: str, mode: str = "works", **environ: str) -> "subprocess.Popen[bytes]":
    """Start `serve` as a program."""
    return subprocess.Popen(
        bench.terminal.program("serve", "--model", str(bench.model), *argv),
        env={**os.environ, **bench.terminal.environ, "PATH": os.environ["PATH"], "SCRIPT": "", "FAKE_VLLM": mode}
        | {"FAKE_VLLM_SEEN": str(bench.seen), **environ},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
    )


def read_ready(process: "subprocess.Popen[bytes]") -> dict[str, object]:
    """The JSON line of a server that answers."""
    assert process.stdout is not None
    text = process.stdout.readline()
    if not text:
        assert process.stderr is not None
        pytest.fail(process.stderr.read().decode())
    return json.loads(text)


@pytest.mark.parametrize(
    ("gib", "precision", "kv"),
    [
        ("24", "int4", "fp8"),
        ("32", "int4", "fp8"),
        ("48", "fp8", "fp8"),
        ("80", "fp8", "auto"),
        ("141", "bf16", "auto"),
    ],
)
def test_every_class_of_cards_has_a_recommendation(bench: Bench, gib: str, precision: str, kv: str) -> None:
    """For each class a whole command on this machine's own address, with a context that fits what is left."""
    said = bench.terminal.run("serve", "--print", "--json", "--gpu-memory", gib)
    facts = json.loads(said.out)
    assert said.code == 0
    assert (facts["precision"], facts["kv_cache_dtype"], facts["gpus"]) == (precision, kv, 1)
    words = facts["command"]
    assert words[:3] == ["vllm", "serve", facts["model"]]
    assert words[words.index("--host") + 1] == "127.0.0.1"
    assert int(words[words.index("--max-model-len") + 1]) == facts["context"] >= 16384
    assert facts["context"] * (facts["sequences"] + 1) <= 2 * facts["kv_tokens"]
    assert {"--enable-prefix-caching", "--enable-prompt-tokens-details", "--reasoning-parser"} <= set(words)
    assert facts["environment"]["HF_HUB_OFFLINE"] == "1"


def test_the_printed_command_is_one_line_for_a_shell(bench: Bench) -> None:
    """Standard output holds the command and nothing else; what it means stands on standard error."""
    said = bench.terminal.run("serve", "--print", "--gpu-memory", "2x24", "--port", "8123")
    assert said.code == 0
    assert said.out.count("\n") == 1
    assert " vllm serve " in said.out
    assert "--tensor-parallel-size 2" in said.out
    assert "--port 8123" in said.out
    assert "2 GPUs" in said.err


def test_the_card_is_asked_for(bench: Bench) -> None:
    """What nvidia-smi says decides: an L40S shows 45 of its 48 GiB and gets what its class gets."""
    bench.smi(CARD + "\n")
    facts = json.loads(bench.terminal.run("serve", "--print", "--json").out)
    assert facts["gpu_memory"] == 46068 * 1024**2
    assert facts["precision"] == "fp8"


def test_an_older_card_gets_what_its_kernels_can_do(bench: Bench) -> None:
    """Ampere reads no fp8 cache and runs no fp8 weights."""
    bench.smi("0, GPU-a, NVIDIA RTX A6000, 49140, 3, 570.86, 8.6, Disabled\n")
    facts = json.loads(bench.terminal.run("serve", "--print", "--json").out)
    assert (facts["precision"], facts["kv_cache_dtype"]) == ("int4", "auto")


def test_only_visible_cards_count(bench: Bench) -> None:
    """CUDA_VISIBLE_DEVICES holds for the recommendation as it does for vLLM."""
    bench.smi(CARD + "\n1, GPU-bbbb, NVIDIA H200, 143771, 0, 570.86.15, 9.0, Disabled\n")
    facts = json.loads(bench.terminal.run("serve", "--print", "--json").out)
    assert facts["precision"] == "bf16"
    facts = json.loads(bench.terminal.run("serve", "--print", "--json", CUDA_VISIBLE_DEVICES="0").out)
    assert facts["gpu_memory"] == 46068 * 1024**2
    assert bench.terminal.run("serve", "--print", CUDA_VISIBLE_DEVICES="-1").code == 3


def test_no_gpu_says_what_to_do_instead(bench: Bench) -> None:
    """Exit code 3, and the two ways without a card."""
    bench.smi("No devices were found\n", 6)
    said = bench.terminal.run("serve")
    assert said.code == 3
    assert "--engine FILE.gguf" in said.err
    assert "--engine builtin" in said.err


def test_a_broken_driver_is_told_in_its_own_words(bench: Bench) -> None:
    """What nvidia-smi complains of is shown."""
    bench.smi("Failed to initialize NVML: Driver/library version mismatch\n", 18)
    said = bench.terminal.run("serve", "--print")
    assert said.code == 3
    assert "version mismatch" in said.err


@pytest.mark.parametrize(
    "argv",
    [
        ("--port", "0"),
        ("--port", "http"),
        ("--context", "12"),
        ("--context", "auto"),
        ("--gpu-memory", "lots"),
        ("--gpu-memory", "0"),
        ("--context", "9000000"),
        ("--prm", "nowhere"),
    ],
)
def test_wrong_flags_are_refused(bench: Bench, argv: tuple[str, ...]) -> None:
    """Exit code 2, with what is allowed or what fits."""
    memory = () if "--gpu-memory" in argv else ("--gpu-memory", "80")
    assert bench.terminal.run("serve", "--print", *memory, *argv).code == 2


def test_adapters_are_served_beside_the_model(bench: Bench, tmp_path: Path) -> None:
    """PRM and ORM get their names, and room for the larger rank."""
    for name, rank in (("a", 24), ("b", 8)):
        (tmp_path / name).mkdir()
        (tmp_path / name / "adapter_config.json").write_text(json.dumps({"r": rank}), "utf-8")
    flags = ("--prm", str(tmp_path / "a"), "--orm", str(tmp_path / "b"))
    words = json.loads(bench.terminal.run("serve", "--print", "--json", "--gpu-memory", "80", *flags).out)["command"]
    assert "--enable-lora" in words
    assert words[words.index("--max-lora-rank") + 1] == "32"
    assert words[words.index("--lora-modules") + 1 :] == [f"prm={tmp_path / 'a'}", f"orm={tmp_path / 'b'}"]


def test_without_vllm_the_extra_is_named(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """Exit code 3 and what to install."""
    bench.smi(CARD + "\n")
    monkeypatch.setenv("PATH", str(bench.programs))
    said = bench.terminal.run("serve", "--model", str(bench.model))
    assert said.code == 3
    assert "thinklonger[serve]" in said.err


def test_nothing_is_fetched_unasked(bench: Bench) -> None:
    """Weights that are not here end it before anything starts, and say how to allow the download."""
    bench.smi(CARD + "\n")
    bench.vllm()
    said = bench.terminal.run("serve")
    assert said.code == 3
    assert "--download" in said.err
    assert not bench.seen.exists()


def test_a_taken_port_is_seen_before_the_weights_load(bench: Bench) -> None:
    """Nothing is started for minutes only to find the port taken."""
    bench.smi(CARD + "\n")
    bench.vllm()
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        said = bench.terminal.run("serve", "--model", str(bench.model), "--port", str(other.getsockname()[1]))
    assert said.code == 3
    assert "is taken" in said.err
    assert not bench.seen.exists()


def test_a_start_is_told_phase_by_phase_and_ctrl_c_ends_all_of_it(bench: Bench) -> None:
    """Loading, compiling, capturing, ready; then Ctrl-C takes the server and its children within seconds."""
    bench.smi(CARD + "\n")
    bench.vllm()
    port = free_port()
    with started(bench, "--port", str(port), "--json", THINKLONGER_API_KEY="sesame") as process:
        facts = read_ready(process)
        assert facts["url"] == f"http://127.0.0.1:{port}"
        assert facts["kv_tokens"] == 101376
        *words, offline, key, pid = bench.seen.read_text("utf-8").splitlines()
        assert words[:2] == ["serve", str(bench.model)]
        assert (offline, key, int(pid)) == ("1", "sesame", facts["pid"])
        child = int(Path(f"{bench.seen}.child").read_text("utf-8"))
        began = time.monotonic()
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=DEADLINE)
        assert process.returncode == 130
        assert time.monotonic() - began < 5
        assert gone(int(pid))
        assert gone(child)
    text = err.decode()
    assert "loading weights" in text
    assert "compiling" in text
    assert "capturing graphs" in text
    assert f"--engine http://127.0.0.1:{port}" in text
    assert "sesame" not in text + out.decode()
    assert "Application startup complete" in (bench.terminal.state / "serve" / f"{port}.log").read_text("utf-8")


def test_a_server_that_will_not_end_is_made_to(bench: Bench) -> None:
    """One that ignores being asked is gone within seconds all the same."""
    bench.smi(CARD + "\n")
    bench.vllm()
    with started(bench, "--port", str(free_port()), "--json", mode="stubborn") as process:
        pid = read_ready(process)["pid"]
        assert isinstance(pid, int)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=DEADLINE)
        assert gone(pid)


def test_the_server_goes_with_us_even_if_we_are_killed(bench: Bench) -> None:
    """SIGKILL leaves us no time for anything; the kernel asks the server to end."""
    bench.smi(CARD + "\n")
    bench.vllm()
    with started(bench, "--port", str(free_port()), "--json") as process:
        pid = read_ready(process)["pid"]
        assert isinstance(pid, int)
        process.kill()
        process.communicate(timeout=DEADLINE)
        assert gone(pid)


@pytest.mark.parametrize(("mode", "key"), [(mode, key) for mode, (_, key) in FAILURES.items()])
def test_a_failed_start_is_told_in_words(bench: Bench, mode: str, key: str) -> None:
    """Exit code 3 and what was wrong, by what the server printed last."""
    bench.smi(CARD + "\n")
    bench.vllm()
    flags = ("--model", str(bench.model), "--port", str(free_port()), "--json")
    said = bench.terminal.run("serve", *flags, FAKE_VLLM=mode)
    error = json.loads(said.out)["error"]
    assert said.code == 3
    assert error["message"]["key"] == key
    assert error["remedy"] is not None


def test_a_server_that_dies_while_it_serves_is_told(bench: Bench) -> None:
    """After it has answered, its end is still explained."""
    bench.smi(CARD + "\n")
    bench.vllm()
    flags = ("--model", str(bench.model), "--port", str(free_port()))
    said = bench.terminal.run("serve", *flags, FAKE_VLLM="dies")
    assert said.code == 3
    assert "memory does not suffice" in said.err
