"""The ASGI application that uvicorn serves: static files, pages, REST API and admin."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

from mlplatform.web.assets import AssetsApplication

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlplatform.settings")
_django = get_asgi_application()

from mlplatform.core.body_limit import BodyLimit  # noqa: E402  tables can be imported only now

application = BodyLimit(AssetsApplication(_django))
