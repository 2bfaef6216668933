"""Each pattern of the catalogue makes the fix that it is for."""

import ast
from pathlib import PurePosixPath

import pytest

from thinklonger.agent.solver.catalogue import PATTERNS, pattern
from thinklonger.agent.solver.clues import Clues
from thinklonger.agent.solver.module import Module
from thinklonger.agent.solver.source import Source

EXAMPLES = [
    ("comparison-boundary", "if a < b:\n    c()\n", "if a <= b:\n    c()\n"),
    ("comparison-direction", "x = a > b\n", "x = a < b\n"),
    ("comparison-equality", "while n != 0:\n    n -= 1\n", "while n > 0:\n    n -= 1\n"),
    ("identity", "if x is 'a':\n    y()\n", "if x == 'a':\n    y()\n"),
    ("identity", "x = a is b\n", "x = a == b\n"),
    ("identity-negation", "if x is None:\n    y()\n", "if x is not None:\n    y()\n"),
    ("membership", "if k in d:\n    y()\n", "if k not in d:\n    y()\n"),
    ("membership-exchange", "x = a in b\n", "x = b in a\n"),
    ("truth-or-none", "if not x:\n    y()\n", "if x is None:\n    y()\n"),
    ("float-equality", "def f(a):\n    return a / 3 == 0.1\n", "def f(a):\n    return abs(a / 3 - 0.1) < 1e-9\n"),
    ("length-comparison", "def f(xs=[]):\n    return xs > 3\n", "def f(xs=[]):\n    return len(xs) > 3\n"),
    ("operator", "x = a // b\n", "x = a / b\n"),
    ("augmented-operator", "x -= y\n", "x += y\n"),
    ("augmented-operator", "x = 1\nx = y\n", "x = 1\nx += y\n"),
    ("off-by-one", "for i in range(n):\n    f(i)\n", "for i in range(n + 1):\n    f(i)\n"),
    ("needless-one", "x = a[i - 1]\n", "x = a[i]\n"),
    ("needless-operand", "x = a + b\n", "x = a\n"),
    ("needless-operand", "def f(a=1, b=2):\n    return a + b\n", "def f(a=1, b=2):\n    return a\n"),
    ("missing-operand", "def f(a=1, b=2):\n    return a\n", "def f(a=1, b=2):\n    return a + b\n"),
    ("grouping", "x = a + b * c\n", "x = (a + b) * c\n"),
    ("grouping", "x = (a + b) // c\n", "x = a + b // c\n"),
    ("operand-order", "x = a - b\n", "x = b - a\n"),
    ("sign", "x = f(-y)\n", "x = f(y)\n"),
    (
        "missing-modulo",
        "def f(i, n):\n    j = i % n\n    return i + 1\n",
        "def f(i, n):\n    j = i % n\n    return (i + 1) % n\n",
    ),
    ("missing-clamp", "def f(a=0):\n    return a\n", "def f(a=0):\n    return max(a, 0)\n"),
    (
        "missing-extreme",
        "def f(xs):\n    best = 0\n    for x in xs:\n        best = x\n    return best\n",
        "def f(xs):\n    best = 0\n    for x in xs:\n        best = max(best, x)\n    return best\n",
    ),
    ("connective", "if a and b:\n    c()\n", "if a or b:\n    c()\n"),
    ("negation", "if ready(x):\n    c()\n", "if not ready(x):\n    c()\n"),
    ("negated-value", "def f(a, b):\n    return a == b\n", "def f(a, b):\n    return a != b\n"),
    ("needless-condition", "def f(a, b):\n    if a and b:\n        c()\n", "def f(a, b):\n    if b:\n        c()\n"),
    (
        "missing-condition",
        "def f(node):\n    while node.next:\n        node = node.next\n",
        "def f(node):\n    while node and node.next:\n        node = node.next\n",
    ),
    (
        "wrong-condition",
        "def f(a, b):\n    if a.x:\n        return 1\n    if b.y:\n        return 2\n",
        "def f(a, b):\n    if b.y:\n        return 1\n    if b.y:\n        return 2\n",
    ),
    ("boolean-grouping", "x = a and b or c\n", "x = a and (b or c)\n"),
    ("boolean-grouping", "x = not a and b\n", "x = not (a and b)\n"),
    ("quantifier", "x = any(y)\n", "x = all(y)\n"),
    ("missing-bound", "if i < n:\n    f()\n", "if 0 <= i < n:\n    f()\n"),
    ("number", "x = f(3)\n", "x = f(2)\n"),
    ("truth-value", "found = True\n", "found = False\n"),
    ("starting-value", "best = 0\n", "best = float('-inf')\n"),
    ("string", 'a = "x"\nb = "y"\n', 'a = "x"\nb = "x"\n'),
    ("format-code", 't = x.strftime("%Y-%M")\n', 't = x.strftime("%Y-%m")\n'),
    ("regular-expression", 'import re\nm = re.match(r"a*b", t)\n', 'import re\nm = re.match(r"a+b", t)\n'),
    ("literal-for-name", "def f(a):\n    return g(None)\n", "def f(a):\n    return g(a)\n"),
    ("number-for-name", "def f(n=0):\n    return g(1)\n", "def f(n=0):\n    return g(n)\n"),
    ("variable", "def f(left, right):\n    return left[left]\n", "def f(left, right):\n    return left[right]\n"),
    ("attribute", "x = p.width\ny = p.height\n", "x = p.height\ny = p.height\n"),
    (
        "own-attribute",
        "class A:\n    def f(self):\n        self.n = 1\n        return n\n",
        "class A:\n    def f(self):\n        self.n = 1\n        return self.n\n",
    ),
    (
        "receiver",
        "def f(node):\n    node.next = 0\n    return node\n",
        "def f(node):\n    node.next = 0\n    return node.next\n",
    ),
    ("index-presence", "x = xs[0]\n", "x = xs\n"),
    ("expression", "def f(a, b):\n    c = a[b]\n    return g(a)\n", "def f(a, b):\n    c = a[b]\n    return g(a[b])\n"),
    ("call-target", "x = min(a, b)\n", "x = max(a, b)\n"),
    ("call-target", "xs.append(ys)\n", "xs.extend(ys)\n"),
    ("argument-order", "x = f(a, b)\n", "x = f(b, a)\n"),
    ("needless-argument", "x = round(a, 2)\n", "x = round(a)\n"),
    ("missing-argument", "def f(a, b=0):\n    return f(a - 1)\n", "def f(a, b=0):\n    return f(a - 1, b)\n"),
    ("missing-wrapper", "def f(xs):\n    return xs\n", "def f(xs):\n    return sorted(xs)\n"),
    ("needless-wrapper", "x = list(y)\n", "x = y\n"),
    ("missing-method", "for k in d:\n    f(k)\n", "for k in d.items():\n    f(k)\n"),
    ("call-parentheses", "x = text.strip\n", "x = text.strip()\n"),
    ("type-name", "x = map(str, xs)\n", "x = map(int, xs)\n"),
    ("keyword-name", "x = timedelta(days=3)\n", "x = timedelta(hours=3)\n"),
    ("in-place-result", "def f(x):\n    return x.sort(key=g)\n", "def f(x):\n    return sorted(x, key=g)\n"),
    ("in-place-result", "x = x.append(y)\n", "x.append(y)\n"),
    ("missing-operand", "def f(a, b):\n    return g(a)\n", "def f(a, b):\n    return [b] + g(a)\n"),
    ("nesting", "def f():\n    return []\n", "def f():\n    return [[]]\n"),
    (
        "missing-block",
        "def f(x):\n    if x:\n        g(x)\n    h(x)\n",
        "def f(x):\n    if x:\n        g(x)\n    h(x)\n    if x:\n        g(x)\n",
    ),
    (
        "missing-flush",
        "def f(xs):\n    for x in xs:\n        out.append(row)\n    return 1\n",
        "def f(xs):\n    for x in xs:\n        out.append(row)\n    if row:\n        out.append(row)\n    return 1\n",
    ),
    ("sort-key", "xs.sort(key=lambda p: p[0])\n", "xs.sort(key=lambda p: -p[0])\n"),
    ("slice", "x = xs[1:]\n", "x = xs[1:-1]\n"),
    ("range", "for i in range(n):\n    f(i)\n", "for i in range(1, n):\n    f(i)\n"),
    ("subscript", "x = a[i][j]\n", "x = a[j][i]\n"),
    ("missing-key", "def f(d={}, k=0):\n    return d[k]\n", "def f(d={}, k=0):\n    return d.get(k, 0)\n"),
    ("tuple-order", "return_value = a, b\n", "return_value = b, a\n"),
    ("nesting", "x = f(*y)\n", "x = f(y)\n"),
    ("alias", "x = [[0] * n] * m\n", "x = [[0] * n for _ in range(m)]\n"),
    (
        "alias",
        "def f(out=[], path=[]):\n    out.append(path)\n",
        "def f(out=[], path=[]):\n    out.append(path.copy())\n",
    ),
    (
        "missing-mark",
        "def f(todo, left):\n    while todo:\n        x = todo.pop()\n        if x in left:\n            g(x)\n",
        (
            "def f(todo, left):\n    while todo:\n        x = todo.pop()\n        if x in left:\n"
            "            left.remove(x)\n            g(x)\n"
        ),
    ),
    ("comprehension", "x = [y for y in ys if y]\n", "x = [y for y in ys]\n"),
    ("choice", "x = a if c else b\n", "x = b if c else a\n"),
    ("missing-fallback", "def f(a):\n    return g(a)\n", "def f(a):\n    return g(a) or []\n"),
    ("result", "def f(a):\n    b = a\n    return a\n", "def f(a):\n    b = a\n    return b\n"),
    ("missing-return", "def f(a):\n    g(a)\n", "def f(a):\n    return g(a)\n"),
    ("return-kind", "def f(a):\n    return a\n", "def f(a):\n    yield a\n"),
    ("jump", "for x in y:\n    if x:\n        break\n", "for x in y:\n    if x:\n        continue\n"),
    ("loop-kind", "if x:\n    x = f(x)\n", "while x:\n    x = f(x)\n"),
    ("branch-kind", "if a:\n    b()\nif c:\n    d()\n", "if a:\n    b()\nelif c:\n    d()\n"),
    ("branch-order", "if a:\n    b()\nelif c:\n    d()\n", "if c:\n    d()\nelif a:\n    b()\n"),
    ("needless-block", "if a:\n    b()\n", "b()\n"),
    ("needless-else", "if a:\n    b()\nelse:\n    c()\n", "if a:\n    b()\nc()\n"),
    ("missing-else", "if a:\n    b()\nc()\n", "if a:\n    b()\nelse:\n    c()\n"),
    (
        "depth",
        "def f(xs):\n    for x in xs:\n        g(x)\n        return x\n",
        "def f(xs):\n    for x in xs:\n        g(x)\n    return x\n",
    ),
    ("depth", "if a:\n    b()\nc()\n", "if a:\n    b()\n    c()\n"),
    ("hoist", "for x in y:\n    n = 0\n    f(x)\n", "n = 0\nfor x in y:\n    f(x)\n"),
    ("await", "async def f():\n    return g()\n", "async def f():\n    return await g()\n"),
    (
        "else-branch",
        "def f(xs):\n    n = 0\n    while n:\n        if xs:\n            n += 1\n",
        "def f(xs):\n    n = 0\n    while n:\n        if xs:\n            n += 1\n        else:\n            n = 0\n",
    ),
    ("statement-order", "a = 1\nb = a\n", "b = a\na = 1\n"),
    ("needless-statement", "def f(x):\n    g(x)\n    h(x)\n    g(x)\n", "def f(x):\n    g(x)\n    h(x)\n"),
    (
        "missing-statement-donor",
        "def f(x):\n    if x:\n        g(x)\n    else:\n        h(x)\n    return x\n",
        "def f(x):\n    if x:\n        g(x)\n    else:\n        h(x)\n        g(x)\n    return x\n",
    ),
    (
        "missing-counterpart",
        "def f(left, right):\n    left.pop()\n    return left\n",
        "def f(left, right):\n    left.pop()\n    right.pop()\n    return left\n",
    ),
    (
        "missing-statement",
        "def f(xs):\n    seen = set()\n    for x in xs:\n        g(x)\n    return seen\n",
        "def f(xs):\n    seen = set()\n    for x in xs:\n        g(x)\n        seen.add(x)\n    return seen\n",
    ),
    (
        "unconditional",
        "def f(x):\n    g(x)\n    return 1\n",
        "def f(x):\n    if x:\n        g(x)\n    return 1\n",
    ),
    ("simultaneous", "a = b\nb = a\n", "a, b = b, a\n"),
    (
        "missing-reset",
        "def f(rows):\n    out = []\n    for row in rows:\n        out.append(row)\n        g(out)\n",
        "def f(rows):\n    out = []\n    for row in rows:\n        out.append(row)\n        g(out)\n        out = []\n",
    ),
    (
        "missing-update",
        "def f(xs):\n    last = 0\n    for x in xs:\n        g(x, last)\n",
        "def f(xs):\n    last = 0\n    for x in xs:\n        g(x, last)\n        last = x\n",
    ),
    (
        "missing-initialization",
        "def f(xs):\n    for x in xs:\n        n = x\n    return n\n",
        "def f(xs):\n    n = 0\n    for x in xs:\n        n = x\n    return n\n",
    ),
    ("missing-import", "x = math.pi\n", "import math\nx = math.pi\n"),
    (
        "base-case",
        "def f(xs):\n    return xs[0]\n",
        "def f(xs):\n    if not xs:\n        return None\n    return xs[0]\n",
    ),
    (
        "sibling-guard",
        "def f(x):\n    if x:\n        raise KeyError\ndef g(x):\n    return -x\n",
        "def f(x):\n    if x:\n        raise KeyError\ndef g(x):\n    if x:\n        raise KeyError\n    return -x\n",
    ),
    (
        "skip",
        "def f(xs):\n    seen = set()\n    for x in xs:\n        g(x)\n",
        "def f(xs):\n    seen = set()\n    for x in xs:\n        if x in seen:\n            continue\n        g(x)\n",
    ),
    ("raised-type", "def f():\n    raise KeyError(1)\n", "def f():\n    raise ValueError(1)\n"),
    (
        "caught-type",
        "try:\n    f()\nexcept KeyError:\n    g()\n",
        "try:\n    f()\nexcept (KeyError, IndexError):\n    g()\n",
    ),
    (
        "missing-raise",
        "def f():\n    try:\n        g()\n    except E:\n        pass\n",
        "def f():\n    try:\n        g()\n    except E:\n        raise\n",
    ),
    (
        "unhandled",
        "def f(x):\n    y = x[0]\n    return y\n",
        "def f(x):\n    try:\n        y = x[0]\n    except ZeroDivisionError:\n        return None\n    return y\n",
    ),
    (
        "mutable-default",
        "def f(x, xs=[]):\n    xs.append(x)\n",
        "def f(x, xs=None):\n    if xs is None:\n        xs = []\n    xs.append(x)\n",
    ),
    ("parameters", "class A:\n    def f(x):\n        return x\n", "class A:\n    def f(self, x):\n        return x\n"),
    (
        "decorator",
        "class A:\n    def f(self):\n        return 1\n",
        "class A:\n    @property\n    def f(self):\n        return 1\n",
    ),
    ("coroutine", "import asyncio\ndef f():\n    return 1\n", "import asyncio\nasync def f():\n    return 1\n"),
    (
        "declaration",
        "def f():\n    n = 0\n    def g():\n        n += 1\n    return g\n",
        "def f():\n    n = 0\n    def g():\n        nonlocal n\n        n += 1\n    return g\n",
    ),
    ("late-binding", "for i in xs:\n    f(lambda: i)\n", "for i in xs:\n    f(lambda i=i: i)\n"),
    (
        "shared-attribute",
        "class A:\n    xs = []\n    def __init__(self):\n        self.n = 0\n",
        "class A:\n    xs = []\n    def __init__(self):\n        self.xs = []\n        self.n = 0\n",
    ),
    (
        "borrowed-call",
        "from html import escape\ndef f(a, b):\n    return escape(a) + b\n",
        "from html import escape\ndef f(a, b):\n    return escape(a) + escape(b)\n",
    ),
    (
        "borrowed-call",
        "def f(xs, ys):\n    a = list(map(str, xs))\n    return ','.join(ys)\n",
        "def f(xs, ys):\n    a = list(map(str, xs))\n    return ','.join(map(str, ys))\n",
    ),
    (
        "borrowed-call",
        "def f(a, b):\n    return bytes.fromhex(a), b\n",
        "def f(a, b):\n    return bytes.fromhex(a), bytes.fromhex(b)\n",
    ),
    (
        "borrowed-call",
        "try:\n    f()\nexcept E as e:\n    g(e.args[0])\n",
        "try:\n    f()\nexcept E as e:\n    g(str(e))\n",
    ),
    (
        "missing-link",
        "def f(a, b):\n    a = a.strip()\n    return b.lower()\n",
        "def f(a, b):\n    a = a.strip()\n    return b.lower().strip()\n",
    ),
    (
        "missing-link",
        "def f(a, b):\n    c = a.split('#', 1)[0]\n    return b.strip()\n",
        "def f(a, b):\n    c = a.split('#', 1)[0]\n    return b.split('#', 1)[0].strip()\n",
    ),
    (
        "flag-guard",
        "class A:\n  def __init__(self):\n    self.m = False\n  def f(self):\n    print(1)\n",
        "class A:\n  def __init__(self):\n    self.m = False\n  def f(self):\n    if not self.m:\n      print(1)\n",
    ),
    (
        "flag-guard",
        "def f(x=None):\n    g(x)\n    return 1\n",
        "def f(x=None):\n    if x is not None:\n        g(x)\n    return 1\n",
    ),
    ("affix", "def f(a, b=''):\n    return a in b\n", "def f(a, b=''):\n    return b.startswith(a)\n"),
    ("affix", "x = b.endswith(a)\n", "x = a in b\n"),
    ("display", "x = [y]\n", "x = list(y)\n"),
    ("display", "x = tuple(y)\n", "x = (y,)\n"),
    (
        "member",
        "def f(fields):\n    pairs = fields.pairs\n    return g(pairs)\n",
        "def f(fields):\n    pairs = fields.pairs\n    return g(fields.pairs)\n",
    ),
    ("member", "def f(a, size):\n    return a.size\n", "def f(a, size):\n    return size\n"),
    (
        "forwarded-argument",
        "def f(xs, key):\n    return m.order(xs)\n",
        "def f(xs, key):\n    return m.order(xs, key=key)\n",
    ),
    (
        "everywhere",
        "def f(x):\n    if not x:\n        g()\n    y = 1\n    if not x:\n        h()\n",
        "def f(x):\n    if x is None:\n        g()\n    y = 1\n    if x is None:\n        h()\n",
    ),
]
"""Pattern, wrong code, right code: the right code is among what the pattern makes of the wrong."""

