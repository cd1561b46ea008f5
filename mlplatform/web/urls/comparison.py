"""Addresses of comparisons, below `/projects/<project>/compare/`: what is compared is in the query."""

from __future__ import annotations

from django.urls import path

from mlplatform.web.views import comparison

urlpatterns = [
    path("", comparison.comparison, name="comparison"),
    path("+curves/", comparison.comparison_curves, name="comparison-curves"),
    path("+download/", comparison.comparison_download, name="comparison-download"),
]
