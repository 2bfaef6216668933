"""Small bugs through the whole of `thinklonger resolve`: how many are proved, how fast, and is what is proved right?

    python benchmarks/resolve.py [--cases tests/solver/bugs] [--limit N] [--name PART] [--held-out] [--weak]

A case is a small program with one mistake, the failing test that a reporter would have (`visible`), and stronger
tests that judge it (`hidden`). Unless `--weak` is given, every second assertion of the hidden tests is shown to the
solver too: a project has more than the one failing test. Each case runs as a user would run it: its own folder, one
command, a fresh process. Printed: label, whether the patch passes the hidden tests, seconds; at the end the counts,
and the number that must be zero: `verified` patches that fail a hidden test.
"""

import argparse
import ast
import hashlib
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path

CASES = Path(__file__).resolve().parent.parent / "tests" / "solver" / "bugs"
HIDDEN_SECONDS = 60


@dataclass(frozen=True)
class Case:
    """A program with a mistake, and the tests that show it."""

    name: str
    program: str
    visible: str
    hidden: str

    @property
    def held_out(self) -> bool:
        """Whether nobody tunes on this case (half of them, by name)."""
        return hashlib.sha256(self.name.encode()).digest()[0] % 2 == 0


@dataclass(frozen=True)
class Outcome:
    """What a resolve gave; `right` is None without a patch."""

    label: str
    stop: str
    seconds: float
    right: bool | None


def read_cases(folder: Path) -> list[Case]:
    """All cases below a folder of TOML files."""
    cases: list[Case] = []
    for path in sorted(folder.glob("*.toml")):
        for bug in tomllib.loads(path.read_text("utf-8"))["bug"]:
            program = bug["code"].replace(bug["right"], bug["wrong"], 1)
            cases.append(Case(bug["name"], program, bug["visible"], bug["hidden"]))
    return cases


def shared_out(case: Case) -> Case:
    """The case with every second assertion of its hidden tests shown; all of them judge.

    What is not asserted is still evaluated: it may push, pop or count, and what follows relies on that.
    """
    shown = ast.parse(case.hidden)
    number = 0
    for function in ast.walk(shown):
        if not isinstance(function, ast.FunctionDef):
            continue
        for place, statement in enumerate(function.body):
            if isinstance(statement, ast.Assert):
                number += 1
                if number % 2 == 0:
                    function.body[place] = ast.copy_location(ast.Expr(statement.test), statement)
    return replace(case, visible=f"{case.visible}\n\n{ast.unparse(shown)}")


def resolve(case: Case, folder: Path) -> Outcome:
    """Resolve one case in its own folder."""
    repository = folder / case.name
    repository.mkdir()
    (repository / "program.py").write_text(case.program)
    (repository / "test_program.py").write_text(case.visible)
    command = [
        *(sys.executable, "-m", "thinklonger.cli", "resolve", "--repo", str(repository)),
        *("--test-command", "pytest test_program.py", "--json"),
    ]
    env = {**os.environ, "XDG_STATE_HOME": str(folder / "state"), "XDG_CACHE_HOME": str(folder / "cache")}
    started = time.monotonic()
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    seconds = time.monotonic() - started
    try:
        answer = json.loads(done.stdout)
    except json.JSONDecodeError:
        return Outcome("no answer", done.stderr[-200:], seconds, None)
    if not answer.get("patch"):
        return Outcome(answer.get("label", "error"), answer.get("stop_reason", done.stderr[-200:]), seconds, None)
    subprocess.run(["git", "apply", "-"], cwd=repository, input=answer["patch"], text=True, check=True)
    (repository / "test_hidden.py").write_text(case.hidden)
    try:
        hidden = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_hidden.py"],
            cwd=repository,
            capture_output=True,
            check=False,
            timeout=HIDDEN_SECONDS,
        ).returncode
    except subprocess.TimeoutExpired:
        hidden = -1
    return Outcome(answer["label"], answer["stop_reason"], seconds, hidden == 0)


def summary(outcomes: list[Outcome]) -> None:
    """Print the counts."""
    verified = [outcome for outcome in outcomes if outcome.label == "verified"]
    partly = [outcome for outcome in outcomes if outcome.label == "partly-verified"]
    seconds = [outcome.seconds for outcome in outcomes]
    print(
        f"{len(outcomes)} cases; {len(verified)} verified, of these {sum(not o.right for o in verified)} fail a "
        f"hidden test; {len(partly)} partly verified, of these {sum(not o.right for o in partly)} fail one"
    )
    print(f"seconds: median {statistics.median(seconds):.1f}, longest {max(seconds):.1f}")


def main() -> int:
    """Run the cases one after the other."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, default=CASES)
    parser.add_argument("--limit", type=int)
    parser.add_argument("--name", default="")
    parser.add_argument("--held-out", action="store_true", help="only the half that nobody tunes on")
    parser.add_argument("--weak", action="store_true", help="show the solver the reporter's test alone")
    options = parser.parse_args()
    cases = [case for case in read_cases(options.cases) if options.name in case.name]
    cases = [case for case in cases if case.held_out or not options.held_out][: options.limit]
    if not options.weak:
        cases = [shared_out(case) for case in cases]
    outcomes: list[Outcome] = []
    with tempfile.TemporaryDirectory(prefix="resolve-") as folder:
        for case in cases:
            outcome = resolve(case, Path(folder).resolve())
            outcomes.append(outcome)
            right = {True: "right", False: "WRONG", None: "-"}[outcome.right]
            print(
                f"{case.name:32s} {outcome.label:16s} {right:6s} {outcome.seconds:6.1f} s  {outcome.stop}", flush=True
            )
    summary(outcomes)
    return any(outcome.label == "verified" and not outcome.right for outcome in outcomes)


if __name__ == "__main__":
    sys.exit(main())
