"""Run candidates on inputs in forked children: one child for a candidate and a batch, killed when it stops moving."""

# Values of the code under test can be anything at all, so what is inside them is unknown to the type checker:
# pyright: reportUnknownArgumentType=false, reportUnknownVariableType=false, reportUnknownMemberType=false
# pyright: reportUnknownLambdaType=false, reportUnknownParameterType=false

from __future__ import annotations

import asyncio
import contextlib
import dis
import gc
import inspect
import io
import os
import random
import resource
import select
import signal
import sys
import time
import types
from typing import Any, Callable

from .canonical import canonical, state_of, text
from .cloning import ATOMS, OMITTED, clone
from .histories import Step

Value = Any  # values of the code under test: anything at all

_RAISE = dis.opmap["RAISE_VARARGS"]
_TOLD = (types.FunctionType, io.StringIO, io.BytesIO)  # arguments that calls change, and whose users look at them
HANGS = 3  # after so many in one batch the rest of it is not run
GRACE = 1.2  # wall-clock seconds without an answer after which a child is killed
LINE = 24_000  # characters of one answer; a longer one keeps its digest only
MEMORY = 768 * 1024**2  # bytes of address space that a child may add


class Hang(BaseException):
    """The call has used up its CPU time."""


class Input:
    """One call that candidates are given."""

    def __init__(self, function: types.FunctionType, arguments: list[Value]) -> None:
        """Keep the arguments and their canonical forms, to see later which were changed."""
        self.function = function
        self.code = function.__code__
        self.arguments = arguments
        self.forms = [canonical(item) for item in clone(arguments, {})]
        self.texts = [text(form) for form in self.forms]

        self.moved: list[bool] = []

    def value(self, arguments: list[Value]) -> Value:
        """What the call returns, in canonical form; raises whatever it raises."""
        return canonical(invoke(self.function, self.code, arguments))


class Played(Input):
    """A history that candidates are given: the constructor, then call after call, whatever the one before did."""

    def __init__(self, kind: type, steps: list[Step], shown: set[str], *, traced: bool = False) -> None:
        """`shown` are the attributes that count at the end; `traced`: it is seen which calls change the object."""
        super().__init__(steps[0].function, [step.arguments for step in steps])
        self.kind = kind
        self.steps = steps
        self.codes = [step.function.__code__ for step in steps]
        self.shown = shown
        self.traced = traced

    def value(self, arguments: list[Value]) -> Value:
        """What each call answers, what is public of the object then, and what test functions were told."""
        positional, keywords = arranged(self.codes[0], [None, *arguments[0]])
        target = self.kind(*positional[1:], **keywords)
        said: list[Value] = []
        self.moved = [True] if self.traced else []
        before = self._inside(target)
        for step, code, items in zip(self.steps[1:], self.codes[1:], arguments[1:]):
            said.append(self._answer(target, step.function, code, items))
            if self.traced:
                after = self._inside(target)
                self.moved.append(after != before)
                before = after
        state = state_of(target) or {}
        shown = [[name, self._form(state[name])] for name in sorted(state) if name in self.shown]
        told = [canonical(item) for items in arguments for item in items if isinstance(item, _TOLD)]
        return {"history": said, "public": shown, "told": told}

    def _answer(self, target: Value, function: types.FunctionType, code: types.CodeType, items: list[Value]) -> Value:
        try:
            value = invoke(function, code, [target, *items])
            return {"itself": True} if value is target else {"returned": self._form(value)}
        except Hang:
            raise
        except BaseException as error:  # noqa: BLE001 (whatever the code under test raises is its outcome)
            return {"raised": type(error).__name__, "said": said_by(error)}

    def _inside(self, target: Value) -> str:
        return text(canonical(state_of(target))) if self.traced else ""

    def _form(self, value: Value) -> Value:
        return canonical(value, frozenset({self.kind}))


def invoke(function: types.FunctionType, code: types.CodeType, arguments: list[Value]) -> Value:
    """Call a function, whatever its code is now; `arguments` are in the order of the old code, which `code` is."""
    positional, keywords = arranged(code, arguments)
    result = function(*positional, **keywords)
    if inspect.iscoroutine(result):
        loop = asyncio.new_event_loop()
        try:
            return loop.run_until_complete(result)
        finally:
            loop.close()
    return result


