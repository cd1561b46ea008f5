"""Addresses of evaluations, below `/projects/<project>/evaluations/`; `+` begins what none can be named."""

from __future__ import annotations

from django.urls import path

from mlplatform.web.views import evaluation_forms, evaluations

urlpatterns = [
    path("", evaluations.evaluation_list_page, name="evaluation-list"),
    path("+new/", evaluation_forms.evaluation_new, name="evaluation-new"),
    path("<str:name>/", evaluations.evaluation_detail, name="evaluation-detail"),
    path("<str:name>/stop/", evaluation_forms.evaluation_stop_page, name="evaluation-stop"),
    path("<str:name>/delete/", evaluation_forms.evaluation_delete_page, name="evaluation-delete"),
    path("<str:name>/download/", evaluations.evaluation_download, name="evaluation-download"),
]
