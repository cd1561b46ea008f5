"""Preferences: the row of a user is the truth, cookies carry it, so that no request needs the database for it.

A person who is not signed in has cookies only. Language: user's setting, then cookie, then `Accept-Language`.
"""

from __future__ import annotations

import zoneinfo
from dataclasses import dataclass
from functools import cache

from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse

from mlplatform.core.errors import FieldError, InvalidRequest
from mlplatform.web.models import Preferences, Theme

THEME_COOKIE = "theme"
TIME_ZONE_COOKIE = "time_zone"
_YEAR_S = 365 * 24 * 3600


@dataclass(frozen=True)
class PageSettings:
    """What a page is rendered with. An empty time zone is the browser's own."""

    theme: str
    time_zone: str


def page_settings(request: HttpRequest) -> PageSettings:
    """Theme and time zone as the request's cookies say; what is not legal counts as not set."""
    theme = request.COOKIES.get(THEME_COOKIE, "")
    zone = request.COOKIES.get(TIME_ZONE_COOKIE, "")
    return PageSettings(
        theme=theme if theme in Theme.values else Theme.SYSTEM.value,
        time_zone=zone if zone in time_zones() else "",
    )


@cache
def time_zones() -> frozenset[str]:
    """Names of all that there are. Found once: it takes a walk over the files of the database of time zones."""
    return frozenset(zoneinfo.available_timezones())


def preferences_get(*, user: User) -> Preferences:
    return Preferences.objects.filter(user=user).first() or Preferences(user=user)


def preferences_set(
    *, user: User, language: str | None = None, theme: str | None = None, time_zone: str | None = None
) -> Preferences:
    """Keeps what is given; None leaves a value as it is. Raises InvalidRequest that names the fields."""
    _check(language=language, theme=theme, time_zone=time_zone)
    kept = preferences_get(user=user)
    kept.language = kept.language if language is None else language
    kept.theme = kept.theme if theme is None else theme
    kept.time_zone = kept.time_zone if time_zone is None else time_zone
    kept.save()
    return kept


def preferences_to_cookies(response: HttpResponse, preferences: Preferences) -> None:
    """Writes the user's settings to the browser; one that is empty is removed there."""
    _cookie(response, settings.LANGUAGE_COOKIE_NAME, preferences.language)
    _cookie(response, THEME_COOKIE, preferences.theme)
    _cookie(response, TIME_ZONE_COOKIE, preferences.time_zone)


def cookie_set(response: HttpResponse, *, language: str | None = None, theme: str | None = None) -> None:
    """For a person who is not signed in. Raises InvalidRequest."""
    _check(language=language, theme=theme, time_zone=None)
    if language is not None:
        _cookie(response, settings.LANGUAGE_COOKIE_NAME, language)
    if theme is not None:
        _cookie(response, THEME_COOKIE, theme)


def _check(*, language: str | None, theme: str | None, time_zone: str | None) -> None:
    languages = [code for code, _ in settings.LANGUAGES]
    errors = []
    if language and language not in languages:
        errors.append(FieldError("language", f"{language[:20]!r} is not offered; use {', '.join(languages)}"))
    if theme is not None and theme not in Theme.values:
        errors.append(FieldError("theme", f"{theme[:20]!r} is not a theme; use {', '.join(Theme.values)}"))
    if time_zone and time_zone not in time_zones():
        errors.append(
            FieldError("time_zone", f"{time_zone[:60]!r} is not a time zone; use one such as Asia/Tokyo")
        )
    if errors:
        raise InvalidRequest.for_fields(errors)


def _cookie(response: HttpResponse, name: str, value: str) -> None:
    if not value:
        response.delete_cookie(name)
        return
    response.set_cookie(
        name, value, max_age=_YEAR_S, samesite="Lax", httponly=True, secure=settings.SESSION_COOKIE_SECURE
    )
