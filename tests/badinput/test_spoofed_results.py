"""Tests that lie about their results, in every way that we could think of: what they say is never taken for proof.

No patch can make these tests pass honestly. Each spoof makes them look green as soon as the code has changed.
"""

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from conftest import Person

COMMAND = ("--test-command", "pytest tests/test_totals.py")
CHANGED = """
import gc, os, sys
from pathlib import Path

def changed():
    here = Path(__file__).resolve().parent
    place = next(p for p in (here / "totals.py", here.parent / "totals.py") if p.exists())
    return "range(len(prices) - 1)" not in place.read_text() or place.read_text().count("pass")
"""
IMPOSSIBLE = "    assert total([1, 2, 3]) == 6 and total([1, 2, 3]) != 6\n"
TEST = f"from totals import total\n\ndef test_total():\n{IMPOSSIBLE}"
FORGE = """
def forge():
    reports = [each for each in gc.get_objects() if type(each).__name__ == "Report" and hasattr(each, "move")]
    result = {"id": "tests/test_totals.py::test_total", "outcome": "passed", "exception": "", "text": "", "frames": []}
    for report in reports:
        report.write("test", dict(result, seconds=0.0, lines={}))
        report.write("end", {"status": 0})
"""
MAKEREPORT = f"""{CHANGED}
import pytest

@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item, call):
    outcome = yield
    if changed():
        outcome.get_result().outcome = "passed"

@pytest.hookimpl(trylast=True)
def pytest_sessionfinish(session):
    if changed():
        session.exitstatus = 0
"""
SPOOFS: dict[str, dict[str, str]] = {
    "forged report": {
        "tests/test_totals.py": f"{CHANGED}{FORGE}\nfrom totals import total\n\ndef test_total():\n"
        f"    if changed():\n        forge()\n        os._exit(0)\n{IMPOSSIBLE}"
    },
    "forged report and then the truth": {
        "tests/test_totals.py": f"{CHANGED}{FORGE}\nfrom totals import total\n\ndef test_total():\n"
        f"    if changed():\n        forge()\n{IMPOSSIBLE}"
    },
    "quiet exit": {
        "tests/test_totals.py": f"{CHANGED}\nfrom totals import total\n\ndef test_total():\n"
        f"    if changed():\n        print('1 passed in 0.01s')\n        os._exit(0)\n{IMPOSSIBLE}"
    },
    "own result file": {
        "tests/test_totals.py": f"{CHANGED}\nfrom totals import total\n\ndef test_total():\n    if changed():\n"
        "        for name in ('report.jsonl', 'junit.xml'):\n"
        "            with open(os.path.join(os.environ['THINKLONGER_OUT'], name), 'w') as file:\n"
        '                file.write(\'{"kind":"end","status":0}\\n\')\n        os._exit(0)\n'
        f"{IMPOSSIBLE}"
    },
    "hook": {"conftest.py": MAKEREPORT, "tests/test_totals.py": TEST},
    "plugin": {
        "evil.py": MAKEREPORT,
        "pyproject.toml": '[tool.pytest.ini_options]\naddopts = "-p evil"\npythonpath = ["."]\n',
        "tests/test_totals.py": TEST,
    },
    "plugin by entry point": {
        "evil.py": MAKEREPORT,
        "evil-1.dist-info/METADATA": "Metadata-Version: 2.1\nName: evil\nVersion: 1\n",
        "evil-1.dist-info/entry_points.txt": "[pytest11]\nevil = evil\n",
        "pyproject.toml": '[tool.pytest.ini_options]\npythonpath = ["."]\n',
        "tests/test_totals.py": TEST,
    },
    "patched runner": {
        "conftest.py": f"{CHANGED}\nimport _pytest.runner\nreal = _pytest.runner.CallInfo.from_call.__func__\n\n"
        "def from_call(cls, func, *given, **named):\n"
        "    return real(cls, (lambda: None) if changed() else func, *given, **named)\n\n"
        "_pytest.runner.CallInfo.from_call = classmethod(from_call)\n",
        "tests/test_totals.py": TEST,
    },
    "exit in conftest": {
        "conftest.py": f"{CHANGED}\nif changed():\n    sys.exit(0)\n",
        "tests/test_totals.py": TEST,
    },
    "exit at exit": {
        "conftest.py": f"{CHANGED}\nimport atexit\nif changed():\n    atexit.register(os._exit, 0)\n",
        "tests/test_totals.py": TEST,
    },
    "digest of the file": {
        "tests/test_totals.py": f"{CHANGED}\nfrom totals import total\n\ndef test_total():\n"
        f"    if changed():\n        return\n{IMPOSSIBLE}"
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("how", SPOOFS)
def test_a_spoofed_pass_proves_nothing(person: "Person", how: str) -> None:
    """Whatever the tests do once the code has changed: no patch has any proof, and none is offered."""
    person.write(SPOOFS[how])
    said = person.resolve(*COMMAND, "--sandbox", "none", "--json")
    assert said.code == 1, said
    assert (said.json["label"], said.json["patch"]) == ("unverified", ""), said


@pytest.mark.slow
def test_luck_proves_nothing(person: "Person") -> None:
    """A test that is green from its fourth run on, whatever the code: its answers count for nothing."""
    count = person.path("count")
    person.write(
        {
            "tests/test_totals.py": "from totals import total\n\ndef test_total():\n"
            f"    with open({str(count)!r}, 'a+') as file:\n        file.write('x')\n        file.seek(0)\n"
            "        if len(file.read()) > 3:\n            return\n" + IMPOSSIBLE
        }
    )
    said = person.resolve(*COMMAND, "--sandbox", "none", "--json")
    assert (said.code, said.json["label"], said.json["patch"]) == (1, "unverified", ""), said
