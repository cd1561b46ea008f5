"""The one object store of this installation, as the settings name it."""

from __future__ import annotations

from functools import lru_cache

from django.conf import settings

from mlplatform.core.store import ObjectStore


def object_store() -> ObjectStore:
    """The store of `OBJECT_STORE_URL`; opened once per process and address."""
    return _open(settings.OBJECT_STORE_URL)


@lru_cache(maxsize=4)
def _open(url: str) -> ObjectStore:
    return ObjectStore(url)
