"""What every page shows around its content: navigation, projects of the user, language and theme."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.http import HttpRequest
from django.urls import NoReverseMatch, reverse
from django.utils.functional import SimpleLazyObject
from django.utils.translation import gettext as _
from django.utils.translation import pgettext

from mlplatform.core.models import Project, Role
from mlplatform.web.access import request_actor, request_memberships
from mlplatform.web.preferences import page_settings

LAST_PROJECT = "last_project"
"""In the session: the name of the project that the person visited last."""
LANGUAGE_NAMES = (("en", "English"), ("ja", "日本語"))
"""Each language in its own words, whatever the page's language is."""


@dataclass(frozen=True)
class NavigationItem:
    title: str
    icon: str
    url: str
    active: bool


@dataclass(frozen=True)
class NavigationGroup:
    title: str
    items: list[NavigationItem]


def navigation(request: HttpRequest) -> dict[str, Any]:
    """The context processor of all templates."""
    return {
        "actor": request_actor(request),
        "navigation_groups": SimpleLazyObject(lambda: _groups(request)),
        "navigation_project": SimpleLazyObject(lambda: _project(request)),
        "my_projects": SimpleLazyObject(lambda: request_memberships(request)),
        "page_settings": page_settings(request),
        "languages": LANGUAGE_NAMES,
    }


def _project(request: HttpRequest) -> Project | None:
    """The project of the page; on a page of none, the one that the person visited last."""
    actor = request_actor(request)
    if actor is not None:
        return actor.project
    mine = [membership.project for membership in request_memberships(request)]
    last = request.session.get(LAST_PROJECT) if mine else None
    return next((project for project in mine if project.name == last), mine[0] if mine else None)


def _groups(request: HttpRequest) -> list[NavigationGroup]:
    project = _project(request)
    if project is None:
        return []
    plan = [
        ("", [(_("Home"), "layout-dashboard", "project-home")]),
        (
            pgettext("navigation", "Build"),
            [
                (_("Datasets"), "table-2", "dataset-list"),
                (_("Algorithms"), "shapes", "algorithm-list"),
                (_("Training jobs"), "activity", "training-job-list"),
                (_("Tuning jobs"), "sliders-horizontal", "tuning_jobs"),
            ],
        ),
        (
            pgettext("navigation", "Serve"),
            [
                (_("Models"), "box", "model-list"),
                (_("Endpoints"), "radio-tower", "endpoint-list"),
                (_("Transform jobs"), "workflow", "transform_jobs"),
            ],
        ),
        (
            pgettext("navigation", "Measure"),
            [
                (_("Evaluations"), "gauge", "evaluation-list"),
                (_("Experiments"), "scale", "experiment-list"),
                (_("Compare"), "git-compare-arrows", "comparison"),
            ],
        ),
        (
            pgettext("navigation", "Operate"),
            [
                (_("Costs"), "receipt-text", "costs"),
                (_("Workers"), "server", "worker-list"),
                (_("Access keys"), "key-round", "access-key-list"),
                (_("Members"), "users", "member-list"),
                *_for_administrators(request, project),
            ],
        ),
    ]
    return [
        NavigationGroup(title, [item for entry in entries if (item := _item(request, project.name, *entry))])
        for title, entries in plan
    ]


def _for_administrators(request: HttpRequest, project: Project) -> list[tuple[str, str, str]]:
    role = next((mine.role for mine in request_memberships(request) if mine.project_id == project.pk), "")
    return [(_("Audit log"), "scroll-text", "audit-event-list")] if role == Role.ADMIN else []


def _item(request: HttpRequest, project: str, title: str, icon: str, name: str) -> NavigationItem | None:
    try:
        url = reverse(f"web:{name}", kwargs={"project": project})
    except NoReverseMatch:
        return None
    exact = name == "project-home"
    return NavigationItem(title, icon, url, request.path == url if exact else request.path.startswith(url))
