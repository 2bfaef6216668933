from datetime import date

from invoices.invoice import bill
from invoices.money import Money
from invoices.periods import Period


def test_a_week_of_work():
    week = Period(date(2026, 3, 2), date(2026, 3, 8))
    assert bill(week, Money(50_000)).net == Money(250_000)


def test_a_period_that_ends_on_a_working_day():
    week = Period(date(2026, 3, 2), date(2026, 3, 6))
    assert bill(week, Money(50_000)).net == Money(250_000)


def test_one_day():
    day = Period(date(2026, 3, 4), date(2026, 3, 4))
    assert bill(day, Money(50_000)).total == Money(59_500)
