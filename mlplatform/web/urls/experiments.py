"""Addresses of experiments, below `/projects/<project>/experiments/`; `+` begins what none can be named."""

from __future__ import annotations

from django.urls import path

from mlplatform.web.views import experiment_form, experiments

urlpatterns = [
    path("", experiments.experiment_list_view, name="experiment-list"),
    path("+new/", experiment_form.experiment_new, name="experiment-new"),
    path("<str:name>/", experiments.experiment_detail, name="experiment-detail"),
    path("<str:name>/stop/", experiments.experiment_stop_view, name="experiment-stop"),
    path("<str:name>/resume/", experiments.experiment_resume_view, name="experiment-resume"),
    path("<str:name>/delete/", experiments.experiment_delete_view, name="experiment-delete"),
    path("<str:name>/tables/<str:table>/", experiments.experiment_download, name="experiment-download"),
]
