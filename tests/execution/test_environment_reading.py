"""What is read from a repository about its environment, without running anything of it."""

import venv
from datetime import date
from pathlib import Path, PurePosixPath
from textwrap import dedent

import pytest
from hypothesis import given
from hypothesis import strategies as st

from thinklonger.agent.execution.environments.at_hand import find_at_hand
from thinklonger.agent.execution.environments.metadata import poetry_pin
from thinklonger.agent.execution.environments.nouns import Needs, Python
from thinklonger.agent.execution.environments.pythons import OLDEST, allows, choose_python, find_pythons
from thinklonger.agent.execution.environments.relaxing import Plan, relax
from thinklonger.agent.execution.environments.survey import survey
from thinklonger.agent.execution.environments.texts import installed_by, name_of, requirements


def surveyed(root: Path, files: dict[str, str]) -> Needs:
    """What a repository of these files needs."""
    for name, text in files.items():
        place = root / name
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(dedent(text), "utf-8")
    return survey(root, [PurePosixPath(name) for name in files])


def wanted(needs: Needs) -> set[str]:
    """The distributions that tests seem to want."""
    return {name_of(entry.text) for entry in needs.wanted}


def test_the_standards_tables(tmp_path: Path) -> None:
    """pyproject.toml: extras that are called after tests, groups with those that they include, tools left out."""
    needs = surveyed(
        tmp_path,
        {
            "pyproject.toml": """
                [project]
                name = "Demo_Project"
                version = "1.2"
                requires-python = ">=3.9"
                dependencies = ["click>=8"]
                classifiers = ["Programming Language :: Python :: 3.10"]
                [project.optional-dependencies]
                test = ["responses"]
                docs = ["sphinx"]
                [dependency-groups]
                tests = ["freezegun", {include-group = "shared"}, "black"]
                shared = ["hypothesis>=6"]
                lint = ["pylint"]
                [tool.pytest.ini_options]
                addopts = "--cov=demo -n auto"
                """
        },
    )
    assert (needs.name, needs.version, needs.requires_python) == ("Demo_Project", "1.2", ">=3.9")
    assert needs.extras == ("test",)
    assert wanted(needs) == {"freezegun", "hypothesis", "pytest-cov", "pytest-xdist"}
    assert needs.pythons == ((3, 10),)
    assert needs.dependencies == ("click>=8",)


def test_setup_py_is_read_not_run(tmp_path: Path) -> None:
    """Plain values and the names that stand for them are read; the file itself is never executed."""
    needs = surveyed(
        tmp_path,
        {
            "setup.py": f"""
                open({str(tmp_path / "ran")!r}, "w")
                from setuptools import setup
                TESTS = ["mock", "pytest<7"]
                setup(name="old", version="0.3", install_requires="six>=1.0\\nattrs", tests_require=TESTS + ["nose"],
                      extras_require={{"testing": TESTS}}, python_requires=">=3.6")
                """
        },
    )
    assert not (tmp_path / "ran").exists()
    assert (needs.name, needs.version, needs.extras) == ("old", "0.3", ("testing",))
    assert needs.dependencies == ("six>=1.0", "attrs")
    assert wanted(needs) == {"mock", "pytest", "nose"}


def test_what_automation_installs(tmp_path: Path) -> None:
    """tox, nox, CI and requirement files are asked; an include that leads out of the repository is not followed."""
    (tmp_path.parent / "outside.txt").write_text("stolen\n", "utf-8")
    needs = surveyed(
        tmp_path,
        {
            "tox.ini": "[tox]\nenvlist = py3{9,10}\n[testenv]\ndeps =\n    py39: moto\n    -rrequirements-test.txt\n",
            "requirements-test.txt": "-r more.txt\n-r ../outside.txt\nwebtest==3.0 --hash=sha256:00\n",
            "more.txt": "tornado ; python_version >= '3.8'\n",
            "requirements-dev.txt": "ipdb\nonlydev\n",
            "noxfile.py": "def tests(session):\n    session.install('pyfakefs', '-r', 'more.txt')\n",
            ".github/workflows/tests.yml": "steps:\n  - run: pip install 'requests[socks]>=2' -e . && echo installed\n"
            "strategy:\n  matrix:\n    python-version: ['3.9', '3.12']\n",
        },
    )
    assert wanted(needs) == {"moto", "webtest", "tornado", "pyfakefs", "requests"}
    assert {(3, 9), (3, 10), (3, 12)} <= set(needs.pythons)


