"""Signing in and out, here and everywhere."""

from __future__ import annotations

from django.contrib import messages
from django.contrib.auth import login, logout
from django.contrib.auth.forms import AuthenticationForm
from django.db import transaction
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from mlplatform.core.audit.record import audit_record
from mlplatform.core.people.sessions import sessions_end
from mlplatform.core.people.throttle import SignInThrottled
from mlplatform.core.translation import translated
from mlplatform.web.access import page_user
from mlplatform.web.forms.session import SignInForm
from mlplatform.web.next_page import next_page
from mlplatform.web.preferences import preferences_get, preferences_to_cookies


@sensitive_post_parameters("password")
@never_cache
@require_http_methods(["GET", "POST"])
def sign_in(request: HttpRequest) -> HttpResponse:
    target = safe_next(request)
    if request.user.is_authenticated:
        return redirect(target)
    if request.method == "GET":
        return _page(request, SignInForm(request), target)
    form = SignInForm(request, data=request.POST)
    try:
        if not form.is_valid():
            return _page(request, form, target, status=400)
    except SignInThrottled as error:
        return _throttled(request, target, error)
    login(request, form.get_user())
    response = redirect(target)
    preferences_to_cookies(response, preferences_get(user=form.get_user()))
    return response


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("web:login")


@require_POST
def sign_out_everywhere(request: HttpRequest) -> HttpResponse:
    """Ends every session of the person, this one too."""
    user = page_user(request)
    with transaction.atomic():
        n_sessions = sessions_end(user=user)
        audit_record(user=user, action="session.delete_all", detail={"sessions": n_sessions})
    logout(request)
    messages.success(request, _("You are signed out everywhere."))
    return redirect("web:login")


def safe_next(request: HttpRequest) -> str:
    """Where to go afterwards: the `next` of the request if it is on this site, else the home page."""
    return next_page(request, resolve_url("web:home"))


def _throttled(request: HttpRequest, target: str, error: SignInThrottled) -> HttpResponse:
    form = SignInForm(request, initial={"username": request.POST.get("username", "")[:150]})
    response = _page(request, form, target, status=429, problem=translated(error.message))
    response["Retry-After"] = str(error.retry_after_s)
    return response


def _page(
    request: HttpRequest, form: AuthenticationForm, target: str, *, status: int = 200, problem: str = ""
) -> HttpResponse:
    problems = [problem] if problem else form.non_field_errors() if form.is_bound else []
    context = {"form": form, "next": target, "problems": problems}
    return render(request, "web/login.html", context, status=status)
