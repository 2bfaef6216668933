"""Serves a script from a JSON file until it is interrupted: for people, and for editors' tests."""

import argparse
import asyncio
import re
import sys
from pathlib import Path

import msgspec

from thinklonger.agent.model.replay.products import Product
from thinklonger.agent.model.replay.script import Script, read_script
from thinklonger.agent.model.replay.server import serve


async def play(script: Script, *, dialect: Product, port: int) -> None:
    """Serve until cancelled; the first line on stdout is the URL."""
    async with serve(script, dialect=dialect, port=port) as server:
        print(server.url, flush=True)  # noqa: T201 (what a person or an editor's test reads)
        await asyncio.Event().wait()


def main() -> int:
    """Read the arguments and serve; 2 if the script can't be read or the port can't be had."""
    parser = argparse.ArgumentParser(prog="python -m thinklonger.agent.model.replay", description=__doc__)
    parser.add_argument("script", type=Path, help="the script, a JSON file")
    parser.add_argument("--port", type=int, default=0, help="the port on loopback; a free one if left out")
    parser.add_argument("--dialect", choices=list(Product), default=Product.VLLM, type=Product)
    given = parser.parse_args()
    try:
        script = read_script(given.script)
    except (OSError, msgspec.MsgspecError, re.error) as why:
        print(f"{given.script}: {why}", file=sys.stderr)  # noqa: T201
        return 2
    try:
        asyncio.run(play(script, dialect=given.dialect, port=given.port))
    except OSError as why:
        print(why, file=sys.stderr)  # noqa: T201
        return 2
    except KeyboardInterrupt:
        return 0
    return 0


if __name__ == "__main__":
    sys.exit(main())
