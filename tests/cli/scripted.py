"""The command line in front of scripted runs, as a program: `SCRIPT=verified python scripted.py resolve …`."""

import asyncio
import os
import sys
import time
from collections.abc import AsyncGenerator
from dataclasses import replace
from pathlib import PurePosixPath

from thinklonger.agent.config import places
from thinklonger.agent.errors import SandboxError
from thinklonger.agent.pipeline import Request
from thinklonger.agent.trace import Recorder, new_run_id, play
from thinklonger.agent.trace.events import (
    CandidateProposed,
    CandidatePruned,
    CandidateRanked,
    CandidateTested,
    CandidateVerified,
    EnvironmentProved,
    Event,
    FilesRanked,
    LocationsRanked,
    ProblemFound,
    RegressionChosen,
    RepositoryIndexed,
    Reproduced,
    RunFailed,
    RunFinished,
    RunStarted,
    StageFinished,
    StageStarted,
)
from thinklonger.agent.types import (
    Agreement,
    Check,
    Ending,
    EnvironmentRecord,
    Evidence,
    EvidenceKind,
    FileRank,
    Label,
    Limits,
    Location,
    Message,
    Outcome,
    Receipt,
    Stage,
    StopReason,
    SymbolKind,
    TestResult,
    TestRun,
)
from thinklonger.cli import main
from thinklonger.cli.services import Services

PAGER = PurePosixPath("app/pager.py")
TEST = "tests/test_pager.py::test_last_page"
COMMAND = ("python", "-m", "pytest", "tests/test_pager.py")
DIFF = """\
diff --git a/app/pager.py b/app/pager.py
--- a/app/pager.py
+++ b/app/pager.py
@@ -12,4 +12,4 @@ class Pager:
     def page(self, number):
         start = number * self.size
-        end = start + self.size - 1
+        end = start + self.size
         return self.items[start:end]
"""
OTHER = DIFF.replace("+        end = start + self.size\n", "+        end = min(start + self.size, len(self.items))\n")


def said(text: str) -> Message:
    """A message whose words are these."""
    return Message("sandbox.broken", {"reason": text}) if text else Message("pipeline.no-baseline")


def evidence(kind: EvidenceKind, weight: float, test: str) -> Evidence:
    """A reason, in words of the catalogue."""
    return Evidence(kind, weight, Message("pipeline.pruned-by-test", {"test": test, "exception": kind.value}))


LOCATIONS = (
    Location(
        PAGER,
        "Pager.page",
        SymbolKind.METHOD,
        12,
        15,
        0.93,
        (evidence(EvidenceKind.COVERAGE, 0.6, TEST), evidence(EvidenceKind.NAME, 0.2, "page")),
    ),
    Location(PAGER, "", SymbolKind.MODULE, 1, 40, 0.41, (evidence(EvidenceKind.GRAPH, 0.2, "app"),)),
)
FILES = (FileRank(PAGER, 0.9, (evidence(EvidenceKind.PATH, 0.3, "pager"),)),)
ENVIRONMENT = EnvironmentRecord("/usr/bin/python3", "3.12.4", "pytest", "9.2.0", 212, "0123456789abcdef")
RECEIPT = Receipt(
    label=Label.VERIFIED,
    reproduction=Check(COMMAND, (TEST,), 1, 0, 0.62, 0.58, (TEST,), ()),
    regression=Check((*COMMAND[:3], "tests"), (TEST, "tests/test_b.py::test_b"), 1, 0, 1.2, 1.1, (TEST,), ()),
    environment=ENVIRONMENT,
    sandbox="bubblewrap",
    limits=Limits(),
    flags=(),
    agreement=Agreement(2, 2, 0.8, 14, (Message("pipeline.pruned-by-test", {"test": "page(9)", "exception": "[]"}),)),
    reasons=(),
)
FINISHED = RunFinished(
    label=Label.VERIFIED,
    candidate="c3",
    patch=DIFF,
    receipt=RECEIPT,
    candidates=(
        CandidateRanked("c3", Label.VERIFIED, "off-by-one", PAGER, 14, DIFF, 0),
        CandidateRanked("c2", Label.PARTLY_VERIFIED, "call-added", PAGER, 14, OTHER, 1),
    ),
    stop_reason=StopReason.VERIFIED,
    seconds=4.2,
    tried=3,
    files=FILES,
    locations=LOCATIONS,
)
NOTHING = RunFinished(Label.UNVERIFIED, None, "", None, (), StopReason.EXHAUSTED, 9.5, tried=3)
LOCALIZED = RunFinished(
    Label.UNVERIFIED, None, "", None, (), StopReason.EXHAUSTED, 0.3, files=FILES, locations=LOCATIONS
)
RED = TestRun(
    COMMAND,
    Ending.EXITED,
    1,
    0.62,
    (TestResult(TEST, Outcome.FAILED, 0.01, "AssertionError", "assert [7] == [7, 8]"),),
    complete=True,
)


