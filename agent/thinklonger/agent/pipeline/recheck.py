"""A receipt run once more: on the same tree, the same patch and the same tests must come to the same verdict."""

import hashlib
import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from enum import StrEnum
from pathlib import Path, PurePosixPath

from thinklonger.agent.config import Settings
from thinklonger.agent.config.places import cache_directory
from thinklonger.agent.edits import DirectoryTree, normalized, parse_diff, render_diff
from thinklonger.agent.errors import EditError, RecordError
from thinklonger.agent.execution import Harness, measure_baseline
from thinklonger.agent.execution.environments import LaidSession
from thinklonger.agent.issue import read_clues
from thinklonger.agent.pipeline.examination import Examination
from thinklonger.agent.pipeline.given import GIVEN
from thinklonger.agent.pipeline.keeping import read_tests
from thinklonger.agent.pipeline.receipts import BEFORE, PATCH, REPRODUCTION, TREE, complete, digests_of, read_tree
from thinklonger.agent.pipeline.repair import Repair
from thinklonger.agent.pipeline.request import Request
from thinklonger.agent.pipeline.trial import Trial, Workshop
from thinklonger.agent.protocols import SandboxSession
from thinklonger.agent.repository import open_repository
from thinklonger.agent.repository.git import GitError
from thinklonger.agent.repository.git import run as run_git
from thinklonger.agent.stages.patch import Proposal
from thinklonger.agent.stages.verify.reproduction import Origin, Reproduction, red_tests
from thinklonger.agent.trace import CandidateState, Run, read_artifact, receipt_digest
from thinklonger.agent.trace.events import RunFinished
from thinklonger.agent.types import (
    Candidate,
    Changes,
    Check,
    FileState,
    Interpreter,
    Label,
    Layer,
    Location,
    Message,
    Receipt,
    SymbolKind,
)

SHOWN = 5
"""Files or tests that are named one by one where there are many."""


class Weight(StrEnum):
    """What a finding means: it fits the record, it does not, or it only should be known."""

    AGREES = "agrees"
    DIFFERS = "differs"
    NOTED = "noted"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that was looked at."""

    weight: Weight
    message: Message


@dataclass(frozen=True, slots=True)
class Recheck:
    """How it came out: `same` verdict or not, the label then and now, the receipt of the run now (None without one)."""

    same: bool
    before: Label
    after: Label
    candidate: str
    receipt: Receipt | None
    seconds: float


async def recheck(run: Run, settings: Settings, repository: Path | None = None) -> AsyncGenerator[Finding | Recheck]:
    """Check a run's record and run its receipt again; the last thing yielded is the `Recheck`.

    `repository` is where the repository lies now, if it has moved. Raises RecordError for a run without a receipt or
    a tree that is not the recorded one any more, and SandboxError or ExecutionError where nothing can be run.
    """
    started = time.monotonic()
    finished, receipt = proved(run)
    intact = True
    for finding in integrity(run, finished, receipt):
        intact = intact and finding.weight is not Weight.DIFFERS
        yield finding
    async with AsyncExitStack() as stack:
        scene = Scene(run, finished, receipt, settings, stack)
        async for finding in scene.prepare(repository or Path(run.started.repository if run.started else "")):
            yield finding
        now = await scene.prove()
    findings = compared(receipt, now)
    for finding in findings:
        yield finding
    after = Label.UNVERIFIED if now is None else now.label
    same = intact and after is finished.label and all(finding.weight is not Weight.DIFFERS for finding in findings)
    yield Recheck(same, finished.label, after, finished.candidate or "", now, time.monotonic() - started)


def proved(run: Run) -> tuple[RunFinished, Receipt]:
    """The run's end and its receipt; raises RecordError where there is nothing to run again."""
    finished = run.finished
    if finished is None or run.started is None:
        raise RecordError("receipt.not-finished", run=run.summary.run_id)
    if finished.receipt is None or not finished.patch or finished.receipt.reproduction is None:
        raise RecordError("receipt.none", run=run.summary.run_id)
    if finished.receipt.tree is None:
        raise RecordError("receipt.too-old", run=run.summary.run_id)
    return finished, finished.receipt


# ── the record ───────────────────────────────────────────────────────────────────────────────────────────────────


