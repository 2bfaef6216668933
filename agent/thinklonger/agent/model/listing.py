"""The list of models that a server gives at `/v1/models`, with what some of them add to it."""

import msgspec

from thinklonger.agent.chat import Trouble
from thinklonger.agent.model.channel import Answer
from thinklonger.agent.model.troubles import Failure

_OWNERS = {
    "vllm": "vLLM",
    "sglang": "SGLang",
    "llamacpp": "llama.cpp",
    "library": "Ollama",
    "organization_owner": "LM Studio",
}


class Entry(msgspec.Struct):
    """One model. `parent`: the model that it is an adapter of. `max_model_len`: the served limit in tokens."""

    id: str
    owned_by: str | None = None
    parent: str | None = None
    max_model_len: int | None = None


class Listing(msgspec.Struct):
    """All models of a server."""

    data: list[Entry] = []

    def server(self, header: str = "") -> str:
        """What the server seems to be, for people; empty if nothing tells. `header`: its Server header."""
        for entry in self.data:
            if entry.owned_by in _OWNERS:
                return _OWNERS[entry.owned_by]
        return header if header.lower() not in ("uvicorn", "hypercorn") else ""

    def find(self, model: str) -> Entry | None:
        """The entry of that name; of no name: the first that is no adapter."""
        if not model:
            return next((entry for entry in self.data if entry.parent is None), None)
        return next((entry for entry in self.data if entry.id == model), None)


def read_listing(answer: Answer) -> Listing:
    """The list in an answer; raises Failure where it is none."""
    try:
        found = msgspec.json.decode(answer.body, type=Listing)
    except (msgspec.DecodeError, UnicodeDecodeError):
        raise Failure(Trouble.UNREACHABLE, "this address does not speak OpenAI's API") from None
    return found
