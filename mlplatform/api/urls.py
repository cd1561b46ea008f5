"""Every route of the REST face, below `/api/v1/`. Paths end in a slash."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path, re_path, register_converter

from mlplatform.api.views import access, algorithms, document, endpoints, models, platform
from mlplatform.core.names import NAME_MAX_LENGTH


class NameConverter:
    """Characters of a name; whether it is one, and whose, the selectors say."""

    regex = f"[a-zA-Z0-9-]{{1,{NAME_MAX_LENGTH}}}"

    def to_python(self, value: str) -> str:
        return value

    def to_url(self, value: str) -> str:
        return value


register_converter(NameConverter, "name")

app_name = "api"
_in_project: list[URLPattern | URLResolver] = [
    path("", access.ProjectView.as_view(), name="project-detail"),
    path("members/", access.MemberListView.as_view(), name="member-list"),
    path("members/<str:username>/", access.MemberView.as_view(), name="member-detail"),
    path("access-keys/", access.AccessKeyListView.as_view(), name="access-key-list"),
    path("access-keys/<name:key_id>/", access.AccessKeyView.as_view(), name="access-key-detail"),
    path("models/", models.ModelListView.as_view(), name="model-list"),
    path("models/<name:name>/", models.ModelView.as_view(), name="model-detail"),
    path("endpoints/", endpoints.EndpointListView.as_view(), name="endpoint-list"),
    path("endpoints/<name:name>/", endpoints.EndpointView.as_view(), name="endpoint-detail"),
    path("endpoints/<name:name>/logs/", endpoints.EndpointLogView.as_view(), name="endpoint-logs"),
]
urlpatterns: list[URLPattern | URLResolver] = [
    path("health/", platform.HealthView.as_view(), name="health"),
    path("schema/", document.SchemaView.as_view(), name="schema"),
    path("docs/", document.DocsView.as_view(), name="docs"),
    path("workers/", platform.WorkerListView.as_view(), name="worker-list"),
    path("algorithms/", algorithms.AlgorithmListView.as_view(), name="algorithm-list"),
    path("algorithms/<name:name>/", algorithms.AlgorithmView.as_view(), name="algorithm-detail"),
    path("projects/", access.ProjectListView.as_view(), name="project-list"),
    path("projects/<name:project>/", include(_in_project)),
    re_path(r"^.*\Z", document.UnknownAddressView.as_view(), name="unknown"),
]
