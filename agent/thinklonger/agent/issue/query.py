"""The words of an issue as a weighted query: which term stands how often in which part of it."""

from collections.abc import Callable, Iterable, Iterator, Mapping
from enum import StrEnum

from thinklonger.agent.issue.clues import Clues

Split = Callable[[str], Iterable[str]]
"""Text to lower-case search terms, identifiers taken apart: the index's own way of splitting."""


class Part(StrEnum):
    """The parts of an issue whose words weigh differently."""

    TITLE = "title"
    PROSE = "prose"
    INLINE = "inline"
    CODE = "code"
    ERROR = "error"


def read_terms(clues: Clues, split: Split) -> Mapping[str, Mapping[Part, int]]:
    """How often each term stands in each part; words that any English or Chinese sentence has are left out."""
    terms: dict[str, dict[Part, int]] = {}
    for part, text in _texts(clues):
        for term in split(text):
            if len(term) > _LONGEST or term in STOP_WORDS or (len(term) < _SHORTEST and term.isascii()):
                continue
            counts = terms.setdefault(term, {})
            counts[part] = counts.get(part, 0) + 1
    return terms


def weigh_terms(clues: Clues, split: Split, parts: Mapping[Part, float], *, repetition: float) -> Mapping[str, float]:
    """Each term's weight in a query: its parts' weights, a part that repeats it n times counting n ** repetition.

    Beyond `_MOST_TIMES`, repeating says nothing: a log of a megabyte must not drown the title.
    """
    return {
        term: sum(parts[part] * min(count, _MOST_TIMES) ** repetition for part, count in counts.items())
        for term, counts in read_terms(clues, split).items()
    }


def _texts(clues: Clues) -> Iterator[tuple[Part, str]]:
    """Each part's text; words inside inline code count as prose, too."""
    yield Part.TITLE, clues.title
    yield Part.PROSE, clues.prose.replace(clues.title, "", 1)
    yield Part.INLINE, "\n".join((*clues.quotes, *clues.identifiers, *clues.dotted, *clues.tests))
    yield Part.CODE, "\n".join(block.text for block in clues.blocks if not _is_traceback(block.text))
    for traceback in clues.tracebacks:
        yield Part.ERROR, f"{traceback.exception.rpartition('.')[2]}\n{traceback.message}"
        for frame in traceback.frames[-_FRAMES:]:
            yield Part.ERROR, f"{frame.function}\n{frame.code}"


def _is_traceback(text: str) -> bool:
    """Whether a block is a traceback, whose paths and foreign frames would drown the words that count."""
    return "Traceback (most recent call last)" in text or text.count('File "') > 1


_FRAMES = 6
_MOST_TIMES = 16
_LONGEST = 60
_SHORTEST = 2

STOP_WORDS = frozenset(
    # English words without a topic, the words of bug reports, and contractions as an identifier splitter leaves them
    """
    about above across after again against all almost also although always am an and another any anyone anything are
    aren around as at away back be became because become been before being below between both but by came can cannot
    cause caused causes causing come could couldn currently did didn different do does doesn doing don done down during
    each either else enough even ever every everything example few first following for found from further get gets
    getting give given gives go goes going gone good got had hadn happen happened happening happens has hasn have haven
    having he hello help hence her here hi him his how however idea if in instead into is isn issue issues it its itself
    just know later least less let like likely ll look looking looks lot made make makes making many may maybe me mean
    means might more most much must my need needed needs neither never new next no non nor not nothing now of off often
    ok old on once one only onto or other others otherwise our out over own people perhaps please possible possibly
    probably problem quite rather re really reason reproduce result results right said same say says see seem seems seen
    several shall she should shouldn show shows since so some something sometimes still such sure take than thank thanks
    that the their them then there these they thing things think this those though through thus to too try trying two
    under until up upon us use used user using usually ve version very via want wants was wasn way ways we well went
    were     weren
    what when where whether which while who whole whom whose why will with within without won work working works
    would wouldn yes yet you your
    bug bugs expected actual behavior behaviour observed describe description steps additional context feature request
    happy willing submit pr fix fixed fixes broken crash crashes correct correctly incorrect incorrectly wrong wrongly
    """.split()  # noqa: SIM905 - a list of words is read as words
)
