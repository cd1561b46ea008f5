"""Uploads over the limit end at the limit: as soon as that is known, for whoever sends them, and leave nothing."""

from __future__ import annotations

import http.client
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.journeys.street import Street
from tests.live import ROOT
from tests.polling import wait_until

LIMIT = 200_000
BOUNDARY = "b"
pytestmark = pytest.mark.usefixtures("nothing_left")


class UnixConnection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("127.0.0.1", timeout=20)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(20)
        self.sock.connect(str(self._path))


@pytest.fixture(scope="module")
def small_web(street: Street, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Another web process of the same platform, whose upload limit is small."""
    path = tmp_path_factory.mktemp("web") / "web.sock"
    popen = subprocess.Popen(
        [sys.executable, "manage.py", "web", "--socket", path],
        cwd=ROOT,
        env={
            **street.platform.environment(),
            "MLPLATFORM_DATA_DIR": str(street.platform.data_dir),
            "MLPLATFORM_UPLOAD_LIMIT_BYTES": str(LIMIT),
        },
        stdout=subprocess.DEVNULL,
    )
    try:
        wait_until(lambda: _listens(path), timeout_s=30, what="the web process")
        yield path
    finally:
        popen.send_signal(signal.SIGTERM)
        popen.wait(timeout=20)


def _listens(path: Path) -> bool:
    try:
        with socket.socket(socket.AF_UNIX) as probe:
            probe.connect(str(path))
    except OSError:
        return False
    return True


def form(content: bytes) -> bytes:
    return (
        f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="name"\r\n\r\nlarge-one\r\n--{BOUNDARY}\r\n'
        'Content-Disposition: form-data; name="file"; filename="a.csv"\r\n\r\n'
    ).encode() + content + f"\r\n--{BOUNDARY}--\r\n".encode()  # fmt: skip


def send(street: Street, web: Path, body: bytes | Iterator[bytes]) -> tuple[int, str]:
    connection = UnixConnection(web)
    headers = {
        "Authorization": f"Bearer {street.client.token}",
        "Content-Type": f"multipart/form-data; boundary={BOUNDARY}",
    }
    try:
        connection.request("POST", "/api/v1/projects/default/datasets/", body=body, headers=headers)
        answer = connection.getresponse()
        return answer.status, answer.read().decode()
    finally:
        connection.close()


def table(n_bytes: int) -> bytes:
    return (b"1,2,3,4\n" * (n_bytes // 8 + 1))[:n_bytes]


def test_a_file_of_the_limit_is_taken_and_one_row_more_is_not(street: Street, small_web: Path) -> None:
    status, text = send(street, small_web, form(table(LIMIT)))
    assert status == 201, text
    assert street.delete("datasets/large-one/").status == 204
    status, text = send(street, small_web, form(table(LIMIT + 8)))
    assert status == 413, text
    assert f"{LIMIT:,}" in text


def test_a_body_that_does_not_say_its_length_ends_at_the_limit_too(street: Street, small_web: Path) -> None:
    def endless() -> Iterator[bytes]:
        yield form(b"").partition(b"\r\n--b--")[0]
        for _ in range(200):
            yield b"1,2,3,4\n" * 8192

    try:
        status, text = send(street, small_web, endless())
    except (BrokenPipeError, ConnectionResetError):
        return  # it was answered and closed while we were still sending
    assert status == 413, text


@pytest.mark.parametrize("known", [True, False], ids=["with a key", "without"])
def test_a_length_over_the_limit_is_refused_before_a_byte_of_the_file_is_read(
    street: Street, known: bool
) -> None:
    """Through the gateway, with the real limit; only the head and the beginning of the form are ever sent."""
    n_bytes = 6 * 1024**3 if known else 20 * 1024**2
    authorization = f"Authorization: Bearer {street.client.token}\r\n" if known else ""
    head = (
        f"POST /api/v1/projects/default/datasets/ HTTP/1.1\r\nHost: 127.0.0.1:{street.platform.port}\r\n"
        f"{authorization}Content-Type: multipart/form-data; boundary={BOUNDARY}\r\n"
        f"Content-Length: {n_bytes}\r\n\r\n"
    )
    begun = time.monotonic()
    with socket.create_connection(("127.0.0.1", street.platform.port), timeout=10) as connection:
        connection.sendall(head.encode() + form(b"1,2\n")[:120])
        answer = connection.recv(65536).decode()
    assert answer.split(" ")[1] in ({"413"} if known else {"401", "413"}), answer
    assert time.monotonic() - begun < 5


def test_an_upload_that_breaks_off_leaves_nothing(street: Street) -> None:
    content = form(table(3 * 1024**2))
    head = (
        f"POST /api/v1/projects/default/datasets/ HTTP/1.1\r\nHost: 127.0.0.1:{street.platform.port}\r\n"
        f"Authorization: Bearer {street.client.token}\r\n"
        f"Content-Type: multipart/form-data; boundary={BOUNDARY}\r\nContent-Length: {len(content)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", street.platform.port), timeout=10) as connection:
        connection.sendall(head.encode() + content[: len(content) // 2])
    assert street.get("datasets/large-one/").status == 404
