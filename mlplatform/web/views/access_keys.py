"""Pages of access keys: list, new (the secret is shown once, in the answer to the form), revoke."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_GET, require_http_methods

from mlplatform.core import clock
from mlplatform.core.errors import NotFound
from mlplatform.core.models import AccessKey
from mlplatform.core.people.access import access_key_create, access_key_list, access_key_revoke
from mlplatform.web.access import page_actor
from mlplatform.web.forms.access_keys import AccessKeyForm
from mlplatform.web.rendering import page_response
from mlplatform.web.shortlist import short_list

_ORDERS = {
    "created": lambda row: row.key.created_at,
    "used": lambda row: row.key.last_used_at,
    "expires": lambda row: row.key.expires_at,
    "user": lambda row: row.key.user.get_username(),
    "description": lambda row: row.key.description,
}


@dataclass(frozen=True)
class KeyRow:
    key: AccessKey
    status: str
    tone: str


@require_GET
def access_key_list_page(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    rows = [_row(key) for key in access_key_list(actor=actor)]
    keys = short_list(rows, request.GET, orders=_ORDERS, default="-created", text=_text)
    return page_response(request, "access_keys/list.html", {"keys": keys})


@never_cache
@require_http_methods(["GET", "POST"])
def access_key_new(request: HttpRequest, project: str) -> HttpResponse:
    actor = page_actor(request, project)
    form = AccessKeyForm(request.POST or None)
    if request.method == "GET" or not form.is_valid():
        return render(
            request, "access_keys/new.html", {"form": form}, status=200 if request.method == "GET" else 400
        )
    days = form.cleaned_data["days"]
    key, secret = access_key_create(
        user=actor.user,
        project=actor.project,
        description=form.cleaned_data["description"],
        expires_at=clock.now() + timedelta(days=days) if days else None,
        actor=actor,
    )
    base_url = request.build_absolute_uri("/").rstrip("/")
    context = {"key": key, "token": f"{key.key_id}.{secret}", "secret": secret, "base_url": base_url}
    return render(request, "access_keys/created.html", context)


@require_http_methods(["GET", "POST"])
def access_key_revoke_page(request: HttpRequest, project: str, key_id: str) -> HttpResponse:
    actor = page_actor(request, project)
    back = reverse("web:access-key-list", kwargs={"project": project})
    if request.method == "POST":
        access_key_revoke(actor=actor, key_id=key_id)
        messages.success(request, _("Access key %(key)s is revoked.") % {"key": key_id})
        return redirect(back)
    key = next((key for key in access_key_list(actor=actor) if key.key_id == key_id), None)
    if key is None:
        raise NotFound(f"There is no access key {key_id[:20]!r}")
    context = {
        "title": _("Revoke access key %(key)s?") % {"key": key.key_id},
        "text": _("Programs that use it are refused at once. This cannot be undone."),
        "action": _("Revoke"),
        "back": back,
    }
    return page_response(request, "generic/confirm.html", context)


def _row(key: AccessKey) -> KeyRow:
    if key.revoked_at is not None:
        return KeyRow(key, "Revoked", "neutral")
    if key.expires_at is not None and key.expires_at <= clock.now():
        return KeyRow(key, "Expired", "warning")
    return KeyRow(key, "Active", "good")


def _text(row: KeyRow) -> str:
    return f"{row.key.key_id} {row.key.description} {row.key.user.get_username()}"
