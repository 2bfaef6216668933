"""From arguments to an exit code: settings, the subcommand, and every error in words."""

import sys
import traceback
from collections.abc import Mapping, Sequence
from itertools import pairwise
from pathlib import Path

from thinklonger.agent.config.environment import Surroundings, surroundings
from thinklonger.agent.errors import InternalError, ThinkLongerError, boundary
from thinklonger.agent.types import Message
from thinklonger.cli.arguments import Options, parse
from thinklonger.cli.desk import Desk, error_json, error_lines, outputs
from thinklonger.cli.output import finish, open_streams, speak_utf8
from thinklonger.cli.services import Services
from thinklonger.cli.words import Words

CANCELLED = 130


def run(argv: Sequence[str], *, environ: Mapping[str, str], services: Services) -> int:
    """Carry out a command line; the exit code."""
    open_streams()
    for stream in (sys.stdout, sys.stderr):
        speak_utf8(stream)
    around = surroundings(environ)
    words = Words(around.language, around.unicode)
    try:
        with boundary(InternalError, "cli.unexpected"):
            return _run(list(argv), environ, around, services)
    except ThinkLongerError as error:
        out, err = outputs(around)
        if _wants_json(argv):
            out.write(error_json(error, words) + "\n")
        err.show(error_lines(error.message, error.remedy, words))
        if isinstance(error, InternalError) and sys.flags.dev_mode:
            err.write("".join(traceback.format_exception(error.__cause__ or error)))
        return error.exit_code
    except KeyboardInterrupt:
        _, err = outputs(around)
        err.show(error_lines(Message("cli.cancelled"), None, words))
        return CANCELLED
    finally:
        finish()


def _run(argv: list[str], environ: Mapping[str, str], around: Surroundings, services: Services) -> int:
    try:
        options = parse(argv, Words(around.language, around.unicode))
    except SystemExit as end:  # argparse has printed the help or the version
        return int(end.code or 0)
    return _command(options, _desk(options, environ, around, services))


def _desk(options: Options, environ: Mapping[str, str], around: Surroundings, services: Services) -> Desk:
    from thinklonger.agent.config.loading import load  # noqa: PLC0415 (--help and --version need no settings)

    alone = options.command in ("runs", "serve") or (options.command == "doctor" and options.examined is None)
    repository = None if alone else Path(options.repo)
    loaded = load(repository, environ=environ, flags=options.flags())
    out, err = outputs(around)
    return Desk(
        options=options,
        settings=loaded.settings,
        surroundings=around,
        words=Words(loaded.settings.language, around.unicode),
        out=out,
        err=err,
        services=services,
        problems=loaded.problems,
    )


def _command(options: Options, desk: Desk) -> int:  # noqa: PLR0911 (one return for each command)
    match options.command:
        case "resolve":
            from thinklonger.cli.jobs import resolve  # noqa: PLC0415 (each command pays for itself only)

            return resolve(desk)
        case "localize":
            from thinklonger.cli.jobs import localize  # noqa: PLC0415

            return localize(desk)
        case "verify":
            from thinklonger.cli.jobs import verify  # noqa: PLC0415

            return verify(desk)
        case "index":
            from thinklonger.cli.index import index  # noqa: PLC0415

            return index(desk)
        case "serve":
            from thinklonger.cli.serve import serve  # noqa: PLC0415

            return serve(desk)
        case "doctor":
            from thinklonger.cli.doctor import doctor  # noqa: PLC0415

            return doctor(desk)
        case _:
            from thinklonger.cli.records import runs  # noqa: PLC0415

            return runs(desk)


def _wants_json(argv: Sequence[str]) -> bool:
    """Whether standard output is for a machine, also where the command line could not be understood."""
    spelled = {("--format", name) for name in ("json", "sarif")}
    return not spelled.isdisjoint(pairwise(argv)) or not {"--json", "--format=json", "--format=sarif"}.isdisjoint(argv)
