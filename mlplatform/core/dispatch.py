"""Sends a task by name, as a rule once the transaction is committed. A lost message is no loss: the sweeper sends
it again.
"""

from __future__ import annotations

import logging
from functools import partial

from django.db import transaction

from mlplatform.core.broker import app

logger = logging.getLogger(__name__)


def dispatch_after_commit(task: str, *, object_id: int, queue: str) -> None:
    """Enqueues `task` with the row's id on `queue` after commit; a broker that is away is logged, not raised."""
    transaction.on_commit(partial(dispatch_now, task, object_id=object_id, queue=queue))


def dispatch_now(task: str, *, object_id: int, queue: str) -> bool:
    """Enqueues `task` at once; False, and logged, when the broker is away or does not answer within seconds."""
    try:
        app.send_task(task, args=[object_id], queue=queue, retry=False)
    except Exception as error:
        # The broker is away: the row is the truth and the sweeper re-sends it.
        logger.warning("broker away, %s %s will be sent by the sweeper: %s", task, object_id, error)
        return False
    return True
