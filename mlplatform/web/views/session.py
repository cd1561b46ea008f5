"""Signing in and out."""

from __future__ import annotations

from django.contrib.auth import login, logout
from django.contrib.auth.forms import AuthenticationForm
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect, render, resolve_url
from django.utils.http import url_has_allowed_host_and_scheme
from django.views.decorators.cache import never_cache
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from mlplatform.web.forms.session import SignInForm
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
    if not form.is_valid():
        return _page(request, form, target, status=400)
    login(request, form.get_user())
    response = redirect(target)
    preferences_to_cookies(response, preferences_get(user=form.get_user()))
    return response


@require_POST
def sign_out(request: HttpRequest) -> HttpResponse:
    logout(request)
    return redirect("web:login")


def safe_next(request: HttpRequest) -> str:
    """Where to go afterwards: the `next` of the request if it is on this site, else the home page."""
    target = request.POST.get("next") or request.GET.get("next") or ""
    own = url_has_allowed_host_and_scheme(
        target, allowed_hosts={request.get_host()}, require_https=request.is_secure()
    )
    return target if target and own else resolve_url("web:home")


def _page(request: HttpRequest, form: AuthenticationForm, target: str, *, status: int = 200) -> HttpResponse:
    return render(request, "web/login.html", {"form": form, "next": target}, status=status)