CLUES = Clues(
    raised=frozenset({"ZeroDivisionError"}), tags=frozenset({"ZeroDivisionError"}), missing=frozenset({"math"})
)


@pytest.mark.parametrize(("name", "before", "after"), EXAMPLES)
def test_pattern_makes_its_fix(name: str, before: str, after: str) -> None:
    """A pattern's repairs contain the example of what it is for."""
    source = Source.parse(PurePosixPath("m.py"), before.encode())
    assert source is not None
    module = Module(source, CLUES)
    wanted = ast.dump(ast.parse(after))
    made: list[str] = []
    for place in module.places:
        for edit in pattern(name).repairs(place):
            content = source.splice(edit.start, edit.end, edit.text)
            if module.normalized(edit) is not None and content is not None:
                made.append(ast.dump(ast.parse(content)))
    assert wanted in made


def test_every_pattern_has_an_example() -> None:
    """No pattern of the catalogue goes without an example."""
    assert {row.name for row in PATTERNS} == {name for name, _, _ in EXAMPLES}


def test_names_are_unique_and_priors_are_shares() -> None:
    """Names identify patterns; priors lie in (0, 1]."""
    assert len({row.name for row in PATTERNS}) == len(PATTERNS)
    assert all(0 < row.prior <= 1 for row in PATTERNS)


