"""The run on Postgres and Redis: what is run there, what is skipped, and where a process finds its database."""

from __future__ import annotations

import os
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from django.conf import settings
from django.db import connection

from tests import services
from tests.schedule import arrange, scope_of


def item(nodeid: str, *fixtures: str, marks: tuple[str, ...] = ()) -> pytest.Item:
    """A test as far as it is looked at."""
    skips: list[Any] = []
    found = SimpleNamespace(
        nodeid=nodeid,
        fixturenames=fixtures,
        get_closest_marker=lambda name: name if name in marks else None,
        add_marker=skips.append,
        skips=skips,
    )
    return cast(pytest.Item, found)


def test_what_uses_a_database_a_broker_or_a_platform_is_run_on_both() -> None:
    asking = [
        item("a.py::rows", "tmp_path", "db"),
        item("a.py::marked", marks=("django_db",)),
        item("a.py::broker", "redis"),
        item("a.py::journey", "street", "platform"),
    ]
    assert all(map(services.asks_services, asking))
    assert not services.asks_services(item("b.py::arithmetic", "tmp_path", "monkeypatch"))
    assert not services.asks_services(item("b.py::formats", "platform", marks=("once",)))
    assert not services.asks_services(item("b.py::contrast", "platform", "browser_page", "chromium"))


def test_a_program_that_is_missing_skips_and_with_ci_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (services.DATABASE, services.BROKER, services.MISSING):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(services, "postgres_programs", lambda: None)
    monkeypatch.setenv(services.ON, "postgres")
    monkeypatch.setenv("CI", "true")
    with pytest.raises(pytest.UsageError, match=r"no Postgres on this machine.*no test may be skipped"):
        services.services_ensure()
    monkeypatch.setenv("CI", "")
    services.services_ensure()
    assert "no Postgres on this machine" in services.missing()
    assert list(services.summary({})) == [f"on Postgres and Redis: skipped, {services.missing()}"]
    os.environ.pop(services.MISSING)


def test_other_services_than_there_are_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(services.ON, "oracle")
    with pytest.raises(pytest.UsageError, match="TEST_ON=oracle"):
        services.services_ensure()


def test_live_tests_come_first_and_what_waits_takes_turns_with_what_computes() -> None:
    ids = ["tests/web/a.py::1", "tests/web/b.py::1", "tests/web/b.py::2", "tests/faults/f.py::1"]
    ids += ["tests/journeys/j.py::1", "tests/browser/p.py::1"]
    items = [item(nodeid) for nodeid in ids]
    arrange(items)
    assert [scope_of(found.nodeid) for found in items] == [
        "live",
        "live in a browser",
        "tests/faults/f.py",
        "tests/web/b.py",
        "tests/web/b.py",
        "tests/web/a.py",
    ]


def test_this_run_is_on_the_services_it_was_asked_for(db: None) -> None:
    vendor, broker = ("postgresql", "redis:") if services.is_on() else (connection.vendor, "redis+socket:")
    assert connection.vendor == vendor
    assert settings.CELERY_BROKER_URL.startswith(broker)
    if connection.vendor == "sqlite":
        assert Path(str(connection.settings_dict["NAME"])).is_relative_to(settings.DATA_DIR)
