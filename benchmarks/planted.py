"""A planted set through `thinklonger verify`: right patches, plausible wrong ones, and cheats; who is called verified?

    python benchmarks/planted.py [--cases tests/stages/planted] [--name PART] [--kind right|wrong|cheat] [--check]

A case is a small package with an issue and its tests, the first of which fails, and three patches.
Where the wrong patch is to be one that nothing can tell, the tests that could (`blind`) are not in its repository.
Each patch is put through the command as a user would run it: its own folder, a fresh process. Hidden assertions,
which nobody sees, say whether a patch is right; `--check` only tries those, so that the set itself can be trusted.
Printed:
a line for each patch, and the two numbers that count: wrong or cheating patches labelled `verified` (must be
zero), and right
ones labelled `verified` (of 20, at least 19).
"""

import argparse
import difflib
import json
import os
import subprocess
import sys
import tempfile
import time
import tomllib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

CASES = Path(__file__).resolve().parent.parent / "tests" / "stages" / "planted"
KINDS = ("right", "wrong", "cheat")
SECONDS = 300


@dataclass(frozen=True)
class Planted:
    """One patch of one case: the repository's files, and those that the patch changes."""

    name: str
    kind: str
    issue: str
    files: dict[str, str]
    changed: dict[str, str] = field(default_factory=dict[str, str])
    hidden: str = ""

    @property
    def diff(self) -> str:
        """The patch as a unified diff."""
        parts: list[str] = []
        for path, text in self.changed.items():
            old = self.files.get(path)
            before = "/dev/null" if old is None else f"a/{path}"
            lines = difflib.unified_diff(
                (old or "").splitlines(keepends=True), text.splitlines(keepends=True), before, f"b/{path}"
            )
            parts.append(f"diff --git a/{path} b/{path}\n" + ("new file mode 100644\n" if old is None else ""))
            parts += lines
        return "".join(parts)


def read_planted(folder: Path) -> list[Planted]:
    """All patches of all cases below a folder of TOML files; raises ValueError for an edit that does not fit."""
    found: list[Planted] = []
    for path in sorted(folder.glob("*.toml")):
        for case in tomllib.loads(path.read_text("utf-8"))["case"]:
            code = case["code"].lstrip("\n")
            package = case["path"].partition("/")[0]
            stem = Path(case["path"]).stem
            tests = f"tests/test_{stem}.py"
            files = {
                f"{package}/__init__.py": "",
                case["path"]: code,
                tests: case["tests"].lstrip("\n").replace("\\\\n", "\\n"),
                "README.md": f"# {package}\n",
            }
            for kind in KINDS:
                changed = dict(case.get(f"{kind}_files", {}))
                text = code
                for old, new in case.get(kind, ()):
                    if text.count(old) != 1:
                        problem = f"{case['name']} ({kind}): {text.count(old)} places of {old!r}"
                        raise ValueError(problem)
                    text = text.replace(old, new)
                if text != code:
                    changed[case["path"]] = text
                if not changed:
                    continue
                shown = dict(files)
                if kind == "wrong":
                    shown[tests] = without(files[tests], case.get("blind", ()))
                found.append(Planted(case["name"], kind, case["issue"], shown, changed, case["hidden"]))
    return found


def without(source: str, tests: Sequence[str]) -> str:
    """A test file without some of its tests."""
    for test in tests:
        before, _, rest = source.partition(f"def {test}(")
        source = before + rest.partition("\n\n")[2]
    return source


def lay_out(files: dict[str, str], folder: Path) -> None:
    """Write files below a folder."""
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text, "utf-8")


