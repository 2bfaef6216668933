"""The judges: a trained adapter, a prompted model, evidence; one interface, one round trip, probabilities."""

from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinklonger.agent import messages
from thinklonger.agent.chat import ChatMessage, Dialect, ModelFacts, Role
from thinklonger.agent.errors import ModelError
from thinklonger.agent.protocols import Branch, ChatModel, RepositoryView, Reward, Task
from thinklonger.agent.reward import Adapter, Backed, Calibration, Evidence, Judge, about_patch, choose_reward
from thinklonger.agent.reward.evidence import retrieval
from thinklonger.agent.types import (
    Candidate,
    FileChange,
    FileRank,
    FileState,
    Issue,
    IssueSource,
    Localization,
    Location,
    Stage,
    SymbolKind,
)


class Server:
    """A model that believes what it is told to, and counts how often it is asked."""

    def __init__(self, beliefs: dict[str, float], *, error: str = "") -> None:
        """`beliefs`: the probability of yes by the last message's text."""
        self.beliefs = beliefs
        self.error = error
        self.asked: list[tuple[int, str]] = []

    async def affirm(self, prompts: Sequence[Sequence[ChatMessage]], *, model: str = "") -> Sequence[float]:
        """See `ChatModel`."""
        self.asked.append((len(prompts), model))
        if self.error:
            raise ModelError(self.error)
        return [self.beliefs[prompt[-1].content] for prompt in prompts]


def model(server: Server) -> ChatModel:
    """The part of a model that judges need."""
    return cast("ChatModel", server)


def place(path: str, symbol: str = "") -> Location:
    """A location."""
    return Location(PurePosixPath(path), symbol, SymbolKind.FUNCTION, 1, 2, 0.5, ())


def branch(
    name: str, decided: str, *, files: Sequence[str] = (), places: Sequence[Location] = (), patch: str = ""
) -> Branch:
    """A branch that decided this."""
    stage = Stage.PATCH if patch else Stage.LOCALIZE if places else Stage.UNDERSTAND
    change = FileChange(PurePosixPath(patch), None, FileState(b"x = 1\n"))
    candidate = Candidate(name, "model", "", "secret thoughts", "said", (change,), place(patch), 0.5, decided)
    return Branch(
        name,
        stage,
        "",
        decided,
        files=tuple(PurePosixPath(path) for path in files),
        locations=tuple(places),
        candidate=candidate if patch else None,
    )


def ranks(files: Sequence[str] = ("a.py", "b.py", "c.py", "d.py"), places: Sequence[Location] = ()) -> Localization:
    """What the retrieval says."""
    return Localization(tuple(FileRank(PurePosixPath(path), 0.5, ()) for path in files), tuple(places))


def task(localization: Localization | None = None) -> Task:
    """An issue and what was retrieved for it."""
    return Task(Issue("It breaks.", IssueSource.TEXT), cast("RepositoryView", Path()), localization=localization)


def asks_what_was_decided(_task: Task, branch: Branch) -> Sequence[ChatMessage]:
    """Ask about the decision."""
    return (ChatMessage(Role.USER, branch.decided),)


FACTS = ModelFacts("base", 8192, Dialect.REASONING, adapters=("prm", "orm"))


async def test_all_branches_are_judged_in_one_round_trip() -> None:
    """A judge asks once for all branches, and for equal decisions only once."""
    server = Server({"a": 0.9, "b": 0.2})
    scores = await Judge(model(server), asks_what_was_decided).score(
        task(), [branch("u1", "a"), branch("u2", "b"), branch("u3", "a")]
    )
    assert [score.value for score in scores] == [0.9, 0.2, 0.9]
    assert {score.by for score in scores} == {"judge"}
    assert server.asked == [(2, "")]


async def test_nothing_to_judge_asks_nobody() -> None:
    """No branches, no request."""
    server = Server({})
    assert await Judge(model(server), asks_what_was_decided).score(task(), []) == []
    assert server.asked == []


