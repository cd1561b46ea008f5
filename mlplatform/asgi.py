"""The ASGI application that uvicorn serves: pages, REST API and admin."""

from __future__ import annotations

import os

from django.core.asgi import get_asgi_application

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "mlplatform.settings")
application = get_asgi_application()
