"""The command line: subcommands, flags and their help, in the user's language."""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NoReturn, TypeAlias

from thinklonger.agent.config.values import Given
from thinklonger.agent.errors import UsageError
from thinklonger.cli.words import Words

_HELP_WIDTH = 100
_Group: TypeAlias = argparse._ArgumentGroup  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] (argparse names no public type)
_Exclusive: TypeAlias = argparse._MutuallyExclusiveGroup  # noqa: SLF001 # pyright: ignore[reportPrivateUsage] (the same)


@dataclass
class Options:
    """What the command line says; a setting is None where it says nothing. No slots: argparse asks for vars()."""

    command: str = ""
    action: str = ""
    repo: str = "."
    examined: str | None = None
    issue: str | None = None
    issue_text: str | None = None
    test_command: str | None = None
    reproduction: str | None = None
    patch: str = ""
    fetch: bool = False
    apply: bool = False
    pin: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    promote: tuple[str, ...] = ()
    quiet: bool = False
    json: bool = False
    format: str | None = None
    run: str = ""
    moved: str = ""
    budget: str | None = None
    engine: str | None = None
    model: str | None = None
    sandbox: str | None = None
    regression: str | None = None
    top: str | None = None
    interpreter: str | None = None
    build_environment: bool = False
    strategy: str | None = None
    samples: str | None = None
    keep: str | None = None
    effort: str | None = None
    thinking_tokens: str | None = None
    served_model: str = ""
    prm: str = ""
    orm: str = ""
    context: str | None = None
    port: str | None = None
    gpu_memory: str | None = None
    download: bool = False
    print: bool = False

    def flags(self) -> Mapping[str, Given]:
        """The settings that the command line gives, by their dotted names."""
        given = {
            "search.budget": ("--budget", self.budget),
            "engine": ("--engine", self.engine),
            "model": ("--model", self.model),
            "search.strategy": ("--strategy", self.strategy),
            "search.samples": ("--samples", self.samples),
            "search.keep": ("--keep", self.keep),
            "thinking.effort": ("--effort", self.effort),
            "thinking.tokens": ("--thinking-tokens", self.thinking_tokens),
            "sandbox.kind": ("--sandbox", self.sandbox),
            "regression.whole": ("--regression", {"near": "false", "whole": "true"}.get(self.regression or "")),
            "localize.top": ("--top", self.top),
            "environments.interpreter": ("--interpreter", self.interpreter),
            "environments.build": ("--build-environment", "true" if self.build_environment else None),
        }
        return {name: Given(value, flag, text=True) for name, (flag, value) in given.items() if value is not None}


def parse(argv: list[str], words: Words) -> Options:
    """The options; prints and exits for --help and --version (SystemExit 0), raises UsageError for a mistake."""
    options = Options()
    parser = _parser(words)
    parser.parse_args(argv, namespace=options)
    if not options.command:
        parser.error(words.say("help.no-command"))
    if options.examined is not None:
        options.repo = options.examined
    if not options.repo:
        raise UsageError("cli.no-repo")
    if options.command == "runs" and not options.action:
        parser.error(words.say("help.no-action"))
    return options


class _Parser(argparse.ArgumentParser):
    """A parser that raises what it has to say."""

    def error(self, message: str) -> NoReturn:
        """Refuse the command line."""
        raise UsageError("cli.usage", reason=message, program=self.prog)


class _Version(argparse.Action):
    """Print the version; it is looked up only then, which takes a while."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,  # noqa: ARG002 (the base class's signature)
        values: str | Sequence[object] | None,  # noqa: ARG002 (the same)
        option_string: str | None = None,  # noqa: ARG002 (the same)
    ) -> None:
        """Say it and exit."""
        from thinklonger.agent import __version__  # noqa: PLC0415 - loaded only where it is asked for

        sys.stdout.write(f"thinklonger {__version__}\n")
        parser.exit()


class _Help(argparse.RawDescriptionHelpFormatter):
    """Help of one width, whatever the terminal, with a heading of our own."""

    def __init__(self, prog: str, *, usage: str = "usage: ") -> None:
        """Take the program's name, and the word before its usage."""
        super().__init__(prog, max_help_position=32, width=_HELP_WIDTH)
        self._heading = usage

    def add_usage(
        self,
        usage: str | None,
        actions: Iterable[argparse.Action],
        groups: Iterable[_Exclusive],
        prefix: str | None = None,
    ) -> None:
        """Begin with the heading."""
        super().add_usage(usage, actions, groups, self._heading if prefix is None else prefix)


