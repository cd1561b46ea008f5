"""Who may read and change datasets, and what is found of them."""

from __future__ import annotations

import io

import pytest

from jobs.models import Dataset
from jobs.selectors import datasets as selectors
from jobs.services import datasets as services
from mlplatform.core.errors import AccessDenied, InvalidRequest, NotFound
from mlplatform.core.people.access import Actor
from tests.jobs.datasets.kept import CSV

WRITES = {
    "create": lambda actor: services.dataset_create_from_upload(actor=actor, name="y", file=io.BytesIO(CSV)),
    "uri": lambda actor: services.dataset_create_from_uri(actor=actor, name="y", uri="s3://x/y"),
    "sample": lambda actor: services.dataset_create_from_sample(actor=actor, name="y", sample="iris"),
    "version": lambda actor: services.dataset_version_add(actor=actor, name="flowers", file=io.BytesIO(CSV)),
    "update": lambda actor: services.dataset_update(actor=actor, name="flowers", description="mine"),
    "split": lambda actor: services.dataset_split(
        actor=actor, name="flowers", fractions={"a": 0.5, "b": 0.5}
    ),
    "delete": lambda actor: services.dataset_delete(actor=actor, name="flowers"),
}

READS = {
    "get": lambda actor: selectors.dataset_get(actor=actor, name="flowers"),
    "version": lambda actor: selectors.dataset_version_get(actor=actor, reference="flowers@1"),
    "profile": lambda actor: selectors.dataset_profile(actor=actor, reference="flowers"),
    "preview": lambda actor: selectors.dataset_preview(actor=actor, reference="flowers"),
    "download": lambda actor: selectors.dataset_download(actor=actor, reference="flowers"),
}


def test_a_viewer_reads_and_cannot_write(bob, flowers):
    for read in READS.values():
        assert read(bob) is not None
    for write in WRITES.values():
        with pytest.raises(AccessDenied, match="editor"):
            write(bob)
    assert Dataset.objects.get().description == ""


def test_a_stranger_finds_nothing_and_changes_nothing(charlie, flowers):
    on_it = READS | {name: WRITES[name] for name in ("version", "update", "split", "delete")}
    foreign = {name: _not_found(call, charlie) for name, call in on_it.items()}
    assert Dataset.objects.filter(name="flowers").exists()
    flowers.delete()
    assert foreign == {name: _not_found(call, charlie) for name, call in on_it.items()}


def _not_found(call, actor: Actor) -> str:
    with pytest.raises(NotFound) as caught:
        call(actor)
    return str(caught.value)


def test_a_version_that_is_not_there_is_not_found(erin, flowers):
    for number in ("2", "0", "x", "", "1@1", "-1", "１"):
        with pytest.raises(NotFound, match="version"):
            selectors.dataset_version_get(actor=erin, reference=f"flowers@{number}")
    for reference in ("nothing", "@1", ""):
        with pytest.raises(NotFound, match="There is no dataset"):
            selectors.dataset_version_get(actor=erin, reference=reference)


def test_lists_are_searched_ordered_and_paged(erin, bob, charlie, flowers, iris):
    services.dataset_update(actor=erin, name="flowers", description="Irises, three rows")
    names = [item.name for item in selectors.dataset_list(actor=bob, order="name").items]
    assert names == ["flowers", "iris"]
    assert [item.name for item in selectors.dataset_list(actor=bob, order="-rows").items] == [
        "iris",
        "flowers",
    ]
    assert [item.name for item in selectors.dataset_list(actor=bob, search="three").items] == ["flowers"]
    first = selectors.dataset_list(actor=bob, order="-rows", limit=1)
    second = selectors.dataset_list(actor=bob, order="-rows", limit=1, cursor=first.next)
    assert (first.count, [item.name for item in second.items], second.next) == (2, ["flowers"], None)
    assert selectors.dataset_list(actor=charlie).items == []
    assert selectors.dataset_count(actor=bob) == 2
    with pytest.raises(InvalidRequest, match="order"):
        selectors.dataset_list(actor=bob, order="latest__sha256")


def test_the_list_takes_few_queries_however_long(erin, flowers, iris, django_assert_num_queries):
    with django_assert_num_queries(2):
        for item in selectors.dataset_list(actor=erin).items:
            assert item.latest.n_rows and item.created_by.username and item.project.name
