"""Rules for the head of an HTTP/1.1 request: pure functions over what the parser found.

The parser is strict already; what is added here are the rules that need all headers at hand. Whatever two readers could
understand in two ways is refused, so that nothing can be smuggled past the gateway.
"""

from __future__ import annotations

import httptools

from mlplatform.core.errors import PlatformError

Headers = list[tuple[bytes, bytes]]


class HeadRefused(PlatformError):
    """The head of a request breaks a rule or a limit; carries its own status."""

    code = "BadRequest"

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


def body_length(headers: Headers, version: str) -> int | None:
    """Length of the body; None when it is chunked. What two readers could frame in two ways is refused."""
    if version not in ("1.0", "1.1"):
        raise HeadRefused(505, f"HTTP version {version!r}: 1.1 and 1.0 are accepted")
    length, encoding, n_hosts = 0, b"", 0
    for name, value in headers:
        if name == b"content-length":
            length = int(value)
        elif name == b"transfer-encoding":
            encoding += b"," + value.strip().lower() if encoding else value.strip().lower()
        elif name == b"host":
            n_hosts += 1
    if n_hosts > 1 or (n_hosts == 0 and version == "1.1"):
        raise HeadRefused(400, f"Host: {n_hosts} headers; exactly one is needed")
    if not encoding:
        return length
    if version == "1.0":
        raise HeadRefused(400, "Transfer-Encoding: not part of HTTP/1.0")
    if encoding != b"chunked":
        raise HeadRefused(
            501, f"Transfer-Encoding: {encoding.decode('latin-1')!r}; only 'chunked' is accepted"
        )
    return None


def asks_only_for_upgrade(headers: Headers) -> bool:
    tokens = [value.lower() for name, value in headers if name == b"connection"]
    return any(b"upgrade" in token for token in tokens) and not any(b"close" in token for token in tokens)


def origin_form(method: bytes, target: bytes) -> bytes:
    if target.startswith(b"/"):
        return target
    if target == b"*" and method == b"OPTIONS":
        return target
    if target[:7].lower() in (b"http://", b"https:/"):
        _, _, rest = target.partition(b"://")
        _, slash, path = rest.partition(b"/")
        return slash + path or b"/"
    raise HeadRefused(400, f"request target: {target[:80].decode('latin-1')!r} does not begin with '/'")


def refusal_of(error: httptools.HttpParserError) -> PlatformError:
    cause = error.__context__
    return cause if isinstance(cause, PlatformError) else HeadRefused(400, f"not HTTP/1.1: {error}")
