"""What recording, variation and replay promise, on small modules, in a real interpreter."""

import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from textwrap import dedent

import pytest

from thinklonger.agent.execution.behaviour import Comparison, Observation, Origin, OutcomeKind, Runner, untested_order
from thinklonger.agent.messages import LANGUAGES, render

Compared = Callable[..., Awaitable[Comparison]]

INSERT = """
    def insert(items, value):
        for place in range(len(items) - 1):
            if items[place] > value:
                return items[:place] + [value] + items[place:]
        return items + [value]
    """
INSERT_TESTS = """
    from box import insert

    def test_last():
        assert insert([1, 3], 2) == [1, 2, 3]

    def test_middle():
        assert insert([1, 3, 5], 2) == [1, 2, 3, 5]
    """


def grouped(comparison: Comparison) -> set[frozenset[str]]:
    """The groups as sets."""
    assert comparison.problem is None, comparison.problem
    return {frozenset(group) for group in comparison.groups}


async def test_equal_code_behaves_alike_and_other_code_does_not(compared: Compared) -> None:
    """Two spellings of a repair are one group; one that only passes the tests is another."""
    edits = [
        ("len(items) - 1", "len(items)"),
        ("len(items) - 1", "0 + len(items)"),
        ("range(len(items) - 1)", "range(1, len(items))"),
    ]
    found = await compared(INSERT, INSERT_TESTS, edits)
    assert grouped(found) == {
        frozenset({"len(items)", "0 + len(items)"}),
        frozenset({"range(1, len(items))"}),
    }


async def test_difference_names_the_simplest_input(compared: Compared) -> None:
    """The difference shows a call and both answers, in every language of the catalogue."""
    edits = [("len(items) - 1", "len(items)"), ("range(len(items) - 1)", "range(1, len(items))")]
    found = await compared(INSERT, INSERT_TESTS, edits)
    (difference,) = found.differences
    shortest = found.inputs[difference.input]
    assert shortest.words.startswith("insert([")
    for language in LANGUAGES:
        assert shortest.words in render(difference.message, language)


async def test_recorded_calls_come_first_with_their_colour(compared: Compared) -> None:
    """Calls of red and green tests are told apart by the base's own run, and are inputs themselves."""
    found = await compared(INSERT, INSERT_TESTS, [("len(items) - 1", "len(items)")])
    recorded = {given.words: given.origin for given in found.inputs if given.origin.recorded}
    assert recorded == {"insert([1, 3], 2)": Origin.RED, "insert([1, 3, 5], 2)": Origin.GREEN}
    assert found.inputs[0].origin is Origin.RED


async def test_calls_past_the_first_failure_are_recorded(compared: Compared) -> None:
    """A red test ends at its first failing assertion on the base; what it would have asked next counts, too."""
    found = await compared(
        INSERT,
        """
        from box import insert

        def test_all():
            assert insert([1, 3], 2) == [1, 2, 3]
            assert insert([2, 4, 6], 9) == [2, 4, 6, 9]
            assert insert([], 5) == [5]
        """,
        [("len(items) - 1", "len(items)")],
    )
    recorded = {given.words: given.origin for given in found.inputs if given.origin.recorded}
    assert recorded == dict.fromkeys(("insert([1, 3], 2)", "insert([2, 4, 6], 9)", "insert([], 5)"), Origin.RED)


async def test_variations_keep_what_all_calls_have_in_common(compared: Compared) -> None:
    """Inputs inside the domain keep order, sign and types of the recorded calls, so that right code is not blamed."""
    found = await compared(INSERT, INSERT_TESTS, [("len(items) - 1", "len(items)")])
    varied = [given for given in found.inputs if given.origin in (Origin.RED_VARIED, Origin.GREEN_VARIED)]
    assert len(varied) > 50
    for given in varied:
        items, value = given.arguments
        assert isinstance(items, list)
        assert items == sorted(item for item in items if isinstance(item, int))
        assert isinstance(value, int)
        assert value > 0


async def test_same_seed_same_answer(compared: Compared) -> None:
    """Two comparisons of the same code give the same inputs, outcomes and groups."""
    edits = [("len(items) - 1", "len(items)"), ("range(len(items) - 1)", "range(1, len(items))")]
    one = await compared(INSERT, INSERT_TESTS, edits)
    other = await compared(INSERT, INSERT_TESTS, edits)
    assert (one.inputs, one.base, one.behaviours, one.groups) == (
        other.inputs,
        other.base,
        other.behaviours,
        other.groups,
    )


