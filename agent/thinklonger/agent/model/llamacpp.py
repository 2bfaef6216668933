"""A program that runs llama.cpp's server in its own process, for as long as its standard input stays open.

`embedded` starts it with one line of JSON on standard input (`Hosting`, so that no key stands in a list of processes)
and reads the server's URL from standard output; what goes wrong is on standard error. When the other end of the input
goes, for whatever reason, this process ends at once, also while it loads.
"""

import ctypes
import os
import signal
import sys
import threading
from importlib import import_module
from typing import Protocol, cast

import msgspec

ENDS_WITH_PARENT = 1
"""`PR_SET_PDEATHSIG` of prctl(2)."""


class Hosting(msgspec.Struct, frozen=True):
    """What to serve, and how. `context`: tokens of each of `parallel` conversations; `cache_mib`: for those at rest."""

    path: str
    name: str
    key: str
    context: int
    parallel: int
    threads: int
    cache_mib: int


class Threads(Protocol):
    """The package's settings of threads."""

    n_threads: int


class Source(Protocol):
    """The package's setting of where the model is."""

    path: str


class Params(Protocol):
    """The package's settings, as far as they are set here."""

    model: Source
    model_alias: set[str]
    hostnames: list[str]
    port: int
    api_keys: list[str]
    n_parallel: int
    n_ctx: int
    cpuparams: Threads
    cpuparams_batch: Threads
    cache_ram_mib: int
    fit_params: bool
    endpoint_slots: bool
    endpoint_metrics: bool
    ui: bool
    offline: bool
    verbosity: int


class Server(Protocol):
    """The package's server: it listens once it is made."""

    listening_address: str


class Package(Protocol):
    """What is used of `xllamacpp`, which brings no types."""

    def CommonParams(self) -> Params:  # noqa: N802 (its name)
        """Settings as they are without any set."""
        ...

    def Server(self, params: Params) -> Server:  # noqa: N802 (its name)
        """A server that listens; raises RuntimeError where the model can't be loaded."""
        ...


def main() -> None:
    """Serve until the input ends."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(ENDS_WITH_PARENT, signal.SIGKILL)
    # what llama.cpp prints must not end up between the lines that the parent reads
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    hosting = msgspec.json.decode(sys.stdin.buffer.readline(), type=Hosting)
    watcher = threading.Thread(target=_leave_with_input, daemon=True)
    watcher.start()
    server = _server(hosting)
    answers.write(server.listening_address + "\n")
    answers.flush()
    watcher.join()


def _leave_with_input() -> None:
    while os.read(0, 4096):
        pass
    os._exit(0)


def _server(hosting: Hosting) -> Server:
    xllamacpp = cast("Package", import_module("xllamacpp"))
    params = xllamacpp.CommonParams()
    params.model.path = hosting.path
    params.model_alias = {hosting.name}
    params.hostnames = ["127.0.0.1"]
    params.port = 0
    params.api_keys = [hosting.key]
    params.n_parallel = hosting.parallel
    params.n_ctx = hosting.context * hosting.parallel
    params.cpuparams.n_threads = hosting.threads
    params.cpuparams_batch.n_threads = hosting.threads
    params.cache_ram_mib = hosting.cache_mib
    params.fit_params = False  # the context is what was asked for, or an error
    params.endpoint_slots = True
    params.endpoint_metrics = True
    params.ui = False
    params.offline = True
    params.verbosity = 2  # warnings and errors: they say why it did not start
    return xllamacpp.Server(params)


if __name__ == "__main__":
    main()
