"""How well faults of real issues are localized, against BM25 in the same run: files and functions.

Input: a JSON-lines file with SWE-bench's columns (`repo`, `base_commit`, `problem_statement`, `patch`), and a folder of
git mirrors `<owner>+<name>` (or `<owner>+<name>/repo`). Each issue's base commit is checked out into a scratch folder,
so the history that is seen ends there. A project without a mirror is skipped, with the reason.

Gold files are the indexed files that the project's own fix changed; gold functions the innermost symbols around the
changed lines. `any` counts an issue as found when one of them is among the first k, `all` when every one is.
"""

import argparse
import asyncio
import json
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from math import log
from pathlib import Path, PurePosixPath
from statistics import median
from typing import Any, Generic, TypeVar

from thinklonger.agent.issue import read_clues
from thinklonger.agent.repository import Repository, open_repository, split_terms
from thinklonger.agent.stages.localize import rank_locations
from thinklonger.agent.stages.understand import rank_files
from thinklonger.agent.types import Issue, IssueSource, Symbol, SymbolKind

DEPTHS = (1, 3, 5, 10)
K1, B, EPSILON = 1.5, 0.75, 0.25
_HUNK = re.compile(r"@@ -(\d+)(?:,(\d+))? \+\d+(?:,\d+)? @@")

Place = tuple[PurePosixPath, str]
Key = TypeVar("Key")


# ── the gold answers ─────────────────────────────────────────────────────────────────────────────────────────────


def changed_lines(patch: str) -> dict[PurePosixPath, set[int]]:
    """The base's lines that a unified diff removes, or inserts behind."""
    lines: dict[PurePosixPath, set[int]] = {}
    path, at = PurePosixPath(), 0
    for text in patch.splitlines():
        if text.startswith("--- "):
            path = PurePosixPath(text[6:]) if text.startswith("--- a/") else PurePosixPath()
        elif (hunk := _HUNK.match(text)) is not None:
            at = int(hunk[1])
        elif text.startswith("-"):
            lines.setdefault(path, set()).add(at)
            at += 1
        elif text.startswith("+") and not text.startswith("+++ "):
            lines.setdefault(path, set()).add(max(1, at - 1))
        elif text.startswith(" ") or not text:
            at += 1
    lines.pop(PurePosixPath(), None)
    return lines


def gold_places(lines: Mapping[PurePosixPath, set[int]], repository: Repository) -> set[Place]:
    """The functions and methods around the changed lines that the base has."""
    places: set[Place] = set()
    for path, changed in lines.items():
        for line in changed:
            around = [one for one in repository.symbols(path) if one.start_line <= line <= one.end_line]
            inner = max(around, key=lambda one: (one.start_line, -one.end_line), default=None)
            if inner is not None and inner.kind is not SymbolKind.CLASS:
                places.add((path, inner.name))
    return places


# ── the baseline ─────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Tokens:
    """The terms of texts, kept by content: an issue's files are mostly the last one's."""

    seen: dict[bytes, Counter[str]] = field(default_factory=dict)

    def of(self, text: bytes) -> Counter[str]:
        """How often each term occurs."""
        key = sha256(text).digest()
        if key not in self.seen:
            self.seen[key] = Counter(split_terms(text.decode("utf-8", "replace")))
        return self.seen[key]


def okapi(query: Sequence[str], documents: Sequence[Counter[str]]) -> list[float]:
    """BM25Okapi as commonly implemented: negative inverse document frequencies become a quarter of their mean."""
    lengths = [document.total() for document in documents]
    mean = sum(lengths) / max(1, len(lengths))
    frequency = Counter(term for document in documents for term in document)
    weights = {term: log(len(documents) - count + 0.5) - log(count + 0.5) for term, count in frequency.items()}
    floor = EPSILON * sum(weights.values()) / max(1, len(weights))
    scores = [0.0] * len(documents)
    for term, times in Counter(query).items():
        weight = weights.get(term, 0.0)
        weight = floor if weight < 0 else weight
        for number, document in enumerate(documents):
            if count := document.get(term, 0):
                bound = K1 * (1 - B + B * lengths[number] / mean)
                scores[number] += times * weight * count * (K1 + 1) / (count + bound)
    return scores


def ordered(keys: Sequence[Key], scores: Sequence[float]) -> list[Key]:
    """The keys, best first."""
    return [keys[number] for number in sorted(range(len(keys)), key=lambda number: (-scores[number], number))]


