"""Who calls: `Authorization: Bearer <key id>.<secret>` against the digests in the routing table. No
database."""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Mapping

from endpoints.gateway.routing import KeyRecord
from mlplatform.core.errors import NotAuthenticated

_NOBODY = KeyRecord(secret_sha256="0" * 64, project_name="", role="", user="")


def key_authenticate(authorization: bytes | None, keys: Mapping[str, KeyRecord], *, now: float) -> KeyRecord:
    """The key that the header proves. Takes as long for an unknown id as for a wrong secret.

    Raises:
        NotAuthenticated: No such header, unknown, wrong, revoked or expired; the message does not say which.
    """
    if not authorization:
        raise NotAuthenticated("Authorization: missing; send 'Bearer <key id>.<secret>'")
    scheme, _, token = authorization.decode("latin-1").partition(" ")
    key_id, dot, secret = token.strip().partition(".")
    if scheme.lower() != "bearer" or not dot:
        raise NotAuthenticated("Authorization: not of the form 'Bearer <key id>.<secret>'")
    record = keys.get(key_id, _NOBODY)
    digest = hashlib.sha256(secret.encode("latin-1")).hexdigest()
    is_right = hmac.compare_digest(digest, record.secret_sha256)
    if not is_right or record is _NOBODY or (record.expires_at is not None and record.expires_at <= now):
        raise NotAuthenticated("Authorization: this access key is unknown, revoked or expired")
    return record
