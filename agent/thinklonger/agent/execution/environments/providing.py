"""Provides what a repository's tests run in: what the user says, what is at hand, what was or may be built, our own.

Each candidate has to prove itself: the tests are collected in the sandbox. The first one that does is taken.
"""

import asyncio
import re
import shutil
from collections.abc import AsyncGenerator, Awaitable, Callable, Collection, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path, PurePosixPath
from typing import TypeAlias

from thinklonger.agent.errors import ExecutionError, boundary
from thinklonger.agent.execution.environments import building, shelf
from thinklonger.agent.execution.environments.at_hand import find_at_hand
from thinklonger.agent.execution.environments.laying import LaidSession
from thinklonger.agent.execution.environments.nouns import Environment, Needs, Origin, Permission, Python, Recipe
from thinklonger.agent.execution.environments.project import read_generated
from thinklonger.agent.execution.environments.pythons import choose_python, find_pythons
from thinklonger.agent.execution.environments.survey import survey
from thinklonger.agent.execution.harness import Harness
from thinklonger.agent.execution.interpreter import current, from_environment, from_executable
from thinklonger.agent.protocols import Sandbox, SandboxSession
from thinklonger.agent.types import Interpreter, Message

Prove: TypeAlias = Callable[[SandboxSession, Interpreter, str | None], Awaitable[Harness]]
"""Proves that the tests run in a session with an interpreter; raises ExecutionError where they don't.

The last argument is a command of the repository's own that runs its tests, where no runner of ours can collect them;
who has a command of their own to prove has no use for it, and raises.
"""
UNCOLLECTED = frozenset({"execution.runner-failed", "execution.no-tests", "execution.collection-failed"})
"""What is wrong where a repository's tests need a program of its own around them, as Django's do."""
STEPS = 60
"""A recipe of more commands than this is not extended any more when the proof finds something missing."""
OWN_PROGRAM = re.compile(r"(?:^|\s)(\S*(?:manage|runtests|run_tests)\.py)(?=\s|$)")
NOSE_FILE = re.compile(r"(?:^|[_./-])tests?\.py$|[_./-]tests?[_-]?\w*\.py$", re.IGNORECASE)
NOSE_COMMAND = "pytest -o 'python_files=test*.py *test.py *tests.py'"
"""nose took more file names for tests than pytest does."""
USUAL_PROGRAMS = {
    "manage.py": "python manage.py test",
    "runtests.py": "python runtests.py",
    "run_tests.py": "python run_tests.py",
    "tests/runtests.py": "python tests/runtests.py",
    "tests/run_tests.py": "python tests/run_tests.py",
}
"""Programs that run a repository's tests, by what they are usually called."""
NO_MODULE = re.compile(r"No module named '?([\w.]+)")


@dataclass(frozen=True, slots=True)
class Provided:
    """An environment that has proved itself, with the session and the harness of the proof; `notes` are for people."""

    environment: Environment
    session: SandboxSession
    harness: Harness
    notes: tuple[Message, ...]


@asynccontextmanager
async def open_environment(
    sandbox: Sandbox, root: Path, files: Collection[PurePosixPath], *, permission: Permission, prove: Prove
) -> AsyncGenerator[Provided]:
    """The first environment that proves itself, its session open while the context lasts.

    Raises ExecutionError with the first error that matters where none does, SandboxError where the sandbox fails.
    """
    async with AsyncExitStack() as stack:
        yield await find_environment(stack, Repository(sandbox, root, files, permission, prove))


