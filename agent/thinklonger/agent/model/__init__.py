"""The served model: a client for every dialect, and the servers that ship with it.

`connect(url, …)` gives a `ServedModel` (`protocols.ChatModel`); `find_servers()` looks on this machine. Only the
named endpoint is ever contacted: redirects are not followed, and proxies of the environment are not used.
"""

from typing import TYPE_CHECKING

from thinklonger.agent.config import ServedSettings

if TYPE_CHECKING:
    from thinklonger.agent.model.finding import FoundServer
    from thinklonger.agent.model.served import ServedModel

__all__ = ["connect", "find_servers"]


def connect(url: str, *, model: str, served: ServedSettings, key: str = "") -> "ServedModel":
    """A client for the model called `model` at an OpenAI-compatible server; nothing is sent yet.

    `url` is the server's address, with or without `/v1`. An empty `model` means the first that the server names. The
    key goes into the requests' headers and nowhere else. Close it with `close()` or as an async context. Raises
    ModelError where the URL is none.
    """
    from thinklonger.agent.model.served import ServedModel  # noqa: PLC0415 (brings httpx)

    return ServedModel(url, model=model, served=served, key=key)


async def find_servers(*, key: str = "", seconds: float = 1.0) -> "tuple[FoundServer, ...]":
    """The OpenAI-compatible servers on the usual ports of this machine, asked at once, `seconds` for each at most.

    The key goes only to those that ask for one.
    """
    from thinklonger.agent.model.finding import find  # noqa: PLC0415 (brings httpx)

    return await find(key=key, seconds=seconds)
