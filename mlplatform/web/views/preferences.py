"""Preferences of a person, and the language and theme switches, which work without signing in too."""

from __future__ import annotations

import zoneinfo

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import override
from django.views.decorators.http import require_http_methods, require_POST

from mlplatform.web.access import page_user
from mlplatform.web.models import Theme
from mlplatform.web.preferences import cookie_set, preferences_get, preferences_set, preferences_to_cookies
from mlplatform.web.views.session import safe_next


@require_http_methods(["GET", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    user = page_user(request)
    if request.method == "GET":
        context = {
            "preferences": preferences_get(user=user),
            "themes": Theme.choices,
            "time_zones": sorted(zoneinfo.available_timezones()),
        }
        return render(request, "web/preferences.html", context)
    kept = preferences_set(
        user=user,
        language=request.POST.get("language", ""),
        theme=request.POST.get("theme", Theme.SYSTEM.value),
        time_zone=request.POST.get("time_zone", "").strip(),
    )
    with override(kept.language or None):
        messages.success(request, _("Your preferences are kept."))
    response = redirect("web:preferences")
    preferences_to_cookies(response, kept)
    return response


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    return _switch(request, language=request.POST.get("language", ""))


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    return _switch(request, theme=request.POST.get("theme", ""))


def _switch(request: HttpRequest, *, language: str | None = None, theme: str | None = None) -> HttpResponse:
    response = redirect(safe_next(request))
    cookie_set(response, language=language, theme=theme)
    if request.user.is_authenticated:
        preferences_set(user=page_user(request), language=language, theme=theme)
    return response
