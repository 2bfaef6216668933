"""The answer format: what models write is read, what is malformed is said with its line."""

from pathlib import PurePosixPath

import pytest

from thinklonger.agent.edits import Create, Delete, Rename, Replace, SetMode, parse_blocks, render_blocks
from thinklonger.agent.errors import EditError

BLOCK = "<<<<<<< SEARCH\nold\n=======\nnew\n>>>>>>> REPLACE\n"
REPLACE = Replace(PurePosixPath("src/a.py"), "old\n", "new\n")


@pytest.mark.parametrize(
    "answer",
    [
        f"### src/a.py\n{BLOCK}",
        f"```python\n### src/a.py\n{BLOCK}```\n",
        f"### src/a.py\n```python\n{BLOCK}```\n",
        f"#### `src/a.py`\n\n````\n{BLOCK}````\n",
        f"### **src/a.py**:\n{BLOCK}",
        f"### File: src/a.py\n{BLOCK}",
        f'### "src/a.py"\n{BLOCK}',
        f"src/a.py\n```\n{BLOCK}```\n",
        f"`src/a.py`\n{BLOCK}",
        f"### src/a.py\nThe loop stops too early, so:\n\n### What I change\n```\n{BLOCK}```\nDone.",
        f"### src/a.py\n{BLOCK}".replace("\n", "\r\n"),
        f"### src/a.py\n{BLOCK}".removesuffix("\n"),
        "### src/a.py\n<<<<<<<<< SEARCH\nold\n=========\nnew\n>>>>>>>>> REPLACE",
        "### src/a.py\n<<<<<<<SEARCH  \nold\n=======  \nnew\n>>>>>>>REPLACE",
    ],
)
def test_the_ways_models_write_a_block(answer: str) -> None:
    """Headings, bare paths, fences, adornments, CRLF and longer markers all say the same edit."""
    assert parse_blocks(answer) == (REPLACE,)


def test_several_blocks_and_files() -> None:
    """A block without a path belongs to the file above; every kind of edit has its block."""
    answer = f"""### src/a.py
{BLOCK}
and
{BLOCK}
### new.py
<<<<<<< SEARCH
=======
fresh
>>>>>>> REPLACE
### gone.py
<<<<<<< DELETE
>>>>>>> DELETE
### from.py
<<<<<<< RENAME
to.py
>>>>>>> RENAME
### run.sh
<<<<<<< MODE
executable
>>>>>>> MODE
"""
    path = PurePosixPath
    assert parse_blocks(answer) == (
        REPLACE,
        REPLACE,
        Create(path("new.py"), "fresh\n"),
        Delete(path("gone.py")),
        Rename(path("from.py"), path("to.py")),
        SetMode(path("run.sh"), executable=True),
    )


def test_fences_in_the_code_are_code() -> None:
    """A fence inside a block is text, however long the fence around the block."""
    answer = (
        "### README.md\n````\n<<<<<<< SEARCH\n```sh\nmake\n```\n=======\n```sh\nmake all\n```\n>>>>>>> REPLACE\n````"
    )
    assert parse_blocks(answer) == (
        Replace(PurePosixPath("README.md"), "```sh\nmake\n```\n", "```sh\nmake all\n```\n"),
    )


def test_markers_grow_where_the_code_has_such_lines() -> None:
    """Text with conflict markers gets longer markers around it."""
    shown = render_blocks([Replace(PurePosixPath("a.rst"), "Title\n=======\n", "Title!\n========\n")])
    assert "\n<<<<<<<<< SEARCH\n" in shown
    assert "\n=========\nTitle!" in shown


def test_odd_paths_are_quoted_and_letters_stay_legible() -> None:
    """Spaces and control characters need quotes; Chinese does not become numbers."""
    path = PurePosixPath("文件 夹/a\n.py")
    shown = render_blocks([Delete(path)])
    assert shown.startswith('### "文件 夹/a\\n.py"\n')
    assert parse_blocks(shown) == (Delete(path),)


@pytest.mark.parametrize(
    ("answer", "key", "line"),
    [
        ("I would change the loop.", "edits.no-blocks", None),
        (BLOCK, "edits.block-without-file", 1),
        ("### a.py\n\n<<<<<<< SEARCH\nold\n=======\nnew\n", "edits.block-unclosed", 3),
        ("### a.py\n<<<<<<< SEARCH\nold\n=======\nnew\n>>>>>> REPLACE\n", "edits.block-marker-length", 6),
        ("### a.py\n<<<<<<< SEARCH\nold\n>>>>>>> REPLACE\n", "edits.block-without-divider", 2),
        (f"### a.py\n<<<<<<< SEARCH\nold\n{BLOCK}", "edits.block-nested", 4),
        ("### a.py\n<<<<<<< SEARCH\na\n=======\nb\n=======\nc\n>>>>>>> REPLACE", "edits.block-two-dividers", 6),
        ("### a.py\n>>>>>>> REPLACE", "edits.block-unopened", 2),
        ("### a.py\n<<<<<<< MODE\nfast\n>>>>>>> MODE", "edits.block-content", 2),
        ("### a.py\n<<<<<<< RENAME\n>>>>>>> RENAME", "edits.block-content", 2),
        ('### a.py\n<<<<<<< RENAME\n"open\n>>>>>>> RENAME', None, None),
        ("### a.py\n<<<<<<< DELETE\nx\n>>>>>>> DELETE", "edits.block-content", 2),
    ],
)
def test_malformed_answers_are_refused_with_their_line(answer: str, key: str | None, line: int | None) -> None:
    """A model that errs is told what is wrong and where."""
    with pytest.raises(EditError) as caught:
        parse_blocks(answer)
    assert str(caught.value)
    if key:
        assert caught.value.message.key == key
        assert caught.value.message.params.get("line") == line
