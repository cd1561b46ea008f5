"""Which headers cross the gateway, and in what shape. Pure functions over lists of (lower case name,
value)."""

from __future__ import annotations

import ipaddress
import re
import secrets
from collections.abc import Collection, Sequence

Headers = list[tuple[bytes, bytes]]

_HOP_BY_HOP = frozenset(
    (
        b"connection",
        b"keep-alive",
        b"proxy-authenticate",
        b"proxy-authorization",
        b"proxy-connection",
        b"te",
        b"trailer",
        b"transfer-encoding",
        b"upgrade",
        b"http2-settings",
    )
)
_OURS_TO_SAY = frozenset(
    (b"forwarded", b"x-real-ip", b"x-request-id", b"proxy", b"expect", b"content-length")
)
_OUR_PREFIXES = (b"x-forwarded-", b"x-mlplatform-")
_REQUEST_ID = re.compile(rb"[A-Za-z0-9._-]{1,128}")


def request_id_of(headers: Headers) -> bytes:
    """The caller's X-Request-Id where it is harmless, otherwise a new one."""
    for name, value in headers:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return value
    return secrets.token_hex(16).encode()


def headers_for_web(
    headers: Headers, *, peer: str, request_id: bytes, trusted_proxies: Collection[str] = ()
) -> Headers:
    """The headers of a request on its way to the web process.

    Dropped: hop-by-hop headers, what only we may say (X-Forwarded-*, X-Mlplatform-*, ...), and names with an
    underscore, which the application could not tell from those with a hyphen. The body's framing is left to
    the caller.

    X-Forwarded-For is one address: the nearest that is no trusted proxy's. What a client wrote there itself stands
    further left in the list that a proxy hands on, and is never looked at.

    Args:
        peer: Address of the client's end of the connection.
        trusted_proxies: Peers whose X-Forwarded-* are believed.
    """
    named = _named_in_connection(headers)
    kept = [(name, value) for name, value in headers if not _is_dropped(name, named)]
    told = dict(headers) if peer in trusted_proxies else {}
    hops = [hop for name, value in headers if name == b"x-forwarded-for" for hop in value.split(b",")]
    host = told.get(b"x-forwarded-host") or next((value for name, value in headers if name == b"host"), b"")
    kept += [
        (b"x-forwarded-for", _client(peer, hops, trusted_proxies).encode()),
        (b"x-forwarded-proto", told.get(b"x-forwarded-proto", b"http")),
        (b"x-forwarded-host", host),
        (b"x-request-id", request_id),
    ]
    return kept


def _client(peer: str, hops: Sequence[bytes], trusted_proxies: Collection[str]) -> str:
    client = peer
    for hop in reversed(hops):
        if client not in trusted_proxies:
            break
        named = _address(hop.strip().decode("latin-1"))
        if named is None:
            break
        client = named
    return client


def _address(hop: str) -> str | None:
    """`1.2.3.4`, `1.2.3.4:5678`, `[::1]:5678` or `::1` as an address; None for anything else, such as `unknown`."""
    bare = (
        hop[1:].partition("]")[0]
        if hop.startswith("[")
        else hop.partition(":")[0]
        if hop.count(":") == 1
        else hop
    )
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        return None


def headers_for_client(headers: Headers, *, request_id: bytes) -> tuple[Headers, int | None]:
    """The headers of the web process's answer on their way back, and the length of its body where it is
    known."""
    named = _named_in_connection(headers)
    length: int | None = None
    kept: Headers = []
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name not in _HOP_BY_HOP and name not in named:
            kept.append((name, value))
    if not any(name == b"x-request-id" for name, _ in kept):
        kept.append((b"x-request-id", request_id))
    return kept, length


def _is_dropped(name: bytes, named: Collection[bytes]) -> bool:
    return (
        name in _HOP_BY_HOP
        or name in named
        or name in _OURS_TO_SAY
        or name.startswith(_OUR_PREFIXES)
        or b"_" in name
    )


def _named_in_connection(headers: Headers) -> frozenset[bytes]:
    """Names that a Connection header declares to be hop-by-hop; never the ones that matter end to end."""
    tokens = (
        token.strip().lower()
        for name, value in headers
        if name == b"connection"
        for token in value.split(b",")
    )
    return frozenset(
        token for token in tokens if token not in (b"host", b"authorization", b"cookie", b"content-type")
    )
