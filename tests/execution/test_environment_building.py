"""Environments are built in a sandbox whose only way out is the registry, found again, and proved."""

import asyncio
import os
import socket
import sys
from collections.abc import AsyncIterator, Collection
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from textwrap import dedent

import pytest

from thinklonger.agent.config import SandboxChoice
from thinklonger.agent.errors import ExecutionError, SandboxError
from thinklonger.agent.execution import Harness, prove
from thinklonger.agent.execution.environments import Origin, Permission, Provided, confinement, open_environment
from thinklonger.agent.execution.environments.confinement import Bind, Job
from thinklonger.agent.execution.environments.gateway import hosts_of, open_gateway
from thinklonger.agent.execution.environments.project import run_from_sources
from thinklonger.agent.protocols import Sandbox, SandboxSession
from thinklonger.agent.sandbox import select_sandbox
from thinklonger.agent.types import Interpreter, Limits

INDEX = "https://pypi.org/simple"
DAY = datetime(2024, 6, 1, tzinfo=UTC)


async def bubblewrap() -> Sandbox:
    """The sandbox, or a skip where this machine has none."""
    try:
        return await select_sandbox(SandboxChoice.BUBBLEWRAP)
    except SandboxError as cause:
        pytest.skip(str(cause))


@pytest.fixture
def registry() -> str:
    """The registry's address, or a skip where it does not answer."""
    try:
        socket.create_connection(("pypi.org", 443), timeout=10).close()
    except OSError as cause:
        pytest.skip(f"the package registry does not answer: {cause}")
    return INDEX


def write(root: Path, files: dict[str, str]) -> list[PurePosixPath]:
    """Write the files of a repository."""
    for name, text in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(dedent(text), "utf-8")
    return [PurePosixPath(name) for name in files]


async def proved(session: SandboxSession, interpreter: Interpreter, command: str | None) -> Harness:
    """The usual proof."""
    return await prove(session, interpreter, test_command=command, limits=Limits(wall_seconds=120))


@asynccontextmanager
async def opened(root: Path, files: Collection[PurePosixPath], permission: Permission) -> AsyncIterator[Provided]:
    """The environment of a repository."""
    opening: AbstractAsyncContextManager[Provided] = open_environment(
        await bubblewrap(), root, files, permission=permission, prove=proved
    )
    async with opening as provided:
        yield provided


async def confined(tmp_path: Path, program: str, *, seconds: float = 30.0, disk: int = 10**9) -> confinement.Built:
    """Run a Python program as a build runs; `/place` is the folder that it may write."""
    await bubblewrap()
    work = tmp_path / "work"
    work.mkdir(exist_ok=True)
    confinement.own(work)
    binds = [Bind(work, "/place", writable=True)]
    argv = ("/usr/bin/python3", "-I", "-c", dedent(program))
    job = Job(argv, binds, "/place", {"VISIBLE": "yes"}, seconds=seconds, disk_bytes=disk, watched=[work])
    return await confinement.run(job)


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="the system has no Python of its own")
async def test_a_build_sees_and_reaches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No home, variables, other files, host's sockets or processes, network; only its folder is writable."""
    secret = tmp_path / "secret"
    secret.write_text("token", "utf-8")
    monkeypatch.setenv("SECRET_TOKEN", "token")
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        listener.listen()
        done = await confined(
            tmp_path,
            f"""
            import os, socket
            def tried(what):
                try:
                    what()
                except BaseException:
                    return
                print("escaped", what.__name__)
            def read(): open({str(secret)!r})
            def home(): assert os.listdir({str(Path.home())!r})
            def variable(): os.environ["SECRET_TOKEN"]
            def etc(): open("/etc/shadow")
            def write(): open("/usr/x", "w")
            def kernel(): open("/proc/sys/kernel/core_pattern", "w")
            def loopback(): socket.create_connection(("127.0.0.1", {listener.getsockname()[1]}), 2)
            def network(): socket.create_connection(("1.1.1.1", 443), 2)
            def names(): socket.getaddrinfo("pypi.org", 443)
            def process(): os.kill({os.getpid()}, 0); os.readlink("/proc/{os.getpid()}/cwd")
            def root(): os.setuid(0)
            def namespace():
                import ctypes
                assert ctypes.CDLL(None).unshare(0x10000000) == 0
            for what in (read, home, variable, etc, write, kernel, loopback, network, names, process, root, namespace):
                tried(what)
            open("/place/mine", "w").write("x")
            print(os.environ["VISIBLE"], os.getuid())
            """,
        )
    assert (done.exit_code, done.output) == (0, "yes 1000\n")
    assert (tmp_path / "work" / "mine").read_text("utf-8") == "x"


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="the system has no Python of its own")
@pytest.mark.parametrize(
    ("program", "stopped"),
    [
        ("import time\ntime.sleep(60)", "time"),
        ("open('/place/big', 'wb').write(b'x' * 9_000_000)\nimport time\ntime.sleep(60)", "disk"),
        ("import os, time\nif os.fork() == 0:\n    os.setsid()\ntime.sleep(60)", "time"),
    ],
)
async def test_a_build_is_bounded(tmp_path: Path, program: str, stopped: str) -> None:
    """A build that takes too long or too much is ended, with all that it started."""
    done = await confined(tmp_path, program, seconds=3.0, disk=5_000_000)
    assert (done.exit_code, done.stopped) == (None, stopped)
    assert done.seconds < 30


