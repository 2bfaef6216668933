"""A small invented shop, indexed, for the stages that look for faults."""

import asyncio
import sys
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from pathlib import Path

import pytest

from thinklonger.agent.repository import Repository, open_repository

sys.path.insert(0, str(Path(__file__).parent))  # the tests' own modules, imported by their plain names

SHOP: Mapping[str, str] = {
    "setup.py": "from setuptools import setup\n\nsetup(name='shop')\n",
    "src/shop/__init__.py": '"""A shop."""\n\nfrom shop.basket import Basket\n',
    "src/shop/basket.py": '''"""What a customer wants to buy."""

from shop.rates import discount_rate

LIMIT = 100


class Basket:
    """Items and their prices."""

    currency = "EUR"

    def __init__(self):
        self.items = []

    def add_item(self, name, price):
        """Put an item into the basket."""
        if len(self.items) >= LIMIT:
            raise OverflowError("this basket is full of items")
        self.items.append((name, price))

    def total(self):
        """What all of it costs, discount included."""
        amount = sum(price for _, price in self.items)
        return amount * discount_rate(amount)
''',
    "src/shop/rates.py": '''"""Discounts."""


def discount_rate(amount):
    """The rate for an amount."""
    if amount < 0:
        raise ValueError("the rate must be positive")
    if amount > 1000:
        return 0.9
    return 1.0


def shipping_cost(weight):
    """What it costs to send a parcel."""
    return 5 + weight * 2
''',
    "src/shop/report.py": '''"""Reports for the owner."""

from shop.basket import Basket


def monthly_report(baskets: list[Basket]):
    """Render the month's revenue as text."""
    lines = [f"{basket.total():.2f}" for basket in baskets]
    return "\\n".join(lines)
''',
    "tests/test_basket.py": '''"""Tests."""

from shop.basket import Basket


def test_total_of_large_basket():
    basket = Basket()
    basket.add_item("pen", 2000)
    assert basket.total() == 1800


def test_empty_basket():
    assert Basket().total() == 0
''',
    "docs/example_basket.py": '''"""How to use the basket."""

from shop.basket import Basket

Basket().add_item("pen", 3)
''',
}


def write_tree(root: Path, files: Mapping[str, str]) -> Path:
    """Write files below a folder, in the order given."""
    for name, text in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, "utf-8")
    return root


@pytest.fixture
def shop_files() -> Mapping[str, str]:
    """The shop's files by path."""
    return SHOP


@pytest.fixture
def plant() -> Callable[[Path, Mapping[str, str]], Path]:
    """`write_tree`, for tests that need a tree of their own."""
    return write_tree


@pytest.fixture
async def shop(tmp_path: Path) -> AsyncIterator[Repository]:
    """The shop's index."""
    repository = await open_repository(write_tree(tmp_path / "shop", SHOP), cache=tmp_path / "cache")
    yield repository
    await repository.close()


@pytest.fixture(scope="module")
def indexed_shop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Repository]:
    """The same, once for many questions."""
    folder = tmp_path_factory.mktemp("shop")
    repository = asyncio.run(open_repository(write_tree(folder / "shop", SHOP), cache=folder / "cache"))
    yield repository
    asyncio.run(repository.close())
