"""`serve`: a model's server on this machine's GPU: the command, its start with progress, and its end."""

import re
import shlex
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from pathlib import Path

from thinklonger.agent.config.places import state_directory
from thinklonger.agent.errors import ModelError, UsageError
from thinklonger.agent.model import serving
from thinklonger.agent.model.serving.capacity import GB, GIB
from thinklonger.agent.model.serving.command import HOST, PORT
from thinklonger.cli import machine
from thinklonger.cli.desk import Desk, tell
from thinklonger.cli.page import Line, dim, good, join, line, name, strong, warn
from thinklonger.cli.running import watch
from thinklonger.cli.words import Words, clean_line

CANCELLED = 130
_MEMORY = re.compile(r"(?:(?P<cards>[1-9]\d?)\s*[xX]\s*)?(?P<gib>\d{1,4}(?:\.\d+)?)\s*(?:GiB|GB|G)?", re.IGNORECASE)
_PORTS = range(1, 65536)
_LEAST_CONTEXT = 1024
_TAIL = 12


@dataclass(frozen=True, slots=True)
class Ready:
    """The server answers."""

    pid: int
    seconds: float
    tokens: int | None


@dataclass(frozen=True, slots=True)
class Service:
    """What is served, and with which command."""

    plan: serving.Plan
    adapters: tuple[serving.Adapter, ...]
    port: int
    download: bool
    command: tuple[str, ...]

    @property
    def url(self) -> str:
        """Where it answers."""
        return f"http://{HOST}:{self.port}"


def serve(desk: Desk) -> int:
    """Run `thinklonger serve`."""
    tell(desk.problems, desk.err, desk.words)
    service = _service(desk)
    if desk.options.print:
        return _print(service, desk)
    _check(service)
    return _run(service, desk)


def _service(desk: Desk) -> Service:
    options = desk.options
    port = _port(options.port)
    context = _context(options.context)
    adapters = serving.adapters_of(prm=options.prm, orm=options.orm)
    plan = serving.plan(
        serving.usable(_gpus(desk)),
        model=_model(options.served_model),
        context=context,
        cache_folder=str(Path(desk.surroundings.model_cache).expanduser()),
        beside=sum(adapter.size for adapter in adapters),
    )
    command = serving.command_for(plan, program=serving.find_program() or "vllm", port=port, adapters=adapters)
    return Service(plan, adapters, port, options.download, command)


def _gpus(desk: Desk) -> tuple[serving.Gpu, ...]:
    """The cards that are here, or those that the user speaks of."""
    given = pretended(desk.options.gpu_memory) if desk.options.gpu_memory is not None else ()
    if given and desk.options.print:
        return given
    found = serving.find_gpus(visible=desk.surroundings.visible_gpus)
    if found.trouble is not None:
        raise ModelError(found.trouble.key, **found.trouble.params)
    return given if given and found.gpus else found.gpus


def pretended(text: str) -> tuple[serving.Gpu, ...]:
    """The cards that a user describes: '24', '80GiB', '2x24'; raises UsageError."""
    found = _MEMORY.fullmatch(text.strip())
    if found is None or not float(found["gib"]):
        raise UsageError("serving.bad-memory", value=text)
    memory = int(float(found["gib"]) * GIB)
    return tuple(serving.Gpu(f"{found['gib']} GiB", memory, index=at) for at in range(int(found["cards"] or 1)))


def _port(given: str | None) -> int:
    if given is None:
        return PORT
    if not given.isdecimal() or int(given) not in _PORTS:
        raise UsageError("serving.bad-port", value=given)
    return int(given)


def _context(given: str | None) -> int | None:
    if given is None:
        return None
    if not given.isdecimal() or int(given) < _LEAST_CONTEXT:
        raise UsageError("serving.bad-context", value=given)
    return int(given)


def _model(given: str) -> str:
    """A folder as an absolute path, a name as it stands."""
    path = Path(given).expanduser()
    return str(path.absolute()) if given and path.is_dir() else given


def _check(service: Service) -> None:
    """Raise ModelError for what can be seen to be missing without starting anything."""
    if serving.find_program() is None:
        raise ModelError("serving.no-vllm")
    if service.plan.folder is None and not service.download:
        raise ModelError("serving.no-weights", model=service.plan.model)
    serving.check_port(service.port)


def _print(service: Service, desk: Desk) -> int:
    if desk.options.json:
        desk.out.write(machine.dump(_facts(service)) + "\n")
        return 0
    if not desk.options.quiet:
        desk.err.show(_about(service, desk.words))
    settings = [f"{key}={value}" for key, value in serving.variables(download=service.download).items()]
    desk.out.write(f"{' '.join(settings)} {shlex.join(('vllm', *service.command[1:]))}\n")
    return 0