async def test_arguments_changed_in_place_are_the_outcome(compared: Compared) -> None:
    """A function that returns nothing is judged by what it does to its arguments."""
    found = await compared(
        """
        def drop(items, bad):
            for item in items:
                if item == bad:
                    items.remove(item)
        """,
        """
        from box import drop

        def test_two():
            items = [1, 1, 2]
            drop(items, 1)
            assert items == [2]
        """,
        [
            ("in items:", "in list(items):"),
            ("in items:", "in items + items:"),
            ("items.remove(item)", "items[:] = [2]"),
        ],
    )
    assert frozenset({"items[:] = [2]"}) in grouped(found)
    assert all(outcome.value is None for behaviour in found.behaviours.values() for outcome in behaviour)


async def test_what_failing_tests_see_of_arguments_counts(compared: Compared) -> None:
    """Where the failing test fails for what happened to its argument, the same value returned is not the same."""
    found = await compared(
        """
        def joined(first, second):
            result = first
            result += second
            return result
        """,
        """
        from box import joined

        def test_argument():
            first = [1, 2]
            assert joined(first, [3]) == [1, 2, 3]
            assert first == [1, 2]

        def test_value():
            assert joined([4, 5], [6]) == [4, 5, 6]
        """,
        [("result = first", "result = first[:]"), ("result = first", "result = first if first[0] > 1 else first[:]")],
    )
    assert len(found.groups) == 2
    varied = [place for place, given in enumerate(found.inputs) if not given.origin.recorded]
    right = found.behaviours["result = first[:]"]
    assert any(found.base[place].digest != right[place].digest for place in varied)


async def test_nested_data_nests_deeper_than_the_tests_did(compared: Compared) -> None:
    """Where items are plain or lists of such items, inputs nest in ways that no test shows."""
    found = await compared(
        """
        def flat(items):
            result = []
            for item in items:
                if isinstance(item, list):
                    result += flat(item)
                else:
                    result.append(item)
            return result
        """,
        """
        from box import flat

        def test_tuple():
            assert flat([1, (2, 3), [4]]) == [1, 2, 3, 4]

        def test_deep():
            assert flat([1, [2, [3]]]) == [1, 2, 3]
        """,
        [
            ("isinstance(item, list)", "isinstance(item, (list, tuple))"),
            (
                "if isinstance(item, list)",
                "if isinstance(item, tuple):\n            result += item\n        elif isinstance(item, list)",
            ),
        ],
    )
    assert len(grouped(found)) == 2
    assert any("((" in given.words or "([" in given.words.removeprefix("flat([") for given in found.inputs)


async def test_what_a_callable_sees_is_behaviour(compared: Compared) -> None:
    """One call more of a function that a test passes in is told apart, though the result is the same."""
    found = await compared(
        """
        def first(action, times):
            for _ in range(times - 1):
                if action():
                    return True
            return False
        """,
        """
        from box import first

        def counted(needed):
            calls = []
            def action():
                calls.append(1)
                return len(calls) >= needed
            return action

        def test_last():
            assert first(counted(2), 2)

        def test_at_once():
            assert first(counted(1), 2)
        """,
        [("range(times - 1)", "range(times)"), ("if action():", "if action() or action():")],
    )
    assert len(grouped(found)) == 2
    assert any("calls=[1, 1, 1]" in outcome.words for row in found.behaviours.values() for outcome in row)


async def test_a_size_stays_as_large_as_what_it_bounds(compared: Compared) -> None:
    """An object whose buffer never holds more than its size says is not varied into one that does."""
    found = await compared(
        """
        class Last:
            def __init__(self, size):
                self.size = size
                self.items = []

            def add(self, item):
                self.items.append(item)
                if len(self.items) >= self.size:
                    self.items.pop(0)
        """,
        """
        from box import Last

        def test_full():
            last = Last(2)
            for item in (1, 2, 3):
                last.add(item)
            assert last.items == [2, 3]

        def test_room():
            last = Last(4)
            last.add(1)
            last.add(5)
            assert last.items == [1, 5]
        """,
        [("len(self.items) >= self.size", "len(self.items) > self.size"), (">= self.size", "== self.size + 1")],
    )
    assert len(grouped(found)) == 1