def integrity(run: Run, finished: RunFinished, receipt: Receipt) -> list[Finding]:
    """Whether the record is what the run wrote: links, digests, and files kept beside it."""
    wrong: list[Message] = []
    if run.record.altered is not None:
        wrong.append(Message("receipt.altered-line", {"line": run.record.altered}))
    if receipt_digest(receipt, finished.patch) != receipt.digest:
        wrong.append(Message("receipt.altered"))
    if any(state.receipt not in (None, receipt) for state in run.candidates if _name(state) == finished.candidate):
        wrong.append(Message("receipt.two-receipts"))
    for artifact in receipt.artifacts:
        try:
            content = read_artifact(run.summary.folder, artifact)
        except RecordError as error:
            wrong.append(error.message)
            continue
        if artifact.about == PATCH and content != finished.patch.encode("utf-8", "surrogateescape"):
            wrong.append(Message("receipt.other-patch"))
    if wrong:
        return [Finding(Weight.DIFFERS, message) for message in wrong]
    return [Finding(Weight.AGREES, Message("receipt.intact", {"count": len(receipt.artifacts)}))]


def _name(state: CandidateState) -> str:
    return state.proposed.candidate


def _artifacts(run: Run, receipt: Receipt, about: str) -> list[tuple[PurePosixPath | None, bytes]]:
    """What was kept about something; raises RecordError where a file is not what it was."""
    return [
        (artifact.source, read_artifact(run.summary.folder, artifact))
        for artifact in receipt.artifacts
        if artifact.about == about
    ]


def tests_of(run: Run, receipt: Receipt, check: Check | None) -> tuple[str, ...]:
    """All tests of a check, from its list where they are many; raises RecordError where the list is not what it was."""
    if check is None:
        return ()
    if check.listed is None:
        return check.tests
    kept = next((artifact for artifact in receipt.artifacts if artifact.path == check.listed), None)
    if kept is None:
        raise RecordError("trace.artifact-changed", path=str(check.listed))
    return read_tests(read_artifact(run.summary.folder, kept))


# ── the tree ─────────────────────────────────────────────────────────────────────────────────────────────────────


