"""Terms and what ranking reads of them."""

import math
from collections import Counter
from pathlib import Path, PurePosixPath

from hypothesis import given
from hypothesis import strategies as st
from repository_trees import CALENDAR, Opener, committed, git, write

from thinklonger.agent.repository import Posting, split_terms
from thinklonger.agent.repository.inversion import Inversion, tf_of, unpacked
from thinklonger.agent.repository.record import Definition, FileRecord, Import, Kind, Outline, decode, encode
from thinklonger.agent.repository.terms import BYTE_TABLE, LONGEST_TERM, cut_words, terms_of_word


def test_words_are_cut_into_parts() -> None:
    """Snake case, camel case, digits and Chinese are cut, the whole word is kept, single letters are not."""
    assert split_terms("getHTTPServer2") == ["get", "http", "server", "gethttpserver2"]
    assert split_terms("max_retries, x = _private") == ["max", "retries", "max_retries", "private"]
    assert split_terms("__init__ utf8 BASE64") == ["init", "utf", "utf8", "base", "64", "base64"]
    assert split_terms("中文分词 解") == ["中文", "文分", "分词", "解"]
    assert split_terms("Überklasse café_au") == ["überklasse", "café", "au", "café_au"]
    assert split_terms("a" * 300) == []
    assert split_terms("") == []


@given(st.text())
def test_terms_are_clean(text: str) -> None:
    """Whatever the text, terms are lower-cased, short, without spaces, and can be kept in blocks of lines."""
    for term in split_terms(text):
        assert 0 < len(term) <= LONGEST_TERM
        assert not any(character.isspace() for character in term)


@given(st.lists(st.from_regex(r"[A-Za-z0-9_]{1,12}|[\wé中]{1,8}", fullmatch=True) | st.just("a" * 201)))
def test_many_words_are_cut_like_each(words: list[str]) -> None:
    """Words cut together have the terms that each of them has alone."""
    assert list(map(tuple, cut_words(words))) == list(map(terms_of_word, words))


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r")))
def test_index_and_query_cut_alike(text: str) -> None:
    """A file's terms are those of `split_terms` for the same text, but for whole words with a `_`."""
    inversion = Inversion()
    inversion.add(7, b"k", text.encode(), ".py")
    _, postings = inversion.finish()
    found = {term for term in postings if not term.startswith("=") and unpacked(postings[term])[7] & 0xFFFF}
    words = text.encode().translate(BYTE_TABLE).split()
    common = {b"def", b"return", b"import", b"from", b"class", b"self", b"if", b"in", b"for", b"not", b"is"}
    common |= {b"and", b"or", b"else", b"None", b"as"}
    assert found == {term for word in words if word not in common for term in terms_of_word(word.decode())}
    if "_" not in text:
        assert found <= set(split_terms(text))


def test_large_counts_do_not_spill() -> None:
    """Counts beyond what a posting holds are scaled, and leave the other fields alone."""
    inversion = Inversion()
    inversion.add(3, b"k", b"def spam():\n    '''eggs'''\n" + b"# spam eggs\n" * 100_000, ".py")
    _, postings = inversion.finish()
    symbols, docstrings, body = tf_of(unpacked(postings["spam"])[3])
    assert (symbols, docstrings) == (1, 0)
    assert 10_000 < body < 65_536
    assert tf_of(unpacked(postings["eggs"])[3])[1] == 1


async def test_postings_count_each_field(tmp_path: Path, opened: Opener) -> None:
    """Postings tell path, symbols, docstrings and body apart; equal files share one content and both count."""
    files = {
        "moon/phase.py": '"""The moon."""\n\n\ndef moonPhase(day):\n    """Moon of a day."""\n    return day.moon\n',
        "a/copy.py": "moon = 1\n",
        "b/copy.py": "moon = 1\n",
    }
    repository = await opened(write(tmp_path / "r", files))
    order = [str(path) for path in repository.paths()]
    assert order == ["a/copy.py", "b/copy.py", "moon/phase.py"]
    assert sorted(repository.postings("moon")) == [
        Posting(0, 0, 1, 0, 1),
        Posting(1, 0, 1, 0, 1),
        Posting(2, 1, 1, 2, 4),
    ]
    assert repository.postings("moonphase") == [Posting(2, 0, 1, 0, 1)]
    assert repository.postings("copy") == [Posting(0, 1, 0, 0, 0), Posting(1, 1, 0, 0, 0)]
    assert repository.postings("sun") == []
    statistics = repository.statistics_of_fields()
    assert statistics.files == 3
    lengths = repository.lengths()
    for field in range(4):
        assert math.isclose(statistics.means[field], sum(length[field] for length in lengths) / 3)


async def test_every_term_is_found_again(tmp_path: Path, opened: Opener) -> None:
    """Each file is among the postings of each of its words' terms."""
    repository = await opened(write(tmp_path / "r", CALENDAR))
    for number, path in enumerate(repository.paths()):
        state = repository.read(path)
        assert state is not None
        terms = Counter(term for word in split_terms(state.content.decode()) for term in word.split("_"))
        for term in terms.keys() - {"from", "import", "def", "return", "class", "self", "if", "as", "none"}:
            assert len(term) < 2 or number in [posting.file for posting in repository.postings(term)], term


async def test_recent_changes_count(tmp_path: Path, opened: Opener) -> None:
    """Recency prefers the file that changed last, is 0 for one that did not, and for folders without git."""
    root = committed(tmp_path / "r", CALENDAR)
    for round_number in range(3):
        write(root, {"src/almanac/tools.py": f"x = {round_number}\n"})
        git(root, "commit", "--quiet", "--all", "--message=change")
    sub = root / "src"
    tools, moons = PurePosixPath("src/almanac/tools.py"), PurePosixPath("src/almanac/moons.py")
    for _ in range(2):
        repository = await opened(root)
        assert repository.recency(tools) == 1.0
        assert 0 < repository.recency(moons) < 0.5
        assert repository.recency(PurePosixPath("none.py")) == 0
    assert (await opened(sub)).recency(PurePosixPath("almanac/tools.py")) == 1.0
    plain = await opened(write(tmp_path / "plain", CALENDAR))
    assert plain.recency(tools) == 0


LINES = st.integers(1, 10**6)
WORDS = st.from_regex(r"[^\W\d]\w*(\.[^\W\d]\w*)*", fullmatch=True)


@given(
    st.lists(st.tuples(WORDS, st.sampled_from("cfm"), LINES, LINES), max_size=5),
    st.lists(st.builds(Import, st.integers(0, 9), WORDS | st.just(""), st.lists(st.tuples(WORDS, WORDS)).map(tuple))),
)
def test_records_come_back(rows: list[tuple[str, Kind, int, int]], imports: list[Import]) -> None:
    """What is kept of a file's structure is what is read back."""
    names, kinds, starts, ends = ([row[at] for row in rows] for at in range(4))
    outline = Outline(names, kinds, starts, ends, imports)  # pyright: ignore[reportArgumentType] - columns by position
    assert decode(encode(outline)) == FileRecord(tuple(Definition(*row) for row in rows), tuple(imports))