async def test_an_adapter_is_asked_by_its_name() -> None:
    """The trained judge is another model's name on the same server, and signs its scores."""
    server = Server({"a": 0.7})
    scores = await Adapter(model(server), "prm", asks_what_was_decided).score(task(), [branch("u1", "a")])
    assert (scores[0].value, scores[0].by, server.asked) == (0.7, "prm", [(1, "prm")])


async def test_scores_are_calibrated() -> None:
    """What a judge says is read by its calibration."""
    judge = Judge(model(Server({"a": 0.9})), asks_what_was_decided, Calibration(0.5, 0.0))
    (score,) = await judge.score(task(), [branch("u1", "a")])
    assert score.value == pytest.approx(0.75)


async def test_an_outcome_judge_sees_issue_and_patch_alone() -> None:
    """How a patch came about (the thread, the thinking, the answer, who proposed it) is not shown to who judges it."""
    seen: list[Candidate] = []

    def question(issue: Issue, candidate: Candidate) -> Sequence[ChatMessage]:
        seen.append(candidate)
        return (ChatMessage(Role.USER, issue.text),)

    judge = Judge(model(Server({"It breaks.": 0.6})), about_patch(question))
    (score,) = await judge.score(task(), [branch("p1", "x", patch="a.py")])
    assert score.value == 0.6
    assert (seen[0].id, seen[0].proposer, seen[0].think, seen[0].answer) == ("", "", "", "")
    assert seen[0].changes[0].path == PurePosixPath("a.py")


def test_an_outcome_judge_needs_a_patch() -> None:
    """A branch without a patch is a mistake of the caller."""
    with pytest.raises(ValueError, match="u1"):
        about_patch(lambda _issue, _candidate: ())(task(), branch("u1", "a"))


async def test_a_models_error_comes_through() -> None:
    """Who can't be asked says so; nothing is made up."""
    judge = Judge(model(Server({}, error="model.unreachable")), asks_what_was_decided)
    with pytest.raises(ModelError):
        await judge.score(task(), [branch("u1", "a")])


async def test_evidence_believes_agreement() -> None:
    """What most branches decide is believed more than what only one does."""
    scores = await Evidence().score(task(), [branch(f"u{n}", decided) for n, decided in enumerate("aaab")])
    assert [score.value for score in scores] == pytest.approx([2 / 3, 2 / 3, 2 / 3, 0])
    assert scores[0].message is not None
    assert messages.render(scores[0].message) == "3 of 4 decide the same."


async def test_evidence_knows_nothing_of_a_lone_branch() -> None:
    """With nobody to agree and nothing retrieved, a branch is neither likely nor unlikely."""
    (score,) = await Evidence().score(task(), [branch("u1", "a")])
    assert score.value == 0.5


async def test_evidence_believes_the_retrieval() -> None:
    """Files that the retrieval ranks first are believed more than those it ranks last or does not know."""
    branches = [branch(f"u{n}", str(n), files=[path]) for n, path in enumerate(("a.py", "c.py", "nowhere.py"))]
    scores = await Evidence().score(task(ranks()), branches)
    values = [score.value for score in scores]
    assert values == sorted(values, reverse=True)
    assert values == pytest.approx([0.5, 0.25, 0])
    assert scores[1].message is not None
    assert "50 % of the best" in messages.render(scores[1].message)


async def test_evidence_believes_execution_most() -> None:
    """What running a patch has shown counts more than agreement."""
    passed = {"p1": 1.0, "p2": 0.0, "p3": 0.0}
    judge = Evidence(execution=lambda branch: passed[branch.id])
    branches = [branch("p1", "x", patch="a.py"), branch("p2", "y", patch="a.py"), branch("p3", "y", patch="a.py")]
    scores = await judge.score(task(ranks()), branches)
    assert scores[0].value > scores[1].value == scores[2].value


