"""Every limit at its edge: just below it all is well, just above it the command is stopped; run like the contract."""

import asyncio
import json
import sys
from collections.abc import Sequence
from pathlib import Path

from sandbox_contract import READABLE, named, plant, python, run_all, shell

from thinklonger.agent.protocols import Sandbox
from thinklonger.agent.sandbox import risk
from thinklonger.agent.types import Command, CommandResult, Ending, Limits

MIB = 1 << 20


async def results(sandbox: Sandbox, ground: Path, commands: Sequence[Command]) -> list[CommandResult]:
    """Each command in a layer of its own."""
    root, files = plant(ground, {"a": b""})
    found = []
    async with sandbox.open(root, files, readable=READABLE) as session:
        for command in commands:
            async with session.layer() as layer:
                found.append(await layer.run(command))
    return found


async def limit_of_time(sandbox: Sandbox, ground: Path) -> None:
    """A command that ends before its time is whole; one that does not is stopped, at its time."""
    below = shell("sleep 0.5; echo done", limits=Limits(wall_seconds=8.0))
    above = shell("echo begun; sleep 8; echo done", limits=Limits(wall_seconds=1.5))
    one, two = await results(sandbox, ground, [below, above])
    assert (one.ending, one.output) == (Ending.EXITED, b"done\n")
    assert (two.ending, two.output) == (Ending.TIMED_OUT, b"begun\n")
    assert 1.5 <= two.seconds < 4


async def limit_of_output(sandbox: Sandbox, ground: Path) -> None:
    """Exactly the cap is whole; one byte more is the limit, and the cap's bytes are there."""
    limits = Limits(wall_seconds=20.0, output_bytes=50_000)
    sizes = (50_000, 50_001)
    one, two = await results(sandbox, ground, [shell(f"head -c {size} /dev/zero", limits=limits) for size in sizes])
    assert (one.ending, len(one.output)) == (Ending.EXITED, 50_000)
    assert (two.ending, len(two.output)) == (Ending.OUTPUT_LIMIT, 50_000)


async def limit_of_memory(sandbox: Sandbox, ground: Path) -> None:
    """A process gets what is below the limit, and MemoryError above it."""
    limits = Limits(wall_seconds=30.0, memory_bytes=256 * MIB)
    code = "x = bytearray({} << 20); print(len(x) >> 20)"
    one, two = await results(sandbox, ground, [python(code.format(size), limits=limits) for size in (160, 256)])
    assert one.output == b"160\n", one
    assert b"MemoryError" in two.output, two


async def limit_of_memory_in_total(sandbox: Sandbox, ground: Path) -> None:
    """Processes that together stay below the limit all live; those that together pass it don't, what they wrote counts.

    Where bubblewrap's launcher can make no control group, `risk` must say so instead.
    """
    if sandbox.name == "bubblewrap" and (warning := risk(sandbox)) is not None:
        assert warning.key == "sandbox.memory-risk"
        return
    limits = Limits(wall_seconds=30.0, memory_bytes=256 * MIB, scratch_bytes=200 * MIB)
    written = "open('/tmp/big', 'wb').write(bytes(120 << 20))\n"
    cases = [(4, ""), (9, ""), (3, written), (6, written)]
    commands = [python(extra + TOGETHER.format(count), limits=limits) for count, extra in cases]
    found = [result.output for result in await results(sandbox, ground, commands)]
    assert found[0] == b"4 of 4\n", found
    assert found[1] != b"9 of 9\n", found
    assert found[2:] == [b"3 of 3\n", found[3]], found
    assert found[3] != b"6 of 6\n", found


TOGETHER = """
import os, signal
count, done = {}, os.pipe()
made = []
for _ in range(count):
    pid = os.fork()
    if pid == 0:
        held = b"x" * (32 << 20)
        os.write(done[1], b".")
        signal.pause()
    made.append(pid)
dead, said = 0, 0
os.set_blocking(done[0], False)
while dead + said < count:
    dead += os.waitpid(-1, os.WNOHANG)[0] > 0
    try: said += len(os.read(done[0], count))
    except BlockingIOError: pass
while os.waitpid(-1, os.WNOHANG)[0]: dead += 1
print(count - dead, "of", count, flush=True)
for pid in made:
    try: os.kill(pid, signal.SIGKILL)
    except OSError: pass
"""
"""So many processes of 32 MiB and some at once; how many live when all have had theirs."""


async def limit_of_processes(sandbox: Sandbox, ground: Path) -> None:
    """Processes can be made up to the limit (a few are the sandbox's own), never more."""
    code = """
import os, time
made = []
while len(made) < 500:
    try: pid = os.fork()
    except OSError: break
    if pid == 0: time.sleep(60)
    made.append(pid)
print(len(made))
"""
    for limit in (32, 64):
        limits = Limits(wall_seconds=30.0, processes=limit)
        (result,) = await results(sandbox, ground / str(limit), [python(code, limits=limits)])
        assert limit - 8 <= int(result.output) < limit, result


async def limit_of_what_is_written(sandbox: Sandbox, ground: Path) -> None:
    """In the tree and in /tmp, as one file or as many, `scratch_bytes` can be written, and no more."""
    limits = Limits(wall_seconds=30.0, scratch_bytes=8 * MIB)
    one_file = 'head -c {} /dev/zero >"{}/big"; echo $?'
    many = 'for n in 1 2 3 4 5 6 7 8 9 10; do head -c 1048576 /dev/zero >"{}/n$n" || echo full; done'
    commands = [shell(one_file.format(size * MIB, place), limits=limits) for place in PLACES for size in (7, 9)]
    commands += [shell(f"({many.format(place)}) 2>/dev/null", limits=limits) for place in PLACES]
    found = await results(sandbox, ground, commands)
    for below, above in zip(found[0:4:2], found[1:4:2], strict=True):
        assert below.output == b"0\n", below
        assert not above.output.endswith(b"\n0\n")
        assert above.output != b"0\n"
    assert all(b"full" in each.output for each in found[4:]), found[4:]


PLACES = ("$THINKLONGER_ROOT", "/tmp")  # noqa: S108 - inside the sandbox


async def limit_of_files(sandbox: Sandbox, ground: Path) -> None:
    """Many small files can be made, not any number of them; descriptors are limited too."""
    code = """
import os, sys
for top in (os.environ["THINKLONGER_ROOT"], "/tmp"):
    made = 0
    try:
        for made in range(30_000): os.mkdir(f"{top}/n{made}")
    except OSError: pass
    print(made)
held = []
try:
    while len(held) < 10_000: held.append(os.open("/dev/null", os.O_RDONLY))
except OSError: pass
print(len(held))
"""
    limits = Limits(wall_seconds=40.0, scratch_bytes=64 * MIB)
    (result,) = await results(sandbox, ground, [python(code, limits=limits)])
    tree, scratch, held = map(int, result.output.split())
    assert 15_000 < tree < 25_000, result
    assert scratch < 25_000
    assert tree + scratch > 15_000
    assert 4000 <= held <= 4096


LIMITS = named("limit_", globals())

if __name__ == "__main__":
    print(json.dumps(asyncio.run(run_all(LIMITS, sys.argv[1], Path(sys.argv[2])))))  # noqa: T201 - the answer
