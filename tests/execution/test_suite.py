"""The whole suite: collected in the background and in parallel, remembered by content, counted where it is not."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path, PurePosixPath
from typing import cast

import pytest

from thinklonger.agent.config import SandboxChoice
from thinklonger.agent.execution import Harness
from thinklonger.agent.execution.memory import SuiteMemory, digest_files, digest_settings
from thinklonger.agent.execution.suite import Suite, collects_files, count_tests
from thinklonger.agent.protocols import RepositoryView
from thinklonger.agent.types import EnvironmentRecord, Symbol, SymbolKind

Bench = Callable[..., AbstractAsyncContextManager[Harness]]
ENVIRONMENT = EnvironmentRecord("/usr/bin/python3", "3.11.2", "pytest", "9.0", 3, "digest")
FILES = {
    "tests/test_one.py": """
        import pytest


        @pytest.mark.parametrize("number", range(3))
        def test_number(number):
            assert number < 3


        class TestClass:
            def test_method(self):
                pass
        """,
    "tests/test_two.py": "def test_two():\n    pass\n",
    "tests/test_three.py": "def test_three():\n    pass\n",
}
ONE, TWO, THREE = (PurePosixPath(name) for name in FILES)


def suite_of(harness: Harness, root: Path, *, settings: str = "", whole: bool = False) -> Suite:
    """The suite of the files above, as they are on the disk now."""
    memory = SuiteMemory(root.parent / "cache", root=root, environment=harness.environment, settings=settings)
    counts = {ONE: 2, TWO: 1, THREE: 1}
    suite = Suite(harness, memory, digest_files(root, list(counts)), counts, whole=whole)
    harness.all_tests = None  # as in a suite too large for the proof to collect
    suite.recall()
    return suite


@pytest.mark.parametrize("whole", [False, True])
@pytest.mark.parametrize("kind", [SandboxChoice.NONE, SandboxChoice.BUBBLEWRAP])
async def test_all_files_are_collected_and_counted(
    bench: Bench, root: Path, kind: SandboxChoice, *, whole: bool
) -> None:
    """Before anything is collected tests are counted by reading; afterwards all are known, parameters included."""
    async with bench(FILES, kind=kind) as harness:
        suite = suite_of(harness, root, whole=whole)
        before = suite.facts
        await suite.collect(workers=2, idle=True)
    assert (before.files, before.collected, before.tests, before.counted) == (3, 0, 0, 4)
    assert (suite.facts.files, suite.facts.collected, suite.facts.tests, suite.facts.counted) == (3, 3, 6, 0)
    assert suite.targets(ONE) == (
        "tests/test_one.py::test_number[0]",
        "tests/test_one.py::test_number[1]",
        "tests/test_one.py::test_number[2]",
        "tests/test_one.py::TestClass::test_method",
    )


async def test_only_changed_files_are_collected_again(
    bench: Bench, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A second run knows what the first one collected, but for files whose content, or whose settings, changed."""
    asked: list[Sequence[PurePosixPath] | None] = []
    original = Harness.discover

    async def discover(
        self: Harness, files: Sequence[PurePosixPath] | None, *, seconds: float = 120.0, idle: bool = False
    ) -> object:
        asked.append(files)
        return await original(self, files, seconds=seconds, idle=idle)

    monkeypatch.setattr(Harness, "discover", discover)
    async with bench(FILES) as harness:
        await suite_of(harness, root).collect()
    (root / TWO).write_text("def test_new():\n    pass\n\n\ndef test_newer():\n    pass\n")
    async with bench({}) as harness:
        suite = suite_of(harness, root)
        assert suite.known.keys() == {ONE, THREE}
        await suite.collect()
        assert suite.targets(TWO) == ("tests/test_two.py::test_new", "tests/test_two.py::test_newer")
        assert not suite_of(harness, root, settings="others").known
    assert asked == [[ONE, TWO, THREE], [TWO]]


async def test_a_file_that_ends_the_collection_does_not_take_the_others_along(bench: Bench, root: Path) -> None:
    """Where a collection dies, the files are collected in halves until the culprit is alone; it stays uncollected."""
    async with bench({"tests/test_good.py": "def test_good():\n    pass\n"}) as harness:
        pass
    files = {**FILES, "tests/test_two.py": "import os\n\nos._exit(3)\n\n\ndef test_two():\n    pass\n"}
    async with bench(files, "pytest tests/test_one.py") as harness:
        suite = suite_of(harness, root)
        await suite.collect()
    assert suite.known.keys() == {ONE, THREE}
    assert (suite.facts.collected, suite.facts.counted) == (2, 1)


