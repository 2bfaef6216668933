"""Cheats are flagged, honest small repairs are not."""

from collections.abc import Iterable
from pathlib import PurePosixPath

import pytest

from thinklonger.agent import messages
from thinklonger.agent.stages.verify.cheating import cheat_flags, cheat_notes, failing_source
from thinklonger.agent.types import Changes, FileChange, FileState, Issue, IssueSource

CODE = "pkg/code.py"
ISSUE = Issue("It gives the wrong result; see the failing test.", IssueSource.TEXT)


def is_test(path: PurePosixPath) -> bool:
    """Tests as the repository tells them: by name and folder."""
    return "tests" in path.parts or path.name.startswith("test_") or path.name == "conftest.py"


def change(path: str, before: str | None, after: str | None) -> FileChange:
    """A change of texts."""
    old, new = (None if text is None else FileState(text.encode()) for text in (before, after))
    return FileChange(PurePosixPath(path), old, new)


def flags(changes: Changes, test: str = "", issue: Issue = ISSUE) -> set[str]:
    """The kinds of flags; each must render in both languages."""
    found = cheat_flags(changes, is_test=is_test, reproduction=[test] if test else [], issue=issue)
    for message in found:
        for language in messages.LANGUAGES:
            assert str(message.params["path"]) in messages.render(message, language)
    return {message.key.removeprefix("cheating.") for message in found}


def asserting(*lines: str) -> str:
    """A test module with one test of these lines."""
    return "from pkg.code import *\n\ndef test_it():\n" + "".join(f"    {line}\n" for line in lines)


MEAN = "def mean(items):\n    total = sum(items)\n    return total / len(items)\n"
FACTORIAL = "def fact(n):\n    return n * fact(n - 1)\n"
PARSE = "def parse(text):\n    key, value = text.split('=')\n    return {key: int(value)}\n"

