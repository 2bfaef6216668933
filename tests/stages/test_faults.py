"""Which files and which code an issue, a failing test and its coverage point to, and that each rank says why."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from thinklonger.agent.issue import read_clues
from thinklonger.agent.messages import LANGUAGES, render
from thinklonger.agent.repository import Repository, open_repository
from thinklonger.agent.stages.localize import rank_locations, suspicious_lines
from thinklonger.agent.stages.understand import rank_files
from thinklonger.agent.types import (
    Ending,
    EvidenceKind,
    FileRank,
    Frame,
    Issue,
    IssueSource,
    LineCoverage,
    Location,
    Outcome,
    TestResult,
    TestRun,
)

Plant = Callable[[Path, Mapping[str, str]], Path]
BASKET, RATES = PurePosixPath("src/shop/basket.py"), PurePosixPath("src/shop/rates.py")
TESTS = PurePosixPath("tests/test_basket.py")
RED, GREEN = "tests/test_basket.py::test_total_of_large_basket", "tests/test_basket.py::test_empty_basket"


def ask(  # noqa: PLR0913 - all that a question may have, by name
    repository: Repository,
    text: str,
    *,
    run: TestRun | None = None,
    coverage: LineCoverage | None = None,
    command: str | None = None,
    top: int = 10,
) -> tuple[tuple[FileRank, ...], tuple[Location, ...]]:
    """Both stages, one after the other."""
    issue = Issue(text=text, source=IssueSource.TEXT, test_command=command)
    clues = read_clues(text)
    red = run.ids(Outcome.FAILED) if run is not None else frozenset[str]()
    lines = coverage or {}
    files = rank_files(issue, clues, repository, reproduction=run, coverage=lines, red=red)
    locations = rank_locations(issue, clues, repository, files, reproduction=run, coverage=lines, red=red, top=top)
    return files, locations


def failing(*frames: Frame, exception: str = "AssertionError", text: str = "") -> TestRun:
    """A run with one red and one green test."""
    results = (
        TestResult(RED, Outcome.FAILED, exception=exception, text=text, frames=frames),
        TestResult(GREEN, Outcome.PASSED),
    )
    return TestRun(("pytest",), Ending.EXITED, 1, 0.1, results, complete=True)


@pytest.mark.parametrize(
    ("text", "file", "symbol"),
    [
        ("`Basket.total` forgets the discount", BASKET, "Basket.total"),
        ("The parcel is too expensive to send by weight", RATES, "shipping_cost"),
        ("It says 'the rate must be positive' for an empty one", RATES, "discount_rate"),
        ("See src/shop/rates.py line 15: too high", RATES, "shipping_cost"),
        ("monthly revenue is rendered wrongly", PurePosixPath("src/shop/report.py"), "monthly_report"),
        ("Why?\n```\n        if len(self.items) >= LIMIT:\n```\n", BASKET, "Basket.add_item"),
        (
            (
                "Boom\n\n```\nTraceback (most recent call last):\n"
                '  File "/x/site-packages/shop/basket.py", line 99, in total\n    return 1\nTypeError: no\n```\n'
            ),
            BASKET,
            "Basket.total",
        ),
        ("调用 shipping_cost 时返回错误的价格", RATES, "shipping_cost"),
    ],
)
async def test_what_the_issue_says_is_found(shop: Repository, text: str, file: PurePosixPath, symbol: str) -> None:
    """Names, words, messages, lines, quoted code and tracebacks each lead to their file and symbol."""
    files, locations = ask(shop, text)
    assert files[0].path == file
    assert (locations[0].path, locations[0].symbol) == (file, symbol)


async def test_tests_and_examples_stand_back(shop: Repository) -> None:
    """Code that uses the faulty code has its words, too, and ranks below it, with the reason."""
    files, _ = ask(shop, "The basket's total is wrong for a large basket of items")
    places = [rank.path for rank in files]
    for name in ("tests/test_basket.py", "docs/example_basket.py"):
        assert places.index(BASKET) < places.index(PurePosixPath(name))
        rank = files[places.index(PurePosixPath(name))]
        assert any(one.kind is EvidenceKind.DEMOTED and one.weight < 0 for one in rank.evidence)


async def test_an_issue_about_tests_finds_tests(shop: Repository) -> None:
    """Where the title speaks of a test and names its file, test code is not demoted."""
    files, _ = ask(shop, "test_total_of_large_basket in tests/test_basket.py is a bad test\n\nIts number is wrong.")
    assert files[0].path == TESTS


async def test_a_failing_test_alone_is_an_issue(shop: Repository) -> None:
    """Without a word, the innermost frame outside of the tests is the first suspect."""
    run = failing(
        Frame(TESTS, 9, "test_total_of_large_basket"), Frame(BASKET, 24, "total"), Frame(RATES, 7, "discount_rate")
    )
    files, locations = ask(shop, "", run=run, command="pytest")
    assert [rank.path for rank in files[:2]] == [RATES, BASKET]
    assert (locations[0].path, locations[0].symbol) == (RATES, "discount_rate")
    assert all(location.path != TESTS for location in locations[:2])


async def test_a_command_alone_points_to_what_it_tests(shop: Repository) -> None:
    """Before anything ran, a failing command's test file says by its imports what is under test."""
    files, locations = ask(shop, "", command="pytest -q tests/test_basket.py::test_empty_basket")
    assert files[0].path == BASKET
    assert locations


