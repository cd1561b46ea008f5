"""A resumable upload through everything: broken off, stalled by another, its web process killed; then a dataset."""

from __future__ import annotations

import http.client
import os
import signal
import socket
from contextlib import closing
from typing import Any

import psutil
import pytest

from tests.journeys.street import Street
from tests.live import command_line
from tests.polling import wait_until

N_ROWS = 400_000
TABLE = b"a,b,label\n" + b"".join(b"%d,%d.25,%d\n" % (n, n % 97, n % 3) for n in range(N_ROWS))
THIRD = len(TABLE) // 3
pytestmark = pytest.mark.usefixtures("nothing_left")


def test_an_upload_outlives_its_connections_and_the_web_process(street: Street) -> None:
    headers = {"Upload-Length": str(len(TABLE)), "Upload-Metadata": "filename dC5jc3Y="}
    place = asked(street, "POST", "/api/v1/projects/default/uploads/", headers)["Location"]
    # Broken off: what has come is kept.
    broken = begin(street, place, 0, TABLE[:THIRD])
    wait_until(lambda: offset(street, place) > 0, timeout_s=20, what="what the first sends")
    broken.close()
    wait_until(lambda: is_free(street, place), timeout_s=20, what="the end of the first connection")
    first = offset(street, place)
    assert 0 < first <= THIRD
    # While one connection sends, another is refused.
    slow = begin(street, place, first, TABLE[first : 2 * THIRD])
    wait_until(lambda: offset(street, place) > first, timeout_s=20, what="what the second sends")
    assert status(street, place, first, b"x") == 423
    # The web process is killed under it, and started again by the supervisor.
    killed = web(street).pid
    os.kill(killed, signal.SIGKILL)
    slow.close()
    wait_until(lambda: offset(street, place) > 0, timeout_s=60, what="another web process")
    assert web(street).pid != killed
    reached = offset(street, place)
    assert first < reached <= 2 * THIRD
    assert status(street, place, reached + 1, TABLE[reached + 1 :]) == 409
    assert status(street, place, reached, TABLE[reached:]) == 204
    uid = place.split("/")[-2]
    made = street.post("datasets/", {"name": "in-thirds", "upload": uid, "label": "label"})
    assert made.status == 201, made.text
    assert (made.json["rows"], made.json["bytes"]) == (N_ROWS, len(TABLE))
    assert street.delete("datasets/in-thirds/").status == 204


def begin(street: Street, place: str, at: int, content: bytes) -> socket.socket:
    """A connection that has announced the rest of the table and sent some of it."""
    connection = socket.create_connection(("127.0.0.1", street.platform.port), timeout=20)
    head = f"PATCH {place} HTTP/1.1\r\nHost: 127.0.0.1:{street.platform.port}\r\n"
    for name, value in patch_headers(street, at, len(TABLE) - at).items():
        head += f"{name}: {value}\r\n"
    connection.sendall(head.encode() + b"\r\n" + content)
    return connection


def is_free(street: Street, place: str) -> bool:
    """Whether nobody is sending: told by an offset that is wrong in any case."""
    return status(street, place, len(TABLE), b"") == 409


def patch_headers(street: Street, at: int, n_bytes: int) -> dict[str, str]:
    return {
        "Authorization": f"Bearer {street.client.token}",
        "Tus-Resumable": "1.0.0",
        "Content-Type": "application/offset+octet-stream",
        "Content-Length": str(n_bytes),
        "Upload-Offset": str(at),
    }


def status(street: Street, place: str, at: int, content: bytes) -> int:
    connection = http.client.HTTPConnection("127.0.0.1", street.platform.port, timeout=30)
    with closing(connection):
        connection.request("PATCH", place, body=content, headers=patch_headers(street, at, len(content)))
        return connection.getresponse().status


def offset(street: Street, place: str) -> int:
    """-1 while no web process answers."""
    answer = asked(street, "HEAD", place, {})
    return int(answer.get("Upload-Offset", "-1"))


def asked(street: Street, method: str, path: str, headers: dict[str, str]) -> dict[str, Any]:
    connection = http.client.HTTPConnection("127.0.0.1", street.platform.port, timeout=30)
    known = {"Authorization": f"Bearer {street.client.token}"}
    with closing(connection):
        connection.request(method, path, headers=known | headers)
        return {name.title(): value for name, value in connection.getresponse().getheaders()}


def web(street: Street) -> psutil.Process:
    return next(found for found in street.platform.processes() if command_line(found)[-1:] == ["web"])
