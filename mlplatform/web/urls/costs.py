"""Addresses of a project's costs."""

from __future__ import annotations

from django.urls import path

from mlplatform.web.views import costs

urlpatterns = [
    path("", costs.costs, name="costs"),
    path("together/<str:name>/", costs.together, name="costs-together"),
]
