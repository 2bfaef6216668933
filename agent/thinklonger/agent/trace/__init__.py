"""The run record: typed events, appended one a line before anybody sees them, replayed by every view."""

from thinklonger.agent.trace.reading import Record, read_record
from thinklonger.agent.trace.recording import Recorder, new_run_id, run_folder
from thinklonger.agent.trace.replay import play
from thinklonger.agent.trace.runs import CandidateState, Run, RunStatus, Summary, find_run, list_runs, load_run
from thinklonger.agent.trace.sealing import read_artifact, receipt_digest, seal
from thinklonger.agent.trace.wire import Recorded, Unread

__all__ = [
    "CandidateState",
    "Record",
    "Recorded",
    "Recorder",
    "Run",
    "RunStatus",
    "Summary",
    "Unread",
    "find_run",
    "list_runs",
    "load_run",
    "new_run_id",
    "play",
    "read_artifact",
    "read_record",
    "receipt_digest",
    "run_folder",
    "seal",
]
