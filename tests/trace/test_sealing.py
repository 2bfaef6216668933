"""What was changed in a record later is seen: lines by their links, receipts and artifacts by their digests."""

from dataclasses import replace
from pathlib import Path, PurePosixPath

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinklonger.agent.errors import RecordError
from thinklonger.agent.trace import Recorder, read_artifact, read_record, receipt_digest, seal
from thinklonger.agent.trace.events import StageFinished, StageStarted
from thinklonger.agent.trace.recording import RECORD_NAME
from thinklonger.agent.types import Artifact, Check, Label, Limits, Message, Receipt, Stage

CHECK = Check(("pytest", "a.py"), ("a.py::test_a",), 1, 0, 0.5, 0.25, ("a.py::test_a",), ())
RECEIPT = Receipt(Label.VERIFIED, CHECK, None, None, "bubblewrap", Limits(), (), None, (Message("a.b", {"n": 1}),))


def four_lines(state: Path) -> Path:
    """The record of a run with four events."""
    with Recorder.create(state, "run") as recorder:
        for stage in (Stage.PATCH, Stage.VERIFY):
            recorder.append(StageStarted(stage))
            recorder.append(StageFinished(stage, 1.5))
    return recorder.folder


@given(st.integers(0, 3), st.sampled_from(["change", "remove", "repeat", "swap"]))
def test_a_line_that_was_tampered_with_breaks_the_chain(
    tmp_path_factory: pytest.TempPathFactory, number: int, how: str
) -> None:
    """Any line changed, taken out (but the last), doubled or moved is told; the rest still loads."""
    folder = four_lines(tmp_path_factory.mktemp("state"))
    assert read_record(folder).altered is None
    path = folder / RECORD_NAME
    lines = path.read_bytes().splitlines(keepends=True)
    match how:
        case "change":
            lines[number] = (
                lines[number].replace(b"2026", b"2025").replace(b"verify", b"patch ").replace(b"1.5", b"9.5")
            )
        case "remove" if number < 3:
            del lines[number]
        case "repeat":
            lines.insert(number, lines[number])
        case _:
            lines[0], lines[3] = lines[3], lines[0]
    path.write_bytes(b"".join(lines))
    assert read_record(folder).altered is not None


@given(
    st.sampled_from(
        [
            replace(RECEIPT, label=Label.UNVERIFIED),
            replace(RECEIPT, reproduction=replace(CHECK, red_before=())),
            replace(RECEIPT, flags=(Message("x"),)),
            replace(RECEIPT, artifacts=(Artifact(PurePosixPath("artifacts/a"), "", 1, "0"),)),
        ]
    )
)
def test_a_receipt_fits_its_digest_only_as_it_was(changed: Receipt) -> None:
    """Neither the patch nor a field of the receipt can be exchanged."""
    sealed = seal(RECEIPT, "patch")
    assert receipt_digest(sealed, "patch") == sealed.digest
    assert receipt_digest(sealed, "other") != sealed.digest
    assert receipt_digest(replace(changed, digest=sealed.digest), "patch") != sealed.digest


def test_an_artifact_comes_back_only_as_it_was_kept(tmp_path: Path) -> None:
    """Changed, gone or pointing out of the run's folder: refused, naming the file."""
    with Recorder.create(tmp_path, "run") as recorder:
        kept = recorder.keep("a.txt", b"content", about="log")
    assert read_artifact(recorder.folder, kept) == b"content"
    (tmp_path / "secret").write_bytes(b"content")
    outside = replace(kept, path=PurePosixPath("../../secret"))
    with pytest.raises(RecordError, match="secret"):
        read_artifact(recorder.folder, outside)
    (recorder.folder / kept.path).write_bytes(b"CONTENT")
    with pytest.raises(RecordError, match=r"a\.txt"):
        read_artifact(recorder.folder, kept)
    (recorder.folder / kept.path).unlink()
    with pytest.raises(RecordError, match=r"a\.txt"):
        read_artifact(recorder.folder, kept)
