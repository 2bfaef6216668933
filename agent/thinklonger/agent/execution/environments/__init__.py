"""Finds or builds what a repository's tests need, each with a proof, and the built ones with a recipe."""

from thinklonger.agent.execution.environments.laying import LaidSession
from thinklonger.agent.execution.environments.nouns import Environment, Needs, Origin, Permission, Recipe
from thinklonger.agent.execution.environments.providing import Provided, open_environment

__all__ = ["Environment", "LaidSession", "Needs", "Origin", "Permission", "Provided", "Recipe", "open_environment"]
