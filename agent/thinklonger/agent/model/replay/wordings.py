"""How servers word what is wrong: the body of an error, by its kind and its server."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

from thinklonger.agent.model.replay.script import FaultKind, Wording


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP error: its status and its body."""

    status: int
    body: object


def overflow(wording: Wording, *, prompt: int, output: int, context: int) -> Refusal:
    """A prompt and its output limit that do not fit, in tokens, told by that server."""
    text = _OVERFLOWS[wording].format(
        prompt=prompt, output=output, context=context, together=prompt + output, most=max(context - output, 0)
    )
    match wording:
        case Wording.VLLM | Wording.VLLM_LENGTH:
            return Refusal(400, _error(text, "BadRequestError", 400, "input_tokens"))
        case Wording.VLLM_OLD | Wording.SGLANG:
            body = {"object": "error", "message": text, "type": "BadRequestError", "param": None, "code": 400}
            return Refusal(400, body)
        case Wording.LLAMA_CPP | Wording.LLAMA_CPP_OLD:
            status = 400 if wording is Wording.LLAMA_CPP else 500
            kind = "exceed_context_size_error"
            body = {"code": status, "message": text, "type": kind, "n_prompt_tokens": prompt, "n_ctx": context}
            return Refusal(status, {"error": body})
        case Wording.LM_STUDIO:
            return Refusal(400, {"error": text})
        case Wording.OPENAI:
            return Refusal(400, _error(text, "invalid_request_error", "context_length_exceeded", "messages"))


def refusal(kind: FaultKind, model: str) -> Refusal | None:
    """The HTTP error for a kind of fault; None for those that are none, and for an overflow."""
    return no_model(model) if kind is FaultKind.NO_MODEL else _REFUSALS.get(kind)


def no_model(name: str) -> Refusal:
    """A model that the server does not have."""
    return Refusal(404, _error(f"The model `{name}` does not exist.", "NotFoundError", 404, "model"))


def bad_request(text: str) -> Refusal:
    """A request that is not what the API wants."""
    return Refusal(400, _error(text, "BadRequestError", 400))


def unknown_fields(names: list[str]) -> Refusal:
    """Fields that a strict server does not know."""
    return Refusal(422, {"detail": f"Unexpected keys in the request: {set(names)}"})


def stream_error() -> object:
    """An error in a stream that had begun well."""
    return _error("EngineCore encountered an issue. See stack trace for the root cause.", "InternalServerError", 500)


def _error(text: str, kind: str, code: int | str, param: str | None = None) -> object:
    return {"error": {"message": text, "type": kind, "param": param, "code": code}}


_OVERFLOWS: Mapping[Wording, str] = MappingProxyType(
    {
        Wording.VLLM: "You passed {prompt} input tokens and requested {output} output tokens. However, the model's "
        "context length is only {context} tokens, resulting in a maximum input length of {most} tokens. Please reduce "
        "the length of the input prompt. (parameter=input_tokens, value={prompt})",
        Wording.VLLM_OLD: "This model's maximum context length is {context} tokens. However, you requested {together} "
        "tokens ({prompt} in the messages, {output} in the completion). Please reduce the length of the messages or "
        "completion.",
        Wording.VLLM_LENGTH: "The decoder prompt (length {prompt}) is longer than the maximum model length of "
        "{context}. Make sure that `max_model_len` is no smaller than the number of text tokens.",
        Wording.SGLANG: "Requested token count exceeds the model's maximum context length of {context} tokens. You "
        "requested a total of {together} tokens: {prompt} tokens from the input messages and {output} tokens for the "
        "completion. Please reduce the number of tokens in the input messages or the completion to fit within the "
        "limit.",
        Wording.LLAMA_CPP: "request ({prompt} tokens) exceeds the available context size ({context} tokens), try "
        "increasing it",
        Wording.LLAMA_CPP_OLD: "the request exceeds the available context size. try increasing the context size or "
        "enable context shift",
        Wording.LM_STUDIO: "Trying to keep the first {prompt} tokens when context the overflows. However, the model "
        "is loaded with context length of only {context} tokens, which is not enough. Try to load the model with a "
        "larger context length, or provide a shorter input",
        Wording.OPENAI: "This model's maximum context length is {context} tokens. However, your messages resulted in "
        "{prompt} tokens. Please reduce the length of the messages.",
    }
)

_REFUSALS: Mapping[FaultKind, Refusal] = MappingProxyType(
    {
        FaultKind.LOADING: Refusal(
            503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}}
        ),
        FaultKind.AUTH: Refusal(401, _error("Invalid API Key", "authentication_error", 401)),
        FaultKind.RATE: Refusal(429, _error("Rate limit reached, try again later.", "rate_limit_error", 429)),
        FaultKind.OUT_OF_MEMORY: Refusal(
            500,
            _error(
                "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 0.6 GiB free.", "InternalServerError", 500
            ),
        ),
        FaultKind.BAD_PARAMETER: Refusal(
            400, _error("temperature must be non-negative, got -1.0.", "BadRequestError", 400)
        ),
    }
)
