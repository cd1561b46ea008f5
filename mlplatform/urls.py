"""Every URL of the web process: admin, REST API, pages."""

from __future__ import annotations

from django.contrib import admin
from django.contrib.staticfiles.urls import staticfiles_urlpatterns  # noqa: F401
from django.urls import include, path

urlpatterns = [
    path("admin/", admin.site.urls),
    path("api/v1/", include("mlplatform.api.urls")),
    path("", include("mlplatform.web.urls")),
]