def _parser(words: Words) -> argparse.ArgumentParser:
    formatter = partial(_Help, usage=words.say("help.usage"))
    parser = _Parser(prog="thinklonger", add_help=False, formatter_class=formatter, allow_abbrev=False)
    _describe(parser, "main", words)
    commands = parser.add_subparsers(dest="command", metavar="COMMAND", title=words.say("help.commands"))
    for name, fill in (
        ("resolve", _resolve),
        ("localize", _localize),
        ("verify", _verify),
        ("index", _index),
        ("serve", _serve),
        ("doctor", _doctor),
        ("runs", _runs),
    ):
        command = commands.add_parser(
            name, help=words.say(f"help.{name}"), add_help=False, formatter_class=formatter, allow_abbrev=False
        )
        _describe(command, name, words)
        fill(command, words)
        _general(command, words)
    general = _general(parser, words)
    general.add_argument("--version", action=_Version, nargs=0, help=words.say("help.version"))
    return parser


def _describe(parser: argparse.ArgumentParser, name: str, words: Words) -> None:
    parser.description = words.say(f"help.{name}-about").strip("\n")
    examples = words.say(f"help.{name}-examples").strip("\n")
    parser.epilog = f"{words.say('help.examples')}\n{examples}"


def _general(parser: argparse.ArgumentParser, words: Words) -> _Group:
    general = parser.add_argument_group(words.say("help.general"))
    general.add_argument("-h", "--help", action="help", help=words.say("help.help"))
    return general


def _resolve(parser: argparse.ArgumentParser, words: Words) -> None:
    _issue(parser, words)
    search = parser.add_argument_group(words.say("help.group-search"))
    for flag, say in (("--pin", words.say("help.pin")), ("--exclude", words.say("help.exclude"))):
        search.add_argument(flag, metavar="FILE[::SYMBOL]", action="append", default=[], help=say)
    search.add_argument("--budget", metavar="N|auto", help=words.say("help.budget"))
    _engine(search, words)
    _reproduction(search, words)
    _regression(search, words)
    _sandbox(search, words)
    thinking = parser.add_argument_group(words.say("help.group-thinking"))
    strategies = "adaptive|dev-search|exec|orm-exec|voting"
    thinking.add_argument("--strategy", metavar=strategies, help=words.say("help.strategy"))
    thinking.add_argument("--keep", metavar="N", help=words.say("help.keep"))
    _thinking(thinking, words)
    result = parser.add_argument_group(words.say("help.group-result"))
    result.add_argument("--apply", action="store_true", help=words.say("help.apply"))
    _machine(result, words)


def _localize(parser: argparse.ArgumentParser, words: Words) -> None:
    _issue(parser, words)
    search = parser.add_argument_group(words.say("help.group-search"))
    _engine(search, words)
    _sandbox(search, words)
    _thinking(parser.add_argument_group(words.say("help.group-thinking")), words)
    result = parser.add_argument_group(words.say("help.group-result"))
    result.add_argument("--top", metavar="N", help=words.say("help.top"))
    result.add_argument("--format", choices=("text", "json", "sarif"), help=words.say("help.format"))
    _machine(result, words)


def _verify(parser: argparse.ArgumentParser, words: Words) -> None:
    _issue(parser, words)
    check = parser.add_argument_group(words.say("help.group-check"))
    check.add_argument("--patch", metavar="FILE|-", required=True, help=words.say("help.patch"))
    _reproduction(check, words)
    _regression(check, words)
    _sandbox(check, words)
    _machine(parser.add_argument_group(words.say("help.group-result")), words)


def _index(parser: argparse.ArgumentParser, words: Words) -> None:
    _repository(parser.add_argument_group(words.say("help.group-repository")), words)
    _machine(parser.add_argument_group(words.say("help.group-result")), words)


def _serve(parser: argparse.ArgumentParser, words: Words) -> None:
    model = parser.add_argument_group(words.say("help.group-model"))
    model.add_argument("--model", metavar="NAME|DIR", dest="served_model", default="", help=words.say("help.weights"))
    model.add_argument("--prm", metavar="DIR", default="", help=words.say("help.prm"))
    model.add_argument("--orm", metavar="DIR", default="", help=words.say("help.orm"))
    model.add_argument("--context", metavar="TOKENS", help=words.say("help.context"))
    model.add_argument("--download", action="store_true", help=words.say("help.download"))
    server = parser.add_argument_group(words.say("help.group-server"))
    server.add_argument("--port", metavar="N", help=words.say("help.port"))
    server.add_argument("--gpu-memory", metavar="GIB", help=words.say("help.gpu-memory"))
    result = parser.add_argument_group(words.say("help.group-result"))
    result.add_argument("--print", action="store_true", help=words.say("help.print"))
    _machine(result, words)


