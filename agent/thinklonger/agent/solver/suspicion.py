"""How suspicious each place is: locations, spectra of failing and passing tests, tracebacks, hangs."""

import ast
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import sqrt
from pathlib import PurePosixPath

from thinklonger.agent.protocols import Task
from thinklonger.agent.solver.module import Module
from thinklonger.agent.solver.place import Function, Place
from thinklonger.agent.types import Frame, Location, Outcome, TestResult

_UNREACHED = 0.01
_ELSEWHERE, _ELSEWHERE_BLIND = 0.55, 0.25
"""What a line is worth that no ranked location holds; less where no passing test tells one line from another."""
_SHARED = 0.85
"""How much of its function's suspicion a line has: red tests that part at a branch share the function, not the line."""
_FILES = 20


@dataclass(frozen=True, slots=True)
class Spectrum:
    """In how many failing and passing tests each line of a file ran; `failing`, `passing` count the tests."""

    failing: int
    passing: int
    red: Mapping[int, int]
    green: Mapping[int, int]

    def score(self, line: int) -> float:
        """Ochiai: failing runs of the line ÷ √(failing tests · all runs of the line); in [0, 1]."""
        ran = self.red.get(line, 0)
        return ran / sqrt(self.failing * (ran + self.green.get(line, 0))) if ran else 0.0


@dataclass(frozen=True, slots=True)
class Suspicion:
    """What points at the places of one file. `best`: the highest score of any location."""

    spectrum: Spectrum | None
    locations: tuple[Location, ...]
    best: float
    raised: frozenset[int]
    passed: frozenset[int]
    hung: frozenset[int]
    cache: dict[Place, float] = field(default_factory=dict["Place", float])
    shared: dict[Place, tuple[float, float]] = field(default_factory=dict["Place", tuple[float, float]])

    def of(self, place: Place) -> float:
        """How suspicious a place is, in (0, 1]."""
        found = self.cache.get(place)
        if found is None:
            found = self.cache[place] = self._weigh(place)
        return found

    def _weigh(self, place: Place) -> float:
        lines = place.header_lines
        located, _ = self._around(place)
        score = max(self._located(lines), _SHARED * located) * self._ran(place, lines)
        if self.raised.intersection(lines):
            score *= 1.6
        elif self.passed.intersection(lines):
            score *= 1.15
        if self.hung and self._hangs(place):
            score *= 1.5
        return max(min(score / 1.6, 1.0), 1e-4)

    def _located(self, lines: range) -> float:
        if not self.locations or self.best <= 0:
            return 1.0
        found = [loc.score for loc in self.locations if loc.start_line <= lines[-1] and lines[0] <= loc.end_line]
        floor = _ELSEWHERE if self.spectrum is None or self.spectrum.passing else _ELSEWHERE_BLIND
        return floor + (1 - floor) * min(max(found) / self.best if found else 0.0, 1.0)

    def _ran(self, place: Place, lines: range) -> float:
        if self.spectrum is None:
            return 1.0
        node = place.node
        if isinstance(node, Function):
            inside = max(
                (self.spectrum.score(line) for line in range(place.line + 1, place.last_line + 1)), default=0.0
            )
            return 0.25 + 0.55 * inside if inside else _UNREACHED
        if isinstance(node, ast.ClassDef | ast.Import | ast.ImportFrom):
            return 0.2
        if place.function is None:
            return 0.5
        score = max(self.spectrum.score(line) for line in lines)
        if isinstance(node, ast.Try) and not score:
            score = max((self.spectrum.score(line) for line in range(place.line, place.last_line + 1)), default=0.0)
        if not score:
            return _UNREACHED
        return 0.3 + 0.7 * max(score, _SHARED * self._around(place)[1])

    def _around(self, place: Place) -> tuple[float, float]:
        """How well the function around a place is located, and the score of its most suspicious line."""
        function = place.function
        if function is None:
            return 0.0, 0.0
        found = self.shared.get(function)
        if found is None:
            lines = range(function.line + 1, function.last_line + 1)
            score = max((self.spectrum.score(line) for line in lines), default=0.0) if self.spectrum else 0.0
            found = self.shared[function] = (self._located(lines) if lines else 0.0, score)
        return found

    def _hangs(self, place: Place) -> bool:
        loop: Place | None = place if isinstance(place.node, ast.While | ast.For) else place.loop
        while loop is not None:
            if self.hung.intersection(range(loop.line, loop.last_line + 1)):
                return True
            loop = loop.loop
        return bool(self.hung.intersection(place.header_lines))

    def words(self, place: Place) -> str:
        """Why a place is suspected, as the end of a sentence that begins with the line."""
        lines = place.header_lines
        said: list[str] = []
        if self.spectrum is not None:
            red = max((self.spectrum.red.get(line, 0) for line in lines), default=0)
            green = max((self.spectrum.green.get(line, 0) for line in lines), default=0)
            if red:
                failing = f"in {red} of {self.spectrum.failing} failing tests"
                said.append(f"ran {failing} and in {green} of {self.spectrum.passing} passing ones")
        if self.raised.intersection(lines):
            said.append("is where the exception was raised")
        elif self.hung and self._hangs(place):
            said.append("belongs to the loop that did not end")
        elif self.passed.intersection(lines):
            said.append("was on the failing test's stack")
        if not said:
            said.append("lies in code that the evidence points at")
        return " and ".join(said)


