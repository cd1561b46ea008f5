"""Fetches a file over HTTPS on a user's behalf, within the rules of `mlplatform.core.outbound`.

Called by the import of a dataset only.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jobs.services.dataset_staging import pieces_write, too_large
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.outbound import outbound_request
from mlplatform.core.text import text as _


def https_fetch(url: str, path: Path, *, limit_bytes: int, **rules: Any) -> None:
    """Writes the content at `url` to `path`.

    Args:
        rules: Other than the usual `allowed`, `tls` and `total_timeout_s` of `outbound_request`.

    Raises:
        InvalidRequest: field `uri`: not https, not a public address, no answer in time, or an answer other than 200.
        TooLarge: more than `limit_bytes`.
    """
    with outbound_request(url, field="uri", **rules) as answer:
        if answer.status != 200:
            raise InvalidRequest.for_field(
                "uri", _("the answer was {status} and not 200", status=answer.status)
            )
        if (answer.length or 0) > limit_bytes:
            raise too_large(limit_bytes)
        pieces_write(answer.pieces, path, limit_bytes)
