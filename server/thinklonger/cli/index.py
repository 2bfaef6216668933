"""`index`: build or refresh a repository's index."""

import asyncio

from thinklonger.agent.config.places import cache_directory
from thinklonger.agent.repository import open_repository
from thinklonger.agent.repository.view import IndexStatistics
from thinklonger.agent.trace.events import ProblemFound
from thinklonger.cli import machine
from thinklonger.cli.desk import Desk
from thinklonger.cli.leaving import interrupt_on_signals
from thinklonger.cli.narration import problem
from thinklonger.cli.page import good, line
from thinklonger.cli.words import clean_line


def index(desk: Desk) -> int:
    """Run `thinklonger index`."""
    interrupt_on_signals()
    statistics, found = asyncio.run(_index(desk))
    words = desk.words
    problems = (*map(ProblemFound, desk.problems), *found)
    if not desk.options.quiet:
        desk.err.show([problem(found, words) for found in problems])
    if desk.options.json:
        payload: dict[str, machine.Plain] = {
            "files": statistics.files,
            "symbols": statistics.symbols,
            "seconds": statistics.seconds,
            "reused": statistics.reused,
            "problems": machine.told(problems, words),
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


async def _index(desk: Desk) -> tuple[IndexStatistics, tuple[ProblemFound, ...]]:
    repository = await open_repository(desk.repository, cache=cache_directory(desk.settings))
    try:
        return repository.statistics, tuple(ProblemFound(entry.message, entry.path) for entry in repository.problems)
    finally:
        await repository.close()
