"""Pages that make or change datasets: new (upload, URI, sample), new version, label, split, delete."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django.conf import settings
from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_http_methods, require_POST

from jobs.data.sample_list import SAMPLES
from jobs.models import Dataset, DatasetVersion
from jobs.selectors.datasets import dataset_get, dataset_uses, dataset_version_get, dataset_versions
from jobs.services.dataset_uploads import dataset_create_from_resumable, dataset_version_add_resumable
from jobs.services.datasets import (
    dataset_create_from_sample,
    dataset_create_from_upload,
    dataset_create_from_uri,
    dataset_delete,
    dataset_split,
    dataset_update,
    dataset_version_add,
)
from mlplatform.core.errors import AccessDenied, NotFound, PlatformError
from mlplatform.core.models import Role
from mlplatform.core.people.access import Actor
from mlplatform.web.access import page_actor
from mlplatform.web.forms.datasets import LabelForm, SampleForm, SplitForm, UploadForm, UriForm, VersionForm
from mlplatform.web.rendering import page_response, redirect_response
from mlplatform.web.templatetags.figures import bytes_text
from mlplatform.web.views.datasets import tab_titles

NewForm = UploadForm | UriForm | SampleForm
_FORMS: dict[str, type[NewForm]] = {"upload": UploadForm, "uri": UriForm, "sample": SampleForm}


@require_http_methods(["GET", "POST"])
def dataset_new(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    source = request.GET.get("from", "upload")
    source = source if source in _FORMS else "upload"
    if request.method == "GET":
        sample = request.GET.get("sample") or (SAMPLES[0].name if source == "sample" else "")
        return _new_page(
            request, source, _FORMS[source](initial={"sample": sample, "name": sample.replace("_", "-")})
        )
    form = _FORMS[source](request.POST, request.FILES)
    dataset = _refused_or(form, lambda: _create(actor, form)) if form.is_valid() else None
    if dataset is None:
        return _new_page(request, source, form, status=400)
    messages.success(request, _created_words(dataset))
    return redirect_response(request, _detail_url(actor, dataset.name))


@require_http_methods(["GET", "POST"])
def dataset_version_new(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    latest = dataset_version_get(actor=actor, reference=name)
    limit = settings.MLPLATFORM_UPLOAD_LIMIT_BYTES
    context: dict[str, Any] = {"dataset": latest.dataset, "version": latest, "upload_limit_bytes": limit}
    if request.method == "GET":
        form = VersionForm(initial={"label": latest.label_name or ""})
        return page_response(request, "datasets/version_new.html", context | {"form": form})
    form = VersionForm(request.POST, request.FILES)
    made = None
    if form.is_valid():
        made = _refused_or(form, lambda: _add_version(actor, name, form))
    if made is None:
        return page_response(request, "datasets/version_new.html", context | {"form": form}, status=400)
    messages.success(request, _("Version %(n)s is uploaded.") % {"n": made.number})
    return redirect_response(request, _detail_url(actor, name))


@require_http_methods(["GET", "POST"])
def dataset_label(request: HttpRequest, project: str, name: str) -> HttpResponse:
    """Another label column makes a version of the same bytes."""
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    version = dataset_version_get(actor=actor, reference=name)
    form = LabelForm(
        request.POST if request.method == "POST" else None, initial={"label": version.label_name}
    )
    if request.method == "POST" and form.is_valid():
        label = form.cleaned_data["label"] or None
        if _refused_or(form, lambda: dataset_update(actor=actor, name=name, label=label)):
            messages.success(request, _("The label column is set."))
            return redirect_response(request, _detail_url(actor, name))
    context = {"dataset": version.dataset, "version": version, "form": form}
    return page_response(request, "datasets/label.html", context, status=400 if form.errors else 200)


@require_POST
def dataset_split_page(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    version = dataset_version_get(actor=actor, reference=request.POST.get("reference") or name)
    if version.dataset.name != name:
        raise NotFound(
            f"There is no version {request.POST.get('reference', '')[:80]!r} of dataset {name[:63]!r}"
        )
    form = SplitForm(request.POST)
    made = None
    if form.is_valid():
        made = _refused_or(form, lambda: dataset_split(actor=actor, name=str(version), **form.arguments()))
    if made is None:
        context = {
            "dataset": version.dataset,
            "version": version,
            "tab": "split",
            "tabs": tab_titles(actor),
            "form": form,
        }
        context["is_latest"] = version.pk == version.dataset.latest_id
        return page_response(request, "datasets/detail.html", context, status=400)
    text = ", ".join(f"{part.name} ({part.latest.n_rows})" for part in made if part.latest)
    messages.success(request, _("Made from a split, with so many rows: %(parts)s") % {"parts": text})
    return redirect(_detail_url(actor, made[0].name))


@require_http_methods(["GET", "POST"])
def dataset_delete_page(request: HttpRequest, project: str, name: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    if request.method == "POST":
        dataset_delete(actor=actor, name=name)
        messages.success(request, _("Dataset %(name)s is deleted.") % {"name": name})
        return redirect("web:dataset-list", project=project)
    dataset = dataset_get(actor=actor, name=name)
    context = {
        "title": _("Delete dataset %(name)s?") % {"name": name},
        "text": _("This cannot be undone."),
        "goes": _what_goes(dataset),
        "action": _("Delete"),
        "back": _detail_url(actor, name),
    }
    return page_response(request, "generic/confirm.html", context)


def _create(actor: Actor, form: NewForm) -> Dataset:
    values = form.cleaned_data
    named = {"actor": actor, "name": values["name"], "description": values["description"]}
    if isinstance(form, UploadForm):
        if values["upload"]:
            return dataset_create_from_resumable(upload=values["upload"], **named, **form.reading())
        file = values["file"]
        return dataset_create_from_upload(file=file, filename=file.name, **named, **form.reading())
    if isinstance(form, UriForm):
        return dataset_create_from_uri(uri=values["uri"], **named, **form.reading())
    return dataset_create_from_sample(sample=values["sample"], **named)


def _add_version(actor: Actor, name: str, form: VersionForm) -> DatasetVersion:
    upload, file = form.cleaned_data["upload"], form.cleaned_data["file"]
    if upload:
        return dataset_version_add_resumable(actor=actor, name=name, upload=upload, **form.reading())
    return dataset_version_add(actor=actor, name=name, file=file, filename=file.name, **form.reading())


def _refused_or(form: Any, action: Callable[[], Any]) -> Any:
    """What the service made; None where it refused, with its errors put into the form."""
    try:
        return action()
    except (AccessDenied, NotFound):
        raise
    except PlatformError as error:
        if error.http_status >= 500:
            raise
        form.refuse(error)
        return None


def _new_page(request: HttpRequest, source: str, form: NewForm, *, status: int = 200) -> HttpResponse:
    limit = settings.MLPLATFORM_UPLOAD_LIMIT_BYTES
    context = {"form": form, "source": source, "samples": SAMPLES, "upload_limit_bytes": limit}
    return page_response(request, "datasets/new.html", context, status=status)


def _detail_url(actor: Actor, name: str) -> str:
    return reverse("web:dataset-detail", kwargs={"project": actor.project.name, "name": name})


def _created_words(dataset: Dataset) -> str:
    assert dataset.latest is not None
    words = ngettext("%(name)s has %(n)s row.", "%(name)s has %(n)s rows.", dataset.latest.n_rows)
    return words % {"name": dataset.name, "n": f"{dataset.latest.n_rows:,}"}


def _what_goes(dataset: Dataset) -> list[str]:
    versions = dataset_versions(dataset=dataset)
    size = bytes_text(sum(version.size_bytes for version in versions))
    goes = ngettext("%(n)s version, %(size)s", "%(n)s versions, %(size)s", len(versions))
    lines = [goes % {"n": len(versions), "size": size}]
    n_jobs = len({use.job_id for use in dataset_uses(dataset=dataset)})
    if n_jobs:
        stays = ngettext(
            "%(n)s training job that read it stays, with its model and log",
            "%(n)s training jobs that read it stay, with their models and logs",
            n_jobs,
        )
        lines.append(stays % {"n": n_jobs})
    return lines