@dataclass(frozen=True, slots=True)
class Repository:
    """What has to be provided for, and how it is opened and proved."""

    sandbox: Sandbox
    root: Path
    files: Collection[PurePosixPath]
    permission: Permission
    prove: Prove

    async def open(self, stack: AsyncExitStack, environment: Environment) -> tuple[SandboxSession, Harness]:
        """Open a session with an environment and prove it; the session stays open on the stack if it does."""
        async with AsyncExitStack() as trial:
            opened = self.sandbox.open(self.root, self.files, readable=environment.interpreter.readable)
            session: SandboxSession = await trial.enter_async_context(opened)
            if environment.generated:
                session = LaidSession(session, environment.generated)
            harness = await self._proved(session, environment)
            stack.push_async_exit(trial.pop_all())
        return session, harness

    async def _proved(self, session: SandboxSession, environment: Environment) -> Harness:
        """Prove that tests are collected; where none can be, that the repository's own way to run them is there."""
        try:
            return await self.prove(session, environment.interpreter, None)
        except ExecutionError as error:
            if error.message.key not in UNCOLLECTED:
                raise
            needs = await asyncio.to_thread(survey, self.root, self.files)
            for command in own_commands(needs, self.files):
                try:
                    harness = await self.prove(session, environment.interpreter, command)
                except ExecutionError:
                    continue
                if harness.environment.tests_collected:
                    return harness
            raise


def own_commands(needs: Needs, files: Collection[PurePosixPath]) -> list[str]:
    """How the repository runs its tests where no runner of ours finds any: by its own program, or as with nose."""
    there = frozenset(map(str, files))
    said = [
        command
        for command in needs.commands
        if (named := OWN_PROGRAM.search(command)) and named[1].removeprefix("./") in there
    ]
    nose = [NOSE_COMMAND] if any(NOSE_FILE.search(str(path)) for path in files) else []
    usual = [command for path, command in USUAL_PROGRAMS.items() if path in there]
    return [*said[:1], *nose, *usual[:1]]


async def find_environment(stack: AsyncExitStack, repository: Repository) -> Provided:
    """Try the candidates in order."""
    failures: list[ExecutionError] = []
    ready, poor = await find_ready(stack, repository, failures)
    if ready is not None:
        return ready
    notes: list[Message] = []
    try:
        built = await find_built(stack, repository, notes)
        if built is not None:
            return replace(built, notes=tuple(notes))
    except ExecutionError as error:
        failures.insert(0, error)
        notes.append(Message("environments.not-built", {"reason": str(error)}))
    for environment in filter(None, (poor, our_own(repository.root))):
        try:
            session, harness = await repository.open(stack, environment)
        except ExecutionError as error:
            failures.append(error)
        else:
            return Provided(environment, session, harness, tuple(notes))
    raise failures[0]


async def find_ready(
    stack: AsyncExitStack, repository: Repository, failures: list[ExecutionError]
) -> tuple[Provided | None, Environment | None]:
    """The first environment at hand that proves itself; else the first that does with files that miss modules.

    The second kind only counts where a better one may be built.
    """
    poor: Environment | None = None
    for environment in at_hand(repository.root, repository.permission):
        try:
            async with AsyncExitStack() as trial:
                session, harness = await repository.open(trial, environment)
                wanting = environment.origin is Origin.AT_HAND and repository.permission.build and missing_at(harness)
                if not wanting:
                    stack.push_async_exit(trial.pop_all())
                    return Provided(environment, session, harness, ()), None
                poor = poor or environment
        except ExecutionError as error:
            failures.append(error)
            if environment.origin is Origin.GIVEN:
                raise
    return None, poor


def at_hand(root: Path, permission: Permission) -> Iterator[Environment]:
    """What the user says; else what lies ready."""
    if permission.interpreter:
        interpreter = from_executable(Path(permission.interpreter).expanduser(), root)
        if interpreter is None:
            raise ExecutionError("environments.no-interpreter", interpreter=permission.interpreter)
        yield Environment(interpreter, Origin.GIVEN, Message("environments.given", {"path": permission.interpreter}))
        return
    for interpreter, reason in find_at_hand(root):
        yield Environment(interpreter, Origin.AT_HAND, reason)


def our_own(root: Path) -> Environment:
    """The Python that runs ThinkLonger."""
    return Environment(current(root), Origin.CURRENT, Message("environments.current"))


