"""The port's promises hold for both engines, for the user who runs the tests and for one without rights."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from sandbox_contract import CHECKS, ENGINES, Check


@pytest.fixture(params=sorted(ENGINES))
def engine(request: pytest.FixtureRequest) -> str:
    """The name of an engine that can run here."""
    if request.param != "none":
        request.getfixturevalue(request.param)
    return request.param


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
async def test_contract(engine: str, check: Check, tmp_path: Path) -> None:
    """The check's own docstring says which promise."""
    await check(ENGINES[engine](), tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["none", "bubblewrap"], indirect=True)
def test_contract_as_a_user_without_rights(engine: str, as_nobody: Callable[..., str]) -> None:
    """All promises hold too when the launcher is not root (Docker: see the escape suite; its engine does the work)."""
    said = json.loads(as_nobody(["sandbox_contract.py", engine]))
    assert set(said) == set(CHECKS)
    assert not any(said.values()), "\n".join(said.values())
