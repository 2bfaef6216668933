import pytest

from invoices.money import Money


def test_prints_cents_with_two_digits():
    assert str(Money(1205)) == "12.05 EUR"


def test_percent_rounds_half_up():
    assert Money(150).percent(19) == Money(29)


def test_currencies_do_not_mix():
    with pytest.raises(ValueError):
        Money(1) + Money(1, "CHF")