def test_what_the_tests_use(tmp_path: Path) -> None:
    """Imports that are not guarded and not the repository's own, and plugins by their fixtures and marks."""
    needs = surveyed(
        tmp_path,
        {
            "pkg/__init__.py": "",
            "tests/helper.py": "",
            "tests/test_x.py": """
                import os, yaml, pkg, helper
                from sklearn.base import clone
                try:
                    import numpy
                except ImportError:
                    numpy = None
                def test_a(mocker, tmp_path): import pandas
                @pytest.mark.asyncio
                async def test_b(): ...
                """,
        },
    )
    assert set(needs.imports) == {"yaml", "sklearn"}
    assert {"pytest-mock", "pytest-asyncio"} <= wanted(needs)


@pytest.mark.parametrize(
    "files",
    [
        {"pyproject.toml": "[project\n"},
        {"setup.py": "def (:\n"},
        {"setup.cfg": "no section\n", "tox.ini": "[[[\n"},
        {
            "pyproject.toml": '[project]\nname = 3\ndependencies = "x"\n'
            '[dependency-groups]\na = [{include-group = "a"}]\n'
        },
        {"noxfile.py": "(" * 500, "requirements-test.txt": "\0\0\n-r requirements-test.txt\n"},
        {"pyproject.toml": "[tool.poetry.dependencies]\npython = []\nx = {}\n[tool.pytest]\nini_options = 3\n"},
    ],
)
def test_broken_files_stop_nothing(tmp_path: Path, files: dict[str, str]) -> None:
    """Whatever a repository's files hold, the survey ends with what it could read."""
    assert isinstance(surveyed(tmp_path, files), Needs)


def test_python_2_code_is_seen(tmp_path: Path) -> None:
    """Code that only Python 2 can read is told apart from one odd file."""
    old = {"a.py": "print 'x'\n", "test_a.py": "try: pass\nexcept E, e: pass\n"}
    modules = {f"m{number}.py": "x = 1\n" for number in range(9)}
    new = surveyed(tmp_path / "new", modules | {"odd.py": "print 'x'\n"})
    assert (surveyed(tmp_path / "old", old).python2, new.python2) == (True, False)


@pytest.mark.parametrize(
    ("specifier", "allowed"),
    [
        ("", {8, 9, 10, 11, 12}),
        (">=3.10", {10, 11, 12}),
        (">=3.9,<3.12", {9, 10, 11}),
        (">=3.8.1,!=3.9.*,<4", {8, 10, 11, 12}),
        ("^3.9", {9, 10, 11, 12}),
        ("~=3.9.2", {9}),
        ("<=3.10", {8, 9, 10}),
        (">2.7", {8, 9, 10, 11, 12}),
        ("~3.8 || >=3.12", {8, 12}),
        ("==3.11.*", {11}),
        ("<3", set[int]()),
    ],
)
def test_requires_python(specifier: str, allowed: set[int]) -> None:
    """Each way to write which Pythons are allowed."""
    assert {minor for minor in range(8, 13) if allows(specifier, (3, minor))} == allowed


def test_the_python_of_the_day() -> None:
    """The newest that the project names and that had settled by then; what it does not allow is never taken."""
    pythons = [Python(Path(f"/p/python3.{minor}"), (3, minor)) for minor in range(8, 14)]

    def minor(day: date, **needs: object) -> int | None:
        chosen = choose_python(pythons, Needs(**needs), day)  # type: ignore[arg-type] # the fields as keywords
        return chosen and chosen.version[1]

    assert minor(date(2022, 3, 1)) == 9
    assert minor(date(2012, 1, 1)) == 8
    assert minor(date(2026, 1, 1), pythons=((3, 9), (3, 10))) == 10
    assert minor(date(2021, 11, 1), pythons=((3, 8), (3, 10))) == 8
    assert minor(date(2021, 1, 1), requires_python=">=3.12") == 12
    assert minor(date(2026, 1, 1), requires_python="<3.8") is None


def test_the_machines_pythons_are_whole() -> None:
    """Every Python that is offered exists and is new enough; there is at least the one that runs this test."""
    found = find_pythons()
    assert all(python.executable.exists() and python.version >= OLDEST for python in found)
    assert [python.version for python in found] == sorted({python.version for python in found})