@pytest.mark.parametrize("name", [row.name for row in PATTERNS if row.ceiling < 1])
def test_no_repair_weighs_more_than_its_patterns_ceiling(name: str) -> None:
    """What the order relies on when it lets places wait."""
    for _, before, after in EXAMPLES:
        for text in (before, after):
            source = Source.parse(PurePosixPath("m.py"), text.encode())
            assert source is not None
            for place in Module(source, CLUES).places:
                assert all(edit.weight <= pattern(name).ceiling for edit in pattern(name).repairs(place))


def test_a_pattern_that_adds_a_statement_is_structural() -> None:
    """Verification trusts a survivor less that inserts a statement, so no pattern hides that it does."""
    for name, before, after in EXAMPLES:
        old, new = (sum(isinstance(node, ast.stmt) for node in ast.walk(ast.parse(text))) for text in (before, after))
        assert new <= old or pattern(name).structural, name


@pytest.mark.parametrize("name", [row.name for row in PATTERNS if row.injections is not None])
def test_what_is_made_wrong_can_be_made_right(name: str) -> None:
    """Injection and repair are inverse: bugs that a pattern injects into its examples, the same pattern undoes.

    A pattern that is its own inverse undoes most of them; one that deletes what it later adds at least some.
    """
    injected = undone = 0
    for _, before, after in (example for example in EXAMPLES if example[0] == name):
        for right in (before, after):
            made, repaired = _round_trips(name, right)
            injected += made
            undone += repaired
    assert undone > 0
    if pattern(name).injections is pattern(name).repairs:
        assert undone / injected > 0.3


