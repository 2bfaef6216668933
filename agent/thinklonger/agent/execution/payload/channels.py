"""Lines of JSON between the server, its scout and its stations."""

from __future__ import annotations

import json
import os
import select
import time
from typing import TYPE_CHECKING, Any, Iterator

if TYPE_CHECKING:
    import socket


def announce(pipe: int, message: dict[str, Any]) -> None:
    """One line of news to the server."""
    data = (json.dumps(message) + "\n").encode("ascii")
    while data:
        data = data[os.write(pipe, data) :]


def send(connection: socket.socket, message: dict[str, Any]) -> None:
    """One line to the other end; an end that has gone away is noticed when its answer is missing."""
    try:
        connection.sendall((json.dumps(message) + "\n").encode("ascii"))
    except OSError:
        return


def read_line(connection: socket.socket) -> bytes:
    """One line from the other end; empty where it has gone away. Raises OSError when it takes too long."""
    data = b""
    while not data.endswith(b"\n"):
        chunk = connection.recv(1 << 16)
        if not chunk:
            return b""
        data += chunk
    return data


def read_lines(pipe: int, deadline: float) -> Iterator[bytes]:
    """Lines from a pipe until it closes or the time is up."""
    data = b""
    while time.monotonic() < deadline:
        ready, _, _ = select.select([pipe], [], [], max(deadline - time.monotonic(), 0.0))
        chunk = os.read(pipe, 1 << 16) if ready else b""
        if not chunk:
            return
        data += chunk
        *lines, data = data.split(b"\n")
        yield from lines