async def find_built(stack: AsyncExitStack, repository: Repository, notes: list[Message]) -> Provided | None:
    """The environment that was built for this state, or is built now; None where there is none and none may be built.

    Raises ExecutionError where building or the proof fails.
    """
    permission = repository.permission
    place = permission.cache / "environments"
    if not permission.build and not await asyncio.to_thread(place.is_dir):
        return None
    needs = await asyncio.to_thread(survey, repository.root, repository.files)
    notes += needs.problems
    if not needs.version:
        needs = replace(needs, version=permission.version)
    if needs.python2 and permission.build:
        raise ExecutionError("environments.python-2")
    python = choose(needs, permission)
    if python is None:
        if permission.build:
            raise ExecutionError("environments.no-python", wanted=needs.requires_python or ">=3.8")
        return None
    folder = place / shelf.key_of(repository.root, needs, python, permission.moment, permission.index)
    recipe = await asyncio.to_thread(shelf.load, folder)
    if recipe is None and not permission.build:
        return None
    order = building.Order(repository.root, needs, python, permission, folder)
    claim = await stack.enter_async_context(shelf.claim(folder))
    await claim.share()
    recipe = await asyncio.to_thread(shelf.load, folder)
    if recipe is None:
        await claim.exclude()
        recipe = await asyncio.to_thread(shelf.load, folder)
    if recipe is None and not permission.build:  # somebody has removed it
        return None
    if recipe is None:
        await asyncio.to_thread(shelf.forget_old, place, folder)
        recipe = await build(order, repository.files)
    provided = await prove_built(stack, repository, order, recipe, extensible=claim.alone)
    await claim.share()
    return provided


def choose(needs: Needs, permission: Permission) -> Python | None:
    """The Python to build with."""
    return choose_python(find_pythons(), needs, (permission.moment or datetime.now(UTC)).date())


async def build(order: building.Order, files: Collection[PurePosixPath]) -> Recipe:
    """Build it; a build that fails or is cancelled leaves nothing."""
    await asyncio.to_thread(shelf.empty, order.folder)
    try:
        with boundary(ExecutionError, "environments.build-broken"):
            recipe = await building.build(order, files)
            await asyncio.to_thread(shelf.store, order.folder, recipe)
    except BaseException:
        shutil.rmtree(order.folder, ignore_errors=True)
        raise
    return recipe


async def prove_built(
    stack: AsyncExitStack, repository: Repository, order: building.Order, recipe: Recipe, *, extensible: bool
) -> Provided:
    """Prove it; what turns out to be missing is installed where that is allowed, and the proof tried again."""
    tried: set[str] = set()
    while True:
        environment = await asyncio.to_thread(environment_of, order, recipe)
        failure: ExecutionError | None = None
        last = not extensible or not repository.permission.build or len(recipe.steps) > STEPS
        async with AsyncExitStack() as trial:
            try:
                session, harness = await repository.open(trial, environment)
                missing = missing_at(harness) - tried
            except ExecutionError as error:
                failure, missing = error, missing_in(error.message) - tried
            else:
                if last or not missing:
                    stack.push_async_exit(trial.pop_all())
                    return Provided(environment, session, harness, ())
        if failure is not None and (last or not missing):
            raise failure
        tried |= missing
        recipe = await building.extend(order, recipe, sorted(missing))
        await asyncio.to_thread(shelf.store, order.folder, recipe)


def environment_of(order: building.Order, recipe: Recipe) -> Environment:
    """The environment of a recipe. Raises ExecutionError where it is not whole."""
    interpreter = from_environment(order.folder / "env", order.root)
    if interpreter is None:
        raise ExecutionError("environments.no-interpreter", interpreter=str(order.folder / "env"))
    reason = Message("environments.built", {"count": len(recipe.installed), "python": recipe.python_version})
    generated = read_generated(order.folder / "generated")
    return Environment(replace(interpreter, origin=Origin.BUILT), Origin.BUILT, reason, recipe, generated)


def missing_at(harness: Harness) -> set[str]:
    """The modules that keep test files from being collected."""
    return {module for problem in harness.problems for module in missing_in(problem)}


def missing_in(message: Message) -> set[str]:
    """The module that a message says is missing."""
    named = message.params.get("module")
    if isinstance(named, str) and named:
        return {named.partition(".")[0]}
    found = NO_MODULE.search(str(message.params.get("reason", "")))
    return {found[1].partition(".")[0]} if found else set()
