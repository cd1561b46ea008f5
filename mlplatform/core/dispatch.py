"""Sends a task by name, as a rule once the transaction is committed. A lost message is no loss: the sweeper sends
it again.
"""

from __future__ import annotations

import logging
from functools import partial
from typing import Any, Final

from django.db import transaction

from mlplatform.core.broker import app

logger = logging.getLogger(__name__)
WAITING_MAX: Final = 1000


def dispatch_after_commit(task: str, *, object_id: int, queue: str) -> None:
    """Enqueues `task` with the row's id on `queue` after commit; a broker that is away is logged, not raised."""
    transaction.on_commit(partial(dispatch_now, task, object_id=object_id, queue=queue))


def dispatch_now(task: str, *, object_id: int, queue: str) -> bool:
    """Enqueues `task` at once; False, and logged, when the broker is away or does not answer within seconds, or when
    so many messages wait that one more would be no help.
    """
    try:
        with app.producer_or_acquire() as producer:
            if _is_full(producer.channel, queue):
                logger.info(
                    "%s messages wait on queue %s; %s %s is not sent", WAITING_MAX, queue, task, object_id
                )
                return False
            app.send_task(task, args=[object_id], queue=queue, retry=False, producer=producer)
    except Exception as error:
        # The broker is away: the row is the truth and the sweeper re-sends it.
        logger.warning("broker away, %s %s will be sent by the sweeper: %s", task, object_id, error)
        return False
    return True


def _is_full(channel: Any, queue: str) -> bool:
    """Whether nobody takes what is sent, so that the broker's memory would grow for ever. Only Redis is asked."""
    redis = getattr(channel, "client", None)
    return redis is not None and redis.llen(queue) >= WAITING_MAX
