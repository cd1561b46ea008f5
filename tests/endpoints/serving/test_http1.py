"""The HTTP server over real sockets: framing, order, answers."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.endpoints.loop_thread import RawClient
from tests.endpoints.serving.http1_echo import GET, Served, post


def test_a_request_is_answered_and_the_connection_stays_open(served: Served) -> None:
    with served.client() as client:
        for _ in range(3):
            client.send(post(b"hello"))
            status, headers, body = client.answer()
            assert (status, body) == (200, b"POST /p  hello")
            assert headers["content-length"] == "14"
            assert "connection" not in headers
            assert headers["date"].endswith("GMT")


def test_a_chunked_body_with_extensions_and_trailers_is_read(served: Served) -> None:
    head = b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    chunks = b"3;a=b\r\nabc\r\n2\r\nde\r\n0\r\nX-Trailer: 1\r\n\r\n"
    with served.client() as client:
        client.send(head + chunks + GET)
        assert client.answer()[2] == b"POST /p  abcde"
        assert client.answer()[2] == b"GET /g q=1 "


def test_pipelined_requests_are_answered_in_order(served: Served) -> None:
    with served.client() as client:
        client.send(post(b"1", b"/slow") + post(b"2") + GET + post(b"4", b"/slow"))
        bodies = [client.answer()[2] for _ in range(4)]
    assert bodies == [b"POST /slow  1", b"POST /p  2", b"GET /g q=1 ", b"POST /slow  4"]


def test_too_many_pipelined_requests_end_the_connection(served: Served) -> None:
    with served.client() as client:
        client.send(post(b"", b"/slow") + GET * 500)
        statuses = [status for status, _, _ in _answers(client)]
    assert statuses[0] == 200
    assert statuses[-1] == 400
    assert len(statuses) < 100


def _answers(client: RawClient) -> Iterator[tuple[int, dict[str, str], bytes]]:
    try:
        while True:
            yield client.answer()
    except ConnectionError:
        return


def test_the_absolute_form_of_a_target_is_understood(served: Served) -> None:
    assert served.exchange(b"GET http://a/x?y HTTP/1.1\r\nHost: a\r\n\r\n")[2] == b"GET /x y "


def test_a_head_request_gets_no_body(served: Served) -> None:
    with served.client() as client:
        client.send(b"HEAD /h HTTP/1.1\r\nHost: a\r\n\r\n")
        status, headers, _ = client.answer(no_body=True)
        assert (status, headers["content-length"]) == (200, "9")
        client.send(GET)
        assert client.answer()[2] == b"GET /g q=1 "


@pytest.mark.parametrize("n_pieces", [0, 1, 3, 40])
def test_an_answer_in_pieces_is_one_body(served: Served, n_pieces: int) -> None:
    whole = b"".join(b"%d" % (n % 10) * 50_000 for n in range(n_pieces))
    with served.client() as client:
        client.send(b"GET /pieces?%d HTTP/1.1\r\nHost: a\r\n\r\n" % n_pieces + GET)
        status, headers, body = client.answer()
        assert (status, headers["content-length"], body == whole) == (200, str(50_000 * n_pieces), True)
        assert client.answer()[2] == b"GET /g q=1 "
        client.send(b"HEAD /pieces?%d HTTP/1.1\r\nHost: a\r\n\r\n" % n_pieces)
        assert client.answer(no_body=True)[1]["content-length"] == str(50_000 * n_pieces)


def test_http_1_0_closes_unless_asked_to_stay(served: Served) -> None:
    with served.client() as client:
        client.send(b"GET /a HTTP/1.0\r\n\r\n")
        assert client.answer()[1]["connection"] == "close"
        assert client.is_closed()
    with served.client() as client:
        client.send(b"GET /a HTTP/1.0\r\nConnection: keep-alive\r\n\r\n")
        assert client.answer()[1]["connection"] == "keep-alive"
        client.send(b"GET /b HTTP/1.0\r\n\r\n")
        assert client.answer()[2] == b"GET /b  "


def test_an_http_1_0_client_gets_a_stream_without_chunks(served: Served) -> None:
    status, headers, body = served.exchange(b"GET /stream?2 HTTP/1.0\r\n\r\n")
    assert status == 200
    assert "transfer-encoding" not in headers
    assert body == b"x" * 131072


@pytest.mark.parametrize("upgrade", [b"h2c", b"websocket"])
def test_an_upgrade_is_ignored_and_the_body_still_read(served: Served, upgrade: bytes) -> None:
    extra = b"Connection: Upgrade\r\nUpgrade: %b\r\n" % upgrade
    with served.client() as client:
        client.send(post(b"abc", extra=extra) + post(b"", extra=extra) + GET)
        assert client.answer()[2] == b"POST /p  abc"
        assert client.answer()[2] == b"POST /p  "
        assert client.answer()[2] == b"GET /g q=1 "


def test_an_upgrade_with_a_body_in_pieces_is_read(served: Served) -> None:
    head = b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n"
    head += b"Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n"
    with served.client() as client:
        client.send(head)
        client.send(b"3\r\nabc\r\n")
        client.send(b"0\r\n\r\n" + GET)
        assert client.answer()[2] == b"POST /p  abc"
        assert client.answer()[2] == b"GET /g q=1 "


SMUGGLING = {
    "length and chunked": b"Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "chunked and length": b"Transfer-Encoding: chunked\r\nContent-Length: 3\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 3\r\nContent-Length: 4\r\n\r\nabc",
    "the same length twice": b"Content-Length: 3\r\nContent-Length: 3\r\n\r\nabc",
    "a list of lengths": b"Content-Length: 3, 3\r\n\r\nabc",
    "negative length": b"Content-Length: -3\r\n\r\nabc",
    "signed length": b"Content-Length: +3\r\n\r\nabc",
    "hexadecimal length": b"Content-Length: 0x3\r\n\r\nabc",
    "empty length": b"Content-Length: \r\n\r\nabc",
    "overflowing length": b"Content-Length: 99999999999999999999999\r\n\r\nabc",
    "space before the colon": b"Content-Length : 3\r\n\r\nabc",
    "folded header": b"X: b\r\n c\r\nContent-Length: 3\r\n\r\nabc",
    "bare carriage return": b"X: b\rContent-Length: 3\r\n\r\nabc",
    "bare line feed": b"X: b\nContent-Length: 3\r\n\r\nabc",
    "zero byte": b"X: b\x00c\r\n\r\n",
    "unknown transfer encoding": b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "chunked not last": b"Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n",
    "gzip before chunked": b"Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
    "chunked twice": b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two hosts": b"Host: b\r\n\r\n",
}


@pytest.mark.parametrize("rest", SMUGGLING.values(), ids=SMUGGLING.keys())
def test_a_request_that_could_be_framed_in_two_ways_is_refused(served: Served, rest: bytes) -> None:
    with served.client() as client:
        client.send(b"POST /p HTTP/1.1\r\nHost: a\r\n" + rest + GET)
        status, headers, _ = client.answer()
        assert status in (400, 501)
        assert headers["connection"] == "close"
        assert client.is_closed()
    assert served.echo.n_requests == 0


BAD_CHUNKS = {
    "bare line feeds": b"3\nabc\n0\n\n",
    "negative size": b"-3\r\nabc\r\n0\r\n\r\n",
    "0x size": b"0x3\r\nabc\r\n0\r\n\r\n",
    "no line end after data": b"3\r\nabcd\r\n0\r\n\r\n",
    "overflowing size": b"fffffffffffffffff\r\nabc\r\n0\r\n\r\n",
}


@pytest.mark.parametrize("chunks", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
def test_a_malformed_chunk_is_refused(served: Served, chunks: bytes) -> None:
    with served.client() as client:
        client.send(b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n" + chunks + GET)
        status, headers, _ = client.answer()
        assert (status, headers["connection"]) == (400, "close")
        assert client.is_closed()
    assert served.echo.n_requests == 1


BAD_HEADS = {
    "no host": (b"GET / HTTP/1.1\r\n\r\n", 400),
    "http/0.9": (b"GET /\r\n\r\n", 505),
    "http/2 preface": (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400),
    "http/1.0 with chunks": (b"POST / HTTP/1.0\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n", 400),
    "no path": (b"GET x HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "connect": (b"CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "unknown method": (b"FOO / HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "space in the path": (b"GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", 400),
    "tls": (b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", 400),
    "long target": (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    "long header": (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 9000 + b"\r\n\r\n", 431),
    "many headers": (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: 1\r\n" * 30 + b"\r\n", 431),
}


@pytest.mark.parametrize(("data", "expected"), BAD_HEADS.values(), ids=BAD_HEADS.keys())
def test_a_head_outside_the_rules_is_refused(served: Served, data: bytes, expected: int) -> None:
    with served.client() as client:
        client.send(data)
        assert client.answer()[0] == expected
        assert client.is_closed()
    assert served.echo.n_requests == 0


def test_a_client_that_asks_first_is_told_to_go_on(served: Served) -> None:
    with served.client() as client:
        client.send(b"POST /p HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        assert client.answer()[0] == 100
        client.send(b"abc")
        assert client.answer()[2] == b"POST /p  abc"


def test_a_client_that_asks_first_is_refused_without_sending(served: Served) -> None:
    with served.client() as client:
        client.send(b"POST /refused HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Length: 3\r\n\r\n")
        status, headers, _ = client.answer()
        assert (status, headers["connection"]) == (401, "close")


def test_a_small_body_that_nobody_read_does_not_end_the_connection(served: Served) -> None:
    with served.client() as client:
        client.send(b"POST /refused HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\n\r\n")
        status, headers, _ = client.answer()
        assert status == 401
        assert "connection" not in headers
        client.send(b"abc" + GET)
        assert client.answer()[2] == b"GET /g q=1 "


def test_an_error_of_ours_is_a_500_without_details(served: Served, caplog: pytest.LogCaptureFixture) -> None:
    status, _, body = served.exchange(post(b"", b"/bug"))
    assert status == 500
    assert b"secret" not in body
    assert "secret detail" in caplog.text


def test_an_answer_that_was_cut_short_ends_the_connection(served: Served) -> None:
    with served.client() as client:
        client.send(post(b"", b"/cut"))
        with pytest.raises(ConnectionError):
            client.answer()


WHOLE = (
    post(b"abc")
    + b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n2\r\nde\r\n0\r\n\r\n"
    + GET
)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(cuts=st.lists(st.integers(1, len(WHOLE) - 1), max_size=12, unique=True))
def test_requests_are_the_same_however_they_are_cut_into_pieces(served: Served, cuts: list[int]) -> None:
    edges = [0, *sorted(cuts), len(WHOLE)]
    with served.client() as client:
        client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for start, end in pairwise(edges):
            client.send(WHOLE[start:end])
        assert [client.answer()[2] for _ in range(3)] == [b"POST /p  abc", b"POST /p  de", b"GET /g q=1 "]


@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(garbage=st.one_of(st.binary(min_size=1, max_size=200), st.binary(max_size=3)))
def test_garbage_is_refused_and_the_server_lives_on(served: Served, garbage: bytes) -> None:
    with served.client() as client:
        client.send(b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 1" + garbage + b"\r\n\r\n" + garbage)
        client.sock.shutdown(socket.SHUT_WR)
        try:
            answers = [status for status, _, _ in _answers(client)]
        except OSError:
            answers = []
    assert set(answers) <= {200, 400, 408, 414, 431, 501, 505}
    assert served.exchange(GET)[0] == 200
