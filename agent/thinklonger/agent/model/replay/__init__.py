"""A model's server that is none: it plays a script over real HTTP on loopback, in the way of a server of your choice.

    script = Script(rules=(Rule(last="Which files", replies=(ScriptedReply(think="…", answer="…"),)),))
    async with serve(script, dialect=Product.VLLM) as server:
        ...  # server.url, server.requests, server.running, await server.idle()

For people and editors' tests: `python -m thinklonger.agent.model.replay SCRIPT.json [--port N] [--dialect NAME]`.
"""

from thinklonger.agent.model.replay.asked import Chat, Seen
from thinklonger.agent.model.replay.products import Product
from thinklonger.agent.model.replay.script import (
    PROBE_TOKENS,
    Exhausted,
    Fault,
    FaultKind,
    Rule,
    Script,
    ScriptedReply,
    ScriptedScore,
    Thinking,
    Wording,
    read_script,
)
from thinklonger.agent.model.replay.server import Replay, serve

__all__ = [
    "PROBE_TOKENS",
    "Chat",
    "Exhausted",
    "Fault",
    "FaultKind",
    "Product",
    "Replay",
    "Rule",
    "Script",
    "ScriptedReply",
    "ScriptedScore",
    "Seen",
    "Thinking",
    "Wording",
    "read_script",
    "serve",
]