def test_a_place_is_found_by_the_place_around_it() -> None:
    """A class and a method in it are the same place to the retrieval, whichever of them it names."""
    localization = ranks(places=[place("a.py", "f"), place("a.py", "C.m")])
    assert retrieval(localization, branch("l1", "a", places=[place("a.py", "C")])) == pytest.approx(0.63, abs=0.01)
    assert retrieval(localization, branch("l2", "b", places=[place("b.py", "C.m")])) == 0


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.lists(st.sampled_from(["a.py", "b.py", "z.py"])))),
    st.sampled_from([None, ranks(), ranks(())]),
)
async def test_evidence_is_always_a_probability(drawn: list[tuple[str, list[str]]], found: Localization | None) -> None:
    """Whatever was decided and retrieved, there is one score for each branch, in [0, 1], with words for it."""
    branches = [branch(f"u{n}", decided, files=files) for n, (decided, files) in enumerate(drawn)]
    scores = await Evidence().score(task(found), branches)
    assert len(scores) == len(branches)
    assert all(0 <= score.value <= 1 and score.message for score in scores)


async def test_the_adapter_is_chosen_where_the_server_has_it() -> None:
    """A trained judge comes first."""
    chosen = choose_reward(asks_what_was_decided, model=model(Server({})), facts=FACTS, adapter="prm")
    assert (chosen.reward.name, chosen.message) == ("prm", None)


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        (FACTS, "The server has no adapter mine (it has prm, orm), so the base model judges with a prompt."),
        (None, "The server has no adapter mine, so the base model judges with a prompt."),
    ],
)
def test_a_missing_adapter_is_said(facts: ModelFacts | None, words: str) -> None:
    """Where the named adapter is missing the base model judges, and the record says so."""
    chosen = choose_reward(asks_what_was_decided, model=model(Server({})), facts=facts, adapter="mine")
    assert chosen.reward.name == "judge"
    assert chosen.message is not None
    assert messages.render(chosen.message) == words


def test_without_an_adapter_the_model_judges() -> None:
    """Nobody named an adapter: nothing is missing."""
    chosen = choose_reward(asks_what_was_decided, model=model(Server({})), facts=FACTS)
    assert (chosen.reward.name, chosen.message) == ("judge", None)


def test_without_a_model_evidence_judges() -> None:
    """There is always a judge; one that is a model's is read by its own calibration, evidence by its."""
    table = {"evidence": Calibration(2.0, 0.0)}
    chosen = choose_reward(asks_what_was_decided, model=None, facts=None, calibrations=table)
    assert isinstance(chosen.reward, Evidence)
    assert chosen.reward.calibration.slope == 2.0


async def test_what_a_model_can_not_be_asked_is_left_to_evidence() -> None:
    """A judge's prompt that is too long costs no branch its score: all of the group are scored by evidence."""
    server = model(Server({}, error="model.context-overflow"))
    chosen = choose_reward(asks_what_was_decided, model=server, facts=FACTS, adapter="prm")
    scores = await chosen.reward.score(task(), [branch("u1", "a"), branch("u2", "a"), branch("u3", "b")])
    assert [(score.value, score.by) for score in scores] == [(0.5, "evidence"), (0.5, "evidence"), (0.0, "evidence")]


@pytest.mark.parametrize("trouble", ["unreachable", "auth", "model-not-found", "rate", "stream-cut"])
async def test_a_server_at_fault_is_said(trouble: str) -> None:
    """Where the server is at fault nothing stands in for it: whoever asked decides."""
    chosen = choose_reward(asks_what_was_decided, model=model(Server({}, error=f"model.{trouble}")), facts=FACTS)
    with pytest.raises(ModelError):
        await chosen.reward.score(task(), [branch("u1", "a")])


def test_every_back_end_is_a_reward() -> None:
    """All three fit the same port."""
    server = model(Server({}))
    rewards: list[Reward] = [
        Judge(server, asks_what_was_decided),
        Adapter(server, "prm", asks_what_was_decided),
        Evidence(),
        Backed(Adapter(server, "orm", asks_what_was_decided), Evidence()),
    ]
    assert [reward.name for reward in rewards] == ["judge", "prm", "evidence", "orm"]