async def test_generators_are_drained(compared: Compared) -> None:
    """Lazy results are compared by what they give, endless ones up to a cap."""
    found = await compared(
        """
        def steps(start, stop):
            while start < stop:
                yield start
                start += 2
        """,
        """
        from box import steps

        def test_steps():
            assert list(steps(0, 3)) == [0, 1, 2]
        """,
        [("start += 2", "start += 1"), ("start += 2", "start = start + 1"), ("start += 2", "start += stop - 2")],
    )
    assert grouped(found) == {frozenset({"start += 1", "start = start + 1"}), frozenset({"start += stop - 2"})}


async def test_exceptions_are_outcomes(compared: Compared) -> None:
    """Raising another type is another behaviour; the type is told in words."""
    raised = await compared(
        """
        def first(items):
            return items[1]
        """,
        """
        from box import first

        def test_items():
            assert first([1, 2]) == 1
        """,
        [("items[1]", "items[0]"), ("items[1]", "items[-2]")],
    )
    assert len(raised.groups) == 2
    kinds = {outcome.kind for behaviour in raised.behaviours.values() for outcome in behaviour}
    assert OutcomeKind.RAISED in kinds
    assert any(outcome.words == "raise IndexError" for outcome in raised.behaviours["items[0]"])


async def test_what_is_printed_is_behaviour(compared: Compared) -> None:
    """Two candidates that print different text are different."""
    found = await compared(
        """
        def greet(name):
            print("hello")
        """,
        """
        from box import greet

        def test_greet(capsys):
            greet("ann")
            assert capsys.readouterr().out == "hello ann\\n"
        """,
        [('print("hello")', 'print("hello " + name)'), ('print("hello")', 'print("hello ann")')],
    )
    assert len(found.groups) == 2


async def test_what_is_written_to_a_stream_is_behaviour(compared: Compared) -> None:
    """Code that writes to a stream of the caller's is told apart by the text, also where its results are alike."""
    found = await compared(
        """
        def number(lines, out):
            for count, line in enumerate(lines):
                out.write(str(count) + line)
            return len(lines)
        """,
        """
        from io import StringIO

        from box import number

        def test_number():
            out = StringIO()
            assert number(["a"], out) == 1
            assert out.getvalue() == "1a"

        def test_none():
            assert number([], StringIO()) == 0
        """,
        [
            ("enumerate(lines)", "enumerate(lines, 1)"),
            ("str(count)", "str(len(lines))"),
            ("(lines):", "(lines, 2 - 1):"),
        ],
    )
    assert grouped(found) == {
        frozenset({"enumerate(lines, 1)", "(lines, 2 - 1):"}),
        frozenset({"str(len(lines))"}),
    }
    assert any(
        "StringIO('1" in str(item.message.params[side]) for item in found.differences for side in ("left", "right")
    )


async def test_large_arguments_do_not_use_up_the_time(compared: Compared) -> None:
    """Making variations ends in time, however much each argument holds: there is an answer, from fewer inputs."""
    plain = Observation(Path(sys.executable), ("test_box.py",), inputs=4000, seconds=2.0)
    found = await compared(
        """
        def count(table, limit):
            return sum(1 for row in table.values() for item in row if item["size"] > limit)
        """,
        """
        from box import count

        TABLE = {f"key {i}": [{"name": "n" * k, "size": k} for k in range(40)] for i in range(40)}

        def test_all():
            assert count(TABLE, 0) == 1600

        def test_some():
            for limit in range(1, 30):
                assert count(TABLE, limit) == 40 * (39 - limit)
        """,
        [("> limit", ">= limit")],
        plain,
    )
    assert found.problem is None
    assert found.seconds < plain.seconds + plain.starting


async def test_methods_are_compared_with_their_receiver(compared: Compared) -> None:
    """A method's object is recorded and varied too; what happens to its state counts."""
    found = await compared(
        """
        class Stack:
            def __init__(self):
                self.items = []

            def push(self, item):
                self.items.append(item)

            def pop(self):
                return self.items.pop(0)
        """,
        """
        from box import Stack

        def test_pop():
            stack = Stack()
            stack.push(1)
            stack.push(2)
            assert stack.pop() == 2
        """,
        [("self.items.pop(0)", "self.items.pop()"), ("self.items.pop(0)", "self.items[-1]")],
    )
    assert len(found.groups) == 2
    assert any(given.receiver for given in found.inputs)


