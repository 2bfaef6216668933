"""Writes what happened as lines that only this process can have written, each before whatever happened next.

Each line carries a digest under a key of its own. The first key is the nonce, and each further one is made from the one
before, which is then forgotten: code that gets hold of this process can add lines, but not change those that are there.
"""

from __future__ import annotations

import hashlib
import json
import os
from typing import Any


def seal(key: str, number: int, body: str) -> str:
    """The digest of the report's line `number`."""
    return hashlib.sha256(f"{key}:{number}:{body}".encode()).hexdigest()[:32]


def following(key: str) -> str:
    """The key of the next line."""
    return hashlib.sha256(key.encode()).hexdigest()


class Report:
    """A numbered sequence of sealed lines on a file descriptor; None writes nowhere."""

    def __init__(self, fd: int | None, nonce: str) -> None:
        """Write to `fd`; a forked child of this process stays silent."""
        self.fd = fd
        self._key = nonce
        self._number = 0
        self._owner = os.getpid()

    def move(self, fd: int) -> None:
        """Begin a new report on `fd`, owned by the process that calls this."""
        self.fd = fd
        self._number = 0
        self._owner = os.getpid()

    def write(self, kind: str, fields: dict[str, Any]) -> None:
        """Append one line; what can't be written any more is lost, and the report then ends without its end."""
        if self.fd is None or os.getpid() != self._owner:
            return
        body = json.dumps(dict(fields, kind=kind), separators=(",", ":"))
        line = f"{seal(self._key, self._number, body)} {body}\n".encode("ascii")
        self._key = following(self._key)
        self._number += 1
        try:
            while line:
                line = line[os.write(self.fd, line) :]
        except OSError:
            self.fd = None
