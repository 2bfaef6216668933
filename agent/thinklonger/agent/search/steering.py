"""What the user says about a search, before it and while it runs: pinned and excluded places, promoted branches."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import PurePosixPath

from thinklonger.agent.protocols import Branch


@dataclass(frozen=True, slots=True)
class Place:
    """A file, or a symbol in it (qualified, `Class.method`; empty: the whole file)."""

    path: PurePosixPath
    symbol: str = ""

    def excludes(self, path: PurePosixPath, symbol: str) -> bool:
        """Whether a branch about that symbol (empty: nothing narrower than the file is known) lies inside this."""
        return self.path == path and (not self.symbol or _inside(symbol, self.symbol))

    def pins(self, path: PurePosixPath, symbol: str) -> bool:
        """Whether a branch about that symbol may have to do with this."""
        return self.path == path and (not self.symbol or not symbol or _inside(symbol, self.symbol))


class Standing(StrEnum):
    """What the user's words mean for a branch."""

    PINNED = "pinned"
    FREE = "free"
    EXCLUDED = "excluded"


class Steering:
    """The user's hand on one search. Belongs to the event loop that the search runs in."""

    def __init__(
        self,
        *,
        pinned: Iterable[Place] = (),
        excluded: Iterable[Place] = (),
        promoted: Iterable[str] = (),
    ) -> None:
        """Start with what is known before the search."""
        self.pinned = frozenset(pinned)
        self.excluded = frozenset(excluded)
        self.promoted = frozenset(promoted)
        self.stopped = False
        self._listener: Callable[[], None] | None = None

    def pin(self, *places: Place) -> None:
        """From now on, where some branch of a stage has one of these places, only such branches go on."""
        self.pinned |= frozenset(places)
        self._tell()

    def exclude(self, *places: Place) -> None:
        """From now on no branch that has nothing but excluded places goes on, and no patch that touches one."""
        self.excluded |= frozenset(places)
        self._tell()

    def promote(self, branch: str) -> None:
        """Let a branch go on, whatever the judge says; it gets a rollout of its own if the budget has none left."""
        self.promoted |= {branch}
        self._tell()

    def stop(self) -> None:
        """End the search now; what it has found so far is ranked and told."""
        self.stopped = True
        self._tell()

    def listen(self, listener: Callable[[], None] | None) -> None:
        """Call this whenever something changes; the search does."""
        self._listener = listener

    def standing(self, branch: Branch) -> Standing:
        """What has been said means this for a branch."""
        places = places_of(branch)
        if branch.id in self.promoted or not places:
            return Standing.FREE
        out = [any(place.excludes(path, symbol) for place in self.excluded) for path, symbol in places]
        if any(out) if branch.candidate else all(out):
            return Standing.EXCLUDED
        if any(place.pins(path, symbol) for place in self.pinned for path, symbol in places):
            return Standing.PINNED
        return Standing.FREE

    def admits(self, path: PurePosixPath, symbol: str) -> bool:
        """Whether an edit of that symbol (empty: nothing narrower than the file is known) is wanted at all."""
        if any(place.excludes(path, symbol) for place in self.excluded):
            return False
        return not self.pinned or any(place.pins(path, symbol) for place in self.pinned)

    def _tell(self) -> None:
        if self._listener is not None:
            self._listener()


def places_of(branch: Branch) -> tuple[tuple[PurePosixPath, str], ...]:
    """The places that a branch is about: what its patch changes, else its locations, else its files."""
    if branch.candidate is not None:
        changed = branch.candidate.location
        others = ((change.path, "") for change in branch.candidate.changes if change.path != changed.path)
        return ((changed.path, changed.symbol), *others)
    if branch.locations:
        return tuple((location.path, location.symbol) for location in branch.locations)
    return tuple((path, "") for path in branch.files)


def _inside(symbol: str, around: str) -> bool:
    return symbol == around or symbol.startswith(f"{around}.")