async def test_decorated_nested_and_cached_code_can_be_edited(compared: Compared) -> None:
    """The edit reaches code behind a cache and inside another function, and no cached answer leaks between them."""
    found = await compared(
        """
        from functools import lru_cache

        @lru_cache(maxsize=None)
        def total(count):
            def step(number):
                return number - 1
            return sum(step(number) for number in range(count))
        """,
        """
        from box import total

        def test_total():
            assert total(3) == 6
        """,
        [("number - 1\n", "number + 1\n"), ("number - 1\n", "1 + number\n"), ("number - 1\n", "2 + number // 2 * 0\n")],
    )
    assert frozenset({"number + 1\n", "1 + number\n"}) in grouped(found)
    assert len(found.groups) == 2


async def test_constants_defaults_and_new_functions_are_carried_over(compared: Compared) -> None:
    """Edits outside of function bodies reach the running module."""
    source = """
        LIMIT = 3

        def cut(text, width=2):
            return text[:min(width, LIMIT)]
        """
    tests = """
        from box import cut

        def test_cut():
            assert cut("abcdef", 9) == "abcd"

        def test_default():
            assert cut("abc") == "abc"
        """
    found = await compared(source, tests, [("LIMIT = 3", "LIMIT = 4"), ("width=2", "width=3"), ("width=2", "width=4")])
    assert found.unknown == ()
    words = {name: [outcome.words for outcome in behaviour] for name, behaviour in found.behaviours.items()}
    assert "'abcd'" in words["LIMIT = 4"]
    assert "'abcd'" not in words["width=3"]
    default = [place for place, given in enumerate(found.inputs) if given.words == "cut('abc')"]
    assert [words[name][place] for name in ("LIMIT = 4", "width=3") for place in default] == ["'ab'", "'abc'"]


async def test_a_default_that_calls_share_is_not_copied_away(compared: Compared) -> None:
    """An argument that the test left out is left out again, so that an edit of the default shows."""
    found = await compared(
        """
        def gather(item, into=[]):
            into.append(item)
            return into
        """,
        """
        from box import gather

        def test_first():
            assert gather(1) == [1]

        def test_second():
            assert gather(2) == [2]
        """,
        [("into=[]", "into=()"), ("    into.append(item)\n", "    into = into + [item]\n")],
    )
    assert found.problem is None
    assert any(given.words == "gather(2)" for given in found.inputs)
    assert len(found.groups) == 2


async def test_a_hang_is_an_outcome_and_costs_little(compared: Compared) -> None:
    """A candidate that never ends on some inputs is told apart, within the time allowed."""
    found = await compared(
        """
        def halve(number):
            steps = 0
            while number > 1:
                number = number // 2
            return steps
        """,
        """
        from box import halve

        def test_halve():
            assert halve(4) == 2

        def test_one():
            assert halve(1) == 0
        """,
        [
            ("steps = 0", "steps = number // 2"),
            ("number = number // 2", "number = number - 2 if number % 2 == 0 else number; steps += 1 - steps // 2"),
        ],
    )
    assert len(found.groups) == 2
    (odd,) = [name for name in found.behaviours if name.startswith("number")]
    assert any(outcome.kind is OutcomeKind.HUNG for outcome in found.behaviours[odd])
    assert all(outcome.kind is OutcomeKind.RETURNED for outcome in found.behaviours["steps = number // 2"])


HOSTILE = {
    "leaves": "os._exit(3)",
    "recurses": "return weigh(number)",
    "allocates": "return len(bytearray(10 ** 12))",
    "closes": "os.closerange(3, 100); return number",
    "kills": "os.kill(os.getpid(), 9)",
}


@pytest.mark.parametrize("how", sorted(HOSTILE))
async def test_hostile_code_does_not_break_the_comparison(compared: Compared, how: str) -> None:
    """A candidate that ends its process, recurses or takes all memory has that as its behaviour; others keep theirs."""
    bad = f"if number > 5:\n        {HOSTILE[how]}\n    return number"
    found = await compared(
        """
        import os

        def weigh(number):
            return number - 1
        """,
        """
        from box import weigh

        def test_weigh():
            assert weigh(3) == 3
        """,
        [("return number - 1", "return number"), ("return number - 1", bad)],
        Observation(Path(sys.executable), ("test_box.py",), inputs=40, seconds=20.0),
    )
    assert found.problem is None
    assert len(found.groups) == 2
    good = found.behaviours["return number"]
    assert all(outcome.kind is OutcomeKind.RETURNED for outcome in good)


