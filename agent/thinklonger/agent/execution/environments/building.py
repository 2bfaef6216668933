"""Builds an environment with uv inside the building sandbox, resolved as of the base commit's day, within bounds."""

import asyncio
import os
import shutil
import tempfile
import time
from collections.abc import AsyncGenerator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path, PurePosixPath

from thinklonger.agent.errors import ExecutionError
from thinklonger.agent.execution.environments import confinement, project
from thinklonger.agent.execution.environments.confinement import Bind, Built, Job
from thinklonger.agent.execution.environments.gateway import Gateway, open_gateway
from thinklonger.agent.execution.environments.nouns import Dropped, Needs, Permission, Python, Recipe, Step
from thinklonger.agent.execution.environments.relaxing import UNREACHABLE, Plan, reason_in, relax
from thinklonger.agent.execution.environments.texts import name_of, normal
from thinklonger.agent.execution.environments.usage import distribution_of

FORMAT = 1
ATTEMPTS = 24
"""How often a failing installation is tried again with less."""
LEAST_SECONDS = 5.0
TREE_BYTES = 1024**3
INSIDE = "/run/thinklonger"
MODERN = datetime(2021, 6, 15, tzinfo=UTC)
"""Build tools and runners are never older than this: what came before knows neither this protocol nor these Pythons."""
TOOLS = ("setuptools", "wheel", "pip", "pytest", "pluggy", "iniconfig", "packaging", "pyparsing", "toml", "attrs", "py")
PYTEST = "pytest>=6.2"
WITHOUT_SETUPTOOLS = (3, 12)
SUPPORTING = 20
"""Modules that tests import without saying so, of which so many are looked for at most."""


@dataclass(slots=True)
class Workplace:
    """One build: where it happens, what it may use, and what it did so far."""

    order: "Order"
    sockets: Path
    gateway: Gateway
    until: float
    steps: list[Step] = field(default_factory=list[Step])

    @property
    def root(self) -> Path:
        """Where the repository is, inside as well."""
        return self.order.root

    @property
    def folder(self) -> Path:
        """What is written to."""
        return self.order.folder

    @property
    def needs(self) -> Needs:
        """What the repository needs."""
        return self.order.needs

    @property
    def python(self) -> Python:
        """The Python to build with."""
        return self.order.python

    @property
    def permission(self) -> Permission:
        """What is allowed."""
        return self.order.permission

    @property
    def env(self) -> Path:
        """The environment itself."""
        return self.folder / "env"

    async def uv(self, *words: str, env: dict[str, str] | None = None) -> Built:
        """Run uv inside, and remember it as a step."""
        return await self.run(f"{INSIDE}/uv", *words, env=env)

    async def run(self, *argv: str, env: dict[str, str] | None = None) -> Built:
        """Run a command inside, with the registry in reach; raises ExecutionError where a bound is passed."""
        base = str(self.python.executable)
        forward = f"{INSIDE}/forward.py"
        job = Job(
            argv=(base, "-I", forward, f"{INSIDE}/gateway/proxy", *argv),
            binds=self._binds(),
            cwd=str(self.root),
            env=self._variables() | (env or {}),
            seconds=max(self.until - time.monotonic(), LEAST_SECONDS),
            disk_bytes=self.permission.megabytes * 1024**2,
            watched=(self.folder,),
        )
        built = await confinement.run(job)
        shown = tuple(word.removeprefix(f"{INSIDE}/") for word in argv)
        self.steps.append(Step(shown, built.exit_code, round(built.seconds, 2)))
        if built.stopped == "time":
            raise ExecutionError("environments.too-slow", seconds=round(self.permission.seconds))
        if built.stopped == "disk":
            raise ExecutionError("environments.too-large", megabytes=self.permission.megabytes)
        return built

    def _binds(self) -> list[Bind]:
        """What a build sees beside the system: the Python, uv, the private copy of the tree, its own folder."""
        here = Path(__file__).parent
        real = self.python.executable.resolve().parent.parent
        pythons = dict.fromkeys((self.python.executable.parent.parent, real))
        return [
            *(Bind(path, str(path)) for path in pythons if not path.is_relative_to("/usr")),
            Bind(uv_program(), f"{INSIDE}/uv"),
            Bind(here / "forward.py", f"{INSIDE}/forward.py"),
            Bind(self.sockets, f"{INSIDE}/gateway"),
            Bind(self.folder, str(self.folder), writable=True),
            Bind(self.folder / "tree", str(self.root), writable=True),
        ]

    def _variables(self) -> dict[str, str]:
        return {
            "NO_COLOR": "1",
            "PYTHONDONTWRITEBYTECODE": "1",
            "UV_CACHE_DIR": str(self.folder / "cache"),
            "UV_CONCURRENT_BUILDS": "2",
            "UV_NO_CONFIG": "1",
            "UV_NO_PROGRESS": "1",
            "UV_PYTHON_DOWNLOADS": "never",
            "UV_SYSTEM_CERTS": "1",
        }


