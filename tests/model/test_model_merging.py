"""Merged chunks: the same response for whoever parses it, however it comes, and few chunks instead of many."""

from itertools import pairwise

import h11
from hypothesis import given
from hypothesis import strategies as st

from thinklonger.agent.model.merging import Merger

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n"
PIECES = st.lists(st.binary(min_size=1, max_size=40), max_size=12)
CUTS = st.lists(st.integers(0, 2000), max_size=12)
ENDS = st.sampled_from([b"0\r\n\r\n", b"0\r\nX-Trailer: 1\r\n\r\n", b"", b"zz\r\n\r\n", b"-5\r\nabc\r\n", b"5\r\nab"])
HEADS = st.sampled_from(
    [
        HEAD,
        b"HTTP/1.1 100 Continue\r\n\r\n" + HEAD,
        HEAD.replace(b"chunked", b"Chunked"),
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n\r\n",
    ]
)


def chunks(pieces: list[bytes]) -> bytes:
    """Each piece in a chunk of its own, some with an extension."""
    return b"".join(
        b"%x%s\r\n%s\r\n" % (len(piece), b";x=1" if len(piece) % 3 == 0 else b"", piece) for piece in pieces
    )


def cut(data: bytes, cuts: list[int]) -> list[bytes]:
    """The bytes in pieces, cut at those places."""
    places = sorted({0, len(data), *(place % (len(data) + 1) for place in cuts)})
    return [data[begin:end] for begin, end in pairwise(places)]


def parsed(parts: list[bytes]) -> tuple[list[str], bytes]:
    """What h11 makes of a response and its end: kinds of events, and the body."""
    connection = h11.Connection(h11.CLIENT)
    connection.send(h11.Request(method="POST", target="/", headers=[("host", "x"), ("content-length", "0")]))
    connection.send(h11.EndOfMessage())
    kinds: list[str] = []
    body = b""
    for part in [*parts, b""]:
        if part or connection.their_state not in (h11.DONE, h11.ERROR):
            connection.receive_data(part)
        while connection.their_state not in (h11.DONE, h11.ERROR, h11.CLOSED):
            try:
                event = connection.next_event()
            except h11.RemoteProtocolError:
                kinds.append("error")
                break
            if event is h11.NEED_DATA:
                break
            if isinstance(event, h11.Data):
                body += bytes(event.data)
            else:
                kinds.append(type(event).__name__)
        if "error" in kinds:
            break
    return kinds, body


def merged(parts: list[bytes]) -> list[bytes]:
    """What a merger makes of them."""
    merger = Merger()
    found = [merger.feed(part) for part in parts]
    return [part for part in [*found, merger.end()] if part]


@given(HEADS, PIECES, ENDS, CUTS)
def test_the_response_stays_the_same(head: bytes, pieces: list[bytes], end: bytes, cuts: list[int]) -> None:
    """Chunked or not, whole or broken off, with trailers or garbage at its end: the parser sees the same."""
    whole = head + chunks(pieces) + end
    assert parsed(merged(cut(whole, cuts))) == parsed([whole])


@given(PIECES, PIECES, CUTS)
def test_a_connection_is_used_again(first: list[bytes], second: list[bytes], cuts: list[int]) -> None:
    """After a response's end, the next request's response is merged as well."""
    merger = Merger()
    for pieces in (first, second):
        merger.expect()
        parts = cut(HEAD + chunks(pieces) + b"0\r\n\r\n", cuts)
        came = [found for part in parts if (found := merger.feed(part))]
        assert parsed(came) == (["Response", "EndOfMessage"], b"".join(pieces))


def test_many_chunks_become_one() -> None:
    """What comes in one read is one chunk."""
    pieces = [b"data: %d\n\n" % number for number in range(300)]
    merger = Merger()
    merger.feed(HEAD)
    assert merger.feed(chunks(pieces)).count(b"\r\n") == 2
