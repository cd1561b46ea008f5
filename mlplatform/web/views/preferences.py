"""Preferences of a person, and the language and theme switches, which work without signing in too."""

from __future__ import annotations

from django.conf import settings
from django.contrib import messages
from django.contrib.auth import update_session_auth_hash
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render
from django.utils.translation import gettext as _
from django.utils.translation import override
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from mlplatform.core.errors import InvalidRequest, PlatformError
from mlplatform.core.people.sessions import PASSWORD_GIVEN, session_list
from mlplatform.core.people.throttle import SignInThrottled
from mlplatform.core.translation import translated, translated_error
from mlplatform.web.access import page_user
from mlplatform.web.forms.session import OwnPasswordForm
from mlplatform.web.forms.training_jobs import errors_by_field
from mlplatform.web.models import Preferences, Theme
from mlplatform.web.preferences import (
    cookie_set,
    preferences_get,
    preferences_set,
    preferences_to_cookies,
    time_zones,
)
from mlplatform.web.views.session import safe_next


@require_http_methods(["GET", "POST"])
def preferences(request: HttpRequest) -> HttpResponse:
    user = page_user(request)
    if request.method == "GET":
        return _page(request, preferences_get(user=user))
    given = {
        "language": request.POST.get("language", ""),
        "theme": request.POST.get("theme", Theme.SYSTEM.value),
        "time_zone": request.POST.get("time_zone", "").strip(),
    }
    try:
        kept = preferences_set(user=user, **given)
    except InvalidRequest as error:
        return _page(request, given, error)
    with override(kept.language or None):
        messages.success(request, _("Your preferences are saved."))
    response = redirect("web:preferences")
    preferences_to_cookies(response, kept)
    return response


@sensitive_post_parameters()
@never_cache
@require_http_methods(["GET", "POST"])
def password(request: HttpRequest) -> HttpResponse:
    """Changes the password; the other sessions of the user end, this one stays."""
    user = page_user(request)
    form = OwnPasswordForm(user, request.POST if request.method == "POST" else None)
    try:
        if request.method == "GET" or not form.is_valid():
            return render(request, "web/password.html", {"form": form}, status=400 if form.is_bound else 200)
    except SignInThrottled as error:
        return _throttled(request, error)
    with transaction.atomic():
        form.save()
        update_session_auth_hash(request, form.user)
    request.session[PASSWORD_GIVEN] = False
    messages.success(request, _("Your password is changed. Other browsers are signed out."))
    return redirect("web:preferences")


@require_POST
def language(request: HttpRequest) -> HttpResponse:
    return _switch(request, language=request.POST.get("language", ""))


@require_POST
def theme(request: HttpRequest) -> HttpResponse:
    return _switch(request, theme=request.POST.get("theme", ""))


def _throttled(request: HttpRequest, error: SignInThrottled) -> HttpResponse:
    context = {"form": OwnPasswordForm(page_user(request)), "problems": [translated(error.message)]}
    response = render(request, "web/password.html", context, status=429)
    response["Retry-After"] = str(error.retry_after_s)
    return response


def _page(
    request: HttpRequest, values: Preferences | dict[str, str], error: PlatformError | None = None
) -> HttpResponse:
    error = error and translated_error(error)
    context = {
        "preferences": values,
        "themes": Theme.choices,
        "time_zones": sorted(time_zones()),
        "errors": errors_by_field(error.errors) if error else {},
        "sessions": session_list(user=page_user(request)),
        "this_session": request.session.session_key,
        "idle_hours": f"{settings.SESSION_COOKIE_AGE / 3600:g}",
    }
    return render(request, "web/preferences.html", context, status=error.http_status if error else 200)


def _switch(request: HttpRequest, *, language: str | None = None, theme: str | None = None) -> HttpResponse:
    response = redirect(safe_next(request))
    cookie_set(response, language=language, theme=theme)
    if request.user.is_authenticated:
        preferences_set(user=page_user(request), language=language, theme=theme)
    return response
