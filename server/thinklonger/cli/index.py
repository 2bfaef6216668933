"""`index`: build or refresh a repository's index."""

import asyncio

from thinklonger.agent.config.places import cache_directory
from thinklonger.agent.repository import open_repository
from thinklonger.agent.repository.view import IndexStatistics
from thinklonger.agent.types import Message
from thinklonger.cli import machine
from thinklonger.cli.desk import Desk, tell
from thinklonger.cli.page import good, line
from thinklonger.cli.words import clean_line


def index(desk: Desk) -> int:
    """Run `thinklonger index`."""
    statistics, found = asyncio.run(_index(desk))
    words = desk.words
    problems = (*desk.problems, *found)
    if not desk.options.quiet:
        tell(problems, desk.err, words)
    if desk.options.json:
        payload: dict[str, machine.Plain] = {
            "files": statistics.files,
            "symbols": statistics.symbols,
            "seconds": statistics.seconds,
            "reused": statistics.reused,
            "problems": machine.plain(problems, words),
        }
        desk.out.write(machine.dump(payload) + "\n")
    else:
        said = words.say(
            "report.indexed",
            folder=clean_line(str(desk.repository)),
            files=words.count("event.files", statistics.files),
            symbols=words.count("event.symbols", statistics.symbols),
            reused=f"{statistics.reused:,}",
            seconds=words.duration(statistics.seconds),
        )
        desk.out.show([line(good(f"{words.mark('✓')} "), said)])
    return 0


async def _index(desk: Desk) -> tuple[IndexStatistics, tuple[Message, ...]]:
    repository = await open_repository(desk.repository, cache=cache_directory(desk.settings))
    try:
        return repository.statistics, tuple(problem.message for problem in repository.problems)
    finally:
        await repository.close()
