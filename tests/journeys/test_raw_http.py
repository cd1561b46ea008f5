"""What no client would send: the gateway refuses it by itself, and goes on answering everybody else."""

from __future__ import annotations

import socket

import pytest

from tests.journeys.street import Street

PATH = b"/api/v1/projects/default/endpoints/iris-knn/invocations"


def sent(street: Street, data: bytes) -> tuple[int, bytes]:
    with socket.create_connection(("127.0.0.1", street.platform.port), timeout=10) as connection:
        connection.sendall(data)
        answer = connection.recv(65536)
    return int(answer.split(b" ")[1]), answer


@pytest.mark.parametrize(
    ("data", "status"),
    [
        pytest.param(b"GET /api/v1/health/ HTTP/1.1\r\n\r\n", 400, id="no Host"),
        pytest.param(
            b"GET /login/ HTTP/1.1\r\nHost: evil.example\r\n\r\n", 400, id="a Host that is not ours"
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\n"
            b"Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
            400,
            id="two ways of saying the length",
        ),
        pytest.param(
            b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
            400,
            id="two lengths",
        ),
        pytest.param(b"POST / HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Length: -5\r\n\r\n", 400, id="negative"),
        pytest.param(
            b"GET / HTTP/1.1\r\nHost: 127.0.0.1\r\nX: " + b"a" * 200_000 + b"\r\n\r\n",
            431,
            id="a huge header",
        ),
        pytest.param(b"\x00\x01\x02\r\n\r\n", 400, id="no HTTP"),
        pytest.param(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", 400, id="HTTP/2"),
        pytest.param(b"CONNECT a:1 HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n", 400, id="CONNECT"),
        pytest.param(
            b"POST %b HTTP/1.1\r\nHost: 127.0.0.1\r\nX-Mlplatform-Project: default\r\nContent-Length: 1\r\n\r\n1"
            % PATH,
            401,
            id="the header that is trusted on the inner socket",
        ),
    ],
)
def test_a_malformed_request_is_refused_and_the_next_one_answered(
    street: Street, data: bytes, status: int
) -> None:
    found, answer = sent(street, data)
    assert found == status, answer
    assert b"Traceback" not in answer
    assert street.client.get("health/").status == 200


def test_a_chunk_that_is_none_is_refused(street: Street) -> None:
    head = (
        f"POST {PATH.decode()} HTTP/1.1\r\nHost: 127.0.0.1\r\nAuthorization: Bearer {street.client.token}\r\n"
        "Transfer-Encoding: chunked\r\n\r\nzz\r\n"
    )
    assert sent(street, head.encode())[0] == 400
