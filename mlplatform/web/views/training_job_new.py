"""The page on which a training job is put together: of a built-in algorithm or of a person's own script."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Final

from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.views.decorators.http import require_http_methods

from jobs.algorithms.registry import SCRIPT, algorithm_get, algorithm_list
from jobs.selectors.datasets import dataset_version_get
from jobs.services.training import training_job_clone_request, training_job_create
from mlplatform.core import clock, names
from mlplatform.core.errors import NotFound, PlatformError
from mlplatform.core.models import Role
from mlplatform.core.people.access import Actor
from mlplatform.web.access import page_actor
from mlplatform.web.forms.scripts import ScriptForm
from mlplatform.web.forms.suggestions import hyperparameters_suggested
from mlplatform.web.forms.training_jobs import TrainingJobForm, hyperparameters_given
from mlplatform.web.script_sources import (
    example_take,
    source_begin_file,
    source_clear,
    source_save,
    source_take,
)
from mlplatform.web.training_job_form import form_context

FRAMEWORK: Final = "sklearn"
"""Of a script of which nothing is known yet."""


@require_http_methods(["GET", "POST"])
def training_job_new(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    if request.method == "GET":
        return _form_page(request, actor, _first_form(request, actor))
    form = TrainingJobForm.from_post(request.POST)
    intent = request.POST.get("intent", "")
    if intent == "preview":
        call = form.api_call(base_url=request.build_absolute_uri("/").rstrip("/"), project=project)
        return render(request, "training_jobs/_api_call.html", {"api_call": call})
    if intent == "algorithm":
        _begin_again(actor, form)
        return _form_page(request, actor, form)
    try:
        if request.POST.get("script.example"):
            example_take(actor, form, request.POST["script.example"])
            return _form_page(request, actor, form)
        if form.script is not None and intent in _INTENTS:
            _INTENTS[intent](request, actor, form.script)
            return _form_page(request, actor, form)
        if form.script is not None:
            source_save(actor, form.script)
        job = training_job_create(actor=actor, **form.service_arguments())
    except PlatformError as error:
        return _form_page(request, actor, form, error=error)
    return redirect("web:training-job-detail", project=project, name=job.name)


_INTENTS: Final[Mapping[str, Callable[[HttpRequest, Actor, ScriptForm], None]]] = {
    "source": source_take,
    "clear": lambda _request, _actor, script: source_clear(script),
    "file": lambda _request, _actor, script: source_begin_file(script),
    "save": lambda _request, actor, script: source_save(actor, script),
}
"""What the buttons of a script's form do beside starting the job: the form comes again with what they did."""


def _first_form(request: HttpRequest, actor: Actor) -> TrainingJobForm:
    cloned = request.GET.get("clone")
    if cloned:
        form = TrainingJobForm.from_request(training_job_clone_request(actor=actor, name=cloned))
        form.cloned_from = cloned
        form.hyperparameters |= hyperparameters_given(request.GET)
    else:
        form = TrainingJobForm(algorithm=request.GET.get("algorithm", "") or algorithm_list()[0].name)
        for channel in ("train", "validation", "test"):
            if request.GET.get(channel):
                form.channels[channel] = {"dataset": request.GET[channel]}
        if form.algorithm == SCRIPT:
            form.script = ScriptForm(framework=request.GET.get("framework") or FRAMEWORK)
        elif request.GET.get("train"):
            version = dataset_version_get(actor=actor, reference=request.GET["train"])
            form.hyperparameters = hyperparameters_suggested(algorithm_get(form.algorithm), version)
    stem = cloned or form.algorithm or "job"
    form.name = names.name_with_time(stem[:30], clock.now())
    return form


def _renamed(form: TrainingJobForm) -> str:
    """The name of the form; one that was made of an algorithm's name and nobody has changed, made of the one that is
    chosen now.
    """
    stems = "|".join(re.escape(one) for one in (*(spec.name for spec in algorithm_list()), SCRIPT))
    made = re.fullmatch(rf"(?:{stems})(-\d{{4}}(?:-\d\d){{5}}-[0-9a-f]{{4}})", form.name)
    return f"{form.algorithm[:30]}{made[1]}" if made else form.name


def _begin_again(actor: Actor, form: TrainingJobForm) -> None:
    """Another algorithm: its hyperparameters are as on a form opened for the dataset. Those of the one before would
    mean something else, even of the same name. The data stays, as far as the algorithm has such channels.
    """
    form.hyperparameters = {}
    form.name = _renamed(form)
    if form.script is not None:
        form.script.framework = form.script.framework or FRAMEWORK
        return
    known = {channel.name for channel in algorithm_get(form.algorithm).channels}
    form.channels = {name: values for name, values in form.channels.items() if name in known}
    chosen = form.channels.get("train", {}).get("dataset")
    if not chosen:
        return
    with suppress(NotFound):
        version = dataset_version_get(actor=actor, reference=chosen)
        form.hyperparameters = hyperparameters_suggested(algorithm_get(form.algorithm), version)


def _form_page(
    request: HttpRequest, actor: Actor, form: TrainingJobForm, error: PlatformError | None = None
) -> HttpResponse:
    context = form_context(request, actor, form, error)
    return render(request, "training_jobs/new.html", context, status=error.http_status if error else 200)
