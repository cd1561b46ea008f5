"""Addresses of transform jobs, below `/projects/<project>/transform-jobs/`; `+` begins what none can be named."""

from __future__ import annotations

from django.urls import path

from mlplatform.web.views import transform_forms, transforms

urlpatterns = [
    path("", transforms.transform_jobs, name="transform_jobs"),
    path("+new/", transform_forms.transform_job_new, name="transform_job_new"),
    path("<str:name>/", transforms.transform_job, name="transform_job"),
    path("<str:name>/stop/", transform_forms.transform_job_stop_view, name="transform_job_stop"),
    path("<str:name>/delete/", transform_forms.transform_job_delete_view, name="transform_job_delete"),
    path("<str:name>/dataset/", transform_forms.transform_job_dataset_view, name="transform_job_dataset"),
    path("<str:name>/result/", transforms.transform_job_result, name="transform_job_result"),
    path("<str:name>/log/", transforms.transform_job_log, name="transform_job_log"),
    path("<str:name>/log/stream/", transforms.transform_job_log_stream, name="transform_job_log_stream"),
    path(
        "<str:name>/log/download/", transforms.transform_job_log_download, name="transform_job_log_download"
    ),
]
