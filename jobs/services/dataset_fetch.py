"""Fetches a file over HTTPS on a user's behalf, without letting the user reach into the platform's own
network.

Every address a name stands for must be public, the connection goes to the address that was checked (so that a
second answer of the name server changes nothing), and each redirect is checked anew. Only https is spoken.
"""

from __future__ import annotations

import http.client
import ipaddress
import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import Final
from urllib.parse import SplitResult, urljoin, urlsplit

from django.utils.translation import gettext as _

from jobs.services.dataset_staging import CHUNK_BYTES, pieces_write, too_large
from mlplatform.core.errors import InvalidRequest

CONNECT_TIMEOUT_S: Final = 10
READ_TIMEOUT_S: Final = 30
TOTAL_TIMEOUT_S: Final = 1800
MAX_REDIRECTS: Final = 5
_GLOBAL_IPV6 = ipaddress.ip_network("2000::/3")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})


def address_is_public(address: str) -> bool:
    """Whether the address is one of the public internet: not private, loopback, link-local, shared or
    multicast.
    """
    found = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(found, ipaddress.IPv6Address):
        # Outside this block are forms that a translator on the way may turn into a private IPv4 address.
        embedded = found.sixtofour
        return found in _GLOBAL_IPV6 and found.is_global and (embedded is None or embedded.is_global)
    return found.is_global and not found.is_multicast


def https_fetch(
    url: str,
    path: Path,
    *,
    limit_bytes: int,
    allowed: Callable[[str], bool] = address_is_public,
    tls: ssl.SSLContext | None = None,
    total_timeout_s: float = TOTAL_TIMEOUT_S,
) -> None:
    """Writes the content at `url` to `path`.

    Args:
        allowed: Which addresses may be connected to.
        tls: The default checks the server's certificate against the system's authorities.

    Raises:
        InvalidRequest: field `uri`: not https, not a public address, no answer in time, or an answer other
            than 200.
        TooLarge: more than `limit_bytes`.
    """
    tls = tls or ssl.create_default_context()
    ends_at = time.monotonic() + total_timeout_s
    for _attempt in range(MAX_REDIRECTS + 1):
        parts = _checked(url)
        try:
            following = _fetch_one(parts, path, limit_bytes, _address(parts, allowed), tls, ends_at)
        except (OSError, http.client.HTTPException) as error:
            reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
            raise _refused(
                _("%(host)s could not be read: %(reason)s"), host=parts.hostname, reason=reason
            ) from None
        if following is None:
            return
        url = urljoin(url, following)
    raise _refused(_("it redirects more than %(n)s times"), n=MAX_REDIRECTS)


class _Connection(http.client.HTTPSConnection):
    """Connects to the address that was checked, and checks the certificate against the name."""

    def __init__(self, host: str, port: int, address: str, tls: ssl.SSLContext) -> None:
        super().__init__(host, port, timeout=CONNECT_TIMEOUT_S, context=tls)
        self._address = address
        self._tls = tls

    def connect(self) -> None:
        plain = socket.create_connection((self._address, self.port), CONNECT_TIMEOUT_S)
        self.sock = self._tls.wrap_socket(plain, server_hostname=self.host)
        self.sock.settimeout(READ_TIMEOUT_S)


def _checked(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        legal = parts.scheme == "https" and parts.hostname and (parts.port is None or parts.port > 0)
    except ValueError:
        legal, parts = False, urlsplit("")
    if not legal or parts.username is not None or not url.isascii() or any(c <= " " for c in url):
        raise _refused(_("%(uri)r is not an address that can be read; use https://host/path"), uri=url[:200])
    return parts


def _address(parts: SplitResult, allowed: Callable[[str], bool]) -> str:
    host = parts.hostname or ""
    try:
        found = socket.getaddrinfo(host, parts.port or 443, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        raise _refused(_("the host %(host)r is not known"), host=host[:100]) from None
    addresses = [str(entry[4][0]) for entry in found]
    if not addresses or not all(allowed(address) for address in addresses):
        raise _refused(_("the host %(host)r is not on the public internet"), host=host[:100])
    return addresses[0]


def _fetch_one(
    parts: SplitResult, path: Path, limit: int, address: str, tls: ssl.SSLContext, ends_at: float
) -> str | None:
    """Writes the content, or returns where it redirects to."""
    with (
        closing(_Connection(parts.hostname or "", parts.port or 443, address, tls)) as connection,
        closing(_answer(connection, parts)) as response,
    ):
        if response.status in _REDIRECTS and response.getheader("Location"):
            return response.getheader("Location")
        if response.status != 200:
            raise _refused(_("%(host)s answered %(status)s"), host=parts.hostname, status=response.status)
        if (response.length or 0) > limit:
            raise too_large(limit)
        pieces_write(_pieces(response, ends_at), path, limit)
        return None


def _answer(connection: http.client.HTTPSConnection, parts: SplitResult) -> http.client.HTTPResponse:
    target = (parts.path or "/") + (f"?{parts.query}" if parts.query else "")
    connection.request("GET", target, headers={"Accept": "*/*", "Accept-Encoding": "identity"})
    return connection.getresponse()


def _pieces(response: http.client.HTTPResponse, ends_at: float) -> Iterator[bytes]:
    while piece := response.read1(CHUNK_BYTES):
        if time.monotonic() > ends_at:
            raise TimeoutError("it took too long")
        yield piece
    if response.length:
        raise http.client.IncompleteRead(b"", response.length)


def _refused(message: str, **values: object) -> InvalidRequest:
    return InvalidRequest.for_field("uri", message % values)
