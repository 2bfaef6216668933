"""Invoices: one line for each month of a period, tax on top."""

from dataclasses import dataclass
from datetime import date

from invoices.money import Money
from invoices.periods import Period, split_by_month


@dataclass(frozen=True)
class Line:
    """Some days of one month at a daily rate."""

    month: str
    days: int
    amount: Money


@dataclass(frozen=True)
class Invoice:
    """What a customer owes for a period."""

    lines: tuple[Line, ...]
    tax_rate: int

    @property
    def net(self) -> Money:
        """The sum of the lines."""
        total = Money(0)
        for line in self.lines:
            total += line.amount
        return total

    @property
    def total(self) -> Money:
        """The sum with tax."""
        return self.net + self.net.percent(self.tax_rate)


def bill(
    period: Period, daily_rate: Money, *, tax_rate: int = 19, holidays: frozenset[date] = frozenset()
) -> Invoice:
    """The invoice for the working days of a period; months without work have no line."""
    lines = []
    for part in split_by_month(period):
        days = len(part.working_days(holidays))
        if days:
            lines.append(Line(f"{part.first:%Y-%m}", days, daily_rate.times(days)))
    return Invoice(tuple(lines), tax_rate)
