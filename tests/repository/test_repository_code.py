"""What a repository says of its code: symbols, names, imports, references, skeletons, sources."""

import ast
from pathlib import Path, PurePosixPath

import pytest
from repository_trees import CALENDAR, Opener, committed, paths, write

from thinklonger.agent.errors import RepositoryError
from thinklonger.agent.types import FileState, SymbolKind

DATES = PurePosixPath("src/almanac/dates.py")
MOONS = PurePosixPath("src/almanac/moons.py")
TOOLS = PurePosixPath("src/almanac/tools.py")
PACKAGE = PurePosixPath("src/almanac/__init__.py")
TEST = PurePosixPath("tests/test_dates.py")


async def test_symbols_are_nested_and_in_order(tmp_path: Path, opened: Opener) -> None:
    """Symbols come in source order with qualified names, kinds and lines; decorators belong to them."""
    repository = await opened(committed(tmp_path / "r", CALENDAR))
    assert [(s.name, s.kind, s.start_line, s.end_line) for s in repository.symbols(DATES)] == [
        ("Day", SymbolKind.CLASS, 8, 19),
        ("Day.moonPhase", SymbolKind.METHOD, 11, 16),
        ("Day.moonPhase.inner", SymbolKind.FUNCTION, 13, 14),
        ("Day.Error", SymbolKind.CLASS, 18, 19),
        ("parse", SymbolKind.FUNCTION, 22, 27),
    ]


async def test_find_by_bare_qualified_and_dotted_name(tmp_path: Path, opened: Opener) -> None:
    """`find` takes `method`, `Class.method`, `pkg.mod.Class.method`, names that a package passes on, and modules."""
    repository = await opened(committed(tmp_path / "r", CALENDAR))
    [method] = repository.find("moonPhase")
    assert (method.path, method.name) == (DATES, "Day.moonPhase")
    for name in ("Day.moonPhase", "dates.Day.moonPhase", "almanac.dates.Day.moonPhase", "almanac.Day.moonPhase"):
        assert list(repository.find(name)) == [method]
    assert [symbol.name for symbol in repository.find("almanac.read")] == ["parse"]
    assert [symbol.path for symbol in repository.find("almanac.full_moon")] == [MOONS]
    [module] = repository.find("almanac.moons")
    assert (module.path, module.name, module.kind, module.end_line) == (MOONS, "", SymbolKind.MODULE, 6)
    assert list(repository.find("nothing")) == []
    assert list(repository.find("")) == []
    assert list(repository.find("..")) == []


async def test_imports_lead_to_files(tmp_path: Path, opened: Opener) -> None:
    """Relative, conditional and aliased imports, a `src` root, and names that a package passes on, are resolved."""
    repository = await opened(committed(tmp_path / "r", CALENDAR))
    assert list(repository.imports(PACKAGE)) == [DATES, MOONS]
    assert list(repository.imports(DATES)) == [MOONS, TOOLS]
    assert list(repository.imports(TEST)) == [PACKAGE, DATES, MOONS]
    assert list(repository.importers(MOONS)) == [PACKAGE, DATES, TEST]
    assert list(repository.importers(TOOLS)) == [DATES]
    assert list(repository.importers(TEST)) == []
    assert list(repository.imports(PurePosixPath("README.md"))) == []


async def test_imports_between_scripts_and_namespace_packages(tmp_path: Path, opened: Opener) -> None:
    """Scripts import their neighbours, tests their helpers, and packages need no `__init__`."""
    files = {
        "tools/run.py": "import helper\nimport deep.inner.thing\n",
        "tools/helper.py": "",
        "deep/inner/thing.py": "from .. import other\nfrom ..more import *\n",
        "deep/other.py": "",
        "deep/more.py": "import os, sys\n",
    }
    repository = await opened(write(tmp_path / "r", files))
    assert list(repository.imports(PurePosixPath("tools/run.py"))) == paths(["deep/inner/thing.py", "tools/helper.py"])
    assert list(repository.imports(PurePosixPath("deep/inner/thing.py"))) == paths(["deep/more.py", "deep/other.py"])
    assert list(repository.imports(PurePosixPath("deep/more.py"))) == []


async def test_circles_of_packages_end(tmp_path: Path, opened: Opener) -> None:
    """Packages that pass names on to each other in a circle are survived."""
    files = {
        "a/__init__.py": "from b import *\nfrom b import x\n",
        "b/__init__.py": "from a import *\nfrom a import x\n",
        "c.py": "from a import x\n",
    }
    repository = await opened(write(tmp_path / "r", files))
    assert list(repository.imports(PurePosixPath("c.py"))) == paths(["a/__init__.py", "b/__init__.py"])
    assert list(repository.find("a.x")) == []


async def test_the_kept_import_graph_follows_changes(tmp_path: Path, opened: Opener) -> None:
    """Importers are right from the cache, after a change in a package that passes names on, and for new files."""
    root = write(tmp_path / "r", CALENDAR)
    for _ in range(2):
        assert list((await opened(root)).importers(TOOLS)) == [DATES]
    write(root, {"src/almanac/moons.py": "from .tools import clean\n\n\ndef phase(day):\n    return clean(day)\n"})
    changed = await opened(root)
    assert list(changed.importers(TOOLS)) == [DATES, MOONS]
    assert list(changed.importers(MOONS)) == [PACKAGE, DATES]
    write(root, {"extra.py": "import almanac.tools\n"})
    assert list((await opened(root)).importers(TOOLS)) == [PurePosixPath("extra.py"), DATES, MOONS]


