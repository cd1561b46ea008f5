"""The first start: one administrator with a password that works, once; then never again."""

from __future__ import annotations

import io
import re

import pytest
from django.contrib.auth import authenticate
from django.contrib.auth.models import User
from django.core.management import call_command

from endpoints.management.commands import first_run
from jobs.models import Dataset, TrainingJob
from mlplatform.core.models import Membership, Project
from mlplatform.core.people.access import project_create
from mlplatform.core.startup.banner import PREFIX

pytestmark = pytest.mark.django_db


def _accounts() -> str:
    out = io.StringIO()
    call_command("first_run", "--accounts-only", stdout=out)
    return out.getvalue()


def test_the_printed_password_signs_the_administrator_in() -> None:
    line = _accounts().splitlines()[0]
    found = re.fullmatch(re.escape(PREFIX) + r"Sign in as (\w+) with the first password (\S+)", line)
    assert found
    user = authenticate(username=found[1], password=found[2])
    assert isinstance(user, User) and user.is_superuser and user.username == "admin"
    membership = Membership.objects.get(user=user)
    assert (membership.project.name, membership.role) == ("default", "admin")


def test_a_second_start_changes_and_prints_nothing() -> None:
    _accounts()
    password = User.objects.get().password
    assert _accounts() == ""
    assert User.objects.get().password == password
    assert Project.objects.count() == 1


def test_passwords_differ() -> None:
    assert first_run._first_password() != first_run._first_password()


def test_a_platform_with_an_administrator_gets_no_other_one() -> None:
    User.objects.create_superuser("root")
    assert _accounts() == ""
    assert User.objects.count() == 1


def test_the_sample_is_for_an_empty_project_only() -> None:
    _accounts()
    membership = Membership.objects.select_related("project", "user").get()
    Dataset.objects.create(
        project=membership.project,
        name="mine",
        created_by=membership.user,
        created_at=membership.created_at,
        updated_at=membership.created_at,
    )
    out = io.StringIO()
    call_command("first_run", "--sample", stdout=out)
    assert out.getvalue() == ""
    assert not TrainingJob.objects.exists()


def test_without_accounts_the_sample_does_nothing() -> None:
    user = User.objects.create_user("alice")
    project_create(user=user, name="flowers")
    out = io.StringIO()
    call_command("first_run", "--sample", stdout=out)
    assert out.getvalue() == "" and not Dataset.objects.exists()


def test_a_sample_that_fails_says_why_and_leaves_the_platform_usable(monkeypatch: pytest.MonkeyPatch) -> None:
    _accounts()
    monkeypatch.setattr(first_run, "WAIT_S", 0.1)
    monkeypatch.setattr(first_run._wait, "__kwdefaults__", {"within_s": 0.1})
    out = io.StringIO()
    call_command("first_run", stdout=out)
    assert "training job iris-knn was not ready" in out.getvalue()
    assert "ready to use all the same" in out.getvalue()
    assert {dataset.name for dataset in Dataset.objects.all()} == {"iris", "iris-train", "iris-test"}
