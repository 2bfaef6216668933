from datetime import date

import pytest

from invoices.periods import Period, split_by_month


def test_weekends_are_not_billed():
    assert Period(date(2026, 3, 7), date(2026, 3, 8)).working_days() == []


def test_holidays_are_not_billed():
    labour_day = frozenset({date(2026, 5, 1)})
    days = Period(date(2026, 4, 30), date(2026, 5, 3)).working_days(labour_day)
    assert days == [date(2026, 4, 30)]


def test_a_month_is_cut_at_its_end():
    parts = split_by_month(Period(date(2026, 1, 20), date(2026, 3, 2)))
    assert [(part.first.day, part.last.day) for part in parts] == [(20, 31), (1, 28), (1, 2)]


def test_a_period_runs_forward():
    with pytest.raises(ValueError):
        Period(date(2026, 1, 2), date(2026, 1, 1))