@pytest.mark.skipif(not Path("/usr/bin/python3").exists(), reason="the system has no Python of its own")
async def test_a_flood_of_words_is_cut(tmp_path: Path) -> None:
    """Output beyond the bound is dropped from the middle; the end, where the error stands, is kept."""
    done = await confined(tmp_path, "print('x' * 50_000_000)\nprint('the end')")
    assert len(done.output) <= confinement.OUTPUT_BYTES + 10
    assert done.output.endswith("the end\n")


async def test_a_cancelled_build_is_gone(tmp_path: Path) -> None:
    """Cancelling kills everything that was started."""
    task = asyncio.ensure_future(confined(tmp_path, "import time\nopen('/place/on', 'w')\ntime.sleep(60)"))
    while not await asyncio.to_thread((tmp_path / "work" / "on").exists):
        if task.done():
            await task
        await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert not await asyncio.to_thread(processes_with, str(tmp_path))


def processes_with(text: str) -> list[bytes]:
    """The command lines of running processes that have this text in them."""
    found: list[bytes] = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            found.append(path.read_bytes())
    return [line for line in found if text.encode() in line]


async def test_the_gateway_lets_nobody_through_but_the_registry(tmp_path: Path) -> None:
    """Another host, another port, plain requests and nonsense are refused, and the hosts are remembered."""
    path = tmp_path / "s"
    async with open_gateway(path, INDEX) as gateway:
        for line in ("CONNECT example.com:443", "CONNECT pypi.org:22", "GET http://pypi.org/", "CONNECT pypi.org", "x"):
            reader, writer = await asyncio.open_unix_connection(path)
            writer.write(f"{line} HTTP/1.1\r\n\r\n".encode())
            assert (await reader.read()).startswith(b"HTTP/1.1 403")
            writer.close()
    assert {"example.com", "pypi.org"} <= gateway.refused
    assert gateway.bytes == 0


def test_only_https_registries() -> None:
    """A registry without encryption, or none at all, opens nothing."""
    assert hosts_of(INDEX) == {("pypi.org", 443), ("files.pythonhosted.org", 443)}
    assert hosts_of("https://user:secret@host.example:8443/simple") == {("host.example", 8443)}
    assert hosts_of("http://pypi.org/simple") == hosts_of("file:///x") == frozenset()


def test_a_project_runs_from_its_sources(tmp_path: Path) -> None:
    """Its copies go, its metadata stays, what only the build made is kept, and other packages are left alone."""
    site = tmp_path / "env" / "lib" / "python3.11" / "site-packages"
    write(site, {
        "demo/__init__.py": "", "demo/_version.py": "v = 1", "demo/_fast.so": "so", "demo_data/x.txt": "",
        "other.py": "",
        "demo-1.dist-info/direct_url.json": '{"url": "file:///r", "dir_info": {}}',
        "demo-1.dist-info/RECORD": "demo/__init__.py,,\ndemo/_version.py,,\ndemo/_fast.so,,\n../../../bin/demo,,\n"
        "demo-1.dist-info/RECORD,,\ndemo_data/x.txt,,\n/etc/passwd,,\n",
    })  # fmt: skip
    files = [PurePosixPath("python/demo/__init__.py"), PurePosixPath("setup.py")]
    kept = run_from_sources(tmp_path / "env", tmp_path / "r", files, tmp_path / "generated")
    assert kept == ("python/demo/_fast.so", "python/demo/_version.py")
    assert (tmp_path / "generated/python/demo/_version.py").read_text("utf-8") == "v = 1"
    assert not (site / "demo").exists()
    assert (site / "other.py").exists()
    assert (site / "demo-1.dist-info" / "RECORD").exists()
    assert (site / "__thinklonger_project__.pth").read_text("utf-8") == f"{tmp_path / 'r' / 'python'}\n"


async def test_nothing_is_built_unless_allowed(tmp_path: Path) -> None:
    """Without permission our own Python is taken, and the cache stays empty."""
    root = tmp_path / "r"
    files = write(
        root, {"test_a.py": "def test_a(): pass\n", "pyproject.toml": "[project]\nname = 'r'\nversion = '1'\n"}
    )
    async with opened(root, files, Permission(tmp_path / "cache")) as provided:
        assert provided.environment.origin is Origin.CURRENT
    assert not (tmp_path / "cache").exists()