def started(request: Request, job: str, run_id: str) -> RunStarted:
    """The first event of a run for this request."""
    return RunStarted(run_id, job, request.issue, str(request.repository), request.settings.engine, None, "0.1.0")


def survey() -> list[Event]:
    """Everything up to the search."""
    return [
        RepositoryIndexed(1234, 20345, 1200, 0.31),
        ProblemFound(said("app/odd.py is not UTF-8")),
        StageStarted(Stage.UNDERSTAND),
        FilesRanked(FILES),
        StageFinished(Stage.UNDERSTAND, 0.1),
        EnvironmentProved(ENVIRONMENT, "bubblewrap", 1.5),
        Reproduced((TEST,), RED),
        RegressionChosen(12, 11, (TEST,), (), 1.2),
        StageStarted(Stage.LOCALIZE),
        LocationsRanked(LOCATIONS, executed=True),
        StageFinished(Stage.LOCALIZE, 0.1),
        StageStarted(Stage.PATCH),
    ]


def candidate(name: str, pattern: str, diff: str) -> CandidateProposed:
    """A patch on the table."""
    return CandidateProposed(name, "builtin", pattern, "The upper end is off.", "end", PAGER, 14, diff, 0.4)


def search() -> list[Event]:
    """Three candidates: one out, one partly verified, one verified."""
    return [
        candidate("c1", "comparison", DIFF.replace("+        end = start + self.size\n", "+        end = 0\n")),
        CandidateTested("c1", "reproduction", 0, 1, 0.5),
        CandidatePruned("c1", Message("pipeline.pruned-by-test", {"test": TEST, "exception": "AssertionError"})),
        candidate("c2", "call-added", OTHER),
        CandidateTested("c2", "reproduction", 1, 0, 0.5),
        candidate("c3", "off-by-one", DIFF),
        CandidateTested("c3", "reproduction", 1, 0, 0.5),
        CandidateTested("c3", "regression", 12, 0, 1.1),
        StageFinished(Stage.PATCH, 2.0),
        StageStarted(Stage.VERIFY),
        CandidateVerified("c3", RECEIPT),
        StageFinished(Stage.VERIFY, 1.0),
    ]


HOSTILE = "\x1b]0;owned\x07\x1b[2J\x9b31m\u202e{x}"


