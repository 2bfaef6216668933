"""What the sandbox's tests share: the checks' own modules, and whether bubblewrap can run here at all."""

import asyncio
import importlib
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from thinklonger.agent.errors import SandboxError

HERE = Path(__file__).parent
sys.path.insert(0, str(HERE))

NOBODY = 65534
CLIENT = ("docker", "requests", "urllib3", "idna", "certifi", "charset_normalizer")
"""What the Docker engine's client is made of, for an interpreter that has none of it."""


@pytest.fixture(scope="session")
def bubblewrap() -> None:
    """Skip, with the reason, where bubblewrap can't run."""
    from thinklonger.agent.sandbox.bubblewrap import BubblewrapSandbox  # noqa: PLC0415 - Linux only

    try:
        asyncio.run(BubblewrapSandbox().probe())
    except SandboxError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def docker() -> None:
    """Skip, with the reason, where no Docker engine can be used; DOCKER_HOST names it, as for users."""
    from thinklonger.agent.sandbox.docker import DockerSandbox  # noqa: PLC0415 - the client is slow to load

    try:
        asyncio.run(DockerSandbox().probe())
    except SandboxError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="session")
def as_nobody() -> Iterator[Callable[[list[str]], str]]:
    """Run a script of this folder as a user without rights, with a copy of the package; skip where that can't be."""
    if os.geteuid() != 0:
        pytest.skip("not root: the tests in this process run without rights already")
    python = next(filter(_usable, (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3")), None)
    if python is None:
        pytest.skip("no Python 3.11 that another user could start")
    ground = Path(tempfile.mkdtemp(prefix="thinklonger-tests-"))
    package = Path(sys.modules["thinklonger.agent"].__path__[0])
    shutil.copytree(package, ground / "source" / "thinklonger" / "agent", ignore=shutil.ignore_patterns("__pycache__"))
    for script in HERE.glob("sandbox_*.py"):
        shutil.copy(script, ground / "source")
    for name in CLIENT:
        (folder,) = importlib.import_module(name).__path__
        shutil.copytree(folder, ground / "source" / name, ignore=shutil.ignore_patterns("__pycache__"))
    for place in (ground, *ground.rglob("*")):
        place.chmod(place.stat().st_mode | (0o055 if place.is_dir() else 0o044))

    def run(arguments: list[str]) -> str:
        work = Path(tempfile.mkdtemp(dir=ground))
        os.chown(work, NOBODY, NOBODY)
        env = {
            "PATH": os.defpath,
            "PYTHONPATH": str(ground / "source"),
            "PYTHONDONTWRITEBYTECODE": "1",
            "HOME": str(work),
            "DOCKER_HOST": os.environ.get("DOCKER_HOST", ""),
        }
        script, *rest = arguments
        command = [python, str(ground / "source" / script), *rest, str(work)]
        done = subprocess.run(
            command,
            env=env,
            user=NOBODY,
            group=NOBODY,
            extra_groups=_groups() if "docker" in arguments else (),
            cwd="/",
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    yield run
    shutil.rmtree(ground)


def _groups() -> tuple[int, ...]:
    """The group that may use the engine's socket, as a user of Docker is in it."""
    socket = Path(os.environ.get("DOCKER_HOST", "unix:///var/run/docker.sock").removeprefix("unix://"))
    try:
        status = socket.stat()
    except OSError:
        return ()
    if status.st_gid == 0:
        pytest.skip("the engine's socket is root's alone")
    return (status.st_gid,)


def _usable(python: str) -> bool:
    """Whether another user can start this interpreter, and it is new enough."""
    code = "import sys; sys.exit(sys.version_info < (3, 11))"
    try:
        return not subprocess.run(
            [python, "-c", code], user=NOBODY, group=NOBODY, extra_groups=(), cwd="/", capture_output=True, check=False
        ).returncode
    except OSError:
        return False
