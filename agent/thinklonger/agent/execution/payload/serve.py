"""Screens many candidates in one process tree: import once, stop where a patched file is first needed, fork there.

The server forks a scout, which begins an ordinary run of the tests. Whenever the scout is about to import a file that
some candidate patches, it forks: the child goes on as the scout, the parent stays where it is, as a station. A
candidate is tried by a fork of the station of the first file that it patches: everything that comes before that
import (the runner, the configuration, other modules) is there already, and everything after it happens as in an
ordinary run. The last station stands where everything is collected and no test has run, for candidates whose files
nobody has imported by then. What no station can serve, the server runs from the beginning in a fork of its own.

A candidate that changes one function's body is tried at the last station first, with the new body put into the live
function (see `transplant`). What passes there passes; what is red there is red, unless the function ran before any
test: then the way above decides, until the two have agreed about that function often enough.
"""

from __future__ import annotations

import gc
import importlib
import importlib.util
import json
import os
import resource
import socket
import sys
import threading
import time
from typing import TYPE_CHECKING, Any

from .candidates import Candidate
from .channels import announce, read_line, read_lines, send
from .imports import preload, watch_imports, watch_rewriting
from .main import choose_runner, enter
from .processes import gather, has_threads, kill_tree, leave, limit_memory
from .report import Report
from .request import Request, Run, nothing, silence
from .transplant import Functions, Plan

if TYPE_CHECKING:
    from types import ModuleType

END = ""
"""The label of the last station: all is collected."""
SCOUT_SECONDS = 120.0
GRACE_SECONDS = 0.5
AGREED = 3
"""So often must both ways find candidates of a function red before the quick one is believed alone."""
LOST: dict[str, Any] = {"lines": [], "timed_out": False, "status": 9, "seconds": 0.0}
"""The reply of a station that died."""