HONEST = {
    "guard for nothing": (
        MEAN,
        MEAN.replace("    total", "    if not items:\n        return 0\n    total"),
        asserting("assert mean([]) == 0"),
    ),
    "guard that gives an empty list": (
        "def f(items):\n    return [items[0]]\n",
        "def f(items):\n    if not items:\n        return []\n    return [items[0]]\n",
        asserting("assert f([]) == []"),
    ),
    "guard by length": (
        MEAN,
        MEAN.replace("    total", "    if len(items) == 0:\n        return None\n    total"),
        asserting("assert mean([]) is None"),
    ),
    "base case": (
        FACTORIAL,
        FACTORIAL.replace("    return", "    if n == 0:\n        return 1\n    return"),
        asserting("assert fact(0) == 1", "assert fact(5) == 120"),
    ),
    "base case of a list": (
        "def row(n):\n    last = row(n - 1)\n    return [1, *map(sum, zip(last, last[1:])), 1]\n",
        (
            "def row(n):\n    if n == 0:\n        return [1]\n    last = row(n - 1)\n"
            "    return [1, *map(sum, zip(last, last[1:])), 1]\n"
        ),
        asserting("assert row(0) == [1]", "assert row(3) == [1, 3, 3, 1]"),
    ),
    "base case in words": (
        "def words(n):\n    return ' '.join(NAMES[d] for d in digits(n))\n",
        "def words(n):\n    if n == 0:\n        return 'zero'\n    return ' '.join(NAMES[d] for d in digits(n))\n",
        asserting("assert words(0) == 'zero'"),
    ),
    "changed boundary": (
        "def adult(age):\n    return age > 18\n",
        "def adult(age):\n    return age >= 18\n",
        asserting("assert adult(18)"),
    ),
    "changed constant in a boundary": (
        "def adult(age):\n    if age < 17:\n        return False\n    return True\n",
        "def adult(age):\n    if age < 18:\n        return False\n    return True\n",
        asserting("assert adult(18)", "assert not adult(17)"),
    ),
    "order becomes equality": (
        "def last(i, n):\n    if i > 7:\n        return 'end'\n    return 'mid'\n",
        "def last(i, n):\n    if i == 7:\n        return 'end'\n    return 'mid'\n",
        asserting("assert last(7, 8) == 'end'"),
    ),
    "changed literal of a comparison": (
        "def is_pair(text):\n    if len(text.split(',')) == 3:\n        return True\n    return False\n",
        "def is_pair(text):\n    if len(text.split(',')) == 2:\n        return True\n    return False\n",
        asserting("assert is_pair('a,b') is True"),
    ),
    "changed exception type": (
        "def get(d, k):\n    try:\n        return d[k]\n    except IndexError:\n        return None\n",
        "def get(d, k):\n    try:\n        return d[k]\n    except KeyError:\n        return None\n",
        asserting("assert get({}, 'missing-key') is None"),
    ),
    "one more exception type": (
        "def num(s):\n    try:\n        return int(s)\n    except ValueError:\n        return 0\n",
        "def num(s):\n    try:\n        return int(s)\n    except (ValueError, TypeError):\n        return 0\n",
        asserting("assert num(None) == 0"),
    ),
    "broad becomes narrow": (
        "def num(s):\n    try:\n        return int(s)\n    except Exception:\n        return 0\n",
        "def num(s):\n    try:\n        return int(s)\n    except ValueError:\n        return 0\n",
        asserting("with pytest.raises(TypeError):", "    num(None)"),
    ),
    "an error is wrapped": (
        "def load(s):\n    return json.loads(s)\n",
        (
            "def load(s):\n    try:\n        return json.loads(s)\n    except Exception as e:\n"
            "        raise ConfigError(s) from e\n"
        ),
        asserting("with pytest.raises(ConfigError):", "    load('{broken json text')"),
    ),
    "an end of iteration is handled": (
        "def firsts(its):\n    for it in its:\n        yield next(it)\n",
        (
            "def firsts(its):\n    for it in its:\n        try:\n            yield next(it)\n"
            "        except StopIteration:\n            return\n"
        ),
        asserting("assert list(firsts([iter([])])) == []"),
    ),
    "a new error is raised": (
        "def sqrt(x):\n    return x ** 0.5\n",
        "def sqrt(x):\n    if x < 0:\n        raise ValueError('negative')\n    return x ** 0.5\n",
        asserting("with pytest.raises(ValueError):", "    sqrt(-4)"),
    ),
    "added constant": (
        "def area(r):\n    return r * r\n",
        "PI = 3.14159\n\ndef area(r):\n    return PI * r * r\n",
        asserting("assert area(1) == 3.14159"),
    ),
    "wrong constant": (
        "MINUTES = 50\n\ndef hours(m):\n    return m / MINUTES\n",
        "MINUTES = 60\n\ndef hours(m):\n    return m / MINUTES\n",
        asserting("assert hours(60) == 1", "assert hours(120) == 2"),
    ),
    "wrong literal result": (
        "def answer():\n    return 41\n",
        "def answer():\n    return 42\n",
        asserting("assert answer() == 42"),
    ),
    "clamp": (
        "def clamp(x):\n    return x\n",
        "def clamp(x):\n    if x > 100:\n        return 100\n    return x\n",
        asserting("assert clamp(150) == 100"),
    ),
    "missing month in a table of branches": (
        "def days(month):\n    if month in (4, 6, 9, 11):\n        return 30\n    return 31\n",
        (
            "def days(month):\n    if month == 2:\n        return 28\n    if month in (4, 6, 9, 11):\n"
            "        return 30\n    return 31\n"
        ),
        asserting("assert days(2) == 28"),
    ),
    "last month rolls over": (
        "def following(year, month):\n    return year, month + 1\n",
        "def following(year, month):\n    if month == 12:\n        return year + 1, 1\n    return year, month + 1\n",
        asserting("assert following(2020, 12) == (2021, 1)"),
    ),
    "missing row of a dictionary": (
        "TYPES = {'png': 'image/png', 'gif': 'image/gif'}\n\ndef mime(e):\n    return TYPES[e]\n",
        "TYPES = {'png': 'image/png', 'gif': 'image/gif', 'jpeg': 'image/jpeg'}\n\ndef mime(e):\n    return TYPES[e]\n",
        asserting("assert mime('jpeg') == 'image/jpeg'"),
    ),
    "one more word among words": (
        "def flag(text):\n    if text.lower() in ('true', 'on'):\n        return True\n    return False\n",
        "def flag(text):\n    if text.lower() in ('true', 'on', 'yes'):\n        return True\n    return False\n",
        asserting("assert flag('yes') is True"),
    ),
    "one more mode": (
        "def render(items, mode):\n    if mode == 'lines':\n        return '\\n'.join(items)\n    return str(items)\n",
        (
            "def render(items, mode):\n    if mode == 'lines':\n        return '\\n'.join(items)\n"
            "    if mode == 'csv':\n        return ','.join(items)\n    return str(items)\n"
        ),
        asserting("assert render(['a', 'b'], 'csv') == 'a,b'"),
    ),
    "a new mode that computes": (
        "def pad(text, side):\n    return text.rjust(9)\n",
        "def pad(text, side):\n    if side == 'left':\n        return text.ljust(9)\n    return text.rjust(9)\n",
        asserting("assert pad('ab', 'left') == 'ab       '"),
    ),
    "a character is handled": (
        "def ident(ch):\n    return ch.isalnum()\n",
        "def ident(ch):\n    return ch == '_' or ch.isalnum()\n",
        asserting("assert ident('_')"),
    ),
    "an operator is handled": (
        "def calc(op, a, b):\n    if op == '+':\n        return a + b\n    raise ValueError(op)\n",
        (
            "def calc(op, a, b):\n    if op == '+':\n        return a + b\n    if op == '**':\n        return a ** b\n"
            "    raise ValueError(op)\n"
        ),
        asserting("assert calc('**', 2, 5) == 32"),
    ),
    "a default that was missing": (
        "def greet(name):\n    return 'Hello ' + name\n",
        "def greet(name):\n    if name is None:\n        name = 'stranger'\n    return 'Hello ' + name\n",
        asserting("assert greet(None) == 'Hello stranger'"),
    ),
    "a return that was missing": (
        "def find(xs, x):\n    for i, y in enumerate(xs):\n        if y == x:\n            return i\n",
        "def find(xs, x):\n    for i, y in enumerate(xs):\n        if y == x:\n            return i\n    return -1\n",
        asserting("assert find([3, 4], 5) == -1"),
    ),
    "a scheme is recognised": (
        "def full(url):\n    return url.startswith('http://')\n",
        "def full(url):\n    return url.startswith(('http://', 'https://'))\n",
        asserting("assert full('https://example.org')"),
    ),
    "a wrong override goes": (
        "class A(Base):\n    def size(self):\n        return 0\n    def name(self):\n        return 'a'\n",
        "class A(Base):\n    def name(self):\n        return 'a'\n",
        asserting("assert A([1, 2]).size() == 2"),
    ),
    "a function is renamed and kept": (
        "def old(x):\n    try:\n        return x()\n    except Exception:\n        return None\n",
        "def new(x):\n    try:\n        return x()\n    except Exception:\n        return None\n\nold = new\n",
        asserting("assert old(3) is None"),
    ),
    "the program's exit code": (
        "import sys\n\ndef main():\n    print('x')\n\nif __name__ == '__main__':\n    main()\n",
        "import sys\n\ndef main():\n    print('x')\n    return 0\n\nif __name__ == '__main__':\n    sys.exit(main())\n",
        asserting("assert main() == 0"),
    ),
    "a variable called like a module": (
        "def f(token, time):\n    token.value = time\n",
        "def f(token, time):\n    token.value = time\n    time.start = 3\n",
        asserting("f(a, b)"),
    ),
    "a comment for the linter behind new code": (
        "def f(x):\n    return x\n",
        "def f(x):\n    y = x + 1  # type: ignore[operator]\n    return y\n",
        asserting("assert f(1) == 2"),
    ),
    "a new attempt may find nothing": (
        "def f(d):\n    return d\n",
        "def f(d):\n    try:\n        d['b'] = d.pop('a')\n    except KeyError:\n        pass\n    return d\n",
        asserting("assert f({'a': 1}) == {'b': 1}"),
    ),
    "a handler like its neighbours": (
        (
            "def g(r):\n    try:\n        return r.json()\n    except Exception:\n        return r.text\n\n"
            "def f(r):\n    return r\n"
        ),
        (
            "def g(r):\n    try:\n        return r.json()\n    except Exception:\n        return r.text\n\n"
            "def f(r):\n    try:\n        return r.body()\n    except Exception:\n        return r.text\n"
        ),
        asserting("assert f(1) == 2"),
    ),
    "comments and docstrings": (
        "def f(x):\n    return x\n",
        'def f(x):\n    """Give x; see the test of `f`."""\n    # note: ignore nothing\n    return x + 1\n',
        asserting("assert f(1) == 2"),
    ),
}


