"""Addresses of all pages. One module per noun; those of a project lie below `/projects/<project>/`."""

from __future__ import annotations

from django.conf import settings
from django.urls import URLPattern, URLResolver, include, path, re_path

from mlplatform.web.assets import asset_view
from mlplatform.web.urls import (
    access,
    account,
    algorithms,
    comparison,
    costs,
    datasets,
    endpoints,
    evaluations,
    experiments,
    models,
    training_jobs,
    transforms,
    tuning_jobs,
)
from mlplatform.web.views import home

app_name = "web"

_project: list[URLPattern | URLResolver] = [
    path("", home.project_home, name="project-home"),
    path("datasets/", include(datasets.urlpatterns)),
    path("algorithms/", include(algorithms.urlpatterns)),
    path("training-jobs/", include(training_jobs.urlpatterns)),
    path("tuning-jobs/", include(tuning_jobs.urlpatterns)),
    path("compare/", include(comparison.urlpatterns)),
    path("models/", include(models.urlpatterns)),
    path("endpoints/", include(endpoints.urlpatterns)),
    path("evaluations/", include(evaluations.urlpatterns)),
    path("experiments/", include(experiments.urlpatterns)),
    path("transform-jobs/", include(transforms.urlpatterns)),
    path("costs/", include(costs.urlpatterns)),
    *access.urlpatterns,
]

urlpatterns: list[URLPattern | URLResolver] = [
    re_path(rf"^{settings.STATIC_URL.strip('/')}/(?P<address>.+)$", asset_view, name="asset"),
    *account.urlpatterns,
    path("projects/<str:project>/", include(_project)),
]
