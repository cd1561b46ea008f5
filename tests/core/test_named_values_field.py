"""What people gave by name is read back in one order, whichever database kept it."""

from __future__ import annotations

import pytest
from django.contrib.auth.models import User

from jobs.models import Dataset
from mlplatform.core import clock
from mlplatform.core.people.access import project_create


@pytest.mark.django_db
def test_values_are_read_in_the_order_of_their_names() -> None:
    given = {"eta": "0.2", "k": "5", "alpha": "1"}
    alice = User.objects.create_user("alice")
    project = project_create(user=alice, name="alpha")
    now = clock.now()
    made = Dataset.objects.create(
        project=project, name="one", tags=given, created_by=alice, created_at=now, updated_at=now
    )
    assert list(Dataset.objects.get(pk=made.pk).tags) == ["alpha", "eta", "k"]
    assert Dataset.objects.filter(tags__eta="0.2").values_list("tags", flat=True).get() == given
