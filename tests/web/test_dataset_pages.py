"""Datasets in the browser: upload, address, sample; the page of one; split, label, versions, delete."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from django.conf import settings
from django.core.files.uploadedfile import SimpleUploadedFile

from jobs.models import Dataset
from jobs.services.datasets import dataset_create_from_sample, dataset_create_from_upload
from tests.web.conftest import Visitor

TABLE = b"height,weight,kind\n170,60.5,a\n160,,b\n155,52,a\n150,45,b\n"


def uploaded(content: bytes = TABLE, name: str = "table.csv") -> SimpleUploadedFile:
    return SimpleUploadedFile(name, content, content_type="text/csv")


def upload(who: Visitor, content: bytes = TABLE, htmx: bool = False, **values: Any) -> Any:
    data = {"name": "people", "label": "kind", "file": uploaded(content), **values}
    headers = {"HX-Request": "true"} if htmx else {}
    return who.client.post(f"{who.url('dataset-new')}?from=upload", data, headers=headers)


def stored_files() -> list[Path]:
    return [
        path for path in Path(settings.OBJECT_STORE_URL.removeprefix("file://")).rglob("*") if path.is_file()
    ]


@pytest.fixture
def people(alice: Visitor) -> Dataset:
    return dataset_create_from_upload(
        actor=alice.actor, name="people", file=[TABLE], filename="table.csv", label="kind"
    )


def test_an_empty_list_offers_an_upload_and_the_samples(alice: Visitor) -> None:
    page = alice.get("dataset-list").content.decode()
    assert "No datasets yet" in page
    assert alice.url("dataset-new") in page
    assert "from=sample&amp;sample=iris" in page


def test_an_empty_list_offers_a_viewer_nothing_that_is_refused(bob: Visitor) -> None:
    assert bob.url("dataset-new") not in bob.get("dataset-list").content.decode()


def test_an_upload_becomes_a_dataset_and_leads_to_its_page(alice: Visitor) -> None:
    response = upload(alice)
    assert response.status_code == 303
    assert response["Location"] == alice.url("dataset-detail", name="people")
    page = alice.get("dataset-detail", name="people").content.decode()
    assert "height" in page and "weight" in page


def test_an_upload_by_script_is_sent_on_by_a_header(alice: Visitor) -> None:
    response = upload(alice, htmx=True)
    assert (response.status_code, response["HX-Redirect"]) == (
        204,
        alice.url("dataset-detail", name="people"),
    )


@pytest.mark.parametrize(
    ("content", "field", "words"),
    [
        (b"", "file", "empty"),
        (b"a,b,kind\n", "file", ""),
        (b"a,b,kind\n1,2\n", "file", "row 1"),
        (TABLE, "label", "is not a column"),
    ],
)
def test_a_refused_upload_shows_its_error_at_the_field_and_leaves_nothing(
    alice: Visitor, content: bytes, field: str, words: str
) -> None:
    response = upload(alice, content, label="missing" if field == "label" else "kind")
    assert response.status_code == 400
    errors = response.context["form"].errors
    assert list(errors) == [field]
    assert words in str(errors[field])
    assert (
        f'aria-describedby="{"file_hint file_error" if field == "file" else "id_label_error id_label_hint"}"'
        in (response.content.decode())
    )
    assert not Dataset.objects.exists()
    assert stored_files() == []


@pytest.mark.parametrize("name", ["", "../etc", "a" * 64, "日本"])
def test_a_name_that_is_none_is_refused_at_the_name(alice: Visitor, name: str) -> None:
    response = upload(alice, name=name)
    assert response.status_code == 400
    assert "name" in response.context["form"].errors


def test_a_name_that_is_taken_is_refused_at_the_name(alice: Visitor, people: Dataset) -> None:
    response = upload(alice)
    assert response.status_code == 400
    assert "exists" in str(response.context["form"].errors["name"])


def test_a_file_over_the_limit_is_refused_with_the_limit(alice: Visitor, settings: Any) -> None:
    settings.MLPLATFORM_UPLOAD_LIMIT_BYTES = 20
    response = upload(alice)
    assert response.status_code == 400
    assert "20 bytes" in str(response.context["form"].errors["file"])


def test_a_viewer_may_not_upload_split_or_delete(bob: Visitor, people: Dataset) -> None:
    assert upload(bob, name="other").status_code == 403
    assert (
        bob.post("dataset-split", {"first": "a", "second": "b", "share": 0.5}, name="people").status_code
        == 403
    )
    assert bob.post("dataset-delete", name="people").status_code == 403
    assert bob.get("dataset-delete", name="people").status_code == 403
    assert Dataset.objects.count() == 1


def test_a_sample_becomes_a_dataset(erin: Visitor) -> None:
    response = erin.client.post(
        f"{erin.url('dataset-new')}?from=sample", {"name": "flowers", "sample": "iris"}
    )
    assert response["Location"] == erin.url("dataset-detail", name="flowers")
    assert Dataset.objects.get().latest.n_rows == 150


def test_an_unknown_sample_and_an_address_that_cannot_be_read_are_refused_at_their_fields(
    alice: Visitor,
) -> None:
    new = alice.url("dataset-new")
    sample = alice.client.post(f"{new}?from=sample", {"name": "x", "sample": "nothing"})
    address = alice.client.post(f"{new}?from=uri", {"name": "x", "uri": "file:///etc/passwd"})
    assert "sample" in sample.context["form"].errors
    assert "uri" in address.context["form"].errors
    assert not Dataset.objects.exists()


def test_the_overview_has_statistics_of_every_column_and_the_labels(alice: Visitor, people: Dataset) -> None:
    response = alice.get("dataset-detail", name="people")
    columns = {column["name"]: column for column in response.context["columns"].items}
    assert columns["weight"]["missing"] == 1
    assert (columns["height"]["min"], columns["height"]["max"]) == (150, 170)
    assert columns["kind"]["is_label"]
    assert response.context["label_mapping"] == [("a", 0), ("b", 1)]
    assert '<svg class="bars"' in response.content.decode()


def test_columns_can_be_searched_and_sorted(alice: Visitor, people: Dataset) -> None:
    found = alice.get("dataset-detail", {"search": "EIGHT"}, name="people").context["columns"]
    assert [column["name"] for column in found.items] == ["height", "weight"]
    by_missing = alice.get("dataset-detail", {"order": "-missing"}, name="people").context["columns"]
    assert by_missing.items[0]["name"] == "weight"
    assert alice.get("dataset-detail", {"order": "; drop table"}, name="people").status_code == 200


@pytest.mark.parametrize("tab", ["overview", "preview", "charts", "versions", "lineage", "split", "nonsense"])
def test_every_tab_is_a_page_and_a_fragment(alice: Visitor, people: Dataset, tab: str) -> None:
    page = alice.get("dataset-detail", {"tab": tab}, name="people")
    fragment = alice.get("dataset-detail", {"tab": tab}, htmx=True, name="people")
    assert (page.status_code, fragment.status_code) == (200, 200)
    assert b"<html" in page.content and b"<html" not in fragment.content
    assert "HX-Request" in page["Vary"]


def test_the_preview_shows_the_cells_as_they_are_in_the_file(alice: Visitor, people: Dataset) -> None:
    response = alice.get("dataset-detail", {"tab": "preview"}, name="people")
    assert response.context["preview_rows"][1] == ["160", "", "b"]
    assert "60.5" in response.content.decode()


def test_text_of_a_file_is_shown_as_text(alice: Visitor) -> None:
    table = b'"<script>alert(1)</script>",kind\n"<img src=x onerror=alert(1)>",a\n"=1+1",b\n'
    upload(alice, table)
    for tab in ("overview", "preview", "charts", "versions"):
        page = alice.get("dataset-detail", {"tab": tab}, name="people").content.decode()
        assert "<script>alert" not in page and "<img src=x" not in page


def test_the_scatter_matrix_is_on_its_tab(alice: Visitor) -> None:
    dataset_create_from_sample(actor=alice.actor, name="iris", sample="iris")
    response = alice.get("dataset-detail", {"tab": "charts"}, name="iris")
    assert response.context["matrix"].n_rows == 150
    assert b"x-chart" in response.content


def test_the_file_is_downloaded_as_it_was_uploaded(bob: Visitor, people: Dataset) -> None:
    response = bob.get("dataset-download", name="people")
    assert b"".join(response.streaming_content) == TABLE
    assert response["Content-Disposition"] == 'attachment; filename="table.csv"'
    assert bob.get("dataset-download", {"version": "9"}, name="people").status_code == 404


def test_a_split_makes_the_parts_that_scikit_learn_makes(alice: Visitor) -> None:
    dataset_create_from_sample(actor=alice.actor, name="iris", sample="iris")
    form = {"first": "train", "second": "test", "share": "0.25", "seed": "0", "reference": "iris@1"}
    response = alice.post("dataset-split", form, name="iris")
    assert response["Location"] == alice.url("dataset-detail", name="iris-train")
    rows = {dataset.name: dataset.latest.n_rows for dataset in Dataset.objects.all()}
    assert rows == {"iris": 150, "iris-train": 112, "iris-test": 38}
    page = alice.get("dataset-detail", name="iris-train").content.decode()
    assert "train=iris-train&amp;test=iris-test" in page
    again = alice.post("dataset-split", form, name="iris")
    assert again.status_code == 400
    assert "first" in again.context["form"].errors


@pytest.mark.parametrize(
    ("share", "seed"), [("0", "0"), ("1", "0"), ("2", "0"), ("nan", "0"), ("0.25", "-1"), ("", "")]
)
def test_a_split_that_cannot_be_made_says_why_and_makes_nothing(
    alice: Visitor, people: Dataset, share: str, seed: str
) -> None:
    form = {"first": "train", "second": "test", "share": share, "seed": seed}
    response = alice.post("dataset-split", form, name="people")
    assert response.status_code == 400
    assert response.context["form"].errors
    assert Dataset.objects.count() == 1


def test_two_parts_of_one_name_are_refused(alice: Visitor, people: Dataset) -> None:
    form = {"first": "half", "second": "half", "share": "0.5", "seed": "0"}
    response = alice.post("dataset-split", form, name="people")
    assert response.status_code == 400
    assert "second" in response.context["form"].errors


def test_another_label_makes_a_version_and_the_first_stays(alice: Visitor, people: Dataset) -> None:
    assert alice.post("dataset-label", {"label": "height"}, name="people").status_code == 303
    latest = alice.get("dataset-detail", name="people")
    first = alice.get("dataset-detail", {"version": "1"}, name="people")
    assert (latest.context["version"].number, latest.context["version"].label_name) == (2, "height")
    assert (first.context["version"].label_name, first.context["is_latest"]) == ("kind", False)
    assert alice.post("dataset-label", {"label": "nothing"}, name="people").status_code == 400


def test_a_new_version_keeps_the_label_and_is_listed(alice: Visitor, people: Dataset) -> None:
    more = TABLE + b"140,40,a\n"
    data = {"file": uploaded(more), "label": "kind"}
    response = alice.client.post(alice.url("dataset-version-new", name="people"), data)
    assert response["Location"] == alice.url("dataset-detail", name="people")
    versions = alice.get("dataset-detail", {"tab": "versions"}, name="people").context["versions"]
    assert [(version.number, version.n_rows, version.label_name) for version in versions] == [
        (2, 5, "kind"),
        (1, 4, "kind"),
    ]
    bad = alice.client.post(
        alice.url("dataset-version-new", name="people"), {"file": uploaded(b""), "label": "kind"}
    )
    assert bad.status_code == 400


def test_deleting_asks_first_and_says_what_goes(
    alice: Visitor, people: Dataset, django_capture_on_commit_callbacks: Any
) -> None:
    asked = alice.get("dataset-delete", htmx=True, name="people")
    assert "1 version" in asked.content.decode()
    assert Dataset.objects.count() == 1
    with django_capture_on_commit_callbacks(execute=True):
        assert alice.post("dataset-delete", name="people")["Location"] == alice.url("dataset-list")
    assert not Dataset.objects.exists()
    assert stored_files() == []


def test_the_list_searches_sorts_and_pages(alice: Visitor) -> None:
    for name in ("beta", "alpha", "gamma"):
        dataset_create_from_upload(actor=alice.actor, name=name, file=[TABLE], filename="t.csv")
    by_name = alice.get("dataset-list", {"order": "name"}).context["page"]
    assert [dataset.name for dataset in by_name.items] == ["alpha", "beta", "gamma"]
    found = alice.get("dataset-list", {"search": "amm"}, htmx=True)
    assert [dataset.name for dataset in found.context["page"].items] == ["gamma"]
    assert b"<html" not in found.content
    full_width = alice.get("dataset-list", {"search": "ｇａｍ"}).context["page"]
    assert [dataset.name for dataset in full_width.items] == ["gamma"]
    nothing = alice.get("dataset-list", {"search": "zzz"})
    assert b"No dataset matches" in nothing.content
    assert alice.get("dataset-list", {"order": "password"}).status_code == 400
    assert alice.get("dataset-list", {"cursor": "forged"}).status_code == 400


def test_another_projects_dataset_is_as_unknown_as_none(charlie: Visitor, people: Dataset) -> None:
    foreign = charlie.get("dataset-detail", name="people")
    none = charlie.get("dataset-detail", name="nothing")
    assert foreign.status_code == none.status_code == 404
    assert b"There is no dataset" in foreign.content
    assert charlie.client.get("/projects/alpha/datasets/people/").status_code == 404


def test_the_number_of_queries_of_the_list_does_not_grow(
    alice: Visitor, django_assert_max_num_queries: Any
) -> None:
    for n in range(5):
        dataset_create_from_upload(actor=alice.actor, name=f"d{n}", file=[TABLE], filename="t.csv")
    client = alice.client
    with django_assert_max_num_queries(8):
        client.get(alice.url("dataset-list"))


def test_a_viewer_has_no_tab_to_split(alice: Visitor, bob: Visitor, people: Dataset) -> None:
    assert "?tab=split" in alice.get("dataset-detail", name="people").content.decode()
    assert "?tab=split" not in bob.get("dataset-detail", name="people").content.decode()


def test_the_form_of_samples_proposes_the_name_of_the_chosen_one(alice: Visitor) -> None:
    page = alice.get("dataset-new", {"from": "sample"}).content.decode()
    assert 'name="name" value="iris"' in page
    page = alice.get("dataset-new", {"from": "sample", "sample": "breast_cancer"}).content.decode()
    assert 'name="name" value="breast-cancer"' in page
