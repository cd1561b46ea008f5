"""Addresses of algorithms, below `/projects/<project>/algorithms/`."""

from __future__ import annotations

from django.urls import path

from mlplatform.web.views import algorithms

urlpatterns = [
    path("", algorithms.algorithm_list_page, name="algorithm-list"),
    path("<str:name>/", algorithms.algorithm_detail, name="algorithm-detail"),
]
