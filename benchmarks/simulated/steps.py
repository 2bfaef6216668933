"""The steps of a search against a simulated engine: the product's own asking, real prompt sizes, made-up contents."""

import asyncio
import random
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import PurePosixPath

from simulated.cards import Card
from simulated.model import CHARACTERS, Written, render
from thinklonger.agent.chat import ChatMessage, ChatRequest, Role
from thinklonger.agent.errors import ThinkLongerError
from thinklonger.agent.model.asking import Answered, Question, ask
from thinklonger.agent.protocols import Asking, Branch, ChatModel
from thinklonger.agent.search import Draw, Trial
from thinklonger.agent.types import Score, Stage

SHORTEST, LONGEST = 2_000, 6_000  # tokens of a reply, thinking included
QUICKEST, SLOWEST = 20.0, 60.0  # seconds of one patch's verification
ANSWERS = {Stage.UNDERSTAND: 120, Stage.LOCALIZE: 200, Stage.PATCH: 400}  # tokens
JUDGED = {Stage.UNDERSTAND: 700, Stage.LOCALIZE: 3_000, Stage.PATCH: 900}  # tokens of what is judged, after the issue
ISSUE = 1_200  # tokens, of the judge's prompts; of the stages' prompts it is part of the first


@dataclass(frozen=True, slots=True)
class Circumstances:
    """What varies: the seed of all lengths, how long verification takes, who judges, how often patches are alike.

    `verification` scales the seconds (0: none). `adapters`: judges are asked at the engine; else evidence judges, at
    no cost. `alike`: the chance that a rollout ends in the one right patch.
    """

    seed: int
    verification: float = 0.0
    adapters: bool = False
    alike: float = 0.0


@dataclass(slots=True)
class Record:
    """What a run did, in virtual seconds: of each stage the prompts and the tokens of their replies."""

    asked: dict[Stage, dict[ChatRequest, list[int]]] = field(default_factory=dict[Stage, dict[ChatRequest, list[int]]])
    verified: list[tuple[float, float]] = field(default_factory=list[tuple[float, float]])
    patched: list[float] = field(default_factory=list[float])


class SimulatedSteps:
    """`search.Steps`: prompts of a card's sizes, each stage's going on with the thread before it."""

    def __init__(self, card: Card, circumstances: Circumstances) -> None:
        """Lengths are drawn by stage, so that any order of asking draws the same ones."""
        self.record = Record()
        self._card = card
        self._how = circumstances
        self._chances = {stage: random.Random(f"{circumstances.seed}/{stage}") for stage in Stage}  # noqa: S311
        self._stages: dict[tuple[ChatMessage, ...], Stage] = {}
        self._model: ChatModel | None = None

    def use(self, model: ChatModel) -> None:
        """Ask this one."""
        self._model = model

    def write(self, request: ChatRequest) -> Written:
        """The next reply to a request of ours."""
        stage = self._stages[request.messages]
        tokens = self._chances[stage].randint(SHORTEST, LONGEST)
        answer = _text(f"{stage}/{tokens}", ANSWERS[stage])
        self.record.asked.setdefault(stage, {}).setdefault(request, []).append(tokens)
        return Written(tokens - ANSWERS[stage] - 1, answer)

    def understand(self, draw: Draw) -> AsyncGenerator[Branch]:
        """Files, from the issue and the repository's outline."""
        size = self._card.prompts[0]
        system = ChatMessage(Role.SYSTEM, self._text("system", 500))
        return self._ask(Stage.UNDERSTAND, (system,), size, draw, parent=None)

    def localize(self, parent: Branch, draw: Draw) -> AsyncGenerator[Branch]:
        """Places, from the skeletons of the files."""
        return self._ask(Stage.LOCALIZE, parent.thread, self._card.prompts[1], draw, parent=parent)

    def patch(self, parent: Branch, draw: Draw) -> AsyncGenerator[Branch]:
        """Patches, from the code of the places."""
        return self._ask(Stage.PATCH, parent.thread, self._card.prompts[2], draw, parent=parent)

    async def debug(self, *_: object) -> AsyncGenerator[Branch]:
        """Never asked for: no trial here is mendable."""
        for nothing in ():
            yield nothing

    async def verify(self, patch: Branch) -> AsyncGenerator[Trial]:
        """Wait as long as tests would take."""
        seconds = self._chances[Stage.VERIFY].uniform(QUICKEST, SLOWEST) * self._how.verification
        started = asyncio.get_running_loop().time()
        if seconds:
            await asyncio.sleep(seconds)
        self.record.verified.append((started, started + seconds))
        right = patch.decided == "right"
        yield Trial(passed=right, convincing=right)

    async def score(self, stage: Stage, branches: Sequence[Branch]) -> Sequence[Score]:
        """One of the judges; all believe in the same branches."""
        if self._model is not None and self._how.adapters:
            system = ChatMessage(Role.SYSTEM, self._text("judge", 60))
            prompts = [
                (system, ChatMessage(Role.USER, self._text("issue", ISSUE) + self._text(branch.id, JUDGED[stage])))
                for branch in branches
            ]
            name = "orm" if stage is Stage.PATCH else "prm"
            await self._model.affirm(prompts, model=name)
        return [Score(1.0 / (1 + index), "simulated") for index, _ in enumerate(branches)]

    async def _ask(
        self, stage: Stage, thread: tuple[ChatMessage, ...], size: int, draw: Draw, *, parent: Branch | None
    ) -> AsyncGenerator[Branch]:
        if self._model is None:
            raise RuntimeError
        before = len(render(thread)) // CHARACTERS
        name = parent.id if parent else ""
        messages = (*thread, ChatMessage(Role.USER, self._text(f"{stage}/{name}", size - before - 10)))
        self._stages[messages] = stage
        asking = Asking(self._model, draw.count, draw.first, seed=self._how.seed)
        question = Question(stage, stage.value, read=lambda answer: answer, repair=_unread)
        async for said in ask(asking, messages, question, parent=name):
            if isinstance(said, Answered):
                yield self._branch(stage, name, said)

    def _text(self, name: str, tokens: int) -> str:
        """Text that no other run has either."""
        return _text(f"{self._how.seed}/{name}", tokens)

    def _branch(self, stage: Stage, parent: str, said: Answered[str]) -> Branch:
        decided = said.branch
        if stage is Stage.PATCH:
            self.record.patched.append(asyncio.get_running_loop().time())
            if self._chances[Stage.VERIFY].random() < self._how.alike:
                decided = "right"
        files = (PurePosixPath("some/module.py"),)
        return Branch(said.branch, stage, parent, decided, said.thread, said.answer, said.reply, files)


def _unread(_: ThinkLongerError) -> str:
    """No answer here is unreadable."""
    raise AssertionError


def _text(name: str, tokens: int) -> str:
    """So many tokens of text that is like no other name's, to the character."""
    chance = random.Random(name)  # noqa: S311 (text, not secrets)
    words = f"{chance.getrandbits(256):064x}"
    return (words * (tokens * CHARACTERS // len(words) + 1))[: tokens * CHARACTERS]