@dataclass(slots=True)
class Scene:
    """The recorded state of the repository, rebuilt, and the proof on it."""

    run: Run
    finished: RunFinished
    receipt: Receipt
    settings: Settings
    stack: AsyncExitStack
    overlay: dict[PurePosixPath, FileState | None] = field(default_factory=dict[PurePosixPath, FileState | None])
    root: Path = Path()

    async def prepare(self, root: Path) -> AsyncGenerator[Finding]:
        """Find out how the tree differs from the recorded one, and what of that can be undone in a layer."""
        self.root = root
        repository = await open_repository(root, cache=cache_directory(self.settings))
        try:
            now = digests_of(repository.root, repository.snapshot_files(), {})
            commit = repository.commit
        finally:
            await repository.close()
        (_, listing), *_ = _artifacts(self.run, self.receipt, TREE) or [(None, b"")]
        recorded, involved = read_tree(listing)
        lost = self._restore(recorded, now)
        if missing := sorted(lost & involved):
            names = ", ".join(map(str, missing[:SHOWN]))
            raise RecordError("receipt.tree-differs", count=len(missing), files=names, repository=str(root))
        if lost:
            names = ", ".join(map(str, sorted(lost)[:SHOWN]))
            yield Finding(Weight.NOTED, Message("receipt.others-differ", {"count": len(lost), "files": names}))
        if self.overlay:
            names = ", ".join(map(str, sorted(self.overlay)[:SHOWN]))
            yield Finding(Weight.NOTED, Message("receipt.restored", {"count": len(self.overlay), "files": names}))
        yield Finding(Weight.AGREES, Message("receipt.same-tree", {"count": len(recorded), "commit": _short(commit)}))

    def _restore(self, recorded: Mapping[PurePosixPath, str], now: Mapping[PurePosixPath, str]) -> set[PurePosixPath]:
        """Lay the recorded content over what differs; the paths whose content is nowhere to be found."""
        kept = {hashlib.sha256(content).hexdigest(): content for _, content in self._kept_before()}
        lost: set[PurePosixPath] = set()
        for path, digest in recorded.items():
            if now.get(path) == digest:
                continue
            content = kept[digest] if digest in kept else self._committed(path, digest)
            if content is None:
                lost.add(path)
            else:
                self.overlay[path] = FileState(content, _executable(self.root / path))
        for path in now.keys() - recorded.keys():
            self.overlay[path] = None
        return lost

    def _kept_before(self) -> list[tuple[PurePosixPath | None, bytes]]:
        try:
            return _artifacts(self.run, self.receipt, BEFORE)
        except RecordError:
            return []  # told by `integrity`; git may still have it

    def _committed(self, path: PurePosixPath, digest: str) -> bytes | None:
        """The file's content in the recorded commit, if it is the recorded one."""
        commit = self.receipt.tree.commit if self.receipt.tree else None
        if not commit:
            return None
        try:
            content = run_git(self.root, "cat-file", "blob", f"{commit}:./{path}")
        except GitError:
            return None
        return content if hashlib.sha256(content).hexdigest() == digest else None

    # ── the proof ────────────────────────────────────────────────────────────────────────────────────────────────

    async def prove(self) -> Receipt | None:
        """Run the reproduction and the regression tests again, on the base and on the patch; None: not red any more.

        Raises SandboxError or ExecutionError where the tests can't be run here.
        """
        issue = self.run.started.issue if self.run.started else None
        if issue is None:
            return None
        request = Request(self.root, issue, self.settings, overlay=self.overlay or None)
        trial = Replay(request, self.stack, read_clues(issue.text), widely=True)
        for step in (trial.read(), trial.execute()):
            async for _ in step:
                pass
        if trial.unavailable is not None:
            raise trial.unavailable
        workshop = trial.workshop
        if workshop is None or not await self._reproduced(trial, workshop):
            return None
        repair = self._repair(trial)
        async for _ in repair.prove():
            pass
        now = repair.receipts.get(self.finished.candidate or "")
        if now is not None and now.environment is not None:
            now = replace(now, environment=complete(now.environment, workshop.interpreter))
        return now

    async def _reproduced(self, trial: Trial, workshop: Workshop) -> bool:
        """Run on the base what was red and what was green then; whether what was red is red."""
        receipt, harness = self.receipt, workshop.harness
        written = {path: FileState(content) for path, content in _artifacts(self.run, receipt, REPRODUCTION) if path}
        tests = tests_of(self.run, receipt, receipt.reproduction)
        base: Layer = {**self.overlay, **written}
        execution = await harness.run(tests, layer=base, coverage=True)
        if not set(tests).issubset(red_tests(execution.run)):
            return False
        trial.reproduction = Reproduction(Origin(receipt.origin), tests, execution.run, execution.coverage, written)
        trial.coverage = dict(execution.coverage)
        regression = tests_of(self.run, receipt, receipt.regression)
        seconds = 2 * self.settings.regression.seconds
        trial.baseline = await measure_baseline(harness, regression, layer=base, seconds=seconds)
        await trial.trace(harness, trial.baseline)
        return True

    def _repair(self, trial: Trial) -> Repair:
        """The search's end as the record tells it: the same survivors, after as many candidates."""
        if self.finished.candidate == GIVEN:
            repair: Repair = Examination(trial, changes=self._changes(self.finished.patch))
        else:
            repair = Repair(trial)
        repair.survivors = self._survivors()
        repair.tried, repair.exhausted = self.receipt.tried, self.receipt.exhausted
        repair.heaviest = max((state.proposed.prior for state in self.run.candidates), default=0.0)
        return repair

    def _survivors(self) -> dict[str, Proposal]:
        """The candidates that passed the screening, and the one with the receipt."""
        chosen = [
            state
            for state in self.run.candidates
            if _name(state) == self.finished.candidate or (state.pruned is None and state.tested)
        ]
        return {_name(state): self._proposal(state) for state in chosen}

    def _proposal(self, state: CandidateState) -> Proposal:
        proposed = state.proposed
        diff = self.finished.patch if _name(state) == self.finished.candidate else proposed.diff
        changes = self._changes(diff)
        location = Location(proposed.path, "", SymbolKind.MODULE, proposed.line, proposed.line, 0.0, ())
        candidate = Candidate(
            id=proposed.candidate,
            proposer=proposed.proposer,
            pattern=proposed.pattern,
            think=proposed.think,
            answer=proposed.answer,
            changes=changes,
            location=location,
            prior=proposed.prior,
            normalized=normalized(changes),
        )
        return Proposal(candidate, render_diff(changes))

    def _changes(self, diff: str) -> Changes:
        """The changes that a recorded diff makes; raises RecordError where it does not fit the recorded tree."""
        try:
            return parse_diff(diff, _Restored(self.root, self.overlay))
        except EditError as error:
            raise RecordError("receipt.patch-unfit", reason=str(error)) from error