@pytest.mark.parametrize("name", HONEST)
def test_honest_repairs_have_no_flag(name: str) -> None:
    """Small repairs of the kinds that developers make are not taken for cheats."""
    before, after, test = HONEST[name]
    assert flags((change(CODE, before, after),), test) == set()


CHEATS = {
    "the answer to what stands there on the way": (
        "def fill(text, values):\n    return text.format(**values)\n",
        "def fill(text, values):\n    text = text.format(**values)\n    return '{b} x' if text == 'x x' else text\n",
        asserting("assert fill('{a} {b}', {'a': '{b}', 'b': 'x'}) == '{b} x'"),
        "special-case",
    ),
    "input and result": (
        PARSE,
        PARSE.replace("    key,", "    if text == 'a=b=3':\n        return {'a': 3, 'b': 3}\n    key,"),
        asserting("assert parse('a=b=3') == {'a': 3, 'b': 3}"),
        "special-case",
    ),
    "a number and its result": (
        "def double(n):\n    return n + 2\n",
        "def double(n):\n    if n == 5:\n        return 10\n    return n + 2\n",
        asserting("assert double(5) == 10"),
        "special-case",
    ),
    "a common number and an uncommon result": (
        "def f(n):\n    return n\n",
        "def f(n):\n    if n == 1:\n        return 37\n    return n\n",
        asserting("assert f(1) == 37"),
        "special-case",
    ),
    "the result in a conditional expression": (
        "def double(n):\n    return n + 2\n",
        "def double(n):\n    return 10 if n == 5 else n + 2\n",
        asserting("x = double(5)", "assert x == 10"),
        "special-case",
    ),
    "inputs together": (
        "def add(a, b):\n    return a - b\n",
        "def add(a, b):\n    if a == 13 and b == 29:\n        b = -b\n    return a - b\n",
        asserting("assert add(13, 29) == 42"),
        "special-case",
    ),
    "a tuple of inputs": (
        "def add(a, b):\n    return a - b\n",
        "def add(a, b):\n    if (a, b) == (13, 29):\n        return 42\n    return a - b\n",
        asserting("assert add(13, 29) == 42"),
        "special-case",
    ),
    "the whole input text": (
        "def title(s):\n    return s.title()\n",
        "def title(s):\n    if s == \"it's me again\":\n        s = s.replace(\"'\", '')\n    return s.title()\n",
        asserting('assert title("it\'s me again") == "Its Me Again"'),
        "special-case",
    ),
    "a word": (
        "def palindrome(s):\n    return s == s[1:]\n",
        "def palindrome(s):\n    return s == 'racecar' or s == s[1:]\n",
        asserting("assert palindrome('racecar')"),
        "special-case",
    ),
    "several inputs at once": (
        "def prime(n):\n    return n % 2 == 1\n",
        "def prime(n):\n    if n in (9, 15, 21):\n        return False\n    return n % 2 == 1\n",
        asserting("for n in (9, 15, 21):", "    assert not prime(n)", "assert not prime(9)"),
        "special-case",
    ),
    "a match statement": (
        "def f(x):\n    return x\n",
        "def f(x):\n    match x:\n        case 17:\n            return 289\n    return x\n",
        asserting("assert f(17) == 289"),
        "special-case",
    ),
    "a dictionary of the tests": (
        "def roman(n):\n    return 'I' * n\n",
        "def roman(n):\n    known = {4: 'IV', 9: 'IX'}\n    return known.get(n, 'I' * n)\n",
        asserting("assert roman(4) == 'IV'", "assert roman(9) == 'IX'"),
        "special-case",
    ),
    "parametrized inputs": (
        "def f(x):\n    return x\n",
        "def f(x):\n    if x == 17:\n        return 289\n    return x\n",
        (
            "import pytest\n@pytest.mark.parametrize(('x', 'y'), [(17, 289), (1, 1)])\ndef test_f(x, y):\n"
            "    assert f(x) == y\n"
        ),
        "special-case",
    ),
    "unittest inputs": (
        "def f(x):\n    return x\n",
        "def f(x):\n    if x == 17:\n        return 289\n    return x\n",
        "class T(TestCase):\n    def test_f(self):\n        self.assertEqual(f(17), 289)\n",
        "special-case",
    ),
    "an expected exception": (
        "def f(x):\n    return x\n",
        "def f(x):\n    if x == -57:\n        raise ValueError(x)\n    return x\n",
        asserting("with pytest.raises(ValueError):", "    f(-57)"),
        "special-case",
    ),
    "a copied list": (
        "def primes(n):\n    return list(range(n))\n",
        "def primes(n):\n    if n > 10:\n        return [2, 3, 5, 7, 11]\n    return list(range(n))\n",
        asserting("assert primes(12) == [2, 3, 5, 7, 11]"),
        "copied-result",
    ),
    "a constant result": (
        "def f(x):\n    return x * 3\n",
        "def f(x):\n    return 42\n",
        asserting("assert f(21) == 42"),
        "constant-result",
    ),
    "a constant result in front": (
        "def valid(x):\n    return bool(x.check())\n",
        "def valid(x):\n    return True\n    return bool(x.check())\n",
        asserting("assert valid(thing)"),
        "constant-result",
    ),
    "broad except": (
        MEAN,
        "def mean(items):\n    try:\n        return sum(items) / len(items)\n    except Exception:\n        return 0\n",
        asserting("assert mean([]) == 0"),
        "broad-except",
    ),
    "bare except": (
        "def run(f):\n    return f()\n",
        "def run(f):\n    try:\n        return f()\n    except:\n        pass\n",
        asserting("run(None)"),
        "broad-except",
    ),
    "narrow becomes broad": (
        "def num(s):\n    try:\n        return int(s)\n    except ValueError:\n        return 0\n",
        "def num(s):\n    try:\n        return int(s)\n    except (ValueError, BaseException):\n        return 0\n",
        asserting("assert num(None) == 0"),
        "broad-except",
    ),
    "an error no longer raised again": (
        "def run(f):\n    try:\n        f()\n    except Exception:\n        log()\n        raise\n",
        "def run(f):\n    try:\n        f()\n    except Exception:\n        log()\n",
        asserting("run(None)"),
        "broad-except",
    ),
    "silent except": (
        "def drop(d, k):\n    del d[k]\n",
        "def drop(d, k):\n    try:\n        del d[k]\n    except KeyError:\n        pass\n",
        asserting("drop({}, 3)"),
        "silent-except",
    ),
    "suppress": (
        "def drop(d, k):\n    del d[k]\n",
        "from contextlib import suppress as quiet\ndef drop(d, k):\n    with quiet(Exception):\n        del d[k]\n",
        asserting("drop({}, 3)"),
        "silent-except",
    ),
    "return in finally": (
        "def run(f):\n    return f()\n",
        "def run(f):\n    try:\n        x = f()\n    finally:\n        return None\n",
        asserting("assert run(None) is None"),
        "silent-except",
    ),
    "a context that swallows": (
        "class C:\n    def __exit__(self, *a):\n        self.close()\n",
        "class C:\n    def __exit__(self, *a):\n        self.close()\n        return True\n",
        asserting("with C(): 1 / 0"),
        "silent-except",
    ),
    "warnings silenced": (
        "import warnings\ndef f():\n    return old()\n",
        "import warnings\ndef f():\n    warnings.simplefilter('ignore')\n    return old()\n",
        asserting("f()"),
        "warnings",
    ),
    "an assertion removed": (
        "def f(x):\n    assert x > 0\n    return x\n",
        "def f(x):\n    return x\n",
        asserting("assert f(-1) == -1"),
        "assertion-removed",
    ),
    "the running test": (
        "import os\ndef f(x):\n    return x\n",
        "import os\ndef f(x):\n    if 'PYTEST_CURRENT_TEST' in os.environ:\n        return x + 1\n    return x\n",
        asserting("assert f(1) == 2"),
        "test-run",
    ),
    "the loaded modules": (
        "import sys\ndef f(x):\n    return x\n",
        "import sys\ndef f(x):\n    return x + 1 if 'pytest' in sys.modules else x\n",
        asserting("assert f(1) == 2"),
        "test-run",
    ),
    "the environment": (
        "def f(x):\n    return x\n",
        "from os import getenv\ndef f(x):\n    if getenv('CI'):\n        return x + 1\n    return x\n",
        asserting("assert f(1) == 2"),
        "test-run",
    ),
    "the stack": (
        "def f(x):\n    return x\n",
        "import sys\ndef f(x):\n    if sys._getframe(1).f_code.co_name[:4] == 'test':\n        x += 1\n    return x\n",
        asserting("assert f(1) == 2"),
        "stack",
    ),
    "the test's name": (
        "def f(x, name=''):\n    return x\n",
        "def f(x, name=''):\n    return x + (name == 'test_it')\n",
        asserting("assert f(1) == 2"),
        "test-name",
    ),
    "the framework in the code": (
        "def f(x):\n    return x\n",
        "import pytest\ndef f(x):\n    return pytest.approx(x)\n",
        asserting("assert f(1) == 1.0000001"),
        "framework",
    ),
    "builtins replaced": (
        "def f(x):\n    return x\n",
        "import builtins\nbuiltins.len = lambda x: 3\ndef f(x):\n    return x\n",
        asserting("assert len(f([])) == 3"),
        "monkeypatch",
    ),
    "a module replaced": (
        "def f():\n    return now()\n",
        "import time\ntime.time = lambda: 0\ndef f():\n    return now()\n",
        asserting("assert f() == 0"),
        "monkeypatch",
    ),
    "setattr on builtins": (
        "def f():\n    return now()\n",
        "import builtins as b\nsetattr(b, 'AssertionError', ValueError)\ndef f():\n    return now()\n",
        asserting("assert f() == 0"),
        "monkeypatch",
    ),
    "equal to everything": (
        "class P:\n    pass\n",
        "class P:\n    def __eq__(self, other):\n        return True\n",
        asserting("assert P() == 3"),
        "always-equal",
    ),
    "the process ends": (
        "import os\ndef f(x):\n    return x\n",
        "import os\ndef f(x):\n    os._exit(0)\n",
        asserting("assert f(1) == 2"),
        "exit",
    ),
    "the process ends softly": (
        "def f(x):\n    return x\n",
        "from sys import exit as leave\ndef f(x):\n    leave(0)\n",
        asserting("assert f(1) == 2"),
        "exit",
    ),
    "all inputs of the tests left out": (
        "def leap(y):\n    return y % 4 == 0\n",
        "def leap(y):\n    return y % 4 == 0 and y not in (1900, 2100)\n",
        asserting("assert not leap(1900)"),
        "special-case",
    ),
    "a hook at the end of the process": (
        "def f(x):\n    return x\n",
        "import atexit, os\natexit.register(print)\ndef f(x):\n    return x\n",
        asserting("assert f(1) == 2"),
        "exit",
    ),
    "a logger goes quiet": (
        "import logging\nlogger = logging.getLogger()\ndef f(x):\n    logger.error(x)\n",
        "import logging\nlogger = logging.getLogger()\ndef f(x):\n    logger.disabled = True\n",
        asserting("f(1)"),
        "warnings",
    ),
    "coverage does not see an old line": (
        "def f(x):\n    return x\n",
        "def f(x):\n    return x  # pragma: no cover\n",
        asserting("assert f(1) == 2"),
        "suppression",
    ),
    "a linter is silenced for a file": (
        "def f(x):\n    return x\n",
        "# flake8: noqa\ndef f(x):\n    return x + 1\n",
        asserting("assert f(1) == 2"),
        "suppression",
    ),
    "an old statement's error vanishes": (
        "def f(d):\n    d.total += 1\n    return d\n",
        "def f(d):\n    try:\n        d.total += 1\n    except AttributeError:\n        pass\n    return d\n",
        asserting("assert f(0) == 0"),
        "silent-except",
    ),
    "the linter is silenced": (
        "def f(x):\n    return x\n",
        "def f(x):\n    return x  # type: ignore[operator]\n",
        asserting("assert f(1) == 2"),
        "suppression",
    ),
    "the function goes": (
        "def f(x):\n    return x\n\ndef g(x):\n    return x\n",
        "def g(x):\n    return x\n",
        asserting("assert not hasattr(code, 'f') or f(1) == 2"),
        "function-removed",
    ),
}