def _round_trips(name: str, right: str) -> tuple[int, int]:
    """How many bugs the pattern injects, and how many of them it can undo."""
    source = Source.parse(PurePosixPath("m.py"), right.encode())
    assert source is not None
    module = Module(source, CLUES)
    injected = undone = 0
    for place in module.places:
        for edit in (pattern(name).injections or pattern(name).repairs)(place):
            content = source.splice(edit.start, edit.end, edit.text)
            if content is not None and module.normalized(edit) is not None:
                wrong = Source.parse(PurePosixPath("m.py"), content)
                assert wrong is not None
                injected += 1
                undone += _repairs(name, wrong, module.digest.hex())
    return injected, undone


def _repairs(name: str, wrong: Source, wanted: str) -> bool:
    module = Module(wrong, CLUES)
    return any(module.normalized(edit) == wanted for place in module.places for edit in pattern(name).repairs(place))


CERTAIN_TO_FAIL = [
    ("augmented-operator", "def f(q):\n    x = g(q)\n    return x\n", "x += g(q)"),
    ("augmented-operator", "def f(q):\n    for x in q:\n        y = x > 1\n        h(y)\n", "y += x > 1"),
    ("variable", "def f(a, q):\n    b = [s for s in q]\n    return a\n", "return s"),
    ("variable", "def f(a):\n    b = a\n    late = b\n    return late\n", "b = late"),
    ("variable", "def f(a, x):\n    return isinstance(a, int)\n", "isinstance(a, x)"),
    ("argument-order", "def f(a):\n    return isinstance(a, int)\n", "isinstance(int, a)"),
    ("truth-or-none", "def f(a):\n    if isinstance(a, int):\n        return 1\n", "is not None"),
]


