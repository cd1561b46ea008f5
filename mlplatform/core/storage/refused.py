"""Why an S3 store refused, in words for whoever asked it, and which setting to look at. Django-free.

The library's own texts are looked into and never shown: they hold addresses and parts of requests, keys of objects and
durations among them, so that a bare number says nothing. Called by the object store and by its check; what a store says
while the platform starts is told by `mlplatform.core.startup.refusals`.
"""

from __future__ import annotations

import re
from typing import Final

from mlplatform.core.text import Text
from mlplatform.core.text import text as _

NO_CREDENTIALS: Final = re.compile(r"169\.254\.|/latest/(?:api/token|meta-data)|nstance metadata")
"""Where no setting has credentials the library asks the metadata service of the machine; its answers, such as 403, are
not the store's."""
_WRONG_KEY: Final = re.compile(
    r"SignatureDoesNotMatch|InvalidAccessKeyId|InvalidSignature|ExpiredToken|InvalidToken|Unauthenticated"
)
_DENIED: Final = re.compile(r"<Code>AccessDenied|PermissionDenied")


def store_refused(error: BaseException, *, reads: bool) -> Text | None:
    """What to tell of an error of the library; None where the store did not refuse.

    Args:
        reads: Whether it was asked for something, and not given something or told to delete it.
    """
    text = f"{type(error).__name__} {error}"
    if NO_CREDENTIALS.search(text):
        return _(
            "the platform has no credentials for it; whoever runs the platform sets AWS_ACCESS_KEY_ID and "
            "AWS_SECRET_ACCESS_KEY"
        )
    if "RequestTimeTooSkewed" in text:
        return _("the clock of this machine differs too much from the store's")
    if _WRONG_KEY.search(text):
        return _("it does not know the platform's key; see AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY")
    if not _DENIED.search(text):
        return None
    if reads:
        return _(
            "access denied: the platform's key may not read there (s3:GetObject, s3:ListBucket), or is not the "
            "store's own; see AWS_ACCESS_KEY_ID and what it is allowed"
        )
    return _(
        "access denied: the platform's key may not write and delete there (s3:PutObject, s3:DeleteObject); see "
        "AWS_ACCESS_KEY_ID and what it is allowed"
    )
