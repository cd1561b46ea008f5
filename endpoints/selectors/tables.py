"""Reads table runs and their rows."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import islice
from typing import Any

from django.utils.translation import gettext as _

from endpoints.models import Endpoint, TableRun
from endpoints.selectors.endpoints import endpoint_get
from mlplatform.core.errors import NotFound
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store

ROWS_MAX = 1000


def table_run_list(*, endpoint: Endpoint, limit: int = 20) -> list[TableRun]:
    """The newest runs of an endpoint."""
    return list(endpoint.table_runs.select_related("dataset_version__dataset", "created_by")[:limit])


def table_run_get(*, actor: Actor, endpoint: str, uid: str) -> TableRun:
    """Raises NotFound, alike for a run of another project and for none."""
    found = endpoint_get(actor=actor, name=endpoint)
    run = (
        TableRun.objects.select_related("endpoint__project", "dataset_version__dataset", "created_by")
        .filter(endpoint=found, uid=uid)
        .first()
    )
    if run is None:
        raise NotFound(
            _("There is no table run “%(uid)s” of endpoint “%(name)s”")
            % {"uid": uid[:26], "name": found.name}
        )
    return run


def table_run_rows(
    *, run: TableRun, offset: int = 0, limit: int = 100, only_wrong: bool = False
) -> list[dict[str, Any]]:
    """Rows as {"row", "features", "label", "prediction", "correct"}; for a regressor also "error".

    Args:
        offset: How many to pass over; of the wrong ones, with `only_wrong`.
        limit: At most 1,000.
        only_wrong: Of a classifier, only rows whose prediction is not the label.
    """
    if not run.result_uri:
        return []
    rows: Iterator[dict[str, Any]] = (json.loads(line) for line in _lines(run.result_uri))
    if only_wrong:
        rows = (row for row in rows if row["correct"] is False)
    return list(islice(rows, max(0, offset), max(0, offset) + min(max(limit, 0), ROWS_MAX)))


def _lines(result_uri: str) -> Iterator[bytes]:
    rest = b""
    for chunk in object_store().chunks(result_uri):
        *lines, rest = (rest + chunk).split(b"\n")
        yield from lines
    if rest:
        yield rest
