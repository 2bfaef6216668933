"""What a replay server answers beside chat completions: models, health, tokens, metrics, properties, control."""

from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import TypeAlias, cast

from thinklonger.agent.model.replay.asked import Json, UnreadableError, read_chat
from thinklonger.agent.model.replay.products import Product
from thinklonger.agent.model.replay.state import DEFAULT_SLOTS, State
from thinklonger.agent.model.replay.tokens import render
from thinklonger.agent.model.replay.wire import Connection

Answer: TypeAlias = tuple[int, object]


async def answer_aside(state: State, connection: Connection, *, method: str, path: str, body: Json) -> None:
    """Answer a request that is none for chat completions; 404 for what the product does not have."""
    if path == "/metrics" and path in state.traits.paths:
        await connection.answer(200, metrics(state).encode(), "text/plain; version=0.0.4")
        return
    if path == "/health" and path in state.traits.paths and state.product is not Product.LLAMA_CPP:
        await connection.answer(200, b"", "text/plain")
        return
    answer = _ANSWERS.get((method, path))
    if answer is None or (path != "/v1/models" and path not in state.traits.paths):
        await connection.answer_json(404, _absent(state.product))
        return
    try:
        status, said = answer(state, body)
    except UnreadableError as why:
        status, said = 400, {"error": {"message": str(why), "type": "BadRequestError", "param": None, "code": 400}}
    await connection.answer_json(status, said)


def _absent(product: Product) -> object:
    if product is Product.LLAMA_CPP:
        return {"error": {"message": "File Not Found", "type": "not_found_error", "code": 404}}
    return {"detail": "Not Found"}


def metrics(state: State) -> str:
    """The counters, as Prometheus reads them."""
    waiting = state.waiting
    if state.product is Product.LLAMA_CPP:
        values: dict[str, float] = {
            "llamacpp:prompt_tokens_total": state.computed,
            "llamacpp:tokens_predicted_total": state.generated,
            "llamacpp:requests_processing": state.running - waiting,
            "llamacpp:requests_deferred": waiting,
        }
        return "".join(f"{name} {value:g}\n" for name, value in values.items())
    prefix = "sglang" if state.product is Product.SGLANG else "vllm"
    label = f'{{engine="0",model_name="{state.script.model}"}}'
    values = {
        "num_requests_running": state.running - waiting,
        "num_requests_waiting": waiting,
        "kv_cache_usage_perc": 0.0,
        "prefix_cache_queries_total": state.cache.queried,
        "prefix_cache_hits_total": state.cache.hit,
        "prompt_tokens_total": state.cache.queried,
        "generation_tokens_total": state.generated,
    }
    return "".join(f"{prefix}:{name}{label} {float(value)}\n" for name, value in values.items())


def _models(state: State, _: Json) -> Answer:
    names = (state.script.model, *state.script.adapters)
    return 200, {"object": "list", "data": [_model(state, name) for name in names]}


def _model(state: State, name: str) -> object:
    entry: dict[str, object] = {"id": name, "object": "model", "created": 0}
    match state.product:
        case Product.LLAMA_CPP:
            meta = {"n_ctx": state.script.context, "n_ctx_train": 262144, "n_vocab": 151936, "n_params": 1}
            return {**entry, "aliases": [name], "owned_by": "llamacpp", "meta": meta}
        case Product.LM_STUDIO:
            return {**entry, "owned_by": "organization_owner"}
        case Product.OLLAMA:
            return {**entry, "owned_by": "library"}
        case Product.TRANSFORMERS:
            return {**entry, "owned_by": "local"}
        case Product.SGLANG:
            return {**entry, "owned_by": "sglang", "root": name, "max_model_len": state.script.context}
        case _:
            parent = None if name == state.script.model else state.script.model
            more = {"root": name, "parent": parent, "max_model_len": state.script.context}
            return {**entry, "owned_by": "vllm", **more}


def _version(state: State, _: Json) -> Answer:
    return 200, {"version": "0.8.5" if state.product is Product.VLLM_OLD else "0.32.0"}


def _healthy(_: State, __: Json) -> Answer:
    return 200, {"status": "ok"}


def _props(state: State, _: Json) -> Answer:
    slots = state.script.slots or DEFAULT_SLOTS
    settings = {"id": 0, "n_ctx": state.script.context, "is_processing": False}
    said = {"default_generation_settings": settings, "total_slots": slots, "model_path": state.script.model}
    return 200, {**said, "chat_template": "{{ messages }}", "build_info": "b0-replay"}