async def test_coverage_dominates_words(shop: Repository) -> None:
    """The few functions that the failing test ran come first, whatever the issue's words say, with their lines."""
    coverage: LineCoverage = {
        RED: {BASKET: frozenset((13, 14, 16, 18, 20, 24, 25)), RATES: frozenset((6, 8, 9))},
        GREEN: {BASKET: frozenset((13, 14, 24, 25)), RATES: frozenset((6, 8, 10))},
    }
    run = failing(Frame(TESTS, 9, "test_total_of_large_basket"))
    files, locations = ask(shop, "The monthly report shows a wrong shipping cost", run=run, coverage=coverage)
    assert {rank.path for rank in files[:2]} == {BASKET, RATES}
    ran = {"Basket.__init__", "Basket.add_item", "Basket.total", "discount_rate"}
    assert {location.symbol for location in locations[:4]} == ran
    rate = next(location for location in locations if location.symbol == "discount_rate")
    assert (rate.start_line, rate.end_line) == (9, 9)
    report = next(location for location in locations if location.symbol == "monthly_report")
    assert any(render(one.message) == "no failing test ran it" for one in report.evidence)


def test_ochiai() -> None:
    """Lines that only failing tests ran have 1; the shares are Ochiai's; unknown and passing-only lines are out."""
    path = PurePosixPath("a.py")
    coverage: LineCoverage = {
        "f1": {path: frozenset((1, 2, 3))},
        "f2": {path: frozenset((1, 2))},
        "p1": {path: frozenset((1, 4))},
    }
    lines = suspicious_lines(coverage, frozenset(("f1", "f2", "unseen")), frozenset(("p1", "f1")))[path]
    assert lines == {1: pytest.approx(2 / (2 * 3) ** 0.5), 2: 1.0, 3: pytest.approx(1 / 2**0.5)}
    assert suspicious_lines(coverage, frozenset(), frozenset(("p1",))) == {}


tests_ran = st.dictionaries(
    st.sampled_from(["t1", "t2", "t3", "t4"]),
    st.dictionaries(st.sampled_from([BASKET, RATES]), st.frozensets(st.integers(1, 40), max_size=8), max_size=2),
    max_size=4,
)


@given(tests_ran, st.frozensets(st.sampled_from(["t1", "t2", "t3"])))
def test_suspicion_is_a_share_of_what_red_tests_ran(coverage: LineCoverage, red: frozenset[str]) -> None:
    """Each line's suspicion lies in (0, 1], and exactly the lines that red tests ran have one."""
    suspicion = suspicious_lines(coverage, red, coverage.keys() - red)
    for path in (BASKET, RATES):
        ran = {line for test in red if test in coverage for line in coverage[test].get(path, ())}
        assert suspicion.get(path, {}).keys() == ran
        assert all(0 < value <= 1 for value in suspicion.get(path, {}).values())


def check(repository: Repository, files: tuple[FileRank, ...], locations: tuple[Location, ...]) -> None:
    """What every ranking promises."""
    for ranking in (files, locations):
        scores = [one.score for one in ranking]
        assert scores == sorted(scores, reverse=True)
        assert all(0 <= score <= 1 for score in scores)
        assert not scores or scores[0] == 1
        for one in ranking:
            assert one.evidence
            for reason in one.evidence:
                assert all(render(reason.message, language) for language in LANGUAGES)
    assert len({rank.path for rank in files}) == len(files)
    for location in locations:
        state = repository.read(location.path)
        assert state is not None
        assert 1 <= location.start_line <= location.end_line <= max(1, len(state.content.splitlines()))


