"""Amounts of money in cents: whole numbers, so that nothing is lost in sums."""

from dataclasses import dataclass


@dataclass(frozen=True, order=True)
class Money:
    """An amount in cents of one currency."""

    cents: int
    currency: str = "EUR"

    def __add__(self, other: "Money") -> "Money":
        if self.currency != other.currency:
            raise ValueError(f"can't add {other.currency} to {self.currency}")
        return Money(self.cents + other.cents, self.currency)

    def times(self, factor: int) -> "Money":
        """The amount, `factor` times."""
        return Money(self.cents * factor, self.currency)

    def percent(self, rate: int) -> "Money":
        """`rate` percent of the amount, rounded half up."""
        return Money((self.cents * rate + 50) // 100, self.currency)

    def __str__(self) -> str:
        return f"{self.cents // 100}.{self.cents % 100:02d} {self.currency}"