async def test_a_test_that_ends_the_process_is_a_problem_in_words(compared: Compared) -> None:
    """Where recording itself dies there is nothing to compare, and a sentence says so."""
    found = await compared(
        "def f(x):\n    return x\n",
        """
        import os
        from box import f

        def test_f():
            f(1)
            os._exit(0)
        """,
        [("return x", "return x + 1")],
    )
    assert found.problem is not None
    assert found.unknown == ("return x + 1",)
    for language in LANGUAGES:
        assert render(found.problem, language)


async def test_code_that_no_test_calls_is_a_problem_in_words(compared: Compared) -> None:
    """An edit that tests do not reach can't be compared."""
    found = await compared(
        "def f(x):\n    return x\n\ndef g(x):\n    return x * 2\n",
        "from box import f\n\ndef test_f():\n    assert f(1) == 1\n",
        [("x * 2", "x * 3")],
    )
    assert found.problem is not None
    assert found.problem.key == "behaviour.no-calls"


async def test_unittest_tests_are_recorded_too(compared: Compared) -> None:
    """The standard library's runner works like pytest."""
    found = await compared(
        INSERT,
        """
        import unittest
        from box import insert

        class Inserting(unittest.TestCase):
            def test_last(self):
                self.assertEqual(insert([1, 3], 2), [1, 2, 3])

            def test_empty(self):
                self.assertEqual(insert([], 2), [2])
        """,
        [("len(items) - 1", "len(items)"), ("range(len(items) - 1)", "range(1, len(items))")],
        Observation(Path(sys.executable), ("test_box.Inserting",), Runner.UNITTEST, seconds=20.0),
    )
    assert len(found.groups) == 2
    assert {given.origin for given in found.inputs if given.origin.recorded} == {Origin.RED, Origin.GREEN}


async def test_code_that_is_not_deterministic_is_left_out(compared: Compared) -> None:
    """An input on which the base differs from itself proves nothing and is dropped."""
    found = await compared(
        """
        import time

        def stamp(number):
            if number > 4:
                return time.perf_counter_ns()
            return number - 1
        """,
        "from box import stamp\n\ndef test_stamp():\n    assert stamp(3) == 3\n",
        [("return number - 1", "return number"), ("return number - 1", "return 0 + number")],
    )
    assert len(found.groups) == 1
    assert all(given.arguments[0] <= 4 for given in found.inputs if isinstance(given.arguments[0], int))


async def test_an_iterator_is_recorded_and_still_there_for_the_code(compared: Compared) -> None:
    """A generator's items are read ahead once: the tests keep their colour, every candidate gets all of the items."""
    found = await compared(
        """
        def total(items, start=0):
            for item in items:
                start -= item
            return start
        """,
        """
        from box import total

        def test_sum():
            assert total(item * 2 for item in [1, 2, 3]) == 12

        def test_none():
            assert total(iter([])) == 0

        def test_mapped():
            assert total(map(int, "12")) == 3
        """,
        [("-=", "+="), ("start -= item", "start = item + 0 * start")],
    )
    assert grouped(found) == {frozenset({"+="}), frozenset({"start = item + 0 * start"})}
    recorded = {given.words for given in found.inputs if given.origin.recorded}
    assert {"total(iter([2, 4, 6]))", "total(iter([1, 2]))"} <= recorded
    assert found.called == 3


async def test_what_can_not_be_copied_is_counted(compared: Compared) -> None:
    """A call with an argument that refuses to be copied is left out, and the answer says that there was one."""
    found = await compared(
        """
        class Handle:
            def __deepcopy__(self, memo):
                raise TypeError

        def twice(number, handle=None):
            return number + number + 1
        """,
        """
        from box import Handle, twice

        def test_plain():
            assert twice(2) == 4

        def test_handle():
            assert twice(3, Handle()) == 6
        """,
        [("number + number + 1", "number + number")],
    )
    assert [given.words for given in found.inputs if given.origin.recorded] == ["twice(2)"]
    assert found.called == 1
    assert found.skipped >= 1


QUEUE = """
    class Queue:
        def __init__(self):
            self._items = []

        def add(self, name):
            self._items.append((name,))

        def take(self):
            return sorted(self._items).pop(0)[-1]

        def drain(self):
            return [self.take_away() for _ in range(len(self._items))]

        def take_away(self):
            name = self.take()
            self._items = [item for item in self._items if item[-1] != name]
            return name
"""
QUEUE_TESTS = """
    from box import Queue

    def filled(*names):
        queue = Queue()
        for name in names:
            queue.add(name)
        return queue

    def test_order():
        assert filled("z", "m", "a").drain() == ["z", "m", "a"]

    def test_one():
        queue = filled("x")
        assert queue.take_away() == "x"
        assert queue.drain() == []
"""


