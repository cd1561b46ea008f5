"""The HTTP server over real sockets: limits, timeouts, disconnects."""

from __future__ import annotations

import socket

import pytest

from endpoints.serving.address import Address
from endpoints.serving.answers import refuse
from endpoints.serving.http1 import HttpServer
from tests.endpoints.loop_thread import LoopThread, RawClient, poll
from tests.endpoints.serving.http1_echo import GET, LIMIT_BYTES, LIMITS, Echo, Served, post


def test_a_header_that_never_ends_is_cut_off_at_the_limit(served: Served) -> None:
    with served.client() as client:
        client.send(b"GET / HTTP/1.1\r\nHost: a\r\nX: ")
        with pytest.raises(ConnectionError):
            for _ in range(2000):
                client.send(b"a" * 1024)
                client.sock.settimeout(0.001)
                try:
                    if not client.sock.recv(4096):
                        raise ConnectionError
                except TimeoutError:
                    pass
                client.sock.settimeout(10)


def test_endless_chunk_extensions_are_cut_off(served: Served) -> None:
    with served.client() as client:
        client.send(b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1;")
        for _ in range(80):
            client.send(b"e" * 1024)
        assert client.answer()[0] == 400


def test_a_body_over_the_limit_is_refused_by_its_length_before_it_is_sent(served: Served) -> None:
    with served.client() as client:
        client.send(b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: %d\r\n\r\n" % (LIMIT_BYTES + 1))
        status, headers, body = client.answer()
        assert (status, headers["connection"]) == (413, "close")
        assert b"100,001 bytes" in body


def test_a_body_of_exactly_the_limit_is_accepted(served: Served) -> None:
    assert served.exchange(post(b"a" * LIMIT_BYTES))[0] == 200


def test_a_chunked_body_over_the_limit_is_refused_while_it_arrives(served: Served) -> None:
    with served.client() as client:
        client.send(b"POST /p HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n")
        client.send(b"%x\r\n%b\r\n" % (LIMIT_BYTES, b"a" * LIMIT_BYTES))
        client.send(b"1\r\na\r\n")
        assert client.answer()[0] == 413


def test_a_client_that_sends_all_before_reading_still_gets_the_refusal(served: Served) -> None:
    status, _, body = served.exchange(post(b"a" * (5 * 1024 * 1024)))
    assert status == 413
    assert b"at most 100,000 bytes" in body


def test_a_client_that_goes_away_cancels_its_request(served: Served) -> None:
    with served.client() as client:
        client.send(post(b"", b"/wait"))
        poll(lambda: served.echo.n_requests)
    poll(lambda: served.echo.events == ["cancelled"])


def test_a_head_that_trickles_in_is_given_up(served: Served) -> None:
    with served.client() as client:
        client.send(b"GET / HT")
        status, _, body = client.answer()
        assert status == 408
        assert b"did not arrive in time" in body


def test_a_connection_that_sends_nothing_is_closed(served: Served) -> None:
    with served.client() as client:
        assert client.is_closed()


def test_an_idle_connection_is_closed(served: Served) -> None:
    with served.client() as client:
        client.send(GET)
        client.answer()
        assert client.is_closed()


def test_a_body_that_stalls_is_given_up(served: Served) -> None:
    with served.client() as client:
        client.send(b"POST /p HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nabc")
        status, headers, body = client.answer()
        assert (status, headers["connection"]) == (400, "close")
        assert b"did not arrive in time" in body


def test_a_client_that_does_not_read_is_cut_off(served: Served) -> None:
    with served.client() as client:
        client.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        client.send(b"GET /stream?10000 HTTP/1.1\r\nHost: a\r\n\r\n")
        sent = poll(lambda: served.echo.events)[0]
    assert int(sent.split()[1]) < 64 * 2**20


def test_a_connection_over_the_limit_is_refused(served: Served) -> None:
    clients = []
    try:
        for _ in range(LIMITS.n_connections):
            clients.append(served.client())
            clients[-1].send(GET)
            assert clients[-1].answer()[0] == 200
        with served.client() as one_more:
            assert one_more.answer()[0] == 503
    finally:
        for client in clients:
            client.sock.close()


def test_draining_answers_what_has_begun_and_closes_the_rest(loop_thread: LoopThread) -> None:
    echo = Echo()
    server = loop_thread.make(lambda: HttpServer(echo, refuse=refuse))
    address = loop_thread.call(server.listen(Address(host="127.0.0.1")))
    with RawClient((address.host, address.port)) as busy, RawClient((address.host, address.port)) as idle:
        idle.send(GET)
        idle.answer()
        busy.send(post(b"x", b"/slow"))
        poll(lambda: echo.n_requests == 2)
        loop_thread.call(server.drain(grace_s=5))
        status, headers, body = busy.answer()
        assert (status, headers["connection"], body) == (200, "close", b"POST /slow  x")
        assert idle.is_closed()
    with pytest.raises(ConnectionRefusedError):
        RawClient((address.host, address.port))
