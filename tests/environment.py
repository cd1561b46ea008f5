"""What a process of the platform that a test starts is given of this process' environment."""

from __future__ import annotations

import os


def clean_environment() -> dict[str, str]:
    """This process' environment without what the test run put there."""
    ours = {
        "DJANGO_SETTINGS_MODULE",
        "CELERY_BROKER_URL",
        "DATABASE_URL",
        "OBJECT_STORE_URL",
    }
    return {
        name: value
        for name, value in os.environ.items()
        if name not in ours and not name.startswith("MLPLATFORM_")
    }