async def test_what_an_object_keeps_inside_is_not_behaviour(compared: Compared) -> None:
    """Numbers from 0 or from 1, kept in private attributes: alike as long as every further call answers the same."""
    numbered = "self._items.append((self._next, name)); self._next += 1"

    def counted(first: int, add: str = numbered) -> str:
        source = QUEUE.replace("self._items = []\n", f"self._items = []\n            self._next = {first}\n", 1)
        return source.replace("self._items.append((name,))", add)

    edits = [counted(0), counted(1), counted(0, numbered.replace("(self._next,", "(self._next % 3,"))]
    plain = Observation(Path(sys.executable), ("test_box.py",), inputs=320, seconds=20.0)
    found = await compared(QUEUE, QUEUE_TESTS, [(dedent(QUEUE), dedent(edit)) for edit in edits], plain)
    assert found.problem is None
    assert [len(members) for members in found.groups] == [2, 1]
    parted = next(item for item in found.differences)
    assert found.inputs[parted.input].receiver
    assert "Queue(); .add(" in str(parted.message.params["call"])


async def test_a_method_that_only_meets_its_own_traces_is_named(compared: Compared) -> None:
    """An edited method that no test calls after another one has changed the object is said to be untested there."""
    edit = [("self._items.append((name,))", "self._items.append((0, name))")]
    found = await compared(QUEUE, QUEUE_TESTS, edit)
    (name,) = found.behaviours
    assert untested_order(found, name) == "Queue.add"
    further = """
    def test_again():
        queue = filled("x", "y")
        queue.take_away()
        queue.add("b")
        assert queue.take() == "b"
    """
    found = await compared(QUEUE, QUEUE_TESTS + further, edit)
    assert untested_order(found, name) == ""


async def test_an_inner_function_may_close_over_more(compared: Compared) -> None:
    """An inner function that calls itself outlives its call; it keeps nobody from closing over another variable."""
    found = await compared(
        """
        def order(needs):
            done, result = [], []

            def visit(name):
                if name in done:
                    return
                done.append(name)
                for other in needs.get(name, ()):
                    visit(other)
                result.append(name)

            for name in needs:
                visit(name)
            return result
        """,
        """
        from box import order

        def test_two():
            assert order({"a": ["b"]}) == ["b", "a"]

        def test_circle():
            assert order({"a": ["b"], "b": ["a"]}) == []
        """,
        [
            (
                "if name in done:",
                "if name in done:\n            if name not in result:\n                needs.clear()",
            ),
            (
                "done, result = [], []\n\n    def visit(name):",
                "done, result, seen = [], [], []\n\n    def visit(name):\n        seen.append(name)",
            ),
        ],
    )
    assert found.unknown == ()


async def test_a_look_after_one_order_only_is_named(compared: Compared) -> None:
    """An edited method that only looks: what failing tests do before it is to be tested in both orders."""
    source = """
        class Meter:
            def __init__(self):
                self._sum = self._peak = 0

            def add(self, number):
                self._sum += number
                self._peak = max(self._peak, self._sum)

            def reset(self):
                self._sum = 0

            def peak(self):
                return self._peak
        """
    tests = """
        from box import Meter

        def test_reset():
            meter = Meter()
            meter.add(5)
            meter.reset()
            assert meter.peak() == 0
        """
    further = """
            meter.add(2)
            assert meter.peak() == 2
        """
    edit = [("return self._peak", "return self._peak if self._sum else 0")]
    for written, named in ((tests, "Meter.peak"), (tests.rstrip() + further, "")):
        found = await compared(source, written, edit)
        assert untested_order(found, next(iter(found.behaviours))) == named


async def test_an_object_that_tells_nothing_is_looked_into(compared: Compared) -> None:
    """Where no call answers and no attribute is public, what is kept inside is all that there is to compare."""
    found = await compared(
        """
        class Tally:
            def __init__(self):
                self._sum = 0

            def add(self, number):
                self._sum += number
        """,
        """
        from box import Tally

        def test_sum():
            tally = Tally()
            tally.add(2)
            assert tally._sum == 4
        """,
        [("+= number", "+= number * 2"), ("+= number", "+= 4"), ("+= number", "+= 2 * number")],
    )
    assert sorted(len(members) for members in found.groups) == [1, 2]
