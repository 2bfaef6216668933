"""SARIF 2.1.0: the shape that the standard asks for, relative percent-encoded URIs, fingerprints that survive edits."""

import json
import re
from dataclasses import replace
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING
from urllib.parse import unquote_to_bytes

from hypothesis import given
from hypothesis import strategies as st

from thinklonger.agent.types import Location, SymbolKind
from thinklonger.cli.sarif import fingerprint, sarif, uri
from thinklonger.cli.words import Words

if TYPE_CHECKING:
    from conftest import Terminal

PLACE = Location(PurePosixPath("a/b.py"), "C.m", SymbolKind.METHOD, 3, 9, 0.5, ())
SEGMENT = st.text(st.characters(exclude_characters="/\0", exclude_categories=["Cs"]), min_size=1).filter(
    lambda text: text not in (".", "..")
)


def test_the_log_has_the_required_shape(terminal: "Terminal") -> None:
    """Sections 3.13 to 3.30: version, driver, rules, results with rule, level, rank, message, location, region."""
    said = terminal.run("localize", "--issue-text", "x", "--format", "sarif", script="localized")
    log = json.loads(said.out)
    assert log["version"] == "2.1.0"
    assert log["$schema"].endswith("sarif-schema-2.1.0.json")
    (run,) = log["runs"]
    driver = run["tool"]["driver"]
    assert driver["name"] == "ThinkLonger"
    assert re.fullmatch(r"\d+\.\d+\.\d+", driver["semanticVersion"])
    assert [rule["id"] for rule in driver["rules"]] == ["suspicious-code"]
    base = run["originalUriBaseIds"]["SRCROOT"]["uri"]
    assert base == terminal.repository.as_uri() + "/"
    assert len(run["results"]) == 2
    for result in run["results"]:
        assert driver["rules"][result["ruleIndex"]]["id"] == result["ruleId"]
        assert result["level"] == "note"
        assert 0 <= result["rank"] <= 100
        assert result["message"]["text"]
        (location,) = result["locations"]
        artifact = location["physicalLocation"]["artifactLocation"]
        assert artifact == {"uri": "app/pager.py", "uriBaseId": "SRCROOT"}
        region = location["physicalLocation"]["region"]
        assert 1 <= region["startLine"] <= region["endLine"]
        assert re.fullmatch(r"[0-9a-f]{32}", result["partialFingerprints"]["thinkLongerSymbol/v1"])
    ranks = [result["rank"] for result in run["results"]]
    assert ranks == sorted(ranks, reverse=True)
    first = run["results"][0]["message"]["text"]
    assert first == "Pager.page may hold the fault.\ntests/test_pager.py::test_last_page: coverage\npage: name"


@given(st.lists(SEGMENT, min_size=1, max_size=3).map(lambda parts: PurePosixPath(*parts)))
def test_uris_are_relative_references(path: PurePosixPath) -> None:
    """RFC 3986: only characters that may stand there, no scheme, and the path's bytes come back."""
    reference = uri(path)
    assert re.fullmatch(r"(?:[A-Za-z0-9._~/-]|%[0-9A-F]{2})+", reference.removeprefix("./"))
    assert not re.match(r"[a-zA-Z][a-zA-Z0-9+.-]*:", reference)
    assert unquote_to_bytes(reference.removeprefix("./")) == str(path).encode()


def test_bytes_that_are_not_utf8_survive_in_uris() -> None:
    """A path is bytes; each is encoded as it is on disk."""
    assert uri(PurePosixPath("a b/\udcff:1.py")) == "a%20b/%FF%3A1.py"


def test_fingerprints_follow_the_symbol_not_the_lines() -> None:
    """Edits above a symbol move it; the fingerprint stays. Another symbol has another."""
    assert fingerprint(PLACE) == fingerprint(replace(PLACE, start_line=40, end_line=46, score=0.1))
    others = [replace(PLACE, symbol="C.n"), replace(PLACE, path=PurePosixPath("b/b.py"))]
    assert len({fingerprint(place) for place in (PLACE, *others)}) == 3


def test_odd_figures_stay_within_the_standard() -> None:
    """Ranks end at 0 and 100 and lines begin at 1, whatever the ranking says."""
    places = [replace(PLACE, score=score, start_line=0, end_line=0) for score in (-1.0, 7.0)]
    log = json.loads(json.dumps(sarif(places, root=Path("/r"), version="1.0.0", words=Words())))
    assert [result["rank"] for result in log["runs"][0]["results"]] == [0.0, 100.0]
    region = log["runs"][0]["results"][0]["locations"][0]["physicalLocation"]["region"]
    assert region == {"startLine": 1, "endLine": 1}
