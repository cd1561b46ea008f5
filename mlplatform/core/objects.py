"""The one object store of this installation, as the settings name it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from functools import lru_cache, partial

from django.conf import settings
from django.db import transaction

from mlplatform.core.errors import TransientError
from mlplatform.core.store import ObjectStore

logger = logging.getLogger(__name__)


def object_store() -> ObjectStore:
    """The store of `OBJECT_STORE_URL`; opened once per process and address."""
    return _open(settings.OBJECT_STORE_URL)


def objects_delete_after_commit(uris: Iterable[str]) -> None:
    """Deletes objects whose rows are gone once the transaction is committed.

    A store that is away leaves them behind: logged, not raised, because what was asked for has been done.
    """
    transaction.on_commit(partial(_delete, list(uris)))


def objects_take_back(uris: Iterable[str]) -> None:
    """Deletes objects of something that did not come about. Never raises: what prevented it is what is to be told."""
    taken_back = list(uris)
    try:
        object_store().delete(taken_back)
    except Exception:
        logger.exception("of %d objects that nothing refers to some are left", len(taken_back))


def _delete(uris: list[str]) -> None:
    try:
        object_store().delete(uris)
    except TransientError as error:
        logger.warning("of %d objects whose rows are gone some are left: %s", len(uris), error)


@lru_cache(maxsize=4)
def _open(url: str) -> ObjectStore:
    return ObjectStore(url)
