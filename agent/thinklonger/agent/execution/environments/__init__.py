"""Finds or builds what a repository's tests need, each with a proof, and the built ones with a recipe."""

from thinklonger.agent.execution.environments.moment import moment_of
from thinklonger.agent.execution.environments.nouns import Environment, Needs, Origin, Permission, Recipe
from thinklonger.agent.execution.environments.providing import Provided, open_environment

__all__ = ["Environment", "Needs", "Origin", "Permission", "Provided", "Recipe", "moment_of", "open_environment"]
