"""Whether a dataset may have a name, for a form that asks before it sends a file."""

from __future__ import annotations

from django.http import HttpRequest, JsonResponse
from django.views.decorators.http import require_safe

from jobs.services.dataset_publish import name_free_check
from mlplatform.core.errors import Conflict, InvalidRequest
from mlplatform.core.models import Role
from mlplatform.web.access import page_actor
from mlplatform.web.forms.datasets import NameForm


@require_safe
def dataset_name(request: HttpRequest, project: str) -> JsonResponse:
    """What the form would say at the parameter `name`, as `{"refusal": …}`; empty where the name may be used."""
    actor = page_actor(request, project)
    actor.require(Role.EDITOR)
    form = NameForm(request.GET)
    if form.is_valid():
        try:
            name_free_check(actor=actor, name=form.cleaned_data["name"])
        except (Conflict, InvalidRequest) as error:
            form.refuse(error)
    return JsonResponse({"refusal": " ".join(str(error) for error in form.errors.get("name", ()))})
