"""What a replay server has at hand: its script, its tokens, its prefix cache, and what is being said."""

from dataclasses import dataclass, field

from thinklonger.agent.model.replay.products import TRAITS, Product, Traits
from thinklonger.agent.model.replay.prompting import Prompter
from thinklonger.agent.model.replay.script import Script
from thinklonger.agent.model.replay.speaking import Voice
from thinklonger.agent.model.replay.tokens import PrefixCache, Vocabulary

DEFAULT_SLOTS = 4
"""What llama.cpp says that it has where the script sets no bound."""


@dataclass(slots=True)
class State:
    """One server's. `voices`: the choices of each completion that is being said. `computed`, `generated`: tokens."""

    script: Script
    product: Product
    prompter: Prompter
    vocabulary: Vocabulary = field(default_factory=Vocabulary)
    cache: PrefixCache = field(default_factory=PrefixCache)
    voices: dict[str, list[Voice]] = field(default_factory=dict[str, list[Voice]])
    running: int = 0
    computed: int = 0
    generated: int = 0

    @property
    def traits(self) -> Traits:
        """How the product that is played differs."""
        return TRAITS[self.product]

    @property
    def waiting(self) -> int:
        """Requests that run but say nothing yet."""
        return max(self.running - len(self.voices), 0)
