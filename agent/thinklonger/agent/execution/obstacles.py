"""Why tests are red on the code as it is, where it is not the code's fault: what the sandbox does not give them."""

import re
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum

from thinklonger.agent.types import Message, Outcome, TestResult

SHOWN = 3
"""Tests that are named for each reason."""


class Obstacle(StrEnum):
    """What a test needs that it does not have, or what it is that keeps it from running."""

    NETWORK = "network"
    DISPLAY = "display"
    DATABASE = "database"
    GPU = "gpu"
    ROOT = "root"
    MODULE = "module"
    PYTHON_2 = "python-2"
    FOLDER = "folder"
    TIME = "time"


SIGNS: Mapping[Obstacle, re.Pattern[str]] = {
    Obstacle.PYTHON_2: re.compile(
        r"SyntaxError: Missing parentheses in call to '(?:print|exec)'|SyntaxError: multiple exception types must be "
        r"|No module named '?(?:urllib2|urlparse|ConfigParser|cPickle|StringIO|cStringIO|__builtin__|Queue|httplib"
        r"|HTMLParser|Tkinter|commands|thread|sets|md5|itertools\.izip)\b"
        r"|name '(?:unicode|xrange|raw_input|basestring|unichr|reload|execfile|long)' is not defined"
        r"|SyntaxError: (?:leading zeros in decimal|invalid (?:decimal|octal|hexadecimal) literal)"
        r"|TabError: inconsistent use|SyntaxError: invalid string prefix"
        r"|has no attribute '(?:iteritems|has_key|itervalues)'"
    ),
    Obstacle.DATABASE: re.compile(
        r"(?:psycopg\d?|pymysql|MySQLdb|mysql|asyncpg|pymongo|redis|cx_Oracle|oracledb|pyodbc|sqlalchemy)\b[\w.]*"
        r"(?:Error|Failure|Timeout)\b|could not connect to server|connection to server (?:at|on)|Can't connect to "
        r"(?:local )?(?:MySQL|server)|ServerSelectionTimeoutError|Error \d+ connecting to |:(?:5432|3306|27017|6379)\b"
        r"|(?:postgres|mysql|mongo|redis)[\w ]* (?:is )?(?:not (?:available|running|installed)|required|unavailable)",
        re.IGNORECASE,
    ),
    Obstacle.DISPLAY: re.compile(
        r"no display name|couldn't connect to display|could not connect to display|cannot open display|\$DISPLAY"
        r"|DISPLAY(?: environment)? variable|no \$?DISPLAY|X server|wayland"
        r"|(?:needs?|requires?|no) (?:an? )?(?:X )?display|could not load the Qt platform plugin",
        re.IGNORECASE,
    ),
    Obstacle.GPU: re.compile(
        r"\bCUDA\b|\bcudart|libcuda|nvidia|\bGPUs?\b|\bROCm\b|no (?:OpenCL|Vulkan) (?:device|platform)", re.IGNORECASE
    ),
    Obstacle.ROOT: re.compile(
        r"PermissionError|Operation not permitted|Read-only file system"
        r"|(?:must|needs? to|requires?|be run as|not) (?:be )?(?:running as )?root\b"
        r"|root (?:privileges|permissions?|access|user) |superuser|requires? (?:sudo|admin)",
        re.IGNORECASE,
    ),
    Obstacle.NETWORK: re.compile(
        r"gaierror|Name or service not known|Temporary failure in name resolution|nodename nor servname"
        r"|Network is unreachable|No route to host|NewConnectionError|Max retries exceeded|URLError|ConnectError"
        r"|ConnectionRefusedError|ClientConnectorError|NameResolutionError|getaddrinfo failed"
        r"|(?:needs?|requires?|no|without) (?:an? )?(?:the )?(?:internet|network)",
        re.IGNORECASE,
    ),
    Obstacle.MODULE: re.compile(r"No module named|could not import"),
    Obstacle.FOLDER: re.compile(r"FileNotFoundError|NotADirectoryError|No such file or directory"),
}
"""What is looked for in the exception and its text, the most telling first."""


def obstacle(result: TestResult) -> Obstacle | None:
    """What kept a red or skipped test from running, judged by its own words; None where they say nothing of it."""
    if result.outcome is Outcome.TIMED_OUT:
        return Obstacle.TIME
    words = f"{result.exception}: {result.text}"
    if result.outcome is Outcome.FAILED and result.exception == "AssertionError":
        return None
    return next((kind for kind, pattern in SIGNS.items() if pattern.search(words)), None)


def missing_file(result: TestResult) -> bool:
    """Whether a red test says that a file or a module is not where it looked for it."""
    words = f"{result.exception}: {result.text}"
    return SIGNS[Obstacle.FOLDER].search(words) is not None or SIGNS[Obstacle.MODULE].search(words) is not None


def python_2(result: TestResult) -> bool:
    """Whether a file can't be collected because it is written for Python 2."""
    return obstacle(result) is Obstacle.PYTHON_2


def set_aside(results: Iterable[TestResult], *, red: Iterable[str]) -> dict[Obstacle | None, tuple[str, ...]]:
    """The tests that were red or skipped on the base, by reason; skipped ones only where their words give one."""
    broken = frozenset(red)
    found: dict[Obstacle | None, list[str]] = {}
    for result in results:
        if result.id in broken:
            found.setdefault(obstacle(result), []).append(result.id)
        elif result.outcome is Outcome.SKIPPED and (reason := obstacle(result)) is not None:
            found.setdefault(reason, []).append(result.id)
    return {reason: tuple(tests) for reason, tests in found.items()}


def told(aside: Mapping[Obstacle | None, Sequence[str]]) -> tuple[Message, ...]:
    """A sentence for each reason, with the names of the first tests."""
    order = {kind: number for number, kind in enumerate(Obstacle)}
    reasons = sorted(aside, key=lambda kind: order[kind] if kind is not None else len(order))
    return tuple(
        Message(
            f"execution.aside-{'red' if reason is None else reason.value}",
            {"count": len(aside[reason]), "tests": named(aside[reason])},
        )
        for reason in reasons
        if aside[reason]
    )


def named(tests: Sequence[str]) -> str:
    """The first of the tests, for a sentence."""
    return ", ".join(tests[:SHOWN]) + (", …" if len(tests) > SHOWN else "")
