"""Digests over a receipt and over the files kept beside a record: what was changed later no longer fits them."""

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import msgspec

from thinklonger.agent.errors import RecordError
from thinklonger.agent.trace.wire import to_wire
from thinklonger.agent.types import Artifact, Receipt


def seal(receipt: Receipt, patch: str) -> Receipt:
    """The receipt with the digest that covers it and its patch."""
    return replace(receipt, digest=receipt_digest(receipt, patch))


def receipt_digest(receipt: Receipt, patch: str) -> str:
    """A digest over a patch and all of its receipt but the digest itself."""
    plain = msgspec.to_builtins([patch, replace(receipt, digest="")], enc_hook=to_wire)
    return hashlib.sha256(json.dumps(plain, sort_keys=True).encode()).hexdigest()


def read_artifact(folder: Path, artifact: Artifact) -> bytes:
    """A file kept beside the record in `folder`; raises RecordError where it is gone, changed or elsewhere."""
    if artifact.path.is_absolute() or ".." in artifact.path.parts:
        raise RecordError("trace.artifact-changed", path=str(artifact.path))
    place = folder / artifact.path
    try:
        content = place.read_bytes()
    except OSError as cause:
        reason = cause.strerror or type(cause).__name__
        raise RecordError("trace.unreadable", path=str(place), reason=reason) from cause
    if hashlib.sha256(content).hexdigest() != artifact.sha256:
        raise RecordError("trace.artifact-changed", path=str(artifact.path))
    return content
