"""The Celery application: how tasks are sent and received. A message carries only an id; the database row is
the truth.

Sending is `mlplatform.core.dispatch`; the worker process is `manage.py worker`.
"""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlplatform.settings")

app = Celery("mlplatform")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
