"""Opening the engine that the settings name: a server by its address, or llama.cpp's own for a GGUF file."""

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from thinklonger.agent.config.values import is_weights_file
from thinklonger.agent.model import connect
from thinklonger.agent.pipeline.request import Request
from thinklonger.agent.protocols import ChatModel


@asynccontextmanager
async def open_model(request: Request) -> AsyncGenerator[ChatModel]:
    """The model that the setting `engine` names, closed in the end; raises ModelError where it can't be had."""
    settings = request.settings
    if is_weights_file(settings.engine):
        from thinklonger.agent.model.embedded import open_gguf  # noqa: PLC0415 (few run a model themselves)

        async with open_gguf(settings.engine, context=settings.served.context) as server:
            model = connect(server.url, model=settings.model, served=settings.served, key=server.key)
            try:
                yield model
            finally:
                await model.close()
        return
    model = connect(settings.engine, model=settings.model, served=settings.served, key=request.api_key)
    try:
        yield model
    finally:
        await model.close()