def arranged(code: types.CodeType, arguments: list[Value]) -> tuple[list[Value], dict[str, Value]]:
    """Arguments by place and by name, as the recorded call gave them."""
    rest = code.co_argcount + code.co_kwonlyargcount
    positional, keywords = _placed(code, arguments)
    if code.co_flags & 0x04:
        positional += arguments[rest]
        rest += 1
    if code.co_flags & 0x08:
        keywords.update(arguments[rest])
    return positional, keywords


def _placed(code: types.CodeType, arguments: list[Value]) -> tuple[list[Value], dict[str, Value]]:
    """Arguments by place, and by name from the first one on that was left out."""
    head, rest = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    first = next((i for i, item in enumerate(arguments[:head]) if item is OMITTED), head)
    named = range(first, rest)
    return list(arguments[:first]), {code.co_varnames[i]: arguments[i] for i in named if arguments[i] is not OMITTED}


def outcome(given: Input, seconds: float) -> dict[str, Value]:
    """What one call does, in canonical form; CPU time is bounded."""
    arguments = clone(given.arguments, {})
    printed = io.StringIO()
    random.seed(0)
    said: dict[str, Value] = {}
    signal.setitimer(signal.ITIMER_PROF, seconds, 0.05)
    try:
        with contextlib.redirect_stdout(printed), contextlib.redirect_stderr(io.StringIO()):
            said = _result(given, arguments)
            changed = _changed(given, arguments)
        signal.setitimer(signal.ITIMER_PROF, 0)
    except Hang:
        signal.setitimer(signal.ITIMER_PROF, 0)
        return {"kind": "hung"}
    except BaseException as error:  # noqa: BLE001 (canonical forms run the objects' own code)
        signal.setitimer(signal.ITIMER_PROF, 0)
        return {**said, "odd": type(error).__name__} if said else {"kind": "raised", "exception": type(error).__name__}
    if changed:
        said["changed"] = changed
    if printed.getvalue():
        said["printed"] = printed.getvalue()[:LINE]
    return said


def _result(given: Input, arguments: list[Value]) -> dict[str, Value]:
    try:
        said: dict[str, Value] = {"kind": "returned", "value": given.value(arguments)}
    except Hang:
        raise
    except BaseException as error:  # noqa: BLE001 (whatever the code under test raises is its outcome)
        return {"kind": "raised", "exception": type(error).__name__, "said": said_by(error)}
    return {**said, "moved": given.moved} if given.moved else said


def said_by(error: BaseException) -> Value:
    """What the code's own `raise` says; nothing of an error that Python raises by itself."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None or trace.tb_frame.f_code.co_code[trace.tb_lasti] != _RAISE:
        return None
    return canonical(clone(list(error.args), {}))


def _changed(given: Input, arguments: list[Value]) -> list[Value]:
    changed: list[Value] = []
    for i, item in enumerate(arguments):
        if type(item) not in ATOMS:
            form = canonical(item)
            if text(form) != given.texts[i]:
                changed.append([i, form])
    return changed


class Job:
    """One candidate's share of work: the indices to run, in order, and how to become the candidate."""

    def __init__(self, candidate: int, indices: list[int], become: Callable[[], None]) -> None:
        """Take what the class's docstring says."""
        self.candidate = candidate
        self.indices = indices
        self.become = become
        self.hangs = 0


class Child:
    """A forked process at work on a job."""

    def __init__(self, job: Job, pid: int, reader: int) -> None:
        """Take the process and the end of its pipe."""
        self.job = job
        self.pid = pid
        self.reader = reader
        self.rest = b""
        self.moved = time.monotonic()


