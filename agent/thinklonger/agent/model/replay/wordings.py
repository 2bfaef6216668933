"""How servers word what is wrong: the body of an error, by its kind and its server."""

from dataclasses import dataclass

from thinklonger.agent.model.replay.script import FaultKind, Wording


@dataclass(frozen=True, slots=True)
class Refusal:
    """An HTTP error: its status and its body."""

    status: int
    body: object


def overflow(wording: Wording, *, prompt: int, output: int, context: int) -> Refusal:
    """A prompt and its output limit that do not fit, in tokens, told by that server."""
    together = prompt + output
    match wording:
        case Wording.VLLM:
            text = (
                f"You passed {prompt} input tokens and requested {output} output tokens. However, the model's context "
                f"length is only {context} tokens, resulting in a maximum input length of {max(context - output, 0)} "
                f"tokens. Please reduce the length of the input prompt. (parameter=input_tokens, value={prompt})"
            )
            return Refusal(400, _error(text, "BadRequestError", 400, "input_tokens"))
        case Wording.VLLM_OLD:
            text = (
                f"This model's maximum context length is {context} tokens. However, you requested {together} tokens "
                f"({prompt} in the messages, {output} in the completion). Please reduce the length of the messages or "
                "completion."
            )
            body = {"object": "error", "message": text, "type": "BadRequestError", "param": None, "code": 400}
            return Refusal(400, body)
        case Wording.SGLANG:
            text = (
                f"Requested token count exceeds the model's maximum context length of {context} tokens. You requested "
                f"a total of {together} tokens: {prompt} tokens from the input messages and {output} tokens for the "
                "completion. Please reduce the number of tokens in the input messages or the completion to fit within "
                "the limit."
            )
            body = {"object": "error", "message": text, "type": "BadRequestError", "param": None, "code": 400}
            return Refusal(400, body)
        case Wording.LLAMA_CPP:
            text = f"request ({prompt} tokens) exceeds the available context size ({context} tokens), try increasing it"
            return Refusal(400, _llama(text, 400, prompt, context))
        case Wording.LLAMA_CPP_OLD:
            text = (
                "the request exceeds the available context size. try increasing the context size or enable context "
                "shift"
            )
            return Refusal(500, _llama(text, 500, prompt, context))
        case Wording.LM_STUDIO:
            text = (
                f"Trying to keep the first {prompt} tokens when context the overflows. However, the model is loaded "
                f"with context length of only {context} tokens, which is not enough. Try to load the model with a "
                "larger context length, or provide a shorter input"
            )
            return Refusal(400, {"error": text})
        case Wording.OPENAI:
            text = (
                f"This model's maximum context length is {context} tokens. However, your messages resulted in {prompt} "
                "tokens. Please reduce the length of the messages."
            )
            return Refusal(400, _error(text, "invalid_request_error", "context_length_exceeded", "messages"))


def refusal(kind: FaultKind, model: str) -> Refusal | None:
    """The HTTP error for a kind of fault; None for those that are none, and for an overflow."""
    match kind:
        case FaultKind.LOADING:
            return Refusal(503, {"error": {"code": 503, "message": "Loading model", "type": "unavailable_error"}})
        case FaultKind.AUTH:
            return Refusal(401, _error("Invalid API Key", "authentication_error", 401))
        case FaultKind.NO_MODEL:
            return Refusal(404, _error(f"The model `{model}` does not exist.", "NotFoundError", 404, "model"))
        case FaultKind.RATE:
            return Refusal(429, _error("Rate limit reached, try again later.", "rate_limit_error", 429))
        case FaultKind.OUT_OF_MEMORY:
            text = "CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has 0.6 GiB free."
            return Refusal(500, _error(text, "InternalServerError", 500))
        case FaultKind.BAD_PARAMETER:
            return Refusal(400, _error("temperature must be non-negative, got -1.0.", "BadRequestError", 400))
        case _:
            return None


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


def _llama(text: str, code: int, prompt: int, context: int) -> object:
    kind = "exceed_context_size_error"
    return {"error": {"code": code, "message": text, "type": kind, "n_prompt_tokens": prompt, "n_ctx": context}}
