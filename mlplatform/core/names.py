"""Names, ARNs and object keys. Django-free.

A name comes from a person and is checked here; a path or object key is built from ids of ours only, never from a name.
"""

from __future__ import annotations

import re
import secrets
from datetime import datetime
from unicodedata import category

from mlplatform.core.errors import InvalidRequest
from mlplatform.core.text import text as _

NAME_PATTERN = r"[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}"
"""The service's pattern of names: 1 to 63 letters, digits and inner hyphens."""
_NAME = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?\Z")
NAME_MAX_LENGTH = 63
KEY_MAX_LENGTH = 1024
_KEY_PART_MAX_BYTES = 255
_NOT_IN_KEYS = frozenset({"Cc", "Cs"})
"""Control characters and halves of surrogate pairs."""
REGION = "us-east-1"


def name_check(value: str, *, field: str = "name", max_length: int = NAME_MAX_LENGTH) -> str:
    """Returns `value` if it is a legal name. Raises InvalidRequest that says what is accepted.

    Linear time on any input (the service's own pattern backtracks on long runs of hyphens).
    """
    if len(value) <= max_length and _NAME.match(value):
        return value
    shown = value if len(value) <= 80 else value[:77] + "..."
    raise InvalidRequest.for_field(
        field,
        _(
            "{value} is not a valid name; use 1 to {n} letters (a-z, A-Z), digits and hyphens, "
            "beginning and ending with a letter or digit",
            value=repr(shown),
            n=max_length,
        ),
    )


def arn(*, account_id: str, kind: str, name: str) -> str:
    """The service's resource name, for instance `arn:aws:sagemaker:us-east-1:123456789012:training-job/my-job`."""
    return f"arn:aws:sagemaker:{REGION}:{account_id}:{kind}/{name.lower()}"


def bucket_name(account_id: str) -> str:
    """The bucket in which a project's objects lie."""
    return f"mlplatform-{account_id}"


def uri(bucket: str, key: str) -> str:
    return f"s3://{bucket}/{key}"


def uri_split(value: str, *, field: str = "uri") -> tuple[str, str]:
    """Bucket and key of `s3://bucket/key`. Raises InvalidRequest for anything else, including `..` and empty parts."""
    bucket, slash, key = value.removeprefix("s3://").partition("/")
    parts = key.removesuffix("/").split("/")
    legal = value.startswith("s3://") and slash and len(key) <= KEY_MAX_LENGTH
    if (
        not legal
        or any(category(character) in _NOT_IN_KEYS for character in key)
        or not {"", ".", ".."}.isdisjoint(parts)
        or any(len(part.encode()) > _KEY_PART_MAX_BYTES for part in parts)
        or not re.fullmatch(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", bucket)
    ):
        raise InvalidRequest.for_field(
            field, _("{value} is not an object's address; use s3://bucket/key", value=repr(value[:200]))
        )
    return bucket, key


def uid_new() -> str:
    """A fresh id for folders, object keys and public links: 26 lower-case hexadecimal characters."""
    return secrets.token_hex(13)


def name_after(other: str, at: datetime, *, otherwise: str) -> str:
    """A default name that begins with what of `other` may stand in one; with `otherwise` where nothing may."""
    letters = "".join(letter for letter in other if letter.isascii() and (letter.isalnum() or letter == "-"))
    return name_with_time(letters.strip("-") or otherwise, at)


def name_with_time(stem: str, at: datetime) -> str:
    """`stem` with a time stamp and a random tail, as a default name; at most 63 characters."""
    tail = f"{at:%Y-%m-%d-%H-%M-%S}-{secrets.token_hex(2)}"
    return f"{stem[: NAME_MAX_LENGTH - len(tail) - 1].rstrip('-')}-{tail}"
