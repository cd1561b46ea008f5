"""Addresses of all pages. One module per noun; those of a project lie below `/projects/<project>/`."""

from __future__ import annotations

from django.conf import settings
from django.urls import URLPattern, URLResolver, path, re_path

from mlplatform.web.assets import asset_view

app_name = "web"

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(rf"^{settings.STATIC_URL.strip('/')}/(?P<address>.+)$", asset_view, name="asset"),
]
