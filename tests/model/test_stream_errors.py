"""An error that a server tells inside a stream, HTTP 200 having been said, is told apart like any other."""

import json

import pytest

from thinklonger.agent.chat import Trouble
from thinklonger.agent.model.probing import Sample, gather
from thinklonger.agent.model.troubles import Failure

ERRORS = (
    ("thinking_token_budget is set but reasoning_config is not configured.", 400, Trouble.BAD_PARAMETER),
    ("This model's maximum context length is 4096 tokens. However, you requested 5000.", 400, Trouble.CONTEXT_OVERFLOW),
    ("CUDA out of memory", 500, Trouble.OUT_OF_MEMORY),
)
"""What vLLM says, with which code."""


@pytest.mark.parametrize(("message", "code", "trouble"), ERRORS)
def test_an_error_object_is_no_broken_stream(message: str, code: int, trouble: Trouble) -> None:
    """Its words and code decide, so that a refused field is left out and an overflow shortens the prompt."""
    line = json.dumps({"error": {"message": message, "type": "BadRequestError", "param": None, "code": code}})
    with pytest.raises(Failure) as caught:
        gather(Sample(), line.encode())
    assert caught.value.trouble is trouble


@pytest.mark.parametrize("line", [b'{"error":null,"choices":[]}', b'{"choices":[]}', b"[DONE]"])
def test_no_error_is_none(line: bytes) -> None:
    """A field that says that nothing is wrong is not taken for an error."""
    gather(Sample(), line)
