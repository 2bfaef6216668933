"""The proof that a repository's tests run, and the handle to run them with."""

from collections.abc import AsyncGenerator, AsyncIterable, Iterable, Sequence
from dataclasses import dataclass

from thinklonger.agent.execution.outcomes import Execution, Runner, Screened, ScreenResult
from thinklonger.agent.protocols import SandboxSession
from thinklonger.agent.types import EnvironmentRecord, Interpreter, Layer, Limits, Message


async def prove(
    session: SandboxSession,
    interpreter: Interpreter,
    *,
    test_command: str | None = None,
    tests_named: Sequence[str] = (),
    limits: Limits = Limits(),
) -> "Harness":
    """Prove that the tests run: the interpreter starts, the runner imports, more than zero tests are collected.

    `tests_named` are ids, paths or bare names of tests (as an issue gives them); those that exist become `selected`,
    as does what a `test_command` selects. Raises UsageError for a command that is none, ExecutionError when the
    tests can't be run, with the first error that matters.
    """
    raise NotImplementedError


@dataclass(slots=True)
class Harness:
    """A repository's tests, ready to run.

    `selected`: the ids that the test command or the named tests select (empty without either). `problems`: what a
    person should know about the proof, such as files that can't be collected.
    """

    environment: EnvironmentRecord
    runner: Runner
    selected: tuple[str, ...]
    problems: tuple[Message, ...]

    async def collect(self) -> tuple[str, ...]:
        """The ids of all of the repository's tests; collected once."""
        raise NotImplementedError

    async def run(
        self,
        tests: Sequence[str] | None,
        *,
        layer: Layer | None = None,
        coverage: bool = False,
        seconds_per_test: float = 10.0,
        seconds: float = 60.0,
        fail_fast: bool = False,
    ) -> Execution:
        """Run tests (None: the selected ones, or all) in a fresh layer.

        A test that hangs ends as TIMED_OUT after `seconds_per_test`, with the frames where it hung. After `seconds`
        no further test is started. `fail_fast` stops at the first red test; the run is then not `complete`.
        Raises SandboxError only.
        """
        raise NotImplementedError

    def screen(
        self,
        tests: Sequence[str],
        candidates: AsyncIterable[Screened] | Iterable[Screened],
        *,
        workers: int = 1,
        seconds_per_candidate: float = 5.0,
    ) -> AsyncGenerator[ScreenResult]:
        """Run the tests against many candidates, as fast as can be, each until its first red test.

        Results come as they are known, not in order; `candidates` is read ahead by a batch for each worker. Closing
        the generator stops everything. Raises SandboxError only.
        """
        raise NotImplementedError