async def test_what_the_user_says_counts_alone(tmp_path: Path) -> None:
    """A named interpreter that is none, or that can't run the tests, is an error, not a hint."""
    root = tmp_path / "r"
    files = write(root, {"test_a.py": "def test_a(): pass\n"})
    async with opened(root, files, Permission(tmp_path / "cache", interpreter=sys.executable)) as provided:
        assert provided.environment.origin is Origin.GIVEN
    with pytest.raises(ExecutionError) as caught:
        async with opened(root, files, Permission(tmp_path / "cache", interpreter=str(tmp_path))):
            pass
    assert caught.value.message.key == "environments.no-interpreter"


@pytest.mark.parametrize("aside", [{"Makefile": "test:\n\tpython runtests.py --fast\n"}, {"notes.txt": ""}])
async def test_a_repository_may_have_a_program_of_its_own(tmp_path: Path, aside: dict[str, str]) -> None:
    """Where nothing can be collected, the repository's own way to run its tests is taken, if its program is there."""
    root = tmp_path / "r"
    files = {**aside, "runtests.py": "import sys\nsys.exit(0)\n"}
    listed = write(root, files)
    async with opened(root, listed, Permission(tmp_path / "cache", interpreter=sys.executable)) as provided:
        assert provided.harness.environment.runner == "command"
        assert (await provided.harness.run(None)).run.exit_code == 0
    with pytest.raises(ExecutionError) as caught:
        async with opened(root, listed[:1], Permission(tmp_path / "cache", interpreter=sys.executable)):
            pass
    assert caught.value.message.key == "execution.no-tests"


async def test_names_that_only_nose_knew(tmp_path: Path) -> None:
    """A file that pytest passes over by its name, and nose did not, is run by pytest where there is nothing else."""
    root = tmp_path / "r"
    files = write(root, {"pkg/__init__.py": "", "pkg/tests.py": "def test_one(): pass\ndef test_two(): assert 0\n"})
    async with opened(root, files, Permission(tmp_path / "cache", interpreter=sys.executable)) as provided:
        run = (await provided.harness.run(None)).run
    assert {result.id: result.outcome for result in run.results} == {
        "pkg/tests.py::test_one": "passed",
        "pkg/tests.py::test_two": "failed",
    }


HOSTILE = """
import os, urllib.request
from setuptools import setup
said = []
for place in ({secret!r}, os.path.expanduser("~/.ssh/id_rsa"), "/etc/shadow"):
    try:
        said.append(open(place).read())
    except OSError:
        pass
for place in ({outside!r}, "/usr/lib/stolen"):
    try:
        open(place, "w").write("x")  # below /tmp it may: that is a /tmp of its own
    except OSError:
        pass
try:
    urllib.request.urlopen("https://example.com/", timeout=5)
    said.append("reached")
except Exception:
    pass
open("mod/_built.py", "w").write("SAID = " + repr(said))
setup(name="hostile-demo", version="1", packages=["mod"], install_requires=["iniconfig"])
"""


async def test_a_hostile_setup_py_is_confined(tmp_path: Path, registry: str) -> None:
    """It runs, reads no secret, writes nowhere, reaches no other host; what it generates is laid over the tree."""
    root = tmp_path / "r"
    secret, outside = tmp_path / "secret", tmp_path / "outside"
    secret.write_text("token", "utf-8")
    files = write(root, {
        "setup.py": HOSTILE.format(secret=str(secret), outside=str(outside)),
        "mod/__init__.py": "",
        "tests/test_mod.py": """
            import iniconfig, mod
            from importlib.metadata import version
            from mod._built import SAID
            def test_confined():
                assert SAID == [], SAID
                assert version("hostile-demo") == "1"
            """,
    })  # fmt: skip
    permission = Permission(tmp_path / "cache", build=True, index=registry, moment=DAY)
    async with opened(root, files, permission) as provided:
        assert provided.environment.origin is Origin.BUILT
        recipe = provided.environment.recipe
        assert recipe is not None
        assert recipe.generated == ("mod/_built.py",)
        assert "iniconfig==2.0.0" in recipe.installed
        execution = await provided.harness.run(None)
        assert [result.outcome for result in execution.run.results] == ["passed"], execution.run.results
    assert not outside.exists()
    assert not (root / "mod" / "_built.py").exists()
    async with opened(root, files, Permission(tmp_path / "cache", index=registry, moment=DAY)) as again:
        assert again.environment.recipe == recipe


