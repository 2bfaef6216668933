"""The comparison as seen from outside the sandbox: send the payload, read its answer, group, put into words."""

from collections.abc import Sequence

from thinklonger.agent.execution.behaviour.nouns import Comparison, Observation, Survivor
from thinklonger.agent.protocols import SandboxSession


async def compare(session: SandboxSession, survivors: Sequence[Survivor], observation: Observation) -> Comparison:
    """Run every survivor on the calls that the tests make of the edited code, and on small variations of them.

    Everything happens in one command in a fresh layer of `session`. Code that can't be recorded or compared is a
    result (`Comparison.problem`), not an error; raises SandboxError only when the sandbox itself breaks.
    """
    raise NotImplementedError