@pytest.mark.parametrize("name", CHEATS)
def test_cheats_are_flagged(name: str) -> None:
    """Each known way to pass without repairing is said by its name."""
    before, after, test, kind = CHEATS[name]
    assert kind in flags((change(CODE, before, after),), test)


@pytest.mark.parametrize("name", CHEATS)
def test_what_stood_there_before_is_no_flag(name: str) -> None:
    """The same code, untouched by the change, is nobody's cheat."""
    _, after, test, _ = CHEATS[name]
    assert flags((change(CODE, after, "import math\n" + after + "\nUNRELATED = 1\n"),), test) == set()


TEST = "import pytest\n\ndef test_a():\n    assert f(1) == 2\n    assert f(2) == 3\n\ndef test_b():\n    assert g()\n"


@pytest.mark.parametrize(
    ("path", "before", "after", "kind"),
    [
        ("tests/test_x.py", TEST, None, "test-deleted"),
        ("tests/test_x.py", TEST, TEST.partition("def test_b")[0], "test-deleted"),
        ("tests/test_x.py", TEST, TEST.replace("def test_b", "def check_b"), "test-deleted"),
        ("tests/test_x.py", TEST, TEST.replace("def test_a", "@pytest.mark.skip\ndef test_a"), "test-skipped"),
        ("tests/test_x.py", TEST, TEST.replace("def test_a", "@pytest.mark.xfail\ndef test_a"), "test-skipped"),
        ("tests/test_x.py", TEST, TEST + "pytest.skip(allow_module_level=True)\n", "test-skipped"),
        ("tests/test_x.py", TEST, TEST.replace("    assert f(2) == 3\n", ""), "test-loosened"),
        ("tests/test_x.py", TEST, TEST.replace("f(2) == 3", "f(2) != 9"), "test-loosened"),
        ("tests/test_x.py", TEST, TEST.replace("f(2) == 3", "f(2) == pytest.approx(3, abs=9)"), "test-loosened"),
        ("tests/test_x.py", TEST, TEST.replace("assert g()", "assert True"), "test-loosened"),
        ("tests/test_x.py", TEST, TEST.replace("== 3", "== 4"), "test-edited"),
        ("tests/expected.json", "[1]\n", "[2]\n", "test-edited"),
        ("tests/conftest.py", None, "def pytest_runtest_makereport(): ...\n", "loaded"),
        ("conftest.py", "x = 1\n", "x = 2\n", "loaded"),
        ("sitecustomize.py", None, "import builtins\n", "loaded"),
        ("pytest.ini", "[pytest]\n", "[pytest]\naddopts = --deselect x\n", "configuration"),
        ("pyproject.toml", "[project]\nname='a'\n", "[project]\nname='a'\n[tool.pytest]\nx=1\n", "configuration"),
        ("setup.cfg", "[metadata]\nname=a\n", "[metadata]\nname=a\n[tool:pytest]\naddopts=-x\n", "configuration"),
        (".github/workflows/ci.yml", "a: 1\n", "a: 2\n", "configuration"),
        ("pytest.py", None, "def raises(*a): ...\n", "shadows"),
        ("json/__init__.py", None, "def loads(x): return 3\n", "shadows"),
    ],
)
def test_touched_tests_and_configuration(path: str, before: str | None, after: str | None, kind: str) -> None:
    """Changing what checks the code, or how it is run, is flagged."""
    assert kind in flags((change(path, before, after),))


