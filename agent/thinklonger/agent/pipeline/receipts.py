"""What stands behind a receipt: the environment in full, the state of the tree, and files kept beside the record."""

import hashlib
import os
import platform
import stat
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from xml.etree import ElementTree as ET

from thinklonger.agent.edits import render_diff
from thinklonger.agent.pipeline.keeping import INLINE, Keep, without_tests, write_tests
from thinklonger.agent.pipeline.trial import Trial, Workshop
from thinklonger.agent.stages.verify.proof import Proof
from thinklonger.agent.types import (
    Artifact,
    Changes,
    Check,
    EnvironmentRecord,
    Interpreter,
    Layer,
    Outcome,
    Receipt,
    TestRun,
    TreeState,
)

LOG_BYTES = 65_536
TREE, PATCH, REPRODUCTION, BEFORE = "tree", "patch", "reproduction", "before"
"""What artifacts are about, beside runs (`reproduction-after.xml`, `.log`) and lists (`regression.txt`)."""
SETTINGS = frozenset({"conftest.py", "pyproject.toml", "pytest.ini", "setup.cfg", "tox.ini", "setup.py"})
LINK = "link:"


@dataclass(frozen=True, slots=True)
class Documents:
    """Completes receipts; without `keep` nothing is kept beside a record."""

    survey: Trial
    workshop: Workshop
    keep: Keep | None = None

    def complete(self, receipt: Receipt, name: str, *, changes: Changes, proof: Proof) -> Receipt:
        """The receipt of a candidate with its environment in full, the tree's state and what is kept beside it."""
        baseline = self.survey.baseline
        receipt = replace(
            receipt,
            environment=None
            if receipt.environment is None
            else complete(receipt.environment, self.workshop.interpreter),
            already_red=() if baseline is None else baseline.already_red,
            flaky=tuple(dict.fromkeys((*(() if baseline is None else baseline.flaky), *proof.flaky))),
        )
        if self.keep is None:
            return receipt
        kept: list[Artifact] = []
        checks: list[Check | None] = []
        for kind, check in (("reproduction", receipt.reproduction), ("regression", receipt.regression)):
            short, lists = (None, ()) if check is None else shortened(check, f"{name}-{kind}", self.keep)
            checks.append(short)
            kept += lists
        tree, listing = self._tree(name, receipt, changes, self.keep)
        reproduction = self.survey.reproduction
        overlay = self.survey.request.overlay or {}
        kept.append(listing)
        kept.append(self.keep(f"{name}.diff", render_diff(changes).encode("utf-8", "surrogateescape"), about=PATCH))
        kept += keep_before(name, changes, overlay, self.keep)
        kept += keep_layer(name, {} if reproduction is None else reproduction.layer, self.keep)
        kept += keep_runs(name, proof.runs, self.keep)
        return replace(receipt, reproduction=checks[0], regression=checks[1], tree=tree, artifacts=tuple(kept))

    def _tree(self, name: str, receipt: Receipt, changes: Changes, keep: Keep) -> tuple[TreeState, Artifact]:
        """The state of the repository's files, and the list of them."""
        repository = self.survey.repository
        known = {change.renamed_from or change.path: change.before for change in changes}
        known |= self.survey.request.overlay or {}
        digests = digests_of(repository.root, repository.snapshot_files(), known)
        tests = [test for check in (receipt.reproduction, receipt.regression) if check for test in check.tests]
        covered = {path for lines in self.survey.coverage.values() for path in lines}
        listing = write_tree(digests, involved_in(digests, changes, tests, covered))
        kept = keep(f"{name}-tree.txt", listing, about=TREE)
        return TreeState(repository.commit, kept.sha256, len(digests)), kept


# ── the environment ──────────────────────────────────────────────────────────────────────────────────────────────


def complete(environment: EnvironmentRecord, interpreter: Interpreter) -> EnvironmentRecord:
    """The environment with its packages and its platform, and a digest over all of it."""
    where = environment.platform or f"{platform.system()} {platform.release()} {platform.machine()}"
    packages = environment.packages or installed(interpreter)
    digest = hashlib.sha256("\0".join((environment.digest, where, *packages)).encode("utf-8", "replace")).hexdigest()
    return replace(environment, packages=packages, platform=where, digest=digest)


def installed(interpreter: Interpreter) -> tuple[str, ...]:
    """The distributions that the interpreter can import, as `name==version`, read from their folders' names."""
    places = [interpreter.prefix, *interpreter.readable]
    folders = {folder for place in places for folder in place.glob("lib/python3*/site-packages")}
    folders |= {place for place in places if place.name in ("site-packages", "dist-packages")}
    found: set[str] = set()
    for folder in folders:
        try:
            names = [entry.name for entry in folder.iterdir()]
        except OSError:
            continue
        for name in names:
            stem, dot, kind = name.rpartition(".")
            if dot and kind in ("dist-info", "egg-info") and "-" in stem:
                package, _, version = stem.partition("-")
                found.add(f"{package.lower().replace('_', '-')}=={version.partition('-')[0]}")
    return tuple(sorted(found))


# ── the tree ─────────────────────────────────────────────────────────────────────────────────────────────────────


def digests_of(root: Path, files: Collection[PurePosixPath], overlay: Layer) -> dict[PurePosixPath, str]:
    """The SHA-256 of each file's content (of a link: where it leads); what can't be read is left out."""
    found: dict[PurePosixPath, str] = {}
    for path in sorted({*files, *overlay}):
        if path in overlay:
            state = overlay[path]
            if state is not None:
                found[path] = hashlib.sha256(state.content).hexdigest()
            continue
        try:
            found[path] = digest_of(root / path)
        except OSError:
            continue
    return found