def functions_of(repository: Repository) -> Iterator[tuple[Symbol, bytes]]:
    """All functions and methods outside of tests, with their text."""
    for path in repository.paths():
        state = None if repository.is_test(path) else repository.read(path)
        if state is None:
            continue
        lines = state.content.splitlines(keepends=True)
        for symbol in repository.symbols(path):
            if symbol.kind is not SymbolKind.CLASS:
                yield symbol, b"".join(lines[symbol.start_line - 1 : symbol.end_line])


# ── figures ──────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass
class Figures(Generic[Key]):
    """One method's ranks of the gold answers, issue by issue."""

    ranks: list[list[int | None]] = field(default_factory=list)

    def take(self, ranking: Iterable[Key], gold: Iterable[Key]) -> None:
        """Note where the gold answers stand in a ranking."""
        place = {key: number for number, key in reversed(list(enumerate(ranking, 1)))}
        self.ranks.append([place.get(key) for key in gold])

    def share(self, depth: int, of: Callable[[Iterable[bool]], bool]) -> float:
        """The share of issues with any or all gold answers among the first `depth`, in percent."""
        found = sum(of(rank is not None and rank <= depth for rank in ranks) for ranks in self.ranks)
        return 100 * found / max(1, len(self.ranks))

    def reciprocal(self) -> float:
        """The mean reciprocal rank of the first gold answer, in percent."""
        first = (min((rank for rank in ranks if rank is not None), default=None) for ranks in self.ranks)
        return 100 * sum(1 / rank for rank in first if rank) / max(1, len(self.ranks))

    def line(self) -> str:
        """The figures as columns."""
        some = "".join(f"{self.share(depth, any):7.1f}" for depth in DEPTHS)
        every = "".join(f"{self.share(depth, all):7.1f}" for depth in DEPTHS)
        return f"{some}  {every}  {self.reciprocal():7.1f}"


class Board:
    """All methods' figures, per project and in total."""

    def __init__(self) -> None:
        """Start empty."""
        self.figures: dict[tuple[str, str, str], Figures[Any]] = {}
        self.seconds: dict[str, list[float]] = {}

    def take(self, what: str, method: str, project: str, ranking: Sequence[Any], gold: Iterable[Any]) -> None:
        """Note one ranking."""
        for of in (project, "total"):
            self.figures.setdefault((what, method, of), Figures()).take(ranking, gold)

    def time(self, step: str, seconds: float) -> None:
        """Note how much processor time a step took."""
        self.seconds.setdefault(step, []).append(seconds)

    def show(self) -> None:
        """Print the tables: percent of issues; ratios to plain BM25; medians of time."""
        for what in ("files", "functions"):
            methods = list(dict.fromkeys(method for kind, method, _ in self.figures if kind == what))
            heads = "".join(f"  any@{depth:<2}" for depth in DEPTHS) + "  " + "".join(f"  all@{d:<2}" for d in DEPTHS)
            print(f"\n{what:<34}{'issues':>7}{heads}      MRR")
            projects = dict.fromkeys(of for kind, _, of in self.figures if kind == what)
            for project in (*(one for one in projects if one != "total"), "total"):
                for method in methods:
                    figures = self.figures[what, method, project]
                    print(f"{project[:21]:<22}{method:<12}{len(figures.ranks):>7}{figures.line()}")
            ours = self.figures[what, methods[0], "total"]
            for method in methods[1:]:
                other = self.figures[what, method, "total"]
                ratio = ours.share(1, any) / max(0.1, other.share(1, any))
                gain = ours.share(1, any) - other.share(1, any)
                print(f"ratio to {method}: any@1 {ratio:.2f} x ({gain:+.1f} points), ", end="")
                print(f"MRR {ours.reciprocal() / max(0.1, other.reciprocal()):.2f} x")
        print()
        for step, seconds in self.seconds.items():
            print(f"{step:<22} median {1000 * median(seconds):7.1f} ms, worst {1000 * max(seconds):7.1f} ms (CPU)")


# ── the run ──────────────────────────────────────────────────────────────────────────────────────────────────────


def mirror_of(mirrors: Path, project: str) -> Path | None:
    """The git directory of a project."""
    folder = mirrors / project.replace("/", "+")
    return next(
        (one for one in (folder / "repo", folder / "repo" / ".git", folder) if (one / "objects").is_dir()), None
    )


