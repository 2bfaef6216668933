"""A candidate's files: put in place for its turn, and taken back."""

from __future__ import annotations

import base64
import os
import time
from typing import Any


class Candidate:
    """A candidate's files, to be put in place and taken back."""

    def __init__(self, fields: dict[str, Any], root: str) -> None:
        """Take the fields of the JSON object: the id, and contents in base64 by path (None: removed)."""
        self.id: str = fields["id"]
        files: dict[str, str | None] = fields["files"]
        self.files = {path: None if text is None else base64.b64decode(text) for path, text in files.items()}
        self._root = root
        self._saved: dict[str, tuple[bytes, os.stat_result] | None] = {}

    def apply(self, serial: int) -> None:
        """Write the files; their times differ from every other candidate's, so that no bytecode can be mistaken."""
        for name, content in self.files.items():
            path = os.path.join(self._root, name)
            self._saved[path] = snapshot(path)
            if content is None:
                if os.path.exists(path):
                    os.unlink(path)
                continue
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as file:
                file.write(content)
            saved = self._saved[path]
            stamp = int(saved[1].st_mtime if saved else time.time()) + 2 * (serial + 1)
            os.utime(path, (stamp, stamp))

    def revert(self) -> None:
        """Put the base's files back, times included."""
        for path, saved in self._saved.items():
            if saved is None:
                if os.path.exists(path):
                    os.unlink(path)
                continue
            with open(path, "wb") as file:
                file.write(saved[0])
            os.utime(path, ns=(saved[1].st_atime_ns, saved[1].st_mtime_ns))


def snapshot(path: str) -> tuple[bytes, os.stat_result] | None:
    """The file's content and times, or None where there is no such file."""
    try:
        with open(path, "rb") as file:
            return file.read(), os.fstat(file.fileno())
    except OSError:
        return None