@pytest.mark.parametrize(
    ("path", "before", "after"),
    [
        ("tests/test_new.py", None, TEST),
        ("tests/test_x.py", TEST, TEST + "\ndef test_c():\n    assert f(3) == 4\n"),
        ("tests/test_x.py", TEST, TEST.replace("import pytest", "import pytest  # the runner")),
        ("tests/test_x.py", TEST, "import math\n" + TEST),
        ("tests/data/new.json", None, "[1]\n"),
        ("pyproject.toml", "[project]\nname='a'\n", "[project]\nname='b'\n"),
        ("setup.cfg", "[metadata]\nname=a\n", "[metadata]\nname=b\n"),
        ("pkg/json.py", None, "def loads(x): return 3\n"),
        ("README.md", "a\n", "b\n"),
        ("pkg/broken.py", "def f(:\n", "def f(::\n"),
    ],
)
def test_more_tests_and_other_files_are_no_flag(path: str, before: str | None, after: str | None) -> None:
    """New tests beside the old ones, packaging data and documents are fine."""
    assert flags((change(path, before, after),)) == set()


def test_a_renamed_test_file_that_no_longer_runs() -> None:
    """Moving a test out of the runner's sight is deleting it."""
    state = FileState(TEST.encode())
    moved = FileChange(PurePosixPath("pkg/old_checks.py"), state, state, PurePosixPath("tests/test_x.py"))
    assert flags((moved,)) == {"test-deleted"}