def git(folder: Path, *arguments: str) -> None:
    """Run git quietly; raises CalledProcessError."""
    subprocess.run(["git", "-C", str(folder), *arguments], check=True, capture_output=True)


def check_out(tree: Path, mirror: Path, commit: str) -> None:
    """Put a commit's Python files into `tree`, which shares the mirror's objects."""
    if not tree.exists():
        git(mirror, "clone", "--quiet", "--shared", "--no-checkout", str(mirror), str(tree))
        git(tree, "sparse-checkout", "set", "--no-cone", "*.py")
    git(tree, "checkout", "--quiet", "--force", "--detach", commit)


def rank_ours(text: str, repository: Repository, board: Board) -> tuple[list[PurePosixPath], list[Place]]:
    """Our files and functions."""
    started = time.process_time()
    clues = read_clues(text)
    read = time.process_time()
    issue = Issue(text=text, source=IssueSource.TEXT)
    files = rank_files(issue, clues, repository, reproduction=None, coverage={}, red=frozenset())
    ranked = time.process_time()
    locations = rank_locations(issue, clues, repository, files, reproduction=None, coverage={}, red=frozenset(), top=60)
    board.time("read clues", read - started)
    board.time("rank files", ranked - read)
    board.time("rank locations", time.process_time() - ranked)
    functions = [(one.path, one.symbol) for one in locations if one.kind in (SymbolKind.FUNCTION, SymbolKind.METHOD)]
    return [rank.path for rank in files], functions


def measure(instance: Mapping[str, str], repository: Repository, tokens: Tokens, board: Board) -> None:
    """Rank one issue with all methods."""
    text, project = instance["problem_statement"], instance["repo"]
    paths = repository.paths()
    lines = {path: changed for path, changed in changed_lines(instance["patch"]).items() if path in set(paths)}
    if not lines:
        print(f"{instance['instance_id']}: its fix changes no indexed file that the base has", file=sys.stderr)
        return
    files, functions = rank_ours(text, repository, board)
    board.take("files", "thinklonger", project, files, lines)
    query = split_terms(text)
    states = [repository.read(path) for path in paths]
    scores = okapi(query, [tokens.of(state.content if state else b"") for state in states])
    board.take("files", "bm25", project, ordered(paths, scores), lines)
    lowered = [score * (0.01 if repository.is_test(path) else 1) for path, score in zip(paths, scores, strict=True)]
    board.take("files", "bm25-notest", project, ordered(paths, lowered), lines)
    gold = gold_places(lines, repository)
    if gold:
        candidates = list(functions_of(repository))
        found = okapi(query, [tokens.of(source) for _, source in candidates])
        board.take("functions", "thinklonger", project, functions, gold)
        places = [(symbol.path, symbol.name) for symbol, _ in candidates]
        board.take("functions", "bm25-notest", project, ordered(places, found), gold)


async def run(arguments: argparse.Namespace, scratch: Path) -> None:
    """Measure all issues and print the figures."""
    instances: list[dict[str, str]] = [json.loads(line) for line in arguments.dataset.read_text("utf-8").splitlines()]
    board = Board()
    for project in sorted({instance["repo"] for instance in instances}):
        if arguments.repo and arguments.repo not in project:
            continue
        mine = [instance for instance in instances if instance["repo"] == project][: arguments.limit]
        mirror = mirror_of(arguments.mirrors, project)
        if mirror is None:
            print(f"{project}: skipped {len(mine)} issues, no mirror of it below {arguments.mirrors}", file=sys.stderr)
            continue
        tree, tokens = scratch / project.replace("/", "+"), Tokens()
        for instance in mine:
            check_out(tree, mirror, instance["base_commit"])
            started = time.process_time()
            repository = await open_repository(tree, cache=scratch / "cache")
            try:
                board.time("open, mostly cached", time.process_time() - started)
                measure(instance, repository, tokens, board)
            finally:
                await repository.close()
        shutil.rmtree(tree)
    if board.figures:
        board.show()


def main() -> None:
    """Read the command line, run, and remove the scratch folder."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dataset", type=Path, help="JSON-lines file with SWE-bench's columns")
    parser.add_argument("mirrors", type=Path, help="folder of git mirrors, <owner>+<name>")
    parser.add_argument("--repo", default="", help="only projects whose name contains this")
    parser.add_argument("--limit", type=int, default=None, help="at most this many issues of each project")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="thinklonger-localize-") as scratch:
        asyncio.run(run(arguments, Path(scratch)))


if __name__ == "__main__":
    main()