WORDS = (
    *("basket", "Basket.total", "`add_item`", "discount", "shop/rates.py:9", "rates.py", "the rate must be positive"),
    *(
        "tests/test_basket.py",
        "docs",
        "折扣",
        "monthly_report()",
        "\n```\n",
        "LIMIT",
        "shop.basket",
        "\n\n",
        "nowhere.py",
    ),
    *('File "/x/shop/basket.py", line 24, in total\n', "Traceback (most recent call last):\n", "ValueError: nothing\n"),
)


@given(
    words=st.lists(st.sampled_from(WORDS), max_size=15),
    coverage=tests_ran,
    frames=st.lists(
        st.builds(
            Frame, st.sampled_from([BASKET, RATES, TESTS, PurePosixPath("gone.py")]), st.integers(1, 50), st.just("f")
        )
    ),
)
@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_every_ranking_keeps_its_promises(
    indexed_shop: Repository, words: list[str], coverage: LineCoverage, frames: list[Frame]
) -> None:
    """Scores lie in [0, 1] in order, locations within their files, and each reason reads in every language."""
    lines = {{"t1": RED, "t2": GREEN}.get(test, test): ran for test, ran in coverage.items()}
    files, locations = ask(indexed_shop, " ".join(words), run=failing(*frames) if frames else None, coverage=lines)
    check(indexed_shop, files, locations)


@pytest.mark.parametrize(
    "text",
    ["", "  \n\n", "<!-- nothing -->", "\0\ufffd" * 500, "Ünïcödé 🎉", "`quantum_flux.invert()` in flux/core.py fails"],
)
async def test_an_issue_that_names_nothing(shop: Repository, text: str) -> None:
    """Text that has nothing to do with the code is no error, and what is found has reasons."""
    check(shop, *ask(shop, text))


async def test_an_issue_of_a_megabyte(shop: Repository) -> None:
    """Much text costs seconds at most, and its title still counts."""
    text = "`shipping_cost` is wrong\n\n" + "\n".join(f"noise_{n} about item {n} in x{n}.py" for n in range(35_000))
    assert len(text) > 1_000_000
    started = time.process_time()
    files, locations = ask(shop, text)
    assert time.process_time() - started < 10
    assert files[0].path == RATES
    assert locations[0].symbol == "shipping_cost"


async def test_a_repository_of_one_file(tmp_path: Path, plant: Plant) -> None:
    """One file is a repository: whatever the words, it is the first and its function is found."""
    root = plant(tmp_path / "one", {"only.py": "def area(a, b):\n    return a + b\n"})
    repository = await open_repository(root, cache=tmp_path / "cache")
    files, locations = ask(repository, "The area of a rectangle is wrong")
    assert [rank.path for rank in files] == [PurePosixPath("only.py")]
    assert locations[0].symbol == "area"
    await repository.close()


PROBE = """
import asyncio, json, sys
from pathlib import Path
from thinklonger.agent.issue import read_clues
from thinklonger.agent.repository import open_repository
from thinklonger.agent.stages.localize import rank_locations
from thinklonger.agent.stages.understand import rank_files
from thinklonger.agent.types import Issue, IssueSource

async def main(root, cache, text):
    repository = await open_repository(Path(root), cache=Path(cache))
    asked = (Issue(text, IssueSource.TEXT), read_clues(text), repository)
    files = rank_files(*asked, reproduction=None, coverage={}, red=frozenset())
    places = rank_locations(*asked, files, reproduction=None, coverage={}, red=frozenset(), top=30)
    await repository.close()
    print(json.dumps([repr(files), repr(places)]))

asyncio.run(main(*sys.argv[1:]))
"""


def ranked_in_a_process(root: Path, cache: Path, seed: str) -> list[str]:
    """Both rankings as text, from a process with a hash seed of its own."""
    text = "Basket total wrong: `discount_rate`, items, amount, weight, report and 'the rate must be positive'"
    command = [sys.executable, "-c", PROBE, str(root), str(cache), text]
    environment = {**os.environ, "PYTHONHASHSEED": seed}
    return json.loads(subprocess.run(command, env=environment, check=True, capture_output=True).stdout)


def test_rankings_depend_on_nothing_but_their_input(
    tmp_path: Path, plant: Plant, shop_files: Mapping[str, str]
) -> None:
    """Neither the hash seed nor the order in which files came about changes a ranking, a score or a reason."""
    first = plant(tmp_path / "first", shop_files)
    second = plant(tmp_path / "second", dict(reversed(list(shop_files.items()))))
    rankings = [
        ranked_in_a_process(root, tmp_path / f"cache{seed}", seed)
        for root, seed in ((first, "1"), (first, "2"), (second, "3"))
    ]
    assert rankings[0] == rankings[1] == rankings[2]