class Pool:
    """A few children at once; `answers[candidate][index]` is filled with the texts that they send."""

    def __init__(self, inputs: list[Input], seconds: float, workers: int) -> None:
        """`seconds` bounds the CPU time of one call."""
        self.inputs = inputs
        self.seconds = seconds
        self.workers = max(1, workers)
        self.answers: dict[int, dict[int, str]] = {}

    def run(self, jobs: list[Job], deadline: float) -> bool:
        """Do all jobs; False where the deadline (monotonic seconds) came first."""
        waiting = list(reversed(jobs))
        running: list[Child] = []
        while waiting or running:
            if time.monotonic() > deadline:
                for child in running:
                    self._end(child, kill=True)
                return False
            while waiting and len(running) < self.workers:
                running.append(self._start(waiting.pop()))
            ready = select.select([child.reader for child in running], [], [], 0.1)[0]
            for child in list(running):
                done = not self._read(child) if child.reader in ready else time.monotonic() - child.moved > GRACE
                if done:
                    running.remove(child)
                    again = self._finish(child, hung=child.reader not in ready)
                    if again is not None:
                        waiting.append(again)
        return True

    def _start(self, job: Job) -> Child:
        reader, writer = os.pipe()
        pid = os.fork()
        if pid == 0:
            try:
                os.close(reader)
                _work(job, self.inputs, self.seconds, writer)
            finally:
                os._exit(0)
        os.close(writer)
        return Child(job, pid, reader)

    def _read(self, child: Child) -> bool:
        data = os.read(child.reader, 1 << 16)
        child.moved = time.monotonic()
        lines = (child.rest + data).split(b"\n")
        child.rest = lines.pop()
        for line in lines:
            self._answer(child.job, line.decode("utf-8", "replace"))
        return bool(data)

    def _answer(self, job: Job, line: str) -> None:
        if job.indices:
            self.answers.setdefault(job.candidate, {})[job.indices.pop(0)] = line

    def _finish(self, child: Child, *, hung: bool) -> Job | None:
        """Reap the child; a job that goes on without the input that ended it, if there is more to do."""
        job = child.job
        self._end(child, kill=hung)
        if not job.indices:
            return None
        job.hangs += 1
        self._answer(job, text({"kind": "hung" if hung else "died"}))
        if job.hangs >= HANGS:
            for index in job.indices:
                self.answers[job.candidate][index] = text({"kind": "skipped"})
            return None
        return job if job.indices else None

    @staticmethod
    def _end(child: Child, *, kill: bool) -> None:
        if kill:
            os.kill(child.pid, signal.SIGKILL)
        os.close(child.reader)
        os.waitpid(child.pid, 0)


def _work(job: Job, inputs: list[Input], seconds: float, writer: int) -> None:
    """In the child: become the candidate, answer one line for each input."""
    sys.setprofile(None)
    signal.signal(signal.SIGPROF, _expired)
    _confine()
    gc.disable()
    try:
        job.become()
    except BaseException:  # noqa: BLE001 (a candidate's own module code may raise anything)
        _send(writer, "\n".join([text({"kind": "skipped"})] * len(job.indices)))
        return
    hangs = 0
    for index in list(job.indices):
        said = {"kind": "skipped"} if hangs >= HANGS else outcome(inputs[index], seconds)
        hangs += said["kind"] == "hung"
        line = text(said)
        if len(line) > LINE:
            line = text({"kind": said["kind"], "value": {"cut": "value", "digest": str(hash(line))}})
        _send(writer, line)


def _send(writer: int, line: str) -> None:
    data = (line + "\n").encode()
    while data:
        data = data[os.write(writer, data) :]


def _confine() -> None:
    """Bound the memory that this process may still take, and let nothing that it prints out."""
    null = os.open(os.devnull, os.O_RDWR)
    for number in (0, 1, 2):
        os.dup2(null, number)
    try:
        with open("/proc/self/statm", encoding="ascii") as handle:
            used = int(handle.read().split()[0]) * resource.getpagesize()
        soft, hard = resource.getrlimit(resource.RLIMIT_AS)
        want = used + MEMORY
        if soft == resource.RLIM_INFINITY or want < soft:
            resource.setrlimit(resource.RLIMIT_AS, (want, hard))
    except (OSError, ValueError):
        return


def _expired(*_: Value) -> None:
    raise Hang
