"""What stands around a file: who imports it, how lately it changed, and whether it is a test or an accessory."""

from collections.abc import Iterable, Mapping
from math import sqrt
from pathlib import PurePosixPath

from thinklonger.agent.issue import Clues, PathTable, resolve_paths
from thinklonger.agent.protocols import RepositoryView
from thinklonger.agent.repository import Repository
from thinklonger.agent.stages.understand.signals import Hint, Signal
from thinklonger.agent.stages.understand.weights import Weights
from thinklonger.agent.types import EvidenceKind, Issue, Message

_SOURCES = 25
"""Suspicion spreads among this many files."""
_ACCESSORY_FOLDERS = frozenset(
    ("doc", "docs", "example", "examples", "benchmark", "benchmarks", "gallery", "tutorials", "asv_bench")
)
_ACCESSORY_FILES = frozenset(("setup.py", "conf.py", "versioneer.py", "_version.py", "conftest.py", "noxfile.py"))
_TEST_WORDS = frozenset(("test", "tests", "testing", "fixture", "fixtures", "测试", "測試"))


def spread(scores: Mapping[PurePosixPath, float], repository: RepositoryView, weights: Weights) -> Signal:
    """Imports among the most suspicious files lend a little both ways; what all of them import says little.

    Only among them, because whom the rest imports would have to be read first: a fifth of a second in a large
    repository. `scores` are in an order that never changes: of equals, the first counts.
    """
    sources = sorted(scores, key=lambda path: -scores[path])[:_SOURCES]
    imports = {path: [other for other in repository.imports(path) if other in scores] for path in sources}
    importers: dict[PurePosixPath, list[PurePosixPath]] = {}
    for path, others in imports.items():
        for other in others:
            importers.setdefault(other, []).append(path)
    gains: dict[PurePosixPath, float] = {}
    strongest: dict[PurePosixPath, tuple[float, str, PurePosixPath]] = {}
    for path in sources:
        for direction, neighbours, weight in (
            ("imports", importers.get(path, []), weights.importers),
            ("imported", imports[path], weights.imported),
        ):
            for neighbour in neighbours:
                gain = weight * scores[path] / sqrt(len(neighbours))
                gains[neighbour] = gains.get(neighbour, 0.0) + gain
                if neighbour not in strongest or strongest[neighbour][0] < gain:
                    strongest[neighbour] = (gain, direction, path)
    return {
        path: Hint(
            EvidenceKind.GRAPH,
            gain,
            Message(f"understand.graph-{strongest[path][1]}", {"other": str(strongest[path][2])}),
        )
        for path, gain in gains.items()
    }


def tested(issue: Issue, table: PathTable, repository: RepositoryView, weights: Weights) -> Signal:
    """Files that the tests of a failing command import: what is under test, known before anything ran."""
    hints: dict[PurePosixPath, Hint] = {}
    for word in (issue.test_command or "").split():
        for test in table.resolve(word.partition("::")[0]):
            imported = [path for path in repository.imports(test) if not repository.is_test(path)]
            under_test = [path for path in imported if path.name != "__init__.py"] or imported
            for path in under_test if repository.is_test(test) else ():
                message = Message("understand.tested", {"test": str(test)})
                hints[path] = Hint(EvidenceKind.GRAPH, weights.tested / sqrt(len(under_test)), message)
    return hints


def history(paths: Iterable[PurePosixPath], repository: Repository, weights: Weights) -> Signal:
    """Files that changed lately and often: they break most."""
    hints: dict[PurePosixPath, Hint] = {}
    for path in paths:
        recency = repository.recency(path)
        if recency > 0:
            hints[path] = Hint(EvidenceKind.HISTORY, weights.history * recency, Message("understand.history"))
    return hints


def about_tests(clues: Clues, table: PathTable, repository: RepositoryView) -> bool:
    """Whether the issue is about the tests themselves: its title says so, and it names a test file."""
    words = clues.title.lower().replace("_", " ").split()
    says = any(word.strip(".,:;'\"`()") in _TEST_WORDS for word in words) or any(
        word in clues.title for word in _TEST_WORDS if not word.isascii()
    )
    return says and any(repository.is_test(hit.path) for hit in resolve_paths(clues, table))


def demotion(
    path: PurePosixPath, repository: RepositoryView, weights: Weights, *, tests_count: bool
) -> tuple[float, Message | None]:
    """The factor for a file that is seldom at fault, and why."""
    if repository.is_test(path):
        return (1.0, None) if tests_count else (weights.tests, Message("understand.demoted-test"))
    if is_accessory(path):
        return weights.accessories, Message("understand.demoted-accessory")
    return 1.0, None


def is_accessory(path: PurePosixPath) -> bool:
    """Whether a file is documentation, an example or packaging, by where it lies and what it is called."""
    return path.name in _ACCESSORY_FILES or any(part.lower() in _ACCESSORY_FOLDERS for part in path.parts[:-1])
