"""The ASGI application that uvicorn serves: static files, pages, REST API and admin."""

from __future__ import annotations

import os

import django

from mlplatform.web.assets import AssetsApplication

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlplatform.settings")
django.setup(set_prefix=False)

from mlplatform.core.body_limit import BodyLimit  # noqa: E402  tables can be imported only now
from mlplatform.core.late_body import LateBody  # noqa: E402  its settings too
from mlplatform.core.request_bodies import SpoolingHandler  # noqa: E402  its settings too

application = BodyLimit(LateBody(AssetsApplication(SpoolingHandler())))
