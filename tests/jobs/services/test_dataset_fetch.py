"""Fetching over HTTPS: a real server on loopback, with the address rule given instead of the public one."""

from __future__ import annotations

import contextlib
import ipaddress
import socket
import ssl
import threading
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from jobs.services.dataset_fetch import https_fetch
from mlplatform.core.errors import InvalidRequest, TooLarge
from mlplatform.core.outbound import address_is_allowed, address_is_public

DATA = b"a,b\n1,2\n" * 1000


class _Handler(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path.startswith("/to/"):
            self.send_response(302)
            self.send_header(
                "Location", self.path.removeprefix("/to/").replace("PORT", str(self.server.server_port))
            )
            self.end_headers()
        elif self.path.startswith("/data"):
            self.send_response(200)
            if "short" in self.path:
                self.send_header("Content-Length", str(len(DATA) + 10))
            elif "unsized" not in self.path:
                self.send_header("Content-Length", str(len(DATA)))
            self.end_headers()
            self.wfile.write(DATA)
        else:
            self.send_error(404)

    def log_message(self, *_: object) -> None:
        pass


def _certificate(folder: Path) -> Path:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = folder / "server.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture(scope="module")
def pem(tmp_path_factory) -> Path:
    return _certificate(tmp_path_factory.mktemp("tls"))


@pytest.fixture(scope="module")
def base(pem) -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), _Handler)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)
    server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"https://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def fetch(pem, tmp_path):
    def run(url: str, **options) -> bytes:
        path = tmp_path / "data"
        tls = ssl.create_default_context(cafile=str(pem))
        https_fetch(
            url, path, **{"limit_bytes": 10**6, "allowed": lambda address: True, "tls": tls} | options
        )
        return path.read_bytes()

    return run


@pytest.mark.parametrize(
    "path", ["/data.csv", "/data.csv?unsized", "/to//data.csv", "/to/https://127.0.0.1:PORT/data"]
)
def test_the_content_is_fetched_also_after_a_redirect(base, fetch, path):
    assert fetch(base + path) == DATA


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/other", "answer was 404"),
        ("/to/http://127.0.0.1/x", "use https://host/path"),
        ("/to/file:///etc/passwd", "use https://host/path"),
        ("/data?short", "could not be read"),
    ],
)
def test_another_answer_is_refused(base, fetch, path, words):
    with pytest.raises(InvalidRequest, match=words) as caught:
        fetch(base + path)
    assert caught.value.errors[0].field == "uri"


def test_a_redirect_to_a_forbidden_address_is_not_followed(base, fetch):
    asked = []

    def only_first(address: str) -> bool:
        asked.append(address)
        return len(asked) == 1

    with pytest.raises(InvalidRequest, match="not on the public internet"):
        fetch(f"{base}/to/https://127.0.0.1:PORT/data", allowed=only_first)


def test_a_circle_of_redirects_ends(fetch, base):
    circle = "/to/" * 6 + "data"
    with pytest.raises(InvalidRequest, match="more than 5 times"):
        fetch(base + circle)


@pytest.mark.parametrize("path", ["/data", "/data?unsized"])
def test_too_much_is_refused(base, fetch, path):
    with pytest.raises(TooLarge):
        fetch(base + path, limit_bytes=len(DATA) - 1)
    assert fetch(base + path, limit_bytes=len(DATA)) == DATA


def test_a_certificate_of_nobody_is_refused(base, fetch):
    with pytest.raises(InvalidRequest, match="certificate"):
        fetch(base + "/data", tls=ssl.create_default_context())


def test_it_may_not_take_for_ever(base, fetch):
    with pytest.raises(InvalidRequest, match="too long"):
        fetch(base + "/data", total_timeout_s=-1)


@pytest.mark.parametrize("drips", ["headers", "content", "handshake"])
def test_a_server_that_drips_is_left_at_the_deadline(fetch, pem, drips):
    with dripping_server(pem, drips) as base, pytest.raises(InvalidRequest, match="too long"):
        fetch(base + "/data", total_timeout_s=1)


@contextlib.contextmanager
def dripping_server(pem: Path, what: str) -> Iterator[str]:
    """Sends a byte every tenth of a second, never an end: no single read takes long."""
    ended = threading.Event()
    listener = socket.create_server(("127.0.0.1", 0))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(pem)

    def serve() -> None:
        plain, _address = listener.accept()
        with contextlib.suppress(OSError), contextlib.closing(plain):
            if what == "handshake":
                ended.wait(20)
                return
            with context.wrap_socket(plain, server_side=True) as secured:
                secured.sendall(b"HTTP/1.1 200 OK\r\n" + (b"\r\n" if what == "content" else b"X: "))
                while not ended.wait(0.1):
                    secured.sendall(b"x")

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield f"https://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        ended.set()
        thread.join()
        listener.close()


def test_an_operator_may_allow_a_network_of_the_house(settings):
    assert not address_is_allowed("10.20.1.1")
    settings.MLPLATFORM_OUTBOUND_NETWORKS = [*map(ipaddress.ip_network, ("10.20.0.0/16", "fd00:20::/32"))]
    assert address_is_allowed("10.20.1.1") and address_is_allowed("fd00:20::1")
    assert not address_is_allowed("10.21.1.1") and not address_is_allowed("127.0.0.1")
    assert address_is_allowed("93.184.216.34")


def test_a_host_of_which_one_address_is_private_is_refused(fetch, monkeypatch):
    answers = [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (ip, 443)) for ip in ("93.184.216.34", "10.0.0.1")]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_args, **_options: answers)
    with pytest.raises(InvalidRequest, match="not on the public internet"):
        fetch("https://twofaced.example/data", allowed=address_is_public)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "10.1.2.3",
        "172.16.0.1",
        "192.168.1.1",
        "169.254.169.254",
        "100.64.0.1",
        "0.0.0.0",
        "224.0.0.1",
        "255.255.255.255",
        "::1",
        "::",
        "fe80::1%eth0",
        "fd00::1",
        "ff02::1",
        "::ffff:127.0.0.1",
        "2002:7f00:1::",
        "64:ff9b::7f00:1",
        "fec0::1",
        "::7f00:1",
    ],
)
def test_addresses_of_inside_are_not_public(address):
    assert not address_is_public(address)


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1:248:1893:25c8:1946"])
def test_addresses_of_the_internet_are_public(address):
    assert address_is_public(address)