def hostile() -> list[Event]:
    """A run whose every foreign text tries to talk to the terminal."""
    path = PurePosixPath(f"app/{HOSTILE}.py")
    diff = DIFF.replace("start + self.size - 1", HOSTILE)
    red = TestRun(
        (HOSTILE,), Ending.EXITED, 1, 0.1, (TestResult(HOSTILE, Outcome.FAILED, 0.1, HOSTILE, HOSTILE),), complete=True
    )
    place = Location(path, HOSTILE, SymbolKind.FUNCTION, 1, 2, 0.5, (evidence(EvidenceKind.NAME, 1.0, HOSTILE),))
    check = Check((HOSTILE,), (HOSTILE,), 1, 0, 0.1, 0.1, (HOSTILE,), ())
    reason = Message("pipeline.pruned-by-test", {"test": HOSTILE, "exception": HOSTILE})
    receipt = Receipt(Label.VERIFIED, check, check, ENVIRONMENT, HOSTILE, Limits(), (reason,), None, (reason,))
    return [
        Reproduced((HOSTILE,), red),
        FilesRanked((FileRank(path, 1.0, ()),)),
        LocationsRanked((place,), executed=False),
        CandidateProposed(HOSTILE, "builtin", HOSTILE, HOSTILE, HOSTILE, path, 1, diff, 0.1),
        CandidatePruned(HOSTILE, reason),
        CandidateVerified(HOSTILE, receipt),
        RunFinished(
            Label.VERIFIED,
            HOSTILE,
            diff,
            receipt,
            (CandidateRanked("c9", Label.VERIFIED, HOSTILE, path, 1, diff, 2),),
            StopReason.VERIFIED,
            1.0,
            files=(FileRank(path, 1.0, ()),),
            locations=(place,),
        ),
    ]


SCRIPTS = {
    "verified": lambda: [*survey(), *search(), FINISHED],
    "nothing": lambda: [*survey(), *search()[:3], NOTHING],
    "failed": lambda: [
        RunFailed("SandboxError", Message("trace.bad-run-id", {"run": "x"}), Message("trace.unreadable-remedy"), 3)
    ],
    "localized": lambda: [*survey()[:-1], LOCALIZED],
    "hostile": hostile,
    "hang": lambda: [*survey(), *search()[:2]],
    "busy": lambda: [*survey(), *search()[:2]],
    "broken": survey,
    "partly": lambda: [*survey(), *search(), replace(FINISHED, label=Label.PARTLY_VERIFIED)],
    "stubborn": lambda: [*survey(), *search()[:2]],
    "waits": lambda: [*survey(), *search(), FINISHED],
    "demo": lambda: [*survey(), *search(), FINISHED],
}


async def stay() -> None:
    """Wait for ever, also when told to stop."""
    try:
        await asyncio.Event().wait()
    except asyncio.CancelledError:
        sys.stderr.write("not yet\n")
        sys.stderr.flush()
        await asyncio.Event().wait()


async def wished(request: Request) -> None:
    """Wait for the user's wish for an answer now, not for ever."""
    if request.answer_now is not None:
        await asyncio.wait_for(request.answer_now.wait(), 15)


async def run(request: Request, job: str) -> AsyncGenerator[Event]:
    """Play the script that `SCRIPT` names."""
    script = os.environ["SCRIPT"]
    if script == "raise":
        raise SandboxError("trace.bad-run-id", run="raised")
    recorder = Recorder.create(places.state_directory(request.settings), new_run_id())
    events = [started(request, job, recorder.run_id), *SCRIPTS[script]()]

    async def pause(event: Event) -> None:
        if event is events[-1] and script == "waits":
            await wished(request)
        elif event is events[-1]:
            if script == "hang":
                await asyncio.Event().wait()
            if script == "stubborn":
                await stay()
            if script == "busy":
                time.sleep(60)  # noqa: ASYNC251 (code that keeps the loop from turning is the point)
        if script == "demo":
            await asyncio.sleep(0.4)

    async for event in play(events, recorder=recorder, pause=pause):
        yield event


def resolve(request: Request) -> AsyncGenerator[Event]:
    """A scripted resolve."""
    return run(request, "resolve")


def localize(request: Request) -> AsyncGenerator[Event]:
    """A scripted localize."""
    return run(request, "localize")


def services() -> Services:
    """The scripted ones."""
    return Services(resolve=resolve, localize=localize, github=os.environ.get("GITHUB_AT", ""))


if __name__ == "__main__":
    sys.exit(main(services=services()))
