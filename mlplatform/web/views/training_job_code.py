"""Files of a script's job as downloads: its source, one file of it, and what it left in its output folder."""

from __future__ import annotations

from django.http import HttpRequest
from django.utils.translation import gettext as _
from django.views.decorators.http import require_GET

from jobs.models import TrainingJob
from jobs.selectors.sources import source_archive, source_file
from jobs.selectors.training import training_job_get, training_job_output
from mlplatform.core.downloads import DownloadResponse
from mlplatform.core.errors import NotFound
from mlplatform.core.people.access import Actor
from mlplatform.web.access import page_actor


@require_GET
def training_job_source_view(request: HttpRequest, project: str, name: str) -> DownloadResponse:
    """The whole source as `sourcedir.tar.gz`."""
    actor = page_actor(request, project)
    chunks, filename, size_bytes = source_archive(actor=actor, uid=_source_uid(actor, name))
    return DownloadResponse(chunks, filename=filename, size_bytes=size_bytes, content_type="application/gzip")


@require_GET
def training_job_file_view(request: HttpRequest, project: str, name: str, path: str) -> DownloadResponse:
    """One file of the source, as it is."""
    actor = page_actor(request, project)
    content = source_file(actor=actor, uid=_source_uid(actor, name), path=path)
    filename = path.rpartition("/")[2]
    return DownloadResponse([content], filename=filename, size_bytes=len(content))


@require_GET
def training_job_output_view(request: HttpRequest, project: str, name: str) -> DownloadResponse:
    """What the job left in `output/data`, as `output.tar.gz`."""
    chunks, filename, size_bytes = training_job_output(actor=page_actor(request, project), name=name)
    return DownloadResponse(chunks, filename=filename, size_bytes=size_bytes, content_type="application/gzip")


def _source_uid(actor: Actor, name: str) -> str:
    job: TrainingJob = training_job_get(actor=actor, name=name)
    if job.source is None:
        raise NotFound(_("Training job %(name)r has no source code of its own") % {"name": name[:63]})
    return job.source.uid
