"""The room's sentences exist in every language, with the same variables."""

import string

from thinklonger.agent import messages


def variables(entry: messages.Entry) -> set[str]:
    """The variables of an entry, in all of its forms."""
    forms = entry.values() if isinstance(entry, dict) else [entry]
    return {name for form in forms for _, name, _, _ in string.Formatter().parse(form) if name}


def test_both_languages_say_the_same() -> None:
    """Each sentence of this room exists in English and Chinese with the same variables."""
    english, chinese = messages.room("en", "execution"), messages.room("zh-CN", "execution")
    assert english.keys() == chinese.keys()
    for key, entry in english.items():
        assert variables(entry) == variables(chinese[key]), key
