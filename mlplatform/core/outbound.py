"""Requests to addresses that a user gave, without letting the user reach into the platform's own network.

Every address a name stands for must be public (or one the operator allows), the connection goes to the address that
was checked, so that a second answer of the name server changes nothing, each redirect is checked anew, and the whole
exchange has one deadline, headers included. Only https is spoken. Called by the import of datasets; whatever else is
to call out on a user's behalf goes through here.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

from django.conf import settings

from mlplatform.core.errors import InvalidRequest
from mlplatform.core.text import text as _

CONNECT_TIMEOUT_S: Final = 10
READ_TIMEOUT_S: Final = 30
TOTAL_TIMEOUT_S: Final = 1800
MAX_REDIRECTS: Final = 5
CHUNK_BYTES: Final = 1024 * 1024
_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_FAULTS = (OSError, http.client.HTTPException)


def address_is_public(address: str) -> bool:
    """Whether the address is one of the public internet: not private, loopback, link-local, shared or multicast."""
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        # Outside this block are forms that a translator on the way may turn into a private IPv4 address.
        embedded = found.sixtofour
        return found in _GLOBAL_IPV6 and found.is_global and (embedded is None or embedded.is_global)
    return found.is_global and not found.is_multicast


def address_is_allowed(address: str) -> bool:
    """Whether the platform may connect there: a public address, or one in `MLPLATFORM_OUTBOUND_NETWORKS`."""
    found = ipaddress.ip_address(address.partition("%")[0])
    return address_is_public(address) or any(
        found in network for network in settings.MLPLATFORM_OUTBOUND_NETWORKS
    )


@dataclass(frozen=True)
class OutboundAnswer:
    """The answer to a request, still to be read."""

    status: int
    length: int | None
    pieces: Iterator[bytes]


@contextmanager
def outbound_request(
    url: str,
    *,
    field: str,
    method: str = "GET",
    body: bytes | None = None,
    headers: Mapping[str, str] | None = None,
    allowed: Callable[[str], bool] = address_is_allowed,
    tls: ssl.SSLContext | None = None,
    total_timeout_s: float = TOTAL_TIMEOUT_S,
) -> Iterator[OutboundAnswer]:
    """Sends a request and gives its answer; a GET follows redirects, anything else does not.

    Args:
        field: Name of the field that `url` was given in, for errors.
        allowed: Which addresses may be connected to.
        tls: The default checks the server's certificate against the system's authorities.
        total_timeout_s: From the first look-up to the last byte of the answer.

    Raises:
        InvalidRequest: field `field`: not https, an address that is not allowed, no answer in time or a broken one;
            also while the pieces are read.
    """
    tls = tls or ssl.create_default_context()
    sent = {"Accept": "*/*", "Accept-Encoding": "identity", **(headers or {})}
    with closing(_Deadline(total_timeout_s)) as deadline:
        for _attempt in range(MAX_REDIRECTS + 1):
            parts = _checked(url, field)
            connection = _Connection(parts, _address(parts, allowed, field), tls, deadline)
            with closing(connection):
                with _told(parts, field, deadline):
                    connection.request(method, _target(parts), body=body, headers=sent)
                    response = connection.getresponse()
                with closing(response):
                    following = response.getheader("Location")
                    if method != "GET" or response.status not in _REDIRECTS or not following:
                        pieces = _pieces(response, parts, field, deadline)
                        yield OutboundAnswer(response.status, response.length, pieces)
                        return
            url = urljoin(url, following)
    raise InvalidRequest.for_field(field, _("it redirects more than {n} times", n=MAX_REDIRECTS))


class _Deadline:
    """Ends the connection that it watches when the time is up, wherever the exchange is then."""

    def __init__(self, seconds: float) -> None:
        self._ends_at = time.monotonic() + seconds
        self._watched: socket.socket | None = None
        self._timer = threading.Timer(max(seconds, 0.0), self._cut)
        self._timer.daemon = True
        self._timer.start()

    @property
    def passed(self) -> bool:
        return time.monotonic() >= self._ends_at

    def watch(self, connected: socket.socket) -> None:
        self._watched = connected
        if self.passed:
            self._cut()

    def close(self) -> None:
        self._timer.cancel()

    def _cut(self) -> None:
        if self._watched is not None:
            with suppress(OSError):
                # Not its own shutdown, which would go on without encryption.
                socket.socket.shutdown(self._watched, socket.SHUT_RDWR)


class _Connection(http.client.HTTPSConnection):
    """Connects to the address that was checked, and checks the certificate against the name."""

    def __init__(self, parts: SplitResult, address: str, tls: ssl.SSLContext, deadline: _Deadline) -> None:
        super().__init__(parts.hostname or "", parts.port or 443, timeout=CONNECT_TIMEOUT_S, context=tls)
        self._address = address
        self._tls = tls
        self._deadline = deadline

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), CONNECT_TIMEOUT_S)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host, do_handshake_on_connect=False)
        self._deadline.watch(self.sock)
        self.sock.do_handshake()
        self.sock.settimeout(READ_TIMEOUT_S)


@contextmanager
def _told(parts: SplitResult, field: str, deadline: _Deadline) -> Iterator[None]:
    """What goes wrong on the way, as a fault of the address that was given."""
    try:
        yield
    except _FAULTS as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        if deadline.passed:
            reason = _("it took too long")
        said = _("{host} could not be read: {reason}", host=parts.hostname, reason=reason)
        raise InvalidRequest.for_field(field, said) from None


def _checked(url: str, field: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        legal = parts.scheme == "https" and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        legal, parts = False, urlsplit("")
    if not legal or parts.username is not None or not url.isascii() or any(c <= " " for c in url):
        said = _("“{uri}” is not an address that can be read; use https://host/path", uri=url[:200])
        raise InvalidRequest.for_field(field, said)
    return parts


def _address(parts: SplitResult, allowed: Callable[[str], bool], field: str) -> str:
    host = parts.hostname or ""
    try:
        found = socket.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise InvalidRequest.for_field(field, _("the host “{host}” is not known", host=host[:100])) from None
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(allowed(address) for address in addresses):
        said = _("the host “{host}” is not on the public internet", host=host[:100])
        raise InvalidRequest.for_field(field, said)
    return addresses[0]


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _pieces(
    response: http.client.HTTPResponse, parts: SplitResult, field: str, deadline: _Deadline
) -> Iterator[bytes]:
    while True:
        with _told(parts, field, deadline):
            piece = response.read1(CHUNK_BYTES)
            if deadline.passed:
                raise TimeoutError
            if not piece and response.length:
                raise http.client.IncompleteRead(b"", response.length)
        if not piece:
            return
        yield piece
