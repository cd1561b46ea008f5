"""The forms of datasets with an upload in the place of a file, as the page's script sends them; what it asks first."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from jobs.models import Dataset
from mlplatform.core.uploads.services import upload_append, upload_create
from tests.setup.wrong_services import s3_that_says
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
    assert f'data-names="{alice.url("dataset-name")}"' in page


def refusal(who: Visitor, name: str) -> str:
    answer = who.get("dataset-name", {"name": name})
    assert answer.status_code == 200
    return str(answer.json()["refusal"])


def test_a_name_is_refused_before_sending_in_the_words_it_is_refused_with_afterwards(
    alice: Visitor, charlie: Visitor
) -> None:
    sent(alice, "dataset-new", uploaded(alice))
    for name in ("flowers", "FLOWERS", "", "-x", "x" * 64, "b\u00e4ume", "a b", "x\0"):
        form = {"name": name, "upload": uploaded(alice)}
        after = alice.post("dataset-new", form, htmx=True).context["form"].errors
        assert refusal(alice, name) == " ".join(after["name"]) != "", name
    assert "exists already" in refusal(alice, "Flowers")
    assert refusal(alice, "trees") == refusal(alice, " trees ") == ""
    assert refusal(charlie, "flowers") == ""  # another project's name says nothing about it


def test_who_may_make_no_dataset_learns_of_no_name(bob: Visitor, charlie: Visitor) -> None:
    assert bob.get("dataset-name", {"name": "flowers"}).status_code == 403
    assert charlie.client.get(bob.url("dataset-name"), {"name": "flowers"}).status_code == 404


def test_an_object_in_another_bucket_is_told_as_that(alice: Visitor) -> None:
    form = {"name": "x", "uri": "s3://my-own-bucket/x.csv"}
    refused = alice.client.post(f"{alice.url('dataset-new')}?from=uri", form)
    assert refused.status_code == 400
    (message,) = refused.context["form"].errors["uri"]
    assert "another bucket" in message and f"s3://{alice.project.bucket}/" in message


def test_an_object_of_a_store_without_credentials_is_told_as_that_and_not_as_a_key_that_may_not_write(
    alice: Visitor, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_ENDPOINT_URL"):
        monkeypatch.delenv(name, raising=False)
    settings.OBJECT_STORE_URL = "s3://store-without-credentials"
    form = {"name": "x", "uri": f"s3://{alice.project.bucket}/x.csv"}
    with s3_that_says(403) as machine:
        monkeypatch.setenv("AWS_METADATA_ENDPOINT", machine)
        monkeypatch.setenv("AWS_ALLOW_HTTP", "true")
        answer = alice.client.post(f"{alice.url('dataset-new')}?from=uri", form)
    page = answer.content.decode()
    assert answer.status_code == 503
    assert "no credentials" in page and "AWS_ACCESS_KEY_ID" in page
    assert "may not write" not in page
