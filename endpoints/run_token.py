"""The right of one run to invoke one endpoint until an instant: made by the worker that starts the run, believed by the
gateway on the socket of runs.

A run reads data of somebody's. Should it be taken over, its token is all that it has: it names project and endpoint, is
signed, and nobody needs a database to check it. The key is given; `endpoints.services.run_tokens` derives it.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import dataclass

from mlplatform.core.errors import NotAuthenticated

SCHEME = "Run"
_LONGEST = 1024


@dataclass(frozen=True)
class RunClaim:
    """What a token that was believed says. `expires_at` in seconds since the epoch; `is_captured` whether its requests
    are those of users, which data capture is meant for.
    """

    project: str
    endpoint: str
    expires_at: float
    is_captured: bool = False


def run_token_new(
    *, key: bytes, project: str, endpoint: str, expires_at: float, is_captured: bool = False
) -> str:
    """A token for `Authorization: Run <token>`: letters, digits, `-`, `_` and one dot.

    Args:
        expires_at: Seconds since the epoch.
        is_captured: Whether data capture, where it is on, keeps its requests: those of users, not of evaluations.

    Raises:
        ValueError: The key is empty, and so would sign for anybody.
    """
    content = json.dumps([project, endpoint, expires_at, is_captured], separators=(",", ":")).encode()
    claim = base64.urlsafe_b64encode(content).rstrip(b"=")
    return f"{claim.decode()}.{_signature(key, claim)}"


def run_token_check(authorization: bytes | None, *, key: bytes, now: float) -> RunClaim:
    """What the header's token allows.

    Args:
        authorization: The whole value of the header, `Run <token>`.
        now: Seconds since the epoch.

    Raises:
        NotAuthenticated: No such header, not signed with this key, or expired.
    """
    if not authorization:
        raise NotAuthenticated(f"Authorization: missing; send '{SCHEME} <token>'")
    scheme, _, token = authorization.partition(b" ")
    claim, dot, signature = token.strip().partition(b".")
    if scheme.lower() != SCHEME.lower().encode() or not dot or len(token) > _LONGEST:
        raise NotAuthenticated(f"Authorization: not of the form '{SCHEME} <token>'")
    if not hmac.compare_digest(signature, _signature(key, claim).encode()):
        raise NotAuthenticated("Authorization: this is no token of a run of this platform")
    said = json.loads(base64.urlsafe_b64decode(claim + b"=" * (-len(claim) % 4)))
    project, endpoint, expires_at, is_captured = said
    if expires_at <= now:
        raise NotAuthenticated("Authorization: the time of this run is over")
    return RunClaim(project, endpoint, expires_at, is_captured)


def _signature(key: bytes, claim: bytes) -> str:
    if not key:
        raise ValueError("tokens of runs need a key")
    return hmac.new(key, claim, hashlib.sha256).hexdigest()