def _spectra(task: Task) -> dict[PurePosixPath, Spectrum]:
    """The spectrum of each file, from the coverage of the tests whose outcome is known."""
    if task.reproduction is None or not task.coverage:
        return {}
    outcomes = {result.id: result.outcome for result in task.reproduction.results}
    red = [name for name in task.coverage if name in outcomes and outcomes[name].red]
    green = [name for name in task.coverage if name not in outcomes or outcomes[name].green]
    if not red:
        return {}
    found: dict[PurePosixPath, tuple[dict[int, int], dict[int, int]]] = {}
    for names, side in ((red, 0), (green, 1)):
        for name in names:
            for path, lines in task.coverage[name].items():
                counts = found.setdefault(path, ({}, {}))[side]
                for line in lines:
                    counts[line] = counts.get(line, 0) + 1
    return {path: Spectrum(len(red), len(green), *counts) for path, counts in found.items()}


def _red(task: Task) -> list[TestResult]:
    return [result for result in task.reproduction.results if result.outcome.red] if task.reproduction else []


def _frames(task: Task, path: PurePosixPath) -> tuple[frozenset[int], frozenset[int], frozenset[int]]:
    """The lines of a file where exceptions were raised, that were on the stack, and where tests hung."""
    raised: set[int] = set()
    passed: set[int] = set()
    hung: set[int] = set()
    for result in _red(task):
        frames = [frame for frame in result.frames if not task.repository.is_test(frame.path)]
        here = {frame.line for frame in frames if frame.path == path}
        innermost: Frame | None = frames[-1] if frames else None
        if result.outcome is Outcome.TIMED_OUT or "Timeout" in result.exception:
            hung |= here
        elif innermost is not None and innermost.path == path:
            raised.add(innermost.line)
        passed |= here
    return frozenset(raised), frozenset(passed), frozenset(hung)


def suspects(task: Task) -> list[PurePosixPath]:
    """The source files worth editing, most suspicious first; never tests."""
    found: dict[PurePosixPath, None] = {}
    spectra = _spectra(task)
    reached = {path for path, spectrum in spectra.items() if spectrum.red}
    ranked: list[PurePosixPath] = []
    if task.localization is not None:
        ranked += [location.path for location in task.localization.locations]
        ranked += [rank.path for rank in task.localization.files]
    framed = [frame.path for result in _red(task) for frame in result.frames]
    for path in (*framed, *ranked, *sorted(reached)):
        if not spectra or path in reached or path in framed:
            found[path] = None
    if not found:
        found = dict.fromkeys((*ranked, *task.repository.paths()))
    kept = [path for path in found if path.suffix == ".py" and not task.repository.is_test(path)]
    return kept[:_FILES]


def of(task: Task, module: Module) -> Suspicion:
    """What points at the places of one file."""
    path = module.source.path
    spectra = _spectra(task)
    locations = task.localization.locations if task.localization is not None else ()
    best = max((item.score for item in locations if not task.repository.is_test(item.path)), default=0.0)
    mine = tuple(location for location in locations if location.path == path)
    spectrum = spectra.get(path)
    if spectrum is None and spectra:
        any_spectrum = next(iter(spectra.values()))
        spectrum = Spectrum(any_spectrum.failing, any_spectrum.passing, {}, {})
    ranked = bool(locations)
    raised, passed, hung = _frames(task, path)
    return Suspicion(spectrum, mine if ranked else (), best if ranked else 0.0, raised, passed, hung)
