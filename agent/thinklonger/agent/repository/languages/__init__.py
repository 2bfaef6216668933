"""All languages that the index understands; another one is one more module and one more entry."""

from typing import TYPE_CHECKING

from thinklonger.agent.repository.languages.python import Python

if TYPE_CHECKING:
    from thinklonger.agent.repository.language import Language

LANGUAGES: "tuple[Language, ...]" = (Python(),)
BY_SUFFIX = {suffix: language for language in LANGUAGES for suffix in language.suffixes}
