"""A real vLLM, where there is one: `python3 tools/vllm.py` makes it, serves a tiny model and runs these tests."""

import os
from collections.abc import AsyncIterator, Callable, Mapping

import httpx
import pytest

from thinklonger.agent.config import ServedSettings
from thinklonger.agent.model import connect
from thinklonger.agent.model.served import ServedModel

VARIABLE = "THINKLONGER_TEST_VLLM"


@pytest.fixture
def url() -> str:
    """The server's address."""
    address = os.environ.get(VARIABLE, "")
    if not address:
        pytest.skip(f"no vLLM is served here ({VARIABLE}): python3 tools/vllm.py makes one and runs these tests")
    return address


@pytest.fixture
async def model(url: str) -> AsyncIterator[ServedModel]:
    """The client, as the product makes it."""
    async with connect(url, model="", served=ServedSettings()) as served:
        yield served


@pytest.fixture
def metrics(url: str) -> Callable[[], Mapping[str, float]]:
    """Asks for the server's counters and gauges by their names, summed over labels."""

    def ask() -> Mapping[str, float]:
        found: dict[str, float] = {}
        for line in httpx.get(f"{url}/metrics", timeout=30, trust_env=False).text.splitlines():
            if not line.startswith("#"):
                name, _, value = line.rpartition(" ")
                name = name.partition("{")[0]
                found[name] = found.get(name, 0.0) + float(value)
        return found

    return ask
