"""The own corpus of bugs: sound, and solved within the number of candidates that a minute allows."""

import ast
from collections.abc import Callable
from itertools import islice
from typing import Any

import pytest

from thinklonger.agent.protocols import Task
from thinklonger.agent.solver.solver import candidates

Passes = Callable[[str, str], bool]
_AFFORDABLE = 1000
"""Candidates that two workers try within the time limit."""


def test_corpus_is_sound(corpus: list[Any], passes: Passes) -> None:
    """Each right program passes its tests, each wrong one fails the visible ones."""
    assert len(corpus) >= 60
    assert len({bug.name for bug in corpus}) == len(corpus)
    for bug in corpus:
        assert passes(bug.right, bug.visible), bug.name
        assert passes(bug.right, bug.hidden), bug.name
        assert not passes(bug.wrong, bug.visible), bug.name


def _first(bug: Any, task: Task, passes: Passes) -> int | None:  # noqa: ANN401 - the corpus's row, defined beside its fixture
    """At which candidate the right code comes up, or one that passes all tests; None where it takes too long."""
    wanted = ast.dump(ast.parse(bug.right))
    for number, candidate in enumerate(islice(candidates(task), _AFFORDABLE), 1):
        after = candidate.changes[0].after
        assert after is not None
        if ast.dump(ast.parse(after.content)) == wanted:
            return number
        if number <= 10 and passes(after.content.decode(), bug.visible) and passes(after.content.decode(), bug.hidden):
            return number
    return None


@pytest.mark.slow
@pytest.mark.parametrize("held_out", [False, True], ids=["tuned-on", "held-out"])
def test_bugs_are_reached(
    corpus: list[Any], evidence: Callable[[Any], Task], passes: Passes, *, held_out: bool
) -> None:
    """Most right programs are among the affordable candidates, in the half that was tuned on and in the other."""
    half = [bug for bug in corpus if bug.held_out is held_out]
    ranks = {bug.name: _first(bug, evidence(bug), passes) for bug in half}
    solved = [name for name, rank in ranks.items() if rank is not None]
    assert len(solved) >= 0.6 * len(half), ranks