@dataclass(slots=True)
class Replay(Trial):
    """A trial whose very first run already sees the recorded tree."""

    async def _prove(self, session: SandboxSession, interpreter: Interpreter, command: str | None) -> Harness:
        laid = LaidSession(session, self.request.overlay) if self.request.overlay else session
        return await Trial._prove(self, laid, interpreter, command)  # noqa: SLF001 (its base; super() knows no slots class)


@dataclass(frozen=True, slots=True)
class _Restored:
    """The recorded tree: what is on disk, and over it what was restored."""

    root: Path
    overlay: Layer

    def read(self, path: PurePosixPath) -> FileState | None:
        """The file's bytes as they were."""
        return self.overlay[path] if path in self.overlay else DirectoryTree(self.root).read(path)


def _executable(place: Path) -> bool:
    try:
        return bool(place.stat().st_mode & 0o100)
    except OSError:
        return False


def _short(commit: str | None) -> str:
    return commit[:12] if commit else "-"


# ── then and now ─────────────────────────────────────────────────────────────────────────────────────────────────


def compared(then: Receipt, now: Receipt | None) -> list[Finding]:
    """What agrees and what differs between two receipts of one patch."""
    if now is None:
        return [Finding(Weight.DIFFERS, Message("receipt.not-red"))]
    found = [
        *_checks("reproduction", then.reproduction, now.reproduction),
        *_checks("regression", then.regression, now.regression),
        _either(
            [flag.key for flag in then.flags] == [flag.key for flag in now.flags],
            Message("receipt.same-flags", {"count": len(then.flags)}),
            Message("receipt.other-flags", {"before": len(then.flags), "after": len(now.flags)}),
        ),
    ]
    found += _surroundings(then, now)
    return found


def _either(same: bool, agrees: Message, differs: Message, weight: Weight = Weight.DIFFERS) -> Finding:  # noqa: FBT001 (what is asked)
    return Finding(Weight.AGREES, agrees) if same else Finding(weight, differs)


def _checks(kind: str, then: Check | None, now: Check | None) -> list[Finding]:
    """How a check came out, then and now."""
    if then is None and now is None:
        return []
    if then is None or now is None:
        return [Finding(Weight.DIFFERS, Message(f"receipt.missing-{kind}"))]
    same = set(then.red_before) == set(now.red_before) and set(then.red_after) == set(now.red_after)
    if kind == "reproduction":  # the base's regression run may have run further tests then
        same = same and (then.exit_code_before, then.exit_code_after) == (now.exit_code_before, now.exit_code_after)
    figures: dict[str, str | int | float] = {
        "count": now.count,
        "before": _code(now.exit_code_before),
        "after": _code(now.exit_code_after),
    }
    worse = sorted(set(now.red_after) ^ set(then.red_after)) or sorted(set(now.red_before) ^ set(then.red_before))
    differs = Message(f"receipt.other-{kind}", {**figures, "tests": ", ".join(worse[:SHOWN]) or "-"})
    return [_either(same, Message(f"receipt.same-{kind}", figures), differs)]


def _code(code: int | None) -> str:
    return "-" if code is None else str(code)


def _surroundings(then: Receipt, now: Receipt) -> Sequence[Finding]:
    """What may differ without harm, as long as the verdict is the same."""
    found: list[Finding] = []
    old, new = then.environment, now.environment
    if old is not None and new is not None:
        changed = sorted(set(old.packages) ^ set(new.packages))
        parts = [
            f"{name}: {getattr(old, name)} → {getattr(new, name)}"
            for name in ("interpreter", "python_version", "runner", "runner_version", "platform")
            if getattr(old, name) != getattr(new, name)
        ]
        words = "; ".join([*parts, *(changed[:SHOWN])])
        same = old.digest == new.digest or not words
        found.append(
            _either(
                same,
                Message("receipt.same-environment", {"digest": old.digest[:12]}),
                Message("receipt.other-environment", {"what": words or "-"}),
                Weight.NOTED,
            )
        )
    found.append(
        _either(
            then.sandbox == now.sandbox and then.limits == now.limits,
            Message("receipt.same-sandbox", {"sandbox": now.sandbox}),
            Message("receipt.other-sandbox", {"before": then.sandbox, "after": now.sandbox}),
            Weight.NOTED,
        )
    )
    return found
