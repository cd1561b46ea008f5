"""Addresses of endpoints, below `/projects/<project>/endpoints/`; `+` begins what none can be named."""

from __future__ import annotations

from django.urls import path

from mlplatform.web.views import (
    async_inference,
    data_capture,
    endpoint_forms,
    endpoint_tables,
    endpoints,
    neighbours,
)

urlpatterns = [
    path("", endpoints.endpoint_list_view, name="endpoint-list"),
    path("+new/", endpoint_forms.endpoint_new, name="endpoint-new"),
    path("<str:name>/", endpoints.endpoint_detail, name="endpoint-detail"),
    path("<str:name>/edit/", endpoint_forms.endpoint_edit, name="endpoint-edit"),
    path("<str:name>/weights/", endpoint_forms.endpoint_weights, name="endpoint-weights"),
    path("<str:name>/delete/", endpoints.endpoint_delete_view, name="endpoint-delete"),
    path("<str:name>/invoke/", endpoints.endpoint_invoke_view, name="endpoint-invoke"),
    path("<str:name>/lives/", endpoints.endpoint_lives_view, name="endpoint-lives"),
    path("<str:name>/traffic/", endpoints.endpoint_traffic_view, name="endpoint-traffic"),
    path("<str:name>/async/", async_inference.endpoint_async, name="endpoint-async"),
    path(
        "<str:name>/async/<str:inference_id>/output/",
        async_inference.endpoint_async_output,
        name="endpoint-async-output",
    ),
    path("<str:name>/capture/", data_capture.endpoint_capture, name="endpoint-capture"),
    path("<str:name>/capture/chart/", data_capture.endpoint_capture_chart, name="endpoint-capture-chart"),
    path(
        "<str:name>/capture/<str:uid>/download/",
        data_capture.captured_file_download,
        name="captured-file-download",
    ),
    path("<str:name>/neighbours/", neighbours.endpoint_neighbours_page, name="endpoint-neighbours"),
    path("<str:name>/replicas/<str:uid>/log/", endpoints.replica_log, name="replica-log"),
    path(
        "<str:name>/replicas/<str:uid>/log/stream/", endpoints.replica_log_stream, name="replica-log-stream"
    ),
    path(
        "<str:name>/replicas/<str:uid>/log/download/",
        endpoints.replica_log_download,
        name="replica-log-download",
    ),
    path("<str:name>/table/", endpoint_tables.table_run_new, name="endpoint-table"),
    path("<str:name>/table/<str:uid>/", endpoint_tables.table_run_detail, name="endpoint-table-run"),
    path(
        "<str:name>/table/<str:uid>/download/",
        endpoint_tables.table_run_download,
        name="endpoint-table-download",
    ),
]