async def test_references_are_uses(tmp_path: Path, opened: Opener) -> None:
    """References are uses with the symbol around them: no definitions, parameters, strings, comments or parts."""
    text = (
        "def phase(phase_of, other):  # phase\n"
        "    'phase'\n"
        "    phases = other(phase=1)\n"
        "    return phase_of\n"
        "\n"
        "class A:\n"
        "    def m(self):\n"
        "        return self.phase + phase(1)\n"
        "phase(2)\n"
    )
    repository = await opened(write(tmp_path / "r", CALENDAR | {"uses.py": text}))
    assert [(str(r.path), r.line, r.inside) for r in repository.references("phase")] == [
        ("src/almanac/dates.py", 14, "Day.moonPhase.inner"),
        ("src/almanac/moons.py", 6, "full_moon"),
        ("uses.py", 8, "A.m"),
        ("uses.py", 9, ""),
    ]
    assert [r.line for r in repository.references("full_moon")] == [1]
    assert next(iter(repository.references("t"))).path == DATES
    assert list(repository.references("nowhere_at_all")) == []


async def test_skeletons_keep_signatures(tmp_path: Path, opened: Opener) -> None:
    """A skeleton has every signature and class body, the first line of docstrings, and still parses."""
    text = (
        "import os\n\n\n@decorated\nasync def f(\n    a,\n):\n"
        '    """One.\n\n    Two.\n    """\n    if a:\n        return 1\n\n\nclass C:\n    x = 1\n\n'
        "    def g(self): return 2\n\n    def h(self):\n        # why\n        return 3\n\n\n"
        "if os:\n    def k():\n        pass\n"
    )
    repository = await opened(write(tmp_path / "r", {"a.py": text}))
    skeleton = repository.skeleton(PurePosixPath("a.py"))
    assert skeleton == (
        "import os\n\n\n@decorated\nasync def f(\n    a,\n):\n"
        '    """One."""\n    ...\n\n\nclass C:\n    x = 1\n\n'
        "    def g(self): ...\n\n    def h(self):\n        ...\n\n\nif os:\n    def k():\n        ...\n"
    )
    ast.parse(skeleton)


async def test_source_of_a_symbol(tmp_path: Path, opened: Opener) -> None:
    """A symbol's source is its lines, decorators included; a module's is the file."""
    repository = await opened(committed(tmp_path / "r", CALENDAR))
    [method] = repository.find("moonPhase")
    assert repository.source(method).startswith("    @property\n    def moonPhase(self):\n")
    assert repository.source(method).endswith("return inner()\n")
    [module] = repository.find("almanac.tools")
    assert repository.source(module) == CALENDAR["src/almanac/tools.py"]


async def test_tests_are_told_from_test_tools(tmp_path: Path, opened: Opener) -> None:
    """`tests` folders and test-like names are tests; a library's own `test` package is not."""
    expected = {
        "pkg/test/client.py": False,
        "pkg/testing.py": False,
        "pkg/tests/data.py": True,
        "test/helpers.py": True,
        "test/rules/test_one.py": True,
        "pkg/test_two.py": True,
        "pkg/three_test.py": True,
        "conftest.py": True,
        "pkg/latest.py": False,
    }
    repository = await opened(write(tmp_path / "r", dict.fromkeys(expected, "")))
    assert {str(path): repository.is_test(path) for path in repository.paths()} == expected


async def test_read_stays_inside(tmp_path: Path, opened: Opener) -> None:
    """`read` gives any file's bytes and mode, None for what is no file, and refuses whatever leads out."""
    root = write(tmp_path / "r", {"a.py": "x = 1\n", "bin/run": "#!/bin/sh\n"})
    (root / "bin/run").chmod(0o755)
    write(tmp_path, {"secret": "s"})
    (root / "link").symlink_to(tmp_path / "secret")
    (root / "inside").symlink_to("a.py")
    (root / "loop").symlink_to("loop")
    repository = await opened(root)
    assert repository.read(PurePosixPath("a.py")) == FileState(b"x = 1\n")
    assert repository.read(PurePosixPath("bin/run")) == FileState(b"#!/bin/sh\n", executable=True)
    assert repository.read(PurePosixPath("inside")) == FileState(b"x = 1\n")
    assert repository.read(PurePosixPath("bin")) is None
    assert repository.read(PurePosixPath("missing/x")) is None
    for path in ("../secret", "link", "/etc/passwd", "bin/../../secret"):
        with pytest.raises(RepositoryError):
            repository.read(PurePosixPath(path))
    with pytest.raises(RepositoryError):
        repository.read(PurePosixPath("loop"))


async def test_unsaved_text_is_seen_and_not_kept(tmp_path: Path, opened: Opener) -> None:
    """An overlay's text replaces, adds and removes files for this view alone."""
    root = committed(tmp_path / "r", CALENDAR)
    overlay = {
        MOONS: FileState(b"def waning(day):\n    return day\n"),
        PurePosixPath("new.py"): FileState(b"def fresh():\n    pass\n"),
        TOOLS: None,
        PurePosixPath("notes.txt"): FileState(b"hello"),
    }
    repository = await opened(root, overlay=overlay)
    assert [symbol.name for symbol in repository.symbols(MOONS)] == ["waning"]
    assert [len(repository.find(name)) for name in ("fresh", "full_moon", "clean")] == [1, 0, 0]
    assert TOOLS not in repository.paths()
    assert repository.read(TOOLS) is None
    assert repository.read(PurePosixPath("notes.txt")) == FileState(b"hello")
    assert list(repository.imports(DATES)) == [PACKAGE, MOONS]
    plain = await opened(root)
    assert [len(plain.find(name)) for name in ("fresh", "full_moon", "clean")] == [0, 1, 1]
    assert TOOLS in plain.paths()
    assert plain.statistics.parsed == 0