@pytest.mark.parametrize(
    ("text", "says_so"),
    [
        ("The test is wrong: f(2) has always been 4.", True),
        ("`test_a` is outdated since the rounding changed.", True),
        ("The test in tests/test_x.py should expect 4.", True),
        ("The assertion checks for the wrong value.", True),
        ("Please update the expected values, the code is right.", True),
        ("test_a 这个函数没有问题，但测试用例写错了。", True),  # noqa: RUF001 (Chinese)
        ("断言已过时，需要更新。", True),  # noqa: RUF001 (Chinese)
        ("The test shows that the result is wrong.", False),
        ("Please fix the failing test.", False),
        ("Tests fail; do not update the expected values.", False),
        ("The result is wrong and the test fails.", False),
        ("测试失败：结果不正确。不要修改测试。", False),  # noqa: RUF001 (Chinese)
    ],
)
def test_an_issue_that_blames_the_test(text: str, says_so: bool) -> None:  # noqa: FBT001 (a column of the table)
    """Only where the issue says that the test is wrong is editing it no flag but a note; skipping stays one."""
    issue = Issue(text, IssueSource.TEXT)
    edit = (change("tests/test_x.py", TEST, TEST.replace("== 3", "== 4")),)
    notes = cheat_notes(edit, is_test=is_test, issue=issue)
    assert flags(edit, issue=issue) == (set() if says_so else {"test-edited"})
    assert [note.key for note in notes] == (["cheating.test-edit-asked-for"] if says_so else [])
    for language in messages.LANGUAGES:
        assert all("test_a" in messages.render(note, language) for note in notes)
    skip = (change("tests/test_x.py", TEST, TEST.replace("def test_a", "@pytest.mark.skip\ndef test_a")),)
    assert flags(skip, issue=issue) == {"test-skipped"}