def digest_of(place: Path) -> str:
    """One file's digest; raises OSError where there is no file."""
    if stat.S_ISLNK(place.lstat().st_mode):
        return hashlib.sha256(LINK.encode() + os.fsencode(place.readlink())).hexdigest()
    with place.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_tree(digests: Mapping[PurePosixPath, str], involved: Collection[PurePosixPath]) -> bytes:
    """The list of files as `sha256sum --check` takes it; a star marks those that the proof stands on."""
    lines: list[str] = []
    for path, digest in digests.items():
        name = str(path)
        plain = name.replace("\\", "\\\\").replace("\n", "\\n").replace("\r", "\\r")
        escape = "" if plain == name else "\\"
        lines.append(f"{escape}{digest} {'*' if path in involved else ' '}{plain}\n")
    return "".join(lines).encode("utf-8", "surrogateescape")


def read_tree(content: bytes) -> tuple[dict[PurePosixPath, str], frozenset[PurePosixPath]]:
    """The digests that `write_tree` wrote, and the files that the proof stands on."""
    digests: dict[PurePosixPath, str] = {}
    involved: set[PurePosixPath] = set()
    for line in content.decode("utf-8", "surrogateescape").split("\n"):
        escaped = line.startswith("\\")
        digest, _, name = line.removeprefix("\\").partition(" ")
        if not name:
            continue
        mark, name = name[0], name[1:]
        if escaped:
            parts = name.split("\\\\")
            name = "\\".join(part.replace("\\n", "\n").replace("\\r", "\r") for part in parts)
        digests[PurePosixPath(name)] = digest
        if mark == "*":
            involved.add(PurePosixPath(name))
    return digests, frozenset(involved)


def involved_in(
    digests: Mapping[PurePosixPath, str], changes: Changes, tests: Iterable[str], covered: Iterable[PurePosixPath]
) -> frozenset[PurePosixPath]:
    """The files that a proof stands on: those patched, the tests' own, what they run, and what configures them."""
    chosen = {change.path for change in changes} | {change.renamed_from for change in changes}
    chosen |= {PurePosixPath(test.partition("::")[0]) for test in tests} | set(covered)
    return frozenset(path for path in digests if path in chosen or path.name in SETTINGS)


# ── lists and runs ───────────────────────────────────────────────────────────────────────────────────────────────


def shortened(check: Check, name: str, keep: Keep) -> tuple[Check, tuple[Artifact, ...]]:
    """The check with a file in place of a long list of tests, also in its command."""
    if len(check.tests) <= INLINE:
        return check, ()
    kept = keep(f"{name}.txt", write_tests(check.tests), about=f"{name}.txt")
    return (
        replace(
            check,
            command=(*without_tests(check.command, check.tests), f"@{kept.path}"),
            tests=check.tests[:INLINE],
            total=len(check.tests),
            listed=kept.path,
        ),
        (kept,),
    )


def junit(run: TestRun, name: str) -> bytes:
    """A run's results as a JUnit file."""
    red = [result for result in run.results if result.outcome.red]
    errors = sum(result.outcome is not Outcome.FAILED for result in red)
    skipped = sum(result.outcome is Outcome.SKIPPED for result in run.results)
    suite = ET.Element(
        "testsuite",
        name=name,
        tests=str(len(run.results)),
        failures=str(len(red) - errors),
        errors=str(errors),
        skipped=str(skipped),
        time=f"{run.seconds:.3f}",
    )
    for result in run.results:
        path, _, inner = result.id.partition("::")
        case = ET.SubElement(
            suite, "testcase", classname=_xml(path), name=_xml(inner or path), time=f"{result.seconds:.3f}"
        )
        if result.outcome.red:
            kind = "failure" if result.outcome is Outcome.FAILED else "error"
            message = _xml(result.exception or result.outcome.value)
            ET.SubElement(case, kind, message=message, type=result.outcome.value).text = _xml(result.text)
        elif result.outcome is Outcome.SKIPPED:
            ET.SubElement(case, "skipped")
    return ET.tostring(suite, encoding="utf-8", xml_declaration=True) + b"\n"


def _xml(text: str) -> str:
    """Text that XML can hold: control characters and bytes that are no text become question marks."""
    return "".join(sign if sign.isprintable() or sign in "\n\t" else "?" for sign in text)


def keep_runs(name: str, runs: Sequence[tuple[str, TestRun]], keep: Keep) -> tuple[Artifact, ...]:
    """Each run's results and the end of what it printed."""
    kept: list[Artifact] = []
    for kind, run in runs:
        kept.append(keep(f"{name}-{kind}.xml", junit(run, kind), about=f"{kind}.xml"))
        if run.output:
            log = run.output.encode("utf-8", "replace")[-LOG_BYTES:]
            kept.append(keep(f"{name}-{kind}.log", log, about=f"{kind}.log"))
    return tuple(kept)


def keep_before(name: str, changes: Changes, overlay: Layer, keep: Keep) -> tuple[Artifact, ...]:
    """The patched files as they were, and unsaved text: enough to come back to this state of the tree."""
    states = {change.renamed_from or change.path: change.before for change in changes} | dict(overlay)
    kept = [(path, state) for path, state in states.items() if state is not None]
    return tuple(
        keep(f"{name}-before-{number}", state.content, about=BEFORE, source=path)
        for number, (path, state) in enumerate(kept, 1)
    )


def keep_layer(name: str, layer: Layer, keep: Keep) -> tuple[Artifact, ...]:
    """The files of a reproduction that the repository does not have."""
    kept = [(path, state) for path, state in layer.items() if state is not None]
    return tuple(
        keep(f"{name}-reproduction-{number}", state.content, about=REPRODUCTION, source=path)
        for number, (path, state) in enumerate(kept, 1)
    )