BACKEND = """
import base64, hashlib, os, sys, urllib.request, zipfile
sys.path.insert(0, os.getcwd())

SAID = []
for place in ({secret!r}, os.path.expanduser("~/.ssh/id_rsa"), os.path.expanduser("~/.netrc"), "/etc/shadow"):
    try:
        SAID.append(open(place).read())
    except OSError:
        pass
SAID += [name for name in os.environ if "TOKEN" in name]
for place in ({outside!r}, "/usr/lib/stolen", sys.prefix + "/lib/stolen.pth"):
    try:
        open(place, "w").write("x")
    except OSError:
        pass
for address in ("https://example.com/", "http://192.0.2.1/"):
    try:
        urllib.request.urlopen(address, timeout=5)
        SAID.append(address)
    except Exception:
        pass


def get_requires_for_build_wheel(settings=None):
    return []


get_requires_for_build_editable = get_requires_for_build_wheel


def build_wheel(folder, settings=None, metadata=None):
    name = "hostile_backend-1-py3-none-any.whl"
    files = {{
        "hostile_said.py": "SAID = " + repr(SAID),
        "hostile_backend-1.dist-info/METADATA": "Metadata-Version: 2.1\\nName: hostile-backend\\nVersion: 1\\n",
        "hostile_backend-1.dist-info/WHEEL": "Wheel-Version: 1.0\\nRoot-Is-Purelib: true\\nTag: py3-none-any\\n",
    }}
    record = "hostile_backend-1.dist-info/RECORD"
    with zipfile.ZipFile(os.path.join(folder, name), "w") as wheel:
        for path, text in files.items():
            wheel.writestr(path, text)
        wheel.writestr(record, "".join(path + ",,\\n" for path in [*files, record]))
    return name


build_editable = build_wheel
"""


def stolen() -> list[Path]:
    """What the backend would have left in the system's folders and our own."""
    return [path for folder in ("/usr/lib", f"{sys.prefix}/lib") for path in Path(folder).glob("stolen*")]


async def test_a_hostile_build_backend_is_confined(
    tmp_path: Path, registry: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A backend that lies in the tree itself sees no secret and no token, writes nowhere, reaches no other host."""
    root = tmp_path / "r"
    secret, outside = tmp_path / "secret", tmp_path / "outside"
    secret.write_text("token", "utf-8")
    monkeypatch.setenv("UPLOAD_TOKEN", "token")
    files = write(root, {
        "pyproject.toml": """
            [build-system]
            requires = []
            build-backend = "backend"
            backend-path = ["."]
            [project]
            name = "hostile-backend"
            version = "1"
            dependencies = ["iniconfig"]
            """,
        "backend.py": BACKEND.format(secret=str(secret), outside=str(outside)),
        "tests/test_mod.py": """
            import iniconfig
            from hostile_said import SAID
            def test_confined():
                assert SAID == [], SAID
            """,
    })  # fmt: skip
    permission = Permission(tmp_path / "cache", build=True, index=registry, moment=DAY)
    async with opened(root, files, permission) as provided:
        execution = await provided.harness.run(None)
        assert [result.outcome for result in execution.run.results] == ["passed"], execution.run
    assert not outside.exists()
    assert stolen() == []
    assert sorted(path.name for path in root.iterdir()) == ["backend.py", "pyproject.toml", "tests"]


async def test_what_does_not_exist_is_left_out_and_told(tmp_path: Path, registry: str) -> None:
    """Requirements that the registry does not have are dropped with a reason; a missing import is found by name."""
    root = tmp_path / "r"
    files = write(root, {
        "requirements-test.txt": "iniconfig==0.0.77\nthis-does-not-exist-at-all-zz\n",
        "test_a.py": "import iniconfig, toml\ndef test_a(): assert toml.__version__ and iniconfig\n",
    })  # fmt: skip
    permission = Permission(tmp_path / "cache", build=True, index=registry, moment=DAY)
    async with opened(root, files, permission) as provided:
        recipe = provided.environment.recipe
        assert recipe is not None
        assert {dropped.requirement for dropped in recipe.dropped} == {
            "iniconfig==0.0.77",
            "this-does-not-exist-at-all-zz",
        }
        assert any(entry.startswith("toml==") for entry in recipe.installed)
        assert (await provided.harness.run(None)).run.exit_code == 0


async def test_an_environment_that_grows_too_large_is_not_kept(tmp_path: Path, registry: str) -> None:
    """The bound of disk ends the build; nothing of it stays, our own Python serves, and a note says why."""
    root = tmp_path / "r"
    files = write(root, {"test_a.py": "def test_a(): pass\n", "requirements-test.txt": "setuptools\n"})
    permission = Permission(tmp_path / "cache", build=True, index=registry, megabytes=1, moment=DAY)
    async with opened(root, files, permission) as provided:
        assert provided.environment.origin is Origin.CURRENT
        assert [note.key for note in provided.notes] == ["environments.not-built"]
    assert not any(path.is_dir() for path in (tmp_path / "cache" / "environments").iterdir())