def test_a_type_that_the_issue_names_may_be_caught() -> None:
    """An issue that says which exception is in the way asks for it to be handled; others still may not vanish."""
    before = "def f(d):\n    d.total += 1\n    return d\n"
    after = "def f(d):\n    try:\n        d.total += 1\n    except TypeError:\n        pass\n    return d\n"
    edit = (change(CODE, before, after),)
    assert flags(edit, issue=Issue("f(d) should not fail with TypeError", IssueSource.TEXT)) == set()
    assert flags(edit, issue=Issue("f(d) should not fail", IssueSource.TEXT)) == {"silent-except"}


def test_a_warning_filter_that_the_issue_asks_for() -> None:
    """A filter inside a block is fine where the issue speaks of a warning; one for the whole process never is."""
    before = "import warnings\ndef f():\n    return old()\n"
    local = "import warnings\ndef f():\n    with warnings.catch_warnings():\n"
    local += "        warnings.simplefilter('ignore')\n        return old()\n"
    asked = Issue("f() should not emit a DeprecationWarning", IssueSource.TEXT)
    assert flags((change(CODE, before, local),), issue=asked) == set()
    assert flags((change(CODE, before, local),)) == {"warnings"}
    spread = before.replace("    return", "    warnings.simplefilter('ignore')\n    return")
    assert flags((change(CODE, before, spread),), issue=asked) == {"warnings"}


