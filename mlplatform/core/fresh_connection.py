"""The database for a thread that lives long, outside of any request."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from django.db import close_old_connections


@contextmanager
def fresh_connection() -> Iterator[None]:
    """As a decorator or in a `with`: no connection is used, or left behind, that is broken or too old."""
    close_old_connections()
    try:
        yield
    finally:
        close_old_connections()
