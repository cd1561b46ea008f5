"""Addresses of models, below `/projects/<project>/models/`; `+` begins what none can be named."""

from __future__ import annotations

from django.urls import path

from mlplatform.web.views import models

urlpatterns = [
    path("", models.model_list_view, name="model-list"),
    path("+new/", models.model_new, name="model-new"),
    path("<str:name>/", models.model_detail, name="model-detail"),
    path("<str:name>/delete/", models.model_delete_view, name="model-delete"),
]