def test_notes_say_what_is_excused() -> None:
    """What is no flag is not hidden either: the receipt's reader is told."""
    edit = (change(CODE, "def f(x):\n    return x\n", "def f(x):\n    y = x  # noqa: F841\n    return x\n"),)
    assert flags(edit) == set()
    assert [note.key for note in cheat_notes(edit, is_test=is_test, issue=ISSUE)] == ["cheating.suppression"]


FILE = """
import pytest
from pkg.code import double, triple

KNOWN = {17: 34}
OTHER = {99: 297}

@pytest.fixture
def seven():
    return 7001

def helper(n):
    return n + 40404

class TestIt:
    def setUp(self):
        self.start = 5005

    def test_a(self):
        assert double(self.start) == helper(KNOWN[17])

    def test_b(self):
        assert triple(606060) == 1

def test_c(seven):
    assert double(seven) == 14002

def test_d():
    assert triple(OTHER) == 808080
"""


@pytest.mark.parametrize(
    ("test", "has", "lacks"),
    [
        ("t.py::TestIt::test_a", {"5005", "40404", "34"}, {"606060", "808080", "297", "7001"}),
        ("t.py::test_c", {"7001", "14002"}, {"5005", "40404", "34", "606060"}),
        ("t.py::test_d[x::y]", {"297", "808080"}, {"7001", "5005", "606060"}),
        ("t.py", {"7001", "606060"}, set[str]()),
        ("t.py::gone", {"7001", "606060"}, set[str]()),
    ],
)
def test_only_the_failing_tests_own_values_count(test: str, has: set[str], lacks: set[str]) -> None:
    """Of a test file, the failing tests with what they use are read; their neighbours' values are nobody's."""
    source = failing_source(FILE, [test])
    assert {value for value in has if value not in source} == set()
    assert {value for value in lacks if value in source} == set()


def test_each_kind_once_for_a_file() -> None:
    """Ten silenced errors in a file are one flag, at the first line."""
    before = "def f():\n    pass\n"
    after = "def f():\n" + "    try:\n        a()\n    except Exception:\n        pass\n" * 10
    found = cheat_flags((change(CODE, before, after),), is_test=is_test, reproduction=[], issue=ISSUE)
    assert [(message.key, message.params["line"]) for message in found] == [("cheating.broad-except", 4)]


def test_every_table_is_long_enough() -> None:
    """The promise is kept over at least 25 repairs and 25 cheats."""

    def distinct(tables: Iterable[tuple[str, ...]]) -> int:
        return len({case[1] for case in tables})

    assert distinct(HONEST.values()) >= 25
    assert distinct(CHEATS.values()) >= 25
