"""Serving a model on this machine's GPU: what is there, what fits, which command, and how its start goes."""

from thinklonger.agent.model.serving.capacity import context_that_fits, kv_tokens_that_fit
from thinklonger.agent.model.serving.command import Adapter, adapters_of, command_for, find_program, variables
from thinklonger.agent.model.serving.devices import Gpu, Machine, find_gpus
from thinklonger.agent.model.serving.process import Server, check_port, started
from thinklonger.agent.model.serving.recommendation import Plan, plan, usable
from thinklonger.agent.model.serving.watching import Phase, Step

__all__ = [
    "Adapter",
    "Gpu",
    "Machine",
    "Phase",
    "Plan",
    "Server",
    "Step",
    "adapters_of",
    "check_port",
    "command_for",
    "context_that_fits",
    "find_gpus",
    "find_program",
    "kv_tokens_that_fit",
    "plan",
    "started",
    "usable",
    "variables",
]