@pytest.mark.parametrize(("name", "code", "text"), CERTAIN_TO_FAIL)
def test_what_must_fail_is_not_tried(name: str, code: str, text: str) -> None:
    """An edit that reads a name without a value, or can't behave differently for the better, costs no run."""
    source = Source.parse(PurePosixPath("m.py"), code.encode())
    assert source is not None
    module = Module(source, Clues())
    made = [
        module.source.text[: edit.start] + edit.text + module.source.text[edit.end :]
        for place in module.places
        for edit in pattern(name).repairs(place)
    ]
    assert all(text not in one for one in made)


@pytest.mark.parametrize(
    ("name", "code", "likely", "unlikely"),
    [
        ("argument-order", "def f(a, b):\n    return g(a, b) + max(a, b)\n", "g(b, a)", "max(b, a)"),
        ("operator", "def f(a):\n    return set(a) & {1}\n", "set(a) - {1}", "set(a) ^ {1}"),
        ("slice", "def f(a, n):\n    return a[:n]\n", "a[n:]", "a[:-1]"),
    ],
)
def test_what_is_likelier_comes_first(name: str, code: str, likely: str, unlikely: str) -> None:
    """Arguments of what commutes, and operators that a set rarely needs, come after the others."""
    source = Source.parse(PurePosixPath("m.py"), code.encode())
    assert source is not None
    module = Module(source, Clues())
    weights = {
        module.source.text[: edit.start] + edit.text + module.source.text[edit.end :]: edit.weight
        for place in module.places
        for edit in pattern(name).repairs(place)
    }
    found = {part: max(weight for text, weight in weights.items() if part in text) for part in (likely, unlikely)}
    assert found[likely] > found[unlikely]
