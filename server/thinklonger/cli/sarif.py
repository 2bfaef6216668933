"""Ranked locations as SARIF 2.1.0 (OASIS, 27 March 2020), for code scanning views and editors."""

import hashlib
from collections.abc import Sequence
from pathlib import Path, PurePosixPath
from urllib.parse import quote

from thinklonger.agent.types import EvidenceKind, Location
from thinklonger.cli.machine import Plain, plain
from thinklonger.cli.words import Words

VERSION = "2.1.0"
SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
RULE = "suspicious-code"
ROOT = "SRCROOT"


def sarif(locations: Sequence[Location], *, root: Path, version: str, words: Words) -> Plain:
    """A SARIF log with one result for each location. Suspicion is no finding: level `note`, and a rank of 0 to 100."""
    return {
        "$schema": SCHEMA,
        "version": VERSION,
        "runs": [
            {
                "tool": {"driver": _driver(version, words)},
                "language": words.language,
                "columnKind": "unicodeCodePoints",
                "originalUriBaseIds": {ROOT: {"uri": root.resolve().as_uri() + "/"}},
                "results": [_result(location, words) for location in locations],
            }
        ],
    }


def uri(path: PurePosixPath) -> str:
    """The path as a relative URI reference: every segment percent-encoded, its bytes as they are on disk."""
    encoded = quote(str(path).encode("utf-8", "surrogateescape"), safe="/")
    return encoded if ":" not in encoded.partition("/")[0] else f"./{encoded}"


def fingerprint(location: Location) -> str:
    """What stays the same while lines move: the file and the symbol."""
    text = f"{location.path}\0{location.kind}\0{location.symbol}"
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()[:32]


def _driver(version: str, words: Words) -> Plain:
    return {
        "name": "ThinkLonger",
        "version": version,
        "semanticVersion": version,
        "rules": [
            {
                "id": RULE,
                "name": "SuspiciousCode",
                "shortDescription": {"text": words.say("report.rule")},
                "fullDescription": {"text": words.say("report.rule-in-full")},
                "defaultConfiguration": {"level": "note"},
            }
        ],
    }


def _result(location: Location, words: Words) -> Plain:
    reasons = [words.render(evidence.message) for evidence in location.evidence]
    symbol = location.symbol or words.say("event.module-level")
    text = words.say("report.suspicious", symbol=symbol)
    logical: dict[str, Plain] = {"fullyQualifiedName": location.symbol or str(location.path), "kind": _kind(location)}
    return {
        "ruleId": RULE,
        "ruleIndex": 0,
        "level": "note",
        "rank": round(100 * min(max(location.score, 0.0), 1.0), 2),
        "message": {"text": "\n".join([text, *reasons])},
        "locations": [
            {
                "physicalLocation": {
                    "artifactLocation": {"uri": uri(location.path), "uriBaseId": ROOT},
                    "region": {"startLine": max(1, location.start_line), "endLine": max(1, location.end_line)},
                },
                "logicalLocations": [logical],
            }
        ],
        "partialFingerprints": {"thinkLongerSymbol/v1": fingerprint(location)},
        "properties": {
            "score": location.score,
            "evidence": plain(location.evidence, words),
            "demoted": any(evidence.kind is EvidenceKind.DEMOTED for evidence in location.evidence),
        },
    }


def _kind(location: Location) -> str:
    """SARIF's word for a kind of symbol (3.33.7): `function` for functions, `member` for methods."""
    return {"class": "type", "method": "member"}.get(location.kind, str(location.kind))