def _doctor(parser: argparse.ArgumentParser, words: Words) -> None:
    group = parser.add_argument_group(words.say("help.group-repository"))
    group.add_argument("--repo", metavar="DIR", dest="examined", help=words.say("help.doctor-repo"))
    group.add_argument("--test-command", metavar="CMD", help=words.say("help.doctor-test-command"))
    _engine(parser.add_argument_group(words.say("help.group-model")), words)
    _sandbox(parser.add_argument_group(words.say("help.group-environment")), words)
    _json(parser.add_argument_group(words.say("help.group-result")), words)


def _runs(parser: argparse.ArgumentParser, words: Words) -> None:
    actions = parser.add_subparsers(dest="action", metavar="COMMAND", title=words.say("help.commands"))
    for name in ("list", "show", "verify", "resume"):
        action = actions.add_parser(
            name,
            help=words.say(f"help.runs-{name}"),
            add_help=False,
            formatter_class=parser.formatter_class,
            allow_abbrev=False,
        )
        _describe(action, f"runs-{name}", words)
        if name != "list":
            which = action.add_argument_group(words.say("help.group-run"))
            which.add_argument("run", metavar="RUN", help=words.say("help.run"))
            if name == "verify":
                which.add_argument("--repo", metavar="DIR", dest="moved", help=words.say("help.moved"))
                _sandbox(which, words)
            elif name == "resume":
                which.add_argument("--apply", action="store_true", help=words.say("help.apply"))
                promote = words.say("help.promote")
                which.add_argument("--promote", metavar="BRANCH", action="append", default=[], help=promote)
        _json(action.add_argument_group(words.say("help.group-result")), words)
        _general(action, words)


def _issue(parser: argparse.ArgumentParser, words: Words) -> None:
    _repository(parser.add_argument_group(words.say("help.group-repository")), words)
    group = parser.add_argument_group(words.say("help.group-issue"))
    one = group.add_mutually_exclusive_group()
    one.add_argument("--issue", metavar="FILE|-|URL", help=words.say("help.issue"))
    one.add_argument("--issue-text", metavar="TEXT", help=words.say("help.issue-text"))
    group.add_argument("--fetch", action="store_true", help=words.say("help.fetch"))
    group.add_argument("--test-command", metavar="CMD", help=words.say("help.test-command"))


def _repository(group: _Group, words: Words) -> None:
    group.add_argument("--repo", metavar="DIR", default=".", help=words.say("help.repo"))


def _engine(group: _Group, words: Words) -> None:
    group.add_argument("--engine", metavar="builtin|URL|FILE.gguf", help=words.say("help.engine"))
    group.add_argument("--model", metavar="NAME", help=words.say("help.model"))


def _thinking(group: _Group, words: Words) -> None:
    group.add_argument("--effort", metavar="auto|low|medium|high", help=words.say("help.effort"))
    group.add_argument("--thinking-tokens", metavar="N|auto", help=words.say("help.thinking-tokens"))
    group.add_argument("--samples", metavar="N", help=words.say("help.samples"))


def _reproduction(group: _Group, words: Words) -> None:
    group.add_argument("--reproduction", metavar="FILE", help=words.say("help.reproduction"))


def _regression(group: _Group, words: Words) -> None:
    group.add_argument("--regression", choices=("near", "whole"), help=words.say("help.regression"))


def _sandbox(group: _Group, words: Words) -> None:
    choices = "auto|docker|bubblewrap|none"
    group.add_argument("--sandbox", metavar=choices, help=words.say("help.sandbox"))
    group.add_argument("--interpreter", metavar="PATH", help=words.say("help.interpreter"))
    group.add_argument("--build-environment", action="store_true", help=words.say("help.build-environment"))


def _machine(group: _Group, words: Words) -> None:
    _json(group, words)
    group.add_argument("--quiet", action="store_true", help=words.say("help.quiet"))


def _json(group: _Group, words: Words) -> None:
    group.add_argument("--json", action="store_true", help=words.say("help.json"))
