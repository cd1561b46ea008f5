"""Addresses of tuning jobs, below `/projects/<project>/tuning-jobs/`; `+` begins what none can be named."""

from __future__ import annotations

from django.urls import path

from mlplatform.web.views import tuning_job_form, tuning_jobs

urlpatterns = [
    path("", tuning_jobs.tuning_jobs, name="tuning_jobs"),
    path("+new/", tuning_job_form.tuning_job_new, name="tuning_job_new"),
    path("<str:name>/", tuning_jobs.tuning_job, name="tuning_job"),
    path("<str:name>/stop/", tuning_jobs.tuning_job_stop_view, name="tuning_job_stop"),
    path("<str:name>/extend/", tuning_jobs.tuning_job_extend_view, name="tuning_job_extend"),
    path("<str:name>/delete/", tuning_jobs.tuning_job_delete_view, name="tuning_job_delete"),
    path("<str:name>/trials/", tuning_jobs.tuning_job_trials_file, name="tuning_job_trials"),
    path("<str:name>/importance/", tuning_jobs.tuning_job_importance_view, name="tuning_job_importance"),
]