def test_tests_are_counted_by_reading() -> None:
    """Functions and methods with a test's name count, in files with a test's name, each once."""

    class View:
        """A repository that knows its symbols."""

        def paths(self) -> Sequence[PurePosixPath]:
            """A test file, a helper beside it, and code."""
            return [PurePosixPath(name) for name in ("tests/test_a.py", "tests/helpers.py", "code.py")]

        def is_test(self, path: PurePosixPath) -> bool:
            """What lies in the tests' folder."""
            return path.parts[0] == "tests"

        def symbols(self, path: PurePosixPath) -> Sequence[Symbol]:
            """The same in every file."""
            names = {"test_it": SymbolKind.FUNCTION, "TestX": SymbolKind.CLASS, "TestX.test_y": SymbolKind.METHOD}
            return [Symbol(path, name, kind, 1, 2) for name, kind in names.items()]

    assert count_tests(cast("RepositoryView", View())) == {PurePosixPath("tests/test_a.py"): 2}


def test_a_conftest_that_makes_tests_of_other_files_is_seen() -> None:
    """Such a suite can only be collected as a whole."""
    texts = {
        PurePosixPath("conftest.py"): b"import pytest\n",
        PurePosixPath("a/conftest.py"): b"def pytest_collect_file(file_path, parent):\n    ...\n",
    }
    assert collects_files(texts.get, list(texts))
    assert not collects_files(texts.get, [PurePosixPath("conftest.py")])


def test_lines_are_remembered_by_content(tmp_path: Path) -> None:
    """Lines hold while the file is as it was; later only that the test ran the file is known."""
    memory = SuiteMemory(tmp_path / "cache", root=tmp_path, environment=ENVIRONMENT)
    core, test = PurePosixPath("核心 core.py"), PurePosixPath("test_a.py")
    ran = {"test_a.py::test[汉\\n]": {core: frozenset({3, 4, 9}), test: frozenset({1})}}
    digests = {core: "one", test: "two"}
    assert memory.running([core], digests) == {}
    memory.keep_lines(ran, digests)
    assert memory.running([core], digests) == {"test_a.py::test[汉\\n]": {core: frozenset({3, 4, 9})}}
    assert memory.lines(list(ran), digests) == ran
    changed = {core: "other", test: "two"}
    assert memory.running([core], changed) == {"test_a.py::test[汉\\n]": {core: frozenset()}}
    assert memory.lines(list(ran), changed) == {}
    memory.keep_lines({"test_a.py::test[汉\\n]": {core: frozenset({5})}}, changed)
    assert memory.lines(list(ran), changed) == {"test_a.py::test[汉\\n]": {core: frozenset({5})}}


def test_the_best_time_is_remembered(tmp_path: Path) -> None:
    """A test that took longer because the machine was busy is not taken to be slow."""
    memory = SuiteMemory(tmp_path, root=tmp_path, environment=ENVIRONMENT)
    memory.keep_timings({"a.py::x": 2.0, "a.py::y": 0.1, "b.py::z": 0.5})
    memory.keep_timings({"a.py::x": 0.2, "a.py::y": 3.0})
    assert memory.timings() == {"a.py::x": 0.2, "a.py::y": 0.1, "b.py::z": 0.5}
    memory.keep_tests({PurePosixPath("a.py"): ("a.py::x",)}, {PurePosixPath("a.py"): "digest"})
    assert memory.timings()["a.py::x"] == 0.2


@pytest.mark.parametrize("rubbish", [b"", b"no database at all " * 100])
def test_a_damaged_memory_is_no_error(tmp_path: Path, rubbish: bytes) -> None:
    """What can't be read is forgotten, and the next run remembers again."""
    memory = SuiteMemory(tmp_path, root=tmp_path, environment=ENVIRONMENT)
    path = PurePosixPath("a.py")
    memory.keep_tests({path: ("a.py::x",)}, {path: "digest"})
    (file,) = tmp_path.glob("*.sqlite")
    for extra in tmp_path.glob("*.sqlite-*"):
        extra.unlink()
    file.write_bytes(rubbish)
    assert memory.tests({path: "digest"}) == {}
    memory.keep_tests({path: ("a.py::x",)}, {path: "digest"})
    assert memory.tests({path: "digest"}) == {path: ("a.py::x",)}


def test_a_memory_that_can_not_be_kept_is_no_error(tmp_path: Path) -> None:
    """Where the folder can't be made, nothing is remembered and nobody is bothered."""
    blocked = tmp_path / "file"
    blocked.write_text("not a folder")
    memory = SuiteMemory(blocked / "inside", root=tmp_path, environment=ENVIRONMENT)
    memory.keep_timings({"a.py::x": 1.0})
    assert memory.timings() == {}


def test_settings_count_as_content(tmp_path: Path) -> None:
    """What decides how tests are collected is part of a file's content; other files are not."""
    files = [PurePosixPath(name) for name in ("conftest.py", "code.py", "a/pyproject.toml")]
    (tmp_path / "a").mkdir()
    for path in files:
        (tmp_path / path).write_text("1")
    first = digest_settings(tmp_path, files)
    (tmp_path / "code.py").write_text("2")
    assert digest_settings(tmp_path, files) == first
    (tmp_path / "a/pyproject.toml").write_text("2")
    assert digest_settings(tmp_path, files) != first
