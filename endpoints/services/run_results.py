"""Puts what a run has found into the store. One that is away is waited for: to find it again may take hours.

Called by the services of runs, `tables` and `evaluation_execution`.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path
from threading import Event
from typing import Final

from django.conf import settings

from jobs.services.worker_state import worker_state
from mlplatform.core.errors import TransientError
from mlplatform.core.storage.objects import object_store
from mlplatform.core.storage.store import StoredObject

logger = logging.getLogger(__name__)
RETRY_S: Final = 1.0


def run_result_keep(path: Path, address: str, *, over: Event) -> StoredObject:
    """Stores the file at `address` and takes it away from where it was.

    Args:
        over: Set when the run is to end.

    Raises:
        TransientError: the store is still away after `MLPLATFORM_STORE_PATIENCE_S`, or the run or its worker is to end.
        OSError: there is no such file.
    """
    until = time.monotonic() + settings.MLPLATFORM_STORE_PATIENCE_S
    while True:
        try:
            return object_store().put_file(path, address, move=True)
        except TransientError as error:
            if time.monotonic() > until or over.is_set() or worker_state().wait(RETRY_S):
                raise
            logger.warning("%s waits to be stored: %s", address, error.message)
