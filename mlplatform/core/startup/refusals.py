"""What a service's refusal means, in words for whoever starts the platform, and whether it may pass. Django-free.

Errors' own texts are looked into and never shown: some libraries put addresses with passwords into them. Called by
`services.py`.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final
from urllib.parse import unquote, urlsplit

from mlplatform.core.env import env_text
from mlplatform.core.startup.addresses import ENDPOINT, address_shown
from mlplatform.core.storage.refused import NO_CREDENTIALS

CONNECT_S: Final = 5
_NO_SERVER: Final = "nobody listens there (connection refused); is it started, and is the port right?"
_NO_HOST: Final = "there is no host of that name"
_NO_ANSWER: Final = f"no answer within {CONNECT_S} s; is the network open between here and there?"
_NO_CREDENTIALS: Final = "there are no credentials; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY"
_UNKNOWN_HOST: Final = (
    "name or service not known",
    "resolve host",
    "no address",
    "lookup address",
    "temporary failure in name resolution",
)
Said = tuple[str, bool]
"""What is wrong, and whether it may pass."""


def postgres_refusal(text: str, address: str) -> Said:
    """What the client library says of a connection that was not made."""
    parts = urlsplit(address)
    user, name = unquote(parts.username or ""), unquote(parts.path.strip("/"))
    if "password authentication failed" in text or "no password supplied" in text:
        return f"the server refused the password of user '{user}'", False
    if re.search(r'role "[^"]*" does not exist', text):
        return f"the server has no user '{user}'", False
    if re.search(r'database "[^"]*" does not exist', text):
        return f"the server has no database '{name}'; make it: CREATE DATABASE \"{name}\"", False
    if "pg_hba.conf" in text or "permission denied for database" in text:
        return (
            f"the server does not let user '{user}' from here into '{name}' (its pg_hba.conf, GRANT CONNECT)",
            False,
        )
    if "SSL" in text and "does not support" in text:
        return "the server offers no TLS, which sslmode asks for", False
    if any(words in text for words in ("starting up", "shutting down", "recovery mode", "not yet accepting")):
        return "the server is starting or ending", True
    if "too many clients" in text or "connection slots" in text:
        return "the server has no connection left (its max_connections)", True
    return _unreachable(text)


def broker_refusal(error: Exception, address: str) -> Said:
    """What the broker's library raised, whichever it is."""
    causes = list(_causes(error))
    text = " ".join(str(cause) for cause in causes)
    kinds = {type(cause).__name__ for cause in causes}
    if kinds & {"AuthenticationError", "AccessRefused"} or re.search(
        r"WRONGPASS|NOAUTH|ACCESS_REFUSED", text
    ):
        return "the broker refused user or password", False
    if "NOPERM" in text:
        return "the broker's user may not do what is needed (its ACL)", False
    if "DB index is out of range" in text:
        return f"the Redis has no database {urlsplit(address).path.strip('/')}", False
    if "NotAllowed" in kinds or "NOT_ALLOWED" in text:
        return (
            f"the broker has no virtual host '{unquote(urlsplit(address).path[1:]) or '/'}' for this user",
            False,
        )
    if "LOADING" in text or "BusyLoadingError" in kinds:
        return "the Redis is loading its data", True
    if kinds & {"ModuleNotFoundError", "ImportError"}:
        return "the library for this kind of broker is not installed", False
    return _unreachable(" ".join([text, *kinds]))


def store_refusal(text: str, bucket: str) -> Said:
    """What the store's library says of an object that could not be written or deleted."""
    if NO_CREDENTIALS.search(text):
        return _NO_CREDENTIALS, False
    if "NoSuchBucket" in text:
        return f"there is no bucket '{bucket}'; make it, or name another", False
    if re.search(
        r"SignatureDoesNotMatch|InvalidAccessKeyId|InvalidSignature|Unauthorized|status(?: code)?:? 401\b",
        text,
    ):
        return "the store refused the key; are AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY its own?", False
    if "RequestTimeTooSkewed" in text:
        return "the clock of this machine differs too much from the store's", False
    if re.search(r"AccessDenied|Forbidden|status(?: code)?:? 403\b|PermissionDenied", text):
        return f"the key may not write and delete in the bucket '{bucket}'", False
    if re.search(r"PermanentRedirect|AuthorizationHeaderMalformed|IncorrectEndpoint", text):
        return "the bucket is in another region; set AWS_REGION", False
    if "redential" in text:
        return _NO_CREDENTIALS, False
    if re.search(r"status(?: code)?:? 404\b|NotFound", text):
        return f"there is no bucket '{bucket}' at {_endpoint()}, or no S3 store answers there", False
    said, passes = _unreachable(text)
    return f"{_endpoint()}: {said}", passes


def _endpoint() -> str:
    endpoint = env_text(ENDPOINT)
    return f"{ENDPOINT}={address_shown(endpoint)}" if endpoint else "the store"


def _unreachable(text: str) -> Said:
    lower = text.lower().replace("retry_timeout", "")
    if "connection refused" in lower or "connectionrefused" in lower:
        return _NO_SERVER, True
    if any(words in lower for words in _UNKNOWN_HOST):
        return _NO_HOST, True
    if "timeout" in lower or "timed out" in lower or "timedout" in lower:
        return _NO_ANSWER, True
    if "no such file" in lower:
        return "there is no socket at that path; is the server started?", True
    if "certificate" in lower or "ssl" in lower:
        return (
            "the TLS connection could not be made; is it the right port, and is its certificate trusted?",
            True,
        )
    if "unreachable" in lower:
        return "the network or host is unreachable", True
    return "it does not answer as it should; is something else listening there?", True


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
