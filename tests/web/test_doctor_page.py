"""The doctor's page: for operators only, the worst first, what to do, and a report to copy."""

from __future__ import annotations

import re

import pytest
from django.contrib.auth.models import User
from django.test import Client

from mlplatform.core.health import doctor
from mlplatform.core.health.doctor import Finding, Level, doctor_check
from mlplatform.core.text import text as _
from tests.web.conftest import Visitor

PAGE, MARK = "/doctor/", "/doctor/mark/"


@pytest.fixture
def olga(alice: Visitor) -> Client:
    """An operator: staff, and a member of no project."""
    client = Client()
    client.force_login(User.objects.create_user("olga", is_staff=True))
    return client


@pytest.fixture
def findings(monkeypatch: pytest.MonkeyPatch) -> list[Finding]:
    """What the one check of the test finds."""
    found: list[Finding] = []
    monkeypatch.setattr(doctor, "_CHECKS", {})
    monkeypatch.setattr(doctor, "_kept", None)
    doctor_check("broker", title=_("Broker"))(lambda: list(found))
    return found


def body(client: Client, path: str = PAGE, **headers: str) -> str:
    response = client.get(path, headers=headers)
    assert response.status_code == 200
    return str(response.content.decode())


@pytest.mark.parametrize("path", [PAGE, MARK])
def test_only_operators_see_the_doctor(
    alice: Visitor, bob: Visitor, olga: Client, findings: list[Finding], path: str
) -> None:
    assert Client().get(path).status_code == 302
    assert alice.client.get(path).status_code == bob.client.get(path).status_code == 403
    assert olga.get(path).status_code == 200
    assert olga.post(path).status_code == 405
    User.objects.filter(username="olga").update(is_active=False)
    assert olga.get(path).status_code == 302


def test_only_operators_are_led_there(alice: Visitor, olga: Client) -> None:
    assert PAGE not in alice.get("project-home").content.decode()
    User.objects.filter(username="alice").update(is_staff=True)
    page = alice.get("project-home").content.decode()
    assert f'href="{PAGE}"' in page and f'hx-get="{MARK}"' in page


def test_the_admin_console_leads_there(db: None) -> None:
    client = Client()
    client.force_login(User.objects.create_superuser("root"))
    assert f'href="{PAGE}"' in client.get("/admin/").content.decode()


def test_a_healthy_platform_says_so(olga: Client, findings: list[Finding]) -> None:
    findings.append(Finding("broker", Level.OK, _("Redis answered")))
    page = body(olga)
    assert "Everything is in order" in page and "Redis answered" in page
    assert "Does not work" not in page
    assert body(olga, MARK).strip() == ""


def test_what_does_not_work_comes_first_with_its_remedy_and_marks_the_navigation(
    olga: Client, findings: list[Finding]
) -> None:
    findings += [
        Finding("broker", Level.OK, _("Something well")),
        Finding("broker", Level.WARNING, _("Something odd"), _("Look at it")),
        Finding("broker", Level.FAILED, _("The broker cannot be reached"), _("Run `manage.py up` <now>")),
    ]
    page = body(olga)
    assert "1 thing does not work" in page
    assert page.index("cannot be reached") < page.index("Something odd") < page.index("Something well")
    assert "Run <code>manage.py up</code> &lt;now&gt;" in page
    assert "Something does not work" in body(olga, MARK)


def test_it_is_told_in_the_readers_language_but_copied_in_english(
    olga: Client, findings: list[Finding]
) -> None:
    findings.append(
        Finding(
            "broker",
            Level.FAILED,
            _("The broker cannot be reached"),
            _("Mend what is told here first; then look again."),
        )
    )
    page = body(olga, **{"Accept-Language": "ja"})
    shown, copied = re.search(r"<pre[^>]*data-copied>(.*?)</pre>", page, re.S), None
    assert shown is not None
    copied = shown.group(1)
    assert "ブローカーに接続できません" in page
    assert "The broker cannot be reached" in copied and "FAILED" in copied
    assert "ブローカー" not in copied


def test_the_page_renews_its_fragment(olga: Client, findings: list[Finding]) -> None:
    assert 'hx-trigger="every 10s"' in body(olga)
    fragment = body(olga, **{"HX-Request": "true"})
    assert "<html" not in fragment and "doctor-verdict" in fragment


def test_asking_often_looks_seldom_and_looking_again_looks_now(
    olga: Client, monkeypatch: pytest.MonkeyPatch
) -> None:
    looks: list[int] = []
    monkeypatch.setattr(doctor, "_CHECKS", {})
    monkeypatch.setattr(doctor, "_kept", None)
    monkeypatch.setattr("mlplatform.web.views.doctor.KEPT_S", 60.0)
    doctor_check("broker")(lambda: looks.append(1) or [])
    for _time in range(4):
        body(olga)
        body(olga, MARK)
    assert len(looks) == 1
    body(olga, f"{PAGE}?now")
    assert len(looks) == 2