def check(planted: Planted) -> str:
    """What is wrong with the planted patch itself; empty if it is what it says."""
    with tempfile.TemporaryDirectory(prefix="planted-") as name:
        folder = Path(name)
        lay_out({**planted.files, **planted.changed}, folder)
        lay_out({"hidden.py": planted.hidden}, folder)
        environment = {**os.environ, "PYTHONPATH": str(folder), "PYTHONDONTWRITEBYTECODE": "1"}
        hidden = subprocess.run(
            [sys.executable, "hidden.py"], cwd=folder, env=environment, capture_output=True, check=False
        )
        test = next(path for path in planted.files if path.startswith("tests/"))
        first = planted.files[test].split("def test_", 1)[1].partition("(")[0]
        words = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
        asked = subprocess.run(
            [*words, f"{test}::test_{first}"], cwd=folder, env=environment, capture_output=True, check=False
        )
        whole = subprocess.run([*words, "tests"], cwd=folder, env=environment, capture_output=True, check=False)
        if planted.kind == "right":
            return "" if hidden.returncode == 0 and whole.returncode == 0 else "the right one fails"
        if asked.returncode != 0:
            return "it does not pass the failing test"
        if planted.kind == "wrong":
            return "the wrong one is right" if hidden.returncode == 0 else f"tests: exit {whole.returncode}"
        return f"tests: exit {whole.returncode}, hidden: exit {hidden.returncode}"


def verify(planted: Planted) -> tuple[str, list[str], float]:
    """The label that the command gives, its flags and reasons in short, and the seconds that it took."""
    with tempfile.TemporaryDirectory(prefix="planted-") as name:
        folder = Path(name) / "repository"
        lay_out(planted.files, folder)
        lay_out({"issue.md": planted.issue, "fix.diff": planted.diff}, Path(name))
        for words in (
            ["init", "-q"],
            ["add", "-A"],
            ["-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "x"],
        ):
            subprocess.run(["git", *words], cwd=folder, check=True, capture_output=True)
        environment = {**os.environ, "XDG_STATE_HOME": f"{name}/state", "XDG_CACHE_HOME": f"{name}/cache"}
        command = [sys.executable, "-m", "thinklonger.cli", "verify", "--repo", str(folder), "--json", "--quiet",
                   "--issue", f"{name}/issue.md", "--patch", f"{name}/fix.diff"]  # fmt: skip
        started = time.monotonic()
        ran = subprocess.run(command, env=environment, capture_output=True, timeout=SECONDS, check=False)
        seconds = time.monotonic() - started
        if not ran.stdout.strip():
            return "crashed", [ran.stderr.decode()[-300:]], seconds
        answer = json.loads(ran.stdout)
        if "error" in answer:
            return "error", [answer["error"]["message"]["text"]], seconds
        receipt = answer["receipt"] or {"flags": [], "reasons": []}
        said = [entry["key"].partition(".")[2] for entry in (*receipt["flags"], *receipt["reasons"])]
        return answer["label"], said or [answer["stop_reason"]], seconds


def main() -> None:
    """Print a line for each patch, then the counts."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--cases", type=Path, default=CASES)
    parser.add_argument("--name", default="")
    parser.add_argument("--kind", choices=KINDS)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()
    chosen = [
        planted
        for planted in read_planted(options.cases)
        if options.name in planted.name and options.kind in (None, planted.kind)
    ]
    counts: dict[tuple[str, str], int] = {}
    for planted in chosen:
        if options.check:
            print(f"{planted.name:14} {planted.kind:6} {check(planted)}", flush=True)
            continue
        label, said, seconds = verify(planted)
        counts[planted.kind, label] = counts.get((planted.kind, label), 0) + 1
        ignored = {"reproduced", "regression-held"}
        words = ", ".join(word for word in said if word not in ignored)
        print(f"{planted.name:14} {planted.kind:6} {label:16} {seconds:6.1f} s  {words}", flush=True)
    if options.check:
        return
    for kind in KINDS:
        labels = ", ".join(f"{label} {number}" for (of, label), number in sorted(counts.items()) if of == kind)
        print(f"{kind:6} {labels}")
    false = sum(number for (kind, label), number in counts.items() if kind != "right" and label == "verified")
    print(f"right and verified: {counts.get(('right', 'verified'), 0)}; not right and verified: {false}")


if __name__ == "__main__":
    main()
