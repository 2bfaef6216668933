"""Runs inside the building sandbox: lends a command the launcher's proxy, which is a unix socket, as a local port.

Usage: forward.py SOCKET COMMAND... Standard library only; any Python from 3.6 on.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading

CHUNK = 1 << 16


def pump(source: socket.socket, sink: socket.socket) -> None:
    """Copy one direction until it ends."""
    try:
        while True:
            data = source.recv(CHUNK)
            if not data:
                break
            sink.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)


def serve(listener: socket.socket, path: str) -> None:
    """Join every connection to a new one of the proxy."""
    while True:
        client, _ = listener.accept()
        proxy = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            proxy.connect(path)
        except OSError:
            client.close()
            continue
        for pair in ((client, proxy), (proxy, client)):
            threading.Thread(target=pump, args=pair, daemon=True).start()


def main() -> int:
    """Listen, run the command with the proxy in its environment, and exit as it does."""
    path, command = sys.argv[1], sys.argv[2:]
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
    listener.bind(("127.0.0.1", 0))
    listener.listen(64)
    threading.Thread(target=serve, args=(listener, path), daemon=True).start()
    address = f"http://127.0.0.1:{listener.getsockname()[1]}"
    names = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy")
    variables = dict(os.environ)
    variables.update((name, address) for name in names)
    return subprocess.call(command, env=variables)  # noqa: S603 - what this program is for


if __name__ == "__main__":
    sys.exit(main())
