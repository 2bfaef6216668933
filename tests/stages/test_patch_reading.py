"""A model's answer as a patch: applied all or nothing, and told precisely what is wrong with it."""

from pathlib import Path, PurePosixPath

import pytest

from thinklonger.agent.edits import DirectoryTree, MemoryTree
from thinklonger.agent.errors import EditError, RepositoryError
from thinklonger.agent.repository import Repository
from thinklonger.agent.stages.patch.reading import changed_lines, meaning, read_patch
from thinklonger.agent.types import FileChange, FileState, SymbolKind


def block(path: str, search: str, replace: str) -> str:
    """One search/replace block."""
    return f"### {path}\n<<<<<<< SEARCH\n{search}=======\n{replace}>>>>>>> REPLACE\n"


RATE = block("src/shop/rates.py", "    if amount > 1000:\n", "    if amount >= 1000:\n")


def test_a_patch_and_its_place(indexed_shop: Repository) -> None:
    """The candidate's place is the symbol and the lines of its first change, as the file is now."""
    found = read_patch(f"The bound is wrong.\n\n{RATE}", indexed_shop, repository=indexed_shop)
    (change,) = found.changes
    assert b"amount >= 1000" in (change.after or FileState(b"")).content
    place = found.location
    assert (str(place.path), place.symbol, place.kind) == ("src/shop/rates.py", "discount_rate", SymbolKind.FUNCTION)
    assert (place.start_line, place.end_line) == (8, 8)


def test_the_place_is_in_code_rather_than_in_a_test(indexed_shop: Repository) -> None:
    """Edits to tests are allowed; where code changes too, the place is there, in the answer's order."""
    test = block("tests/test_basket.py", "    assert Basket().total() == 0\n", "    assert Basket().total() == 1\n")
    report = block("src/shop/report.py", '    return "\\n".join(lines)\n', '    return "\\r".join(lines)\n')
    found = read_patch(test + report + RATE, indexed_shop, repository=indexed_shop)
    assert len(found.changes) == 3
    assert found.location.path == PurePosixPath("src/shop/report.py")
    alone = read_patch(test, indexed_shop, repository=indexed_shop)
    assert (str(alone.location.path), alone.location.symbol) == ("tests/test_basket.py", "test_empty_basket")


def test_new_deleted_and_moved_files(indexed_shop: Repository) -> None:
    """One answer may make, remove and move files, and edit what it has moved."""
    answer = (
        block("src/shop/tax.py", "", "RATE = 0.2\n")
        + "### docs/example_basket.py\n<<<<<<< DELETE\n>>>>>>> DELETE\n"
        + "### src/shop/report.py\n<<<<<<< RENAME\nsrc/shop/reports.py\n>>>>>>> RENAME\n"
        + block("src/shop/reports.py", '"""Reports for the owner."""\n', '"""All reports."""\n')
    )
    found = read_patch(answer, indexed_shop, repository=indexed_shop)
    changes = {str(change.path): change for change in found.changes}
    assert changes["docs/example_basket.py"].after is None
    assert changes["src/shop/reports.py"].renamed_from == PurePosixPath("src/shop/report.py")
    assert found.location.path == PurePosixPath("src/shop/tax.py")
    assert found.location.symbol == ""


@pytest.mark.parametrize(
    ("answer", "key", "says"),
    [
        ("The rate is wrong; use >= there.", "edits.no-blocks", ""),
        (block("src/shop/missing.py", "a\n", "b\n"), "edits.no-file", "src/shop/missing.py"),
        (block("shop/rates.py", "a\n", "b\n"), "patch.no-file-named", "of that name: src/shop/rates.py"),
        (block("src/shop/basket.py", "        \n", "x\n"), "edits.no-match", "basket.py"),
        (block("src/shop/rates.py", "\n", "x\n"), "edits.ambiguous", "rates.py"),
        (block("src/shop/rates.py", '    """\n', "x\n"), "edits.no-match", "rates.py"),
        (block("src/shop/rates.py", "    return 1.0\n", "    return (1.0\n"), "edits.syntax", "line"),
        (block("../outside.py", "", "x = 1\n"), "edits.path-outside", "../outside.py"),
        (block("/etc/motd", "", "x\n"), "edits.path-outside", "/etc/motd"),
        (block(".git/hooks/pre-commit", "", "x\n"), "edits.path-git", ".git"),
        (block("src/shop/rates.py", "    return 1.0\n", "    return 1.0\n"), "patch.no-change", ""),
        ("".join(block(f"n{n}.txt", "", "x\n") for n in range(41)), "patch.too-large", "41"),
        (block("src/shop/rates.py", "", "x = 1\n"), "edits.exists", "rates.py"),
        ("### a.py\n<<<<<<< SEARCH\nx\n", "edits.block-unclosed", ""),
        (block("n" * 300 + ".py", "", "x = 1\n"), "repository.read-failed", ""),
    ],
)
def test_what_is_wrong_is_said(indexed_shop: Repository, answer: str, key: str, says: str) -> None:
    """Each failure names what the model must mend: the file, the line, the places."""
    with pytest.raises((EditError, RepositoryError)) as failure:
        read_patch(answer, indexed_shop, repository=indexed_shop)
    assert failure.value.message.key.startswith(key)
    assert says in str(failure.value)