@given(st.lists(st.integers(0, 40), min_size=1, max_size=4))
def test_poetry_pins_hold_their_own_version(numbers: list[int]) -> None:
    """A caret or tilde pin becomes a range that begins at its own version and ends above it."""
    text = ".".join(map(str, numbers))
    for sign in "^~":
        lower, upper = poetry_pin(f"{sign}{text}").split(",")
        assert lower == f">={text}"
        assert [int(part) for part in upper.removeprefix("<").split(".")] > numbers


@pytest.mark.parametrize(
    ("line", "plain", "files", "extras"),
    [
        ("- run: pip install -U pip wheel pytest", ["pip", "wheel", "pytest"], [], []),
        ("python -m pip install -r req/test.txt .[test,extra]", [], ["req/test.txt"], ["test", "extra"]),
        ("pip install $PACKAGES git+https://x/y ./here 'a b'", [], [], []),
        ("pip install un'closed also", ["un", "closed", "also"], [], []),
        ("echo nothing", [], [], []),
    ],
)
def test_pip_lines(line: str, plain: list[str], files: list[str], extras: list[str]) -> None:
    """What a line of a script installs; addresses and variables are passed over."""
    assert installed_by(line) == (plain, files, extras)


def test_only_requirements_are_requirements() -> None:
    """Options, paths, addresses and comments are none."""
    lines = ["a>=1  # why", "-e .", "./x", "https://h/x.whl", "b[c,d] ; python_version<'3'", "", "x @ file:///etc"]
    assert [name_of(entry) for entry in requirements(lines)] == ["a", "b"]


def test_environments_of_tools_are_found(tmp_path: Path) -> None:
    """A whole environment that tox made is found; a half one and one that .pdm-python invents are not."""
    venv.create(tmp_path / ".tox" / "py311", with_pip=False, symlinks=True)
    (tmp_path / ".tox" / "docs").mkdir()
    (tmp_path / ".pdm-python").write_text("/etc/../bin/python", "utf-8")
    found = list(find_at_hand(tmp_path, home=tmp_path / "home"))
    assert [(interpreter.prefix.name, reason.params["tool"]) for interpreter, reason in found] == [("py311", "tox")]


def plan(**fields: object) -> Plan:
    """A plan with defaults."""
    given = {"project": True, "extras": ["test"], "requirements": ["a==1", "b"], "dependencies": ["d"]} | fields
    return Plan(**given)  # type: ignore[arg-type] # the fields as keywords


def test_what_is_given_up_first() -> None:
    """Pins before distributions, distributions before extras, the date before the project; each remembered."""
    made = plan()
    said = "No solution found: Because there is no version of a==1 and you require a==1 and b, unsatisfiable"
    assert relax(made, said, name="demo")
    assert made.requirements == ["a", "b"]
    assert relax(made, said, name="demo")
    assert made.requirements == ["a"]
    other = "Because demo depends on zzz and there are no versions of zzz, demo cannot be used"
    assert relax(made, other, name="demo")
    assert made.extras == []
    assert relax(made, other, name="demo")
    assert not made.dated
    assert relax(made, other, name="demo")
    assert (made.project, made.requirements) == (False, ["a", "d"])
    assert not relax(made, other, name="demo")
    assert [dropped.requirement for dropped in made.dropped] == ["a==1", "b", "[test]", "the date", "the project"]


def test_a_dependency_that_does_not_build() -> None:
    """First a wheel of another version, then without it."""
    made = plan()
    said = "Failed to build `b==2.0`\n  The build backend returned an error"
    assert relax(made, said, name="demo")
    assert made.only_binary == ["b"]
    assert relax(made, said, name="demo")
    assert made.requirements == ["a==1"]


def test_a_project_that_does_not_build() -> None:
    """Its version is told, what its setup.py imports is there; at last its code is used where it lies."""
    made = plan()
    head = "Failed to build `demo @ file:///demo`\n"
    assert relax(made, head + "setuptools-scm was unable to detect version for /demo", name="demo")
    assert made.versioned
    assert relax(made, head + "ModuleNotFoundError: No module named 'numpy'", name="demo")
    assert made.helpers == ["numpy"]
    assert relax(made, head + "error: command 'gcc' failed", name="demo")
    assert not made.project
