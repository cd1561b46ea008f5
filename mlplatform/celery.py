"""Where Celery's own command line looks for the application (`celery -A mlplatform`)."""

from __future__ import annotations

from mlplatform.core.broker import app

__all__ = ["app"]
