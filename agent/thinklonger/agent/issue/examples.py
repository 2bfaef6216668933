"""Doctest-like examples: `>>>` or IPython prompts, and what stands below them."""

import re
from collections.abc import Iterator, Sequence

from thinklonger.agent.issue.clues import Example

_PROMPT = re.compile(r"\s{0,40}(?:>>>|In \[\d{1,5}\]:)(?: |$)(.*)")
_MORE = re.compile(r"\s{0,40}(?:\.\.\.|\.{3,8}:|   \.{3,6}:)(?: |$)(.*)")
_OUT = re.compile(r"\s{0,40}Out\[\d{1,5}\]: ?(.*)")


def read_examples(lines: Sequence[str]) -> Iterator[Example]:
    """The examples in these lines, in order; an empty `expected` where nothing stands below the code."""
    source: list[str] = []
    output: list[str] = []
    for line in (*lines, ">>> "):
        if (prompt := _PROMPT.match(line)) is not None:
            if source:
                yield Example("\n".join(source), "\n".join(output).strip())
            source, output = ([prompt[1]] if prompt[1].strip() else []), []
        elif source and not output and (more := _MORE.match(line)) is not None:
            source.append(more[1])
        elif source and not line.strip():
            yield Example("\n".join(source), "\n".join(output).strip())
            source, output = [], []
        elif source and not line.lstrip().startswith(("```", "~~~")):
            found = _OUT.match(line)
            output.append(found[1] if found is not None else line.strip())