def test_an_ambiguous_block_says_where(indexed_shop: Repository) -> None:
    """The first match is never taken by chance; the error lists the lines."""
    answer = block("src/shop/basket.py", "    def ", "x\n").replace("    def \n", "")
    answer = block("tests/test_basket.py", "\n\n", "\n")
    with pytest.raises(EditError, match=r"2 times, at lines 4, 10") as failure:
        read_patch(answer, indexed_shop, repository=indexed_shop)
    assert failure.value.remedy is not None


def test_a_link_is_not_followed(indexed_shop: Repository, tmp_path: Path) -> None:
    """A path through a symbolic link is refused, wherever it leads."""
    (tmp_path / "tree").mkdir()
    (tmp_path / "secret.py").write_text("key = 1\n")
    (tmp_path / "tree/link.py").symlink_to(tmp_path / "secret.py")
    with pytest.raises(EditError, match="symbolic link"):
        read_patch(
            block("link.py", "key = 1\n", "key = 2\n"), DirectoryTree(tmp_path / "tree"), repository=indexed_shop
        )
    assert (tmp_path / "secret.py").read_text() == "key = 1\n"


def test_the_same_patch_means_the_same(indexed_shop: Repository) -> None:
    """Prose, formatting and comments around it make no other patch; other documentation does."""
    spaced = block("src/shop/rates.py", "    if amount > 1000:\n", "    if amount>=1000:  # the bound counts\n")
    answers = (RATE, f"So:\n{RATE}\nDone.", spaced)
    assert len({read_patch(text, indexed_shop, repository=indexed_shop).normalized for text in answers}) == 1
    docs = [
        block("src/shop/rates.py", '"""Discounts."""\n', f'"""{text}"""\n') for text in ("All discounts.", "Rates.")
    ]
    assert len({read_patch(text, indexed_shop, repository=indexed_shop).normalized for text in docs}) == 2
    assert meaning(()) == meaning(())


def test_a_revision_is_for_the_files_as_they_were_or_as_patched(indexed_shop: Repository) -> None:
    """A revised patch replaces the earlier one; blocks that only fit on top of it are added to it."""
    earlier = read_patch(RATE, indexed_shop, repository=indexed_shop).changes
    anew = block("src/shop/rates.py", "    if amount > 1000:\n", "    if amount > 999:\n")
    whole = read_patch(anew, indexed_shop, repository=indexed_shop, earlier=earlier)
    assert b"amount > 999" in (whole.changes[0].after or FileState(b"")).content
    on_top = block(
        "src/shop/rates.py",
        "    if amount >= 1000:\n        return 0.9\n",
        "    if amount >= 1000:\n        return 0.8\n",
    )
    both = read_patch(on_top, indexed_shop, repository=indexed_shop, earlier=earlier)
    after = (both.changes[0].after or FileState(b"")).content
    assert b"amount >= 1000" in after
    assert b"return 0.8" in after
    with pytest.raises(EditError, match="doesn't stand"):
        read_patch(
            block("src/shop/rates.py", "nothing\n", "x\n"), indexed_shop, repository=indexed_shop, earlier=earlier
        )


def test_changed_lines_count_from_one() -> None:
    """Lines are those of the file without the change; a new file counts its own; an insertion has the next line."""
    path = PurePosixPath("a.py")
    old = FileState(b"a\nb\nc\n")
    assert changed_lines(FileChange(path, old, FileState(b"a\nx\nc\n"))) == (2, 2)
    assert changed_lines(FileChange(path, old, FileState(b"a\nb\nc\nd\n"))) == (3, 3)
    assert changed_lines(FileChange(path, old, None)) == (1, 3)
    assert changed_lines(FileChange(path, None, FileState(b"x\ny"))) == (1, 2)
    assert changed_lines(FileChange(path, old, old, PurePosixPath("b.py"))) == (1, 1)
    assert changed_lines(FileChange(path, FileState(b""), FileState(b"x\n"))) == (1, 1)


def test_bytes_that_are_no_utf_8_stay(indexed_shop: Repository) -> None:
    """A file in another encoding keeps it."""
    path = PurePosixPath("latin.py")
    tree = MemoryTree({path: FileState("# -*- coding: latin-1 -*-\nname = 'Zoë'\nn = 1\n".encode("latin-1"))})
    found = read_patch(block("latin.py", "n = 1\n", "n = 2\n"), tree, repository=indexed_shop)
    assert "Zoë".encode("latin-1") in (found.changes[0].after or FileState(b"")).content
