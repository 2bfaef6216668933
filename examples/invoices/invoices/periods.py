"""Billing periods: days from one date to another, weekends and holidays left out."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta

SATURDAY = 5


@dataclass(frozen=True)
class Period:
    """The days from `first` to `last`, both included."""

    first: date
    last: date

    def __post_init__(self) -> None:
        if self.last < self.first:
            raise ValueError(f"the period ends on {self.last}, before it begins on {self.first}")

    def days(self) -> Iterator[date]:
        """Every day of the period, in order."""
        day = self.first
        while day < self.last:
            yield day
            day += timedelta(days=1)

    def working_days(self, holidays: frozenset[date] = frozenset()) -> list[date]:
        """The days that are billed."""
        return [day for day in self.days() if day.weekday() < SATURDAY and day not in holidays]


def split_by_month(period: Period) -> list[Period]:
    """The period cut at the ends of months."""
    parts = []
    first = period.first
    while first <= period.last:
        following = (first.replace(day=28) + timedelta(days=4)).replace(day=1)
        last = min(period.last, following - timedelta(days=1))
        parts.append(Period(first, last))
        first = following
    return parts