def uv_program() -> Path:
    """Where uv is; raises ExecutionError where it is not installed."""
    from uv import find_uv_bin  # noqa: PLC0415 - only who builds needs it

    try:
        return Path(find_uv_bin())
    except FileNotFoundError as cause:
        raise ExecutionError("environments.no-tool", tool="uv") from cause


@dataclass(frozen=True, slots=True)
class Order:
    """What is to be built: for the tree at `root`, which needs this, with that Python, in `folder`, within bounds."""

    root: Path
    needs: Needs
    python: Python
    permission: Permission
    folder: Path

    @property
    def moment(self) -> datetime:
        """As of when; today where the base commit has no date."""
        return self.permission.moment or datetime.now(UTC)


async def build(order: Order, files: Collection[PurePosixPath]) -> Recipe:
    """Build an environment in the order's folder, which is empty, and say how. Raises ExecutionError.

    Nothing of the repository runs outside of the sandbox, and the repository itself is not written to.
    """
    started = time.monotonic()
    folder, needs = order.folder, order.needs
    await asyncio.to_thread(copy_tree, order.root, files, folder / "tree")
    async with opened(order) as work:
        python = str(order.python.executable)
        made = await work.uv("venv", "--quiet", "--python", python, str(work.env))
        if made.exit_code != 0:
            raise ExecutionError("environments.no-venv", python=python, reason=reason_in(made.output))
        plan = first_plan(needs, order.python, order.moment)
        await install(work, plan)
        generated = await asyncio.to_thread(project.run_from_sources, work.env, order.root, files, folder / "generated")
        await support(work, plan)
        await work.run(str(work.env / "bin" / "python"), "-m", "compileall", "-q", "-j2", str(work.env / "lib"))
    return Recipe(
        format=FORMAT,
        root=str(order.root),
        python=python,
        python_version=".".join(map(str, order.python.version)),
        moment=order.moment.isoformat() if plan.dated else "",
        index=order.permission.index,
        requirements=tuple(plan.requirements),
        extras=tuple(plan.extras),
        dropped=tuple(plan.dropped),
        installed=others(work),
        generated=generated,
        project=plan.project,
        steps=tuple(work.steps),
        seconds=round(time.monotonic() - started, 2),
        bytes=await asyncio.to_thread(confinement.size_of, work.env),
    )


def others(work: "Workplace") -> tuple[str, ...]:
    """What is installed beside the project itself."""
    return tuple(entry for entry in project.installed(work.env) if name_of(entry) != normal(work.needs.name))


@asynccontextmanager
async def opened(order: Order) -> AsyncGenerator["Workplace"]:
    """A place to build in, with the registry in reach; what only building needs is gone afterwards."""
    spare = [order.folder / name for name in ("cache", "tree")]
    for folder in spare:
        folder.mkdir(exist_ok=True)
    async with reachable(order.permission.index) as (sockets, gateway):
        await asyncio.to_thread(confinement.own, order.folder)
        yield Workplace(order, sockets, gateway, time.monotonic() + order.permission.seconds)
    for folder in spare:
        await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