def _slots(state: State, _: Json) -> Answer:
    slots = state.script.slots or DEFAULT_SLOTS
    busy = sum(len(voices) for voices in state.voices.values())
    entries = [{"id": slot, "n_ctx": state.script.context, "is_processing": slot < busy} for slot in range(slots)]
    return 200, entries


def _tokenize(state: State, body: Json) -> Answer:
    if state.product is Product.LLAMA_CPP:
        return 200, {"tokens": state.vocabulary.encode(str(body.get("content", "")))}
    text = _prompt(state, body) if "messages" in body else str(body.get("prompt", ""))
    numbers = state.vocabulary.encode(text)
    return 200, {"count": len(numbers), "max_model_len": state.script.context, "tokens": numbers, "token_strs": None}


def _detokenize(state: State, body: Json) -> Answer:
    numbers = [number for number in _list(body.get("tokens")) if isinstance(number, int)]
    text = state.vocabulary.decode(numbers)
    return 200, {"content" if state.product is Product.LLAMA_CPP else "prompt": text}


def _template(state: State, body: Json) -> Answer:
    return 200, {"prompt": _prompt(state, body)}


def _control(state: State, body: Json) -> Answer:
    voices = state.voices.get(str(body.get("id")))
    if voices is None:
        text = f"no running completion has the id {body.get('id')}"
        return 404, {"error": {"code": 404, "message": text, "type": "not_found_error"}}
    if body.get("action") != "reasoning_end":
        raise UnreadableError("action", "reasoning_end is wanted")
    voices[0].close_thinking()  # as the real one: of several choices only one
    return 200, {"success": True}


def _generative_scoring(state: State, body: Json) -> Answer:
    query, items = _worded(state, body.get("query")), [_worded(state, item) for item in _list(body.get("items"))]
    model = str(body.get("model") or state.script.model)
    scores: list[float] = []
    for item in items:
        probability, _ = state.prompter.score(query + item, model)
        scores.append(state.script.unscored if probability is None else probability)
    data = [{"index": place, "object": "score", "score": score} for place, score in enumerate(scores)]
    return 200, {"object": "list", "model": model, "data": data}


def _worded(state: State, text: object) -> str:
    """A text that is given in words or in tokens."""
    numbers = [number for number in _list(text) if isinstance(number, int)]
    return state.vocabulary.decode(numbers) if numbers else str(text or "")


def _lm_studio(state: State, _: Json) -> Answer:
    context = state.script.context
    entry = {"id": state.script.model, "object": "model", "type": "llm", "state": "loaded"}
    return 200, {"object": "list", "data": [{**entry, "max_context_length": 131072, "loaded_context_length": context}]}


def _ollama_version(_: State, __: Json) -> Answer:
    return 200, {"version": "0.12.0"}


def _ollama_tags(state: State, _: Json) -> Answer:
    return 200, {"models": [{"name": state.script.model, "model": state.script.model}]}


def _ollama_show(state: State, _: Json) -> Answer:
    information = {"general.architecture": "qwen2", "qwen2.context_length": 131072}
    return 200, {"parameters": f"num_ctx {state.script.context}", "model_info": information}


def _sglang_info(state: State, _: Json) -> Answer:
    return 200, {"model_path": state.script.model, "is_generation": True}


def _prompt(state: State, body: Json) -> str:
    chat = read_chat(body, state.traits)
    return render(chat.turns, generate=body.get("add_generation_prompt", True) is not False, goes_on=chat.goes_on)


def _list(value: object) -> Sequence[object]:
    return cast("list[object]", value) if isinstance(value, list) else ()


_ANSWERS: Mapping[tuple[str, str], Callable[[State, Json], Answer]] = MappingProxyType(
    {
        ("GET", "/v1/models"): _models,
        ("GET", "/version"): _version,
        ("GET", "/health"): _healthy,
        ("GET", "/props"): _props,
        ("GET", "/slots"): _slots,
        ("POST", "/tokenize"): _tokenize,
        ("POST", "/detokenize"): _detokenize,
        ("POST", "/apply-template"): _template,
        ("POST", "/v1/chat/completions/control"): _control,
        ("POST", "/generative_scoring"): _generative_scoring,
        ("GET", "/api/v0/models"): _lm_studio,
        ("GET", "/api/version"): _ollama_version,
        ("GET", "/api/tags"): _ollama_tags,
        ("POST", "/api/show"): _ollama_show,
        ("GET", "/get_model_info"): _sglang_info,
    }
)
