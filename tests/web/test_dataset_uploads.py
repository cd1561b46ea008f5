"""The forms of datasets with a resumable upload in the place of a file, as the script of the page sends them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.models import Dataset
from mlplatform.core.uploads.services import upload_append, upload_create
from tests.web.conftest import Visitor

TABLE = b"length,kind\n5.1,a\n4.9,b\n6.3,a\n5.8,b\n"


@pytest.fixture(autouse=True)
def own_uploads(settings: Any, tmp_path: Path) -> None:
    settings.DATA_DIR = tmp_path / "data"


def uploaded(who: Visitor, n_bytes: int = len(TABLE)) -> str:
    upload = upload_create(actor=who.actor, length=len(TABLE), filename="t.csv")
    adding = upload_append(actor=who.actor, uid=upload.uid, offset=0)
    adding.write(TABLE[:n_bytes])
    adding.close()
    return upload.uid


def sent(who: Visitor, page: str, upload: str, label: str = "kind", **kwargs: Any) -> Any:
    data = {"name": "flowers", "label": label, "upload": upload}
    return who.client.post(who.url(page, **kwargs), data, headers={"HX-Request": "true"})


def test_a_refused_form_leaves_the_upload_and_the_next_makes_dataset_and_version(alice: Visitor) -> None:
    uid = uploaded(alice)
    refused = sent(alice, "dataset-new", uid, label="sort")
    assert (refused.status_code, list(refused.context["form"].errors)) == (400, ["label"])
    assert sent(alice, "dataset-new", uid)["HX-Redirect"] == alice.url("dataset-detail", name="flowers")
    sent(alice, "dataset-version-new", uploaded(alice), name="flowers")
    assert [version.n_rows for version in Dataset.objects.get().versions.all()] == [4, 4]


def test_an_upload_that_is_half_or_somebody_elses_is_refused_at_the_file(
    alice: Visitor, erin: Visitor
) -> None:
    for uid in (uploaded(alice, 10), uploaded(erin), ""):
        refused = sent(alice, "dataset-new", uid)
        assert (refused.status_code, list(refused.context["form"].errors)) == (400, ["file"])


def test_the_form_tells_the_script_where_uploads_go(alice: Visitor) -> None:
    page = alice.get("dataset-new").content.decode()
    assert f'data-uploads="/api/v1/projects/{alice.project.name}/uploads/"' in page