@asynccontextmanager
async def reachable(index: str) -> AsyncGenerator[tuple[Path, Gateway]]:
    """The folder with the socket through which the registry can be reached, while the context lasts."""
    private = Path(await asyncio.to_thread(tempfile.mkdtemp, prefix="thinklonger-gateway-"))
    try:
        sockets = private / "socket"
        sockets.mkdir()
        sockets.chmod(0o755)
        async with open_gateway(sockets / "proxy", index) as gateway:
            yield sockets, gateway
    finally:
        shutil.rmtree(private, ignore_errors=True)


def copy_tree(root: Path, files: Collection[PurePosixPath], target: Path) -> None:
    """Copy the repository's files, so that a build can write beside them; links stay links, what is not there is not.

    Raises ExecutionError for a tree that is too large to be copied.
    """
    target.mkdir(parents=True)
    room = TREE_BYTES
    for path in sorted(files):
        source, place = root / path, target / path
        try:
            status = source.lstat()
            room -= status.st_size
            if room < 0:
                raise ExecutionError("environments.tree-too-large", megabytes=TREE_BYTES // 1024**2)
            place.parent.mkdir(parents=True, exist_ok=True)
            if source.is_symlink():
                place.symlink_to(os.readlink(source))  # noqa: PTH115 - as it is written, whatever it leads to
            elif source.is_file():
                shutil.copy2(source, place)
        except OSError:
            continue


def first_plan(needs: Needs, python: Python, moment: datetime) -> Plan:
    """All that the repository asks for; and setuptools, which every environment had before Python 3.12."""
    pytest = next((entry.text for entry in needs.wanted if name_of(entry.text) == "pytest"), PYTEST)
    others = [entry.text for entry in needs.wanted if name_of(entry.text) != "pytest"]
    if python.version < WITHOUT_SETUPTOOLS and "setuptools" not in map(name_of, others):
        others.append("setuptools")
    plan = Plan(
        project=needs.installable,
        extras=list(needs.extras),
        requirements=[pytest if moment >= MODERN else PYTEST, *others],
        dependencies=list(needs.dependencies),
    )
    if not needs.installable:
        plan.requirements += plan.dependencies
    return plan


async def install(work: Workplace, plan: Plan) -> None:
    """Install what is planned, with less each time it fails. Raises ExecutionError where not even pytest is left."""
    said = ""
    for _ in range(ATTEMPTS):
        if plan.helpers and plan.project:
            tools = ("setuptools<80", "wheel", *plan.helpers)
            await work.uv(*options(work, plan), *tools)
        built = await work.uv(*words(work, plan), env=versions(work, plan))
        if built.exit_code == 0:
            return
        said = built.output
        if UNREACHABLE.search(said):
            raise ExecutionError("environments.unreachable", index=work.permission.index, reason=reason_in(said))
        if not relax(plan, said, name=work.needs.name):
            break
    await piecemeal(work, plan, said)


async def piecemeal(work: Workplace, plan: Plan, said: str) -> None:
    """The last resort: pytest first, then each requirement for itself."""
    plan.project = False
    kept: list[str] = []
    for requirement in dict.fromkeys((PYTEST, *plan.requirements)):
        built = await work.uv(*options(work, plan), requirement)
        if built.exit_code == 0:
            kept.append(requirement)
        else:
            plan.leave(requirement, reason_in(built.output))
    plan.requirements = kept
    if not kept:
        raise ExecutionError("environments.nothing-installed", reason=reason_in(said))


async def support(work: Workplace, plan: Plan) -> None:
    """Install what the tests import and nobody has mentioned, where the registry has it under that name."""
    missing = missing_modules(work.needs.imports, project.modules(work.env))
    if missing:
        await add_modules(work, plan, missing)


def missing_modules(imports: Sequence[str], there: Collection[str]) -> list[str]:
    """The imported modules that are not there."""
    return [module for module in imports if module.partition(".")[0] not in there]


async def add_modules(work: Workplace, plan: Plan, missing: Sequence[str]) -> bool:
    """Install the distributions of modules, together or, where that fails, each for itself; whether any was found."""
    wanted = [entry for entry in dict.fromkeys(map(distribution_of, missing)) if name_of(entry)][:SUPPORTING]
    wanted = [entry for entry in wanted if name_of(entry) != normal(work.needs.name)]
    if not wanted:
        return False
    built = await work.uv(*options(work, plan), *wanted)
    if built.exit_code == 0:
        plan.requirements += wanted
        return True
    found = False
    for entry in wanted:
        built = await work.uv(*options(work, plan), entry)
        if built.exit_code == 0:
            plan.requirements.append(entry)
            found = True
        else:
            plan.dropped.append(Dropped(entry, reason_in(built.output)))
    return found


def words(work: Workplace, plan: Plan) -> list[str]:
    """Uv's command line for the whole plan."""
    line = options(work, plan)
    for name in plan.only_binary:
        line += ["--only-binary", name]
    if plan.constraints:
        place = work.folder / "cache" / "build-constraints.txt"
        place.write_text("\n".join(plan.constraints) + "\n", "utf-8")
        place.chmod(0o644)
        line += ["--build-constraints", str(place)]
    if plan.helpers and plan.project and work.needs.name:
        line += ["--no-build-isolation-package", work.needs.name]
    if plan.project:
        extras = f"[{','.join(plan.extras)}]" if plan.extras else ""
        line.append(f"{work.needs.name} {extras} @ {work.root.as_uri()}" if work.needs.name else f"{work.root}{extras}")
    return [*line, *plan.requirements]


def options(work: Workplace, plan: Plan) -> list[str]:
    """The beginning of uv's command line: where to, from where, and as of when."""
    line = ["pip", "install", "--python", str(work.env / "bin" / "python"), "--default-index", work.permission.index]
    if not plan.dated:
        return line
    limit = work.order.moment + timedelta(days=1)
    line += ["--exclude-newer", stamp(limit)]
    modern = [name for name in (*TOOLS, *plugins(plan)) if limit < MODERN]
    for name in dict.fromkeys((*modern, *plan.undated)):
        when = datetime.now(UTC) if name in plan.undated else MODERN
        line += ["--exclude-newer-package", f"{name}={stamp(when)}"]
    return line


def plugins(plan: Plan) -> list[str]:
    """The test plugins of a plan, which have to fit the runner."""
    names = [name_of(entry) for entry in plan.requirements]
    return [name for name in names if name.startswith("pytest-") or name in ("coverage", "hypothesis")]


def versions(work: Workplace, plan: Plan) -> dict[str, str]:
    """What build tools are told about the version, which they can't find out without the repository's history."""
    version = work.needs.version or "0.0.1"
    suffix = work.needs.name.upper().replace("-", "_").replace(".", "_")
    variables = {f"SETUPTOOLS_SCM_PRETEND_VERSION_FOR_{suffix}": version} if suffix else {}
    if plan.versioned or not suffix:
        variables |= dict.fromkeys(("SETUPTOOLS_SCM_PRETEND_VERSION", "PBR_VERSION", "PDM_BUILD_SCM_VERSION"), version)
    return variables


def stamp(when: datetime) -> str:
    """A moment as uv takes it."""
    return when.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


async def extend(order: Order, recipe: Recipe, missing: Sequence[str]) -> Recipe:
    """Install the modules that a proof has missed into a built environment; the recipe with them."""
    plan = Plan(
        project=recipe.project,
        extras=list(recipe.extras),
        requirements=list(recipe.requirements),
        dependencies=[],
        dated=bool(recipe.moment),
        dropped=list(recipe.dropped),
    )
    async with opened(order) as work:
        await add_modules(work, plan, missing)
    return replace(
        recipe,
        requirements=tuple(plan.requirements),
        dropped=tuple(plan.dropped),
        installed=others(work),
        steps=(*recipe.steps, *work.steps),
        seconds=round(recipe.seconds + sum(step.seconds for step in work.steps), 2),
    )