class Server:
    """The process that the launcher started, and in its forks the scout, the stations and the candidates."""

    def __init__(self, request: Request, run: Run, runner: ModuleType) -> None:
        """Know what to run and which files candidates patch."""
        self.request = request
        self.run = run
        self.runner = runner
        self.candidates = [Candidate(fields, run.root) for fields in request.candidates]
        patched = {path for candidate in self.candidates for path in candidate.files if path.endswith(".py")}
        self.watched = {os.path.join(run.root, path): path for path in sorted(patched)}
        self.role = "server"
        self.touched: set[str] = set()
        self.pairs = [socket.socketpair() for _ in range(len(self.watched) + 1)]
        self.news, self.tell = os.pipe()
        self.next = 0
        self.patched_now: set[str] = set()
        self.missed: set[str] = set()
        self.scout_pid = 0
        self.functions = Functions()
        self.agreed: dict[str, int] = {}

    # ── the scout ────────────────────────────────────────────────────────────────────────────────────────────────

    def scout(self) -> dict[str, int]:
        """Send the scout out; the stations that it leaves behind, by the path that each waits at."""
        pid = os.fork()
        if pid == 0:
            self.role = "scout"
            os.close(self.news)
            self._scout_run()
        os.close(self.tell)
        stations: dict[str, int] = {}
        missed: set[str] = set()
        touched: set[str] = set()
        modules: list[str] = []
        for line in read_lines(self.news, time.monotonic() + SCOUT_SECONDS):
            news = json.loads(line)
            if "station" in news:
                stations[news["path"]] = news["station"]
            missed.update(news.get("missed", ()))
            touched.update(news.get("touched", ()))
            modules += news.get("modules", ())
            if news.get("over"):
                break
        os.close(self.news)
        for _, theirs in self.pairs:
            theirs.close()
        for path in missed:
            stations.pop(path, None)
        self.missed = missed | (touched - stations.keys())
        self.scout_pid = pid
        for index in stations.values():
            send(self.pairs[index][0], {"preload": modules})
        return stations

    def _scout_run(self) -> None:
        self.run.before_tests = lambda: self.pause(END)
        self.run.leave = None
        try:
            self.runner.execute(self.run)
        finally:
            if self.role == "scout":
                announce(self.tell, {"over": True, "touched": list(self.touched)})
            os._exit(0)

    def touch(self, path: str) -> None:
        """A file is about to be loaded; the scout stops there if a candidate patches it."""
        name = self.watched.get(path)
        if self.role != "scout" or name is None or name in self.touched:
            return
        self.touched.add(name)
        if threading.current_thread() is threading.main_thread() and not has_threads():
            self.pause(name)
        else:
            announce(self.tell, {"missed": [name]})

    def pause(self, name: str) -> None:
        """Leave a station here; returns in the scout, and in each candidate."""
        if has_threads():
            announce(self.tell, {"over": True, "touched": list(self.touched)})
            os._exit(0)
        index, self.next = self.next, self.next + 1
        news: dict[str, Any] = {"station": index, "path": name}
        if name == END:
            loaded = {os.path.abspath(getattr(module, "__file__", None) or "") for module in list(sys.modules.values())}
            unseen = (path for full, path in self.watched.items() if full in loaded and path not in self.touched)
            news.update(over=True, touched=list(self.touched), missed=list(unseen))
            news["modules"] = self._foreign_modules()
        announce(self.tell, news)  # before the fork: the scout must not be heard of further on first
        following = 0 if name == END else os.fork()
        if following == 0 and name != END:
            self.run.watch.rearm()
            return
        self.role = "station"
        self.run.watch.disarm()
        if name == END:
            self.functions.look()
        gc.freeze()
        os.close(self.tell)
        self._serve(self.pairs[index][1], following)

    def _foreign_modules(self) -> list[str]:
        """The modules that are not the repository's, in the order in which their imports began."""
        names: list[str] = []
        for name, module in list(sys.modules.items()):
            spec = getattr(module, "__spec__", None)
            origin = getattr(spec, "origin", None)
            if spec is not None and spec.name == name and (origin is None or self._is_foreign(origin)):
                names.append(name)
        return names

    def _is_foreign(self, origin: str) -> bool:
        return not origin.startswith(os.path.join(self.run.root, "")) and "__main__" not in origin

    # ── a station ────────────────────────────────────────────────────────────────────────────────────────────────

    def _serve(self, connection: socket.socket, following: int) -> None:
        """Try candidates as they are asked for; returns in each candidate's process."""
        for first, second in self.pairs:
            first.close()
            if second is not connection:
                second.close()
        reader = connection.makefile("rb")
        for line in reader:
            message = json.loads(line)
            if "preload" in message:
                preload(message["preload"])
                gc.freeze()
                continue
            plan = self._plan(message["candidate"]) if message["quick"] else None
            if message["quick"] and plan is None:
                send(connection, {"unsure": True})
                continue
            reply = self.attempt(message["candidate"], plan)
            if reply is None:
                reader.close()
                connection.close()
                return
            if plan is not None:
                reply["doubt"] = plan.place if plan.early else ""
            send(connection, reply)
        if following:
            os.waitpid(following, 0)
        os._exit(0)

    def _plan(self, serial: int) -> Plan | None:
        """How a candidate is applied to what is imported already, if it can be."""
        files = self.candidates[serial].files
        return self.functions.plan({os.path.join(self.run.root, path): content for path, content in files.items()})

    def attempt(self, serial: int, plan: Plan | None = None) -> dict[str, Any] | None:
        """Try one candidate in a fork; None in the fork, which then goes on to run the tests."""
        candidate = self.candidates[serial]
        reading, writing = os.pipe()
        started = time.monotonic()
        pid = os.fork()
        if pid == 0:
            os.close(reading)
            self._become(candidate, writing)
            if plan is not None:
                plan.apply()
            return None
        os.close(writing)
        lines, timed_out = gather(reading, pid, started + self.request.candidate_seconds + GRACE_SECONDS)
        os.close(reading)
        kill_tree(pid)
        _, status = os.waitpid(pid, 0)
        return {"lines": lines, "timed_out": timed_out, "status": status, "seconds": time.monotonic() - started}

    def _become(self, candidate: Candidate, writing: int) -> None:
        """Be the candidate's process."""
        self.role = "candidate"
        self.patched_now = {os.path.join(self.run.root, path) for path in candidate.files}
        self.run.report.move(writing)
        self.run.leave = leave
        self.run.before_tests = nothing
        self.request.seconds = 2 * self.request.candidate_seconds
        self.run.extend()
        limit_memory()
        seconds = int(self.request.candidate_seconds) + 2
        used = resource.getrusage(resource.RUSAGE_SELF)
        ceiling = int(used.ru_utime + used.ru_stime) + seconds
        resource.setrlimit(resource.RLIMIT_CPU, (ceiling, ceiling + 1))
        importlib.invalidate_caches()

    # ── the server ───────────────────────────────────────────────────────────────────────────────────────────────

    def screen(self, out: Report) -> None:
        """Try all candidates in order and report each."""
        stations = self.scout()
        for serial, candidate in enumerate(self.candidates):
            station = self._station_for(candidate, stations)
            out.write("trying", {"id": candidate.id})
            candidate.apply(serial)
            quick = self._ask_quickly(candidate, serial, stations)
            reply = quick
            if quick is None or self._is_doubtful(quick):
                reply = self._ask(station, serial) if station is not None else self.attempt(serial)
                if reply is None and station is None:
                    self._run_whole()
                self._compare(quick, reply)
            candidate.revert()
            if reply is None:
                self.missed.update(path for path, index in stations.items() if index == station)
                stations = {path: index for path, index in stations.items() if index != station}
                reply = dict(LOST)
            out.write("tried", dict(reply, id=candidate.id))
        for ours, _ in self.pairs:
            ours.close()
        os.waitpid(self.scout_pid, 0)

    def _run_whole(self) -> None:
        """In a candidate's process that no station forked: run from the beginning."""
        try:
            self.runner.execute(self.run)
        finally:
            os._exit(0)

    def _station_for(self, candidate: Candidate, stations: dict[str, int]) -> int | None:
        """The earliest station among the candidate's files; the last one where nobody has needed any of them."""
        if any(path in self.missed or not path.endswith(".py") for path in candidate.files):
            return None
        waiting = [stations[path] for path in candidate.files if path in stations]
        return min(waiting) if waiting else stations.get(END)

    def _ask_quickly(self, candidate: Candidate, serial: int, stations: dict[str, int]) -> dict[str, Any] | None:
        """Have a candidate tried by new bodies in the last station; None where that can't be done or took it down."""
        if END not in stations or not candidate.files or not all(path.endswith(".py") for path in candidate.files):
            return None
        reply = self._ask(stations[END], serial, quick=True)
        if reply is None:
            del stations[END]
        return None if reply is None or "unsure" in reply else reply

    def _is_doubtful(self, reply: dict[str, Any]) -> bool:
        """Whether what was red may be green after a fresh import."""
        return bool(reply["doubt"]) and is_red(reply) and self.agreed.get(reply["doubt"], 0) < AGREED

    def _compare(self, quick: dict[str, Any] | None, reply: dict[str, Any] | None) -> None:
        """Learn whether the quick way can be believed about a function."""
        if quick is not None and reply is not None:
            agree = is_red(reply)
            self.agreed[quick["doubt"]] = self.agreed.get(quick["doubt"], 0) + 1 if agree else -len(self.candidates)

    def _ask(self, station: int, serial: int, *, quick: bool = False) -> dict[str, Any] | None:
        """Let a station try a candidate; None where the station has died."""
        connection = self.pairs[station][0]
        try:
            send(connection, {"candidate": serial, "quick": quick})
            connection.settimeout(self.request.candidate_seconds + 4 * GRACE_SECONDS + 5.0)
            line = read_line(connection)
        except OSError:
            return None
        return json.loads(line) if line else None


