"""Addresses of training jobs, below `/projects/<project>/training-jobs/`; `+` begins what no job can be named."""

from __future__ import annotations

from django.urls import path

from mlplatform.web.views import (
    metric_tester,
    training_job_code,
    training_job_deploy,
    training_job_logs,
    training_job_new,
    training_jobs,
)

urlpatterns = [
    path("", training_jobs.training_job_list, name="training-job-list"),
    path("+new/", training_job_new.training_job_new, name="training-job-new"),
    path("+metric-test/", metric_tester.metric_test, name="training-job-metric-test"),
    path("<str:name>/", training_jobs.training_job_detail, name="training-job-detail"),
    path("<str:name>/stop/", training_jobs.training_job_stop_view, name="training-job-stop"),
    path("<str:name>/deploy/", training_job_deploy.training_job_deploy_page, name="training-job-deploy"),
    path("<str:name>/delete/", training_jobs.training_job_delete_view, name="training-job-delete"),
    path("<str:name>/metrics/", training_jobs.training_job_metrics_view, name="training-job-metrics"),
    path("<str:name>/artifact/", training_jobs.training_job_artifact_view, name="training-job-artifact"),
    path("<str:name>/output/", training_job_code.training_job_output_view, name="training-job-output"),
    path("<str:name>/source/", training_job_code.training_job_source_view, name="training-job-source"),
    path("<str:name>/source/<path:path>", training_job_code.training_job_file_view, name="training-job-file"),
    path("<str:name>/log/", training_job_logs.training_job_log, name="training-job-log"),
    path("<str:name>/log/stream/", training_job_logs.training_job_log_stream, name="training-job-log-stream"),
    path(
        "<str:name>/log/download/",
        training_job_logs.training_job_log_download,
        name="training-job-log-download",
    ),
]