def _facts(service: Service) -> dict[str, machine.Plain]:
    """What is served, for a machine."""
    plan = service.plan
    return {
        "model": plan.model,
        "title": plan.title,
        "licence": plan.licence or None,
        "third_party": plan.third_party,
        "here": plan.folder is not None,
        "precision": plan.precision or None,
        "gpus": plan.gpus,
        "gpu_memory": plan.memory,
        "kv_cache_dtype": plan.kv,
        "context": plan.context,
        "kv_tokens": plan.tokens,
        "sequences": plan.sequences,
        "speculative": {"method": plan.draft, "tokens": plan.drafts} if plan.draft else None,
        "adapters": {adapter.name: str(adapter.path) for adapter in service.adapters},
        "url": service.url,
        "command": ["vllm", *service.command[1:]],
        "environment": dict(serving.variables(download=service.download)),
    }


def _about(service: Service, words: Words) -> list[Line]:
    """What is served, for a person."""
    plan = service.plan
    figures = [
        strong(clean_line(plan.title)),
        plan.precision,
        words.say("serving.weights", gb=f"{plan.weights / GB:.1f}") if plan.weights else "",
        words.say("serving.context", figure=f"{plan.context:,}") if plan.context else "",
        words.say("serving.room", figure=f"{plan.tokens:,}") if plan.tokens else "",
        words.count("serving.replies", plan.sequences),
        words.count("serving.cards", plan.gpus) if plan.gpus > 1 else "",
    ]
    lines = [join(figures, words.dot)]
    if plan.licence:
        lines.append(line(dim(words.say("serving.licence", model=clean_line(plan.model), licence=plan.licence))))
    if plan.third_party:
        lines.append(line(warn(f"{words.mark('!')} "), words.say("serving.third-party", model=clean_line(plan.model))))
    return lines


def _run(service: Service, desk: Desk) -> int:
    words, err = desk.words, desk.err
    log = state_directory(desk.settings) / "serve" / f"{service.port}.log"
    if not desk.options.quiet:
        err.show([*_about(service, words), line(words.say("serving.log"), " ", name(clean_line(str(log))))])
    progress = _Progress(desk)

    def show(step: "serving.Step | Ready") -> None:
        if isinstance(step, Ready):
            progress.end()
            _tell_ready(service, step, desk)
        else:
            progress.show(step)

    tail: list[str] = []
    try:
        ended = watch(_serving(service, log, tail), show, give_up=err.show_cursor)
    except ModelError:
        progress.end()
        err.show([line("  ", dim(clean_line(text))) for text in tail[-_TAIL:]])
        raise
    progress.end()
    if not ended:
        err.show([line(words.say("serving.stopped"))])
    return CANCELLED


async def _serving(service: Service, log: Path, tail: list[str]) -> AsyncGenerator["serving.Step | Ready"]:
    """Start it, say how it goes, and stay until it ends; `tail` gets its last lines where it ends badly."""
    began = time.monotonic()
    variables = serving.variables(download=service.download)
    plan = service.plan
    async with serving.started(
        service.command, variables=variables, port=service.port, context=plan.context, log=log
    ) as server:
        try:
            async for step in server.steps():
                yield step
            yield Ready(server.pid, time.monotonic() - began, server.watch.step.tokens)
            await server.wait()
        except ModelError:
            tail += server.watch.tail()
            raise


def _tell_ready(service: Service, ready: Ready, desk: Desk) -> None:
    words = desk.words
    if desk.options.json:
        facts = {**_facts(service), "pid": ready.pid, "seconds": round(ready.seconds, 3), "kv_tokens": ready.tokens}
        desk.out.write(machine.dump(facts) + "\n")
    if desk.options.quiet:
        return
    room = words.say("serving.room", figure=f"{ready.tokens:,}") if ready.tokens else ""
    figures = join([words.say("serving.ready", url=service.url), room, words.duration(ready.seconds)], words.dot)
    use = f"thinklonger resolve --repo . --issue bug.md --engine {service.url}"
    desk.err.show([line(good(f"{words.mark('✓')} "), *figures), line("  ", name(use))])


class _Progress:
    """The phases of a start: a line for each, and on a terminal its share, rewritten in place."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._phase = ""
        self._open = False

    def show(self, step: serving.Step) -> None:
        """Say where the start stands."""
        desk, words = self._desk, self._desk.words
        if desk.options.quiet or step.phase is serving.Phase.READY:
            return
        said = words.say(f"serving.phase-{step.phase}")
        if desk.err.moving:
            share = "" if step.percent is None else f" {step.percent}%"
            if step.phase != self._phase:
                self.end()
            desk.err.write(f"\r\x1b[2K{words.mark('·')} {said}{share}")
            self._open = True
        elif step.phase != self._phase:
            desk.err.show([line(dim(f"{words.mark('·')} "), said)])
        self._phase = step.phase

    def end(self) -> None:
        """Leave the line that is rewritten."""
        if self._open:
            self._desk.err.write("\n")
            self._open = False