def is_red(reply: dict[str, Any]) -> bool:
    """Whether a candidate's process showed a red test, or did not come to its end."""
    if reply["timed_out"] or reply["status"] != 0:
        return True
    records = (json.loads(line.partition(" ")[2]) for line in reply["lines"])
    return any(
        record["kind"] == "broken" or (record["kind"] == "test" and record["outcome"] not in ("passed", "skipped"))
        for record in records
    )


def serve(request: Request) -> None:
    """Screen the request's candidates; the report goes to standard output."""
    out = Report(os.dup(1), request.nonce)
    silence()
    run = Run(request, Report(None, request.nonce), None)
    runner = choose_runner(request)
    if runner == "pytest":
        if request.lent and importlib.util.find_spec("pytest") is None:
            from .lending import lend  # noqa: PLC0415 - rarely needed

            lend(request.lent)
        from . import pytest_runner as module  # noqa: PLC0415 - imports pytest

        hook = module.rewriting_hook()
    else:
        from . import unittest_runner as module  # type: ignore[no-redef] # noqa: PLC0415 - the same functions

        hook = None
    enter(run)
    server = Server(request, run, module)
    watch_imports(server)
    if hook is not None:
        watch_rewriting(server, hook)
    gc.freeze()
    server.screen(out)
    out.write("end", {"status": 0})
    os._exit(0)
