"""Source code: the same content is one row, an edit another, and what nothing refers to goes with its object."""

from __future__ import annotations

from datetime import timedelta

import pytest

from jobs.models import Source
from jobs.runner.source_files import FILES_MAX, source_digest, source_files_check, source_pack
from jobs.selectors.sources import source_files, source_get
from jobs.services import sources
from jobs.services.sources import source_create, source_edit, sources_remove
from jobs.services.training import training_job_clone_request, training_job_create
from mlplatform.core import clock
from mlplatform.core.errors import AccessDenied, InvalidRequest, NotFound
from mlplatform.core.keeping.object_references import object_is_ours, objects_referred
from mlplatform.core.storage.objects import object_store
from tests.jobs.scripts.stage import script_job, source_paths
from tests.jobs.training.cast import Cast

FILES = {"train.py": b"print(1)\n", "lib/a.py": b"A = 1\n", "data.bin": bytes(range(256))}


def test_the_same_content_is_one_source_in_a_project(cast: Cast) -> None:
    first = source_create(actor=cast.alice, files=FILES)
    assert source_create(actor=cast.alice, files=dict(reversed(FILES.items()))).pk == first.pk
    assert source_create(actor=cast.charlie, files=FILES).pk != first.pk
    assert source_files(actor=cast.bob, uid=first.uid) == FILES
    assert object_is_ours(first.uri) and objects_referred([first.uri]) == {first.uri}
    with pytest.raises(AccessDenied):
        source_create(actor=cast.bob, files=FILES)
    with pytest.raises(NotFound):
        source_get(actor=cast.charlie, uid=first.uid)


def test_an_archive_is_the_same_bytes_whatever_the_order() -> None:
    reversed_files = dict(reversed(FILES.items()))
    assert source_pack(FILES) == source_pack(reversed_files)
    assert source_digest(FILES) == source_digest(reversed_files)
    assert source_digest({"a": b"bc"}) != source_digest({"ab": b"c"})


def test_an_edit_is_another_source(cast: Cast) -> None:
    first = source_create(actor=cast.alice, files=FILES)
    changed = source_edit(
        actor=cast.alice, uid=first.uid, changes={"train.py": b"print(2)\n", "data.bin": None, "new.py": b""}
    )
    assert source_paths(cast.alice, changed.uid) == ["lib/a.py", "new.py", "train.py"]
    assert source_files(actor=cast.alice, uid=first.uid) == FILES
    with pytest.raises(InvalidRequest, match=r"files\.nowhere"):
        source_edit(actor=cast.alice, uid=first.uid, changes={"nowhere": None})
    with pytest.raises(InvalidRequest):
        source_edit(actor=cast.alice, uid=first.uid, changes=dict.fromkeys(FILES))


def test_everything_wrong_with_the_files_is_said_at_once() -> None:
    with pytest.raises(InvalidRequest) as caught:
        source_files_check({"../a": b"", "/b": b"", "c\nd": b"", "x" * 300: b"", "./e": b"", "e": b""})
    assert [error.field for error in caught.value.errors] == [
        "files.../a",
        "files./b",
        "files.c\nd",
        "files." + "x" * 80,
        "files.e",
    ]
    with pytest.raises(InvalidRequest, match="at most"):
        source_files_check({str(n): b"" for n in range(FILES_MAX + 1)})


def test_what_nothing_refers_to_goes_with_its_object(cast: Cast, monkeypatch: pytest.MonkeyPatch) -> None:
    used = script_job(cast.alice, FILES).source
    free = source_create(actor=cast.alice, files={"train.py": b"free"})
    asked_again = source_create(actor=cast.alice, files={"train.py": b"again"})
    old = clock.now() - timedelta(days=3)
    Source.objects.update(created_at=old)
    assert source_create(actor=cast.alice, files={"train.py": b"again"}).pk == asked_again.pk
    assert sources_remove(clock.now() - timedelta(days=1), 100) == 1
    assert set(Source.objects.values_list("uid", flat=True)) == {used.uid, asked_again.uid}  # type: ignore[union-attr]
    assert objects_referred([free.uri]) == set()
    monkeypatch.setattr(sources, "_unreferred", lambda found: found)  # somebody refers to it a moment later
    Source.objects.update(created_at=old)
    assert sources_remove(clock.now() - timedelta(days=1), 100) == 1
    assert Source.objects.get().pk == used.pk  # type: ignore[union-attr]
    assert object_store().size(used.uri)  # type: ignore[union-attr]


def test_a_scripts_job_is_cloned_with_its_script(cast: Cast) -> None:
    job = script_job(cast.alice, FILES, hyperparameters={"alpha": 1, "layers": [1, 2]}, name="first")
    assert job.hyperparameters == {"alpha": "1", "layers": "[1, 2]"}
    request = training_job_clone_request(actor=cast.alice, name="first")
    again = training_job_create(actor=cast.alice, **request | {"name": "second"})
    assert (again.source_id, again.entry_point, again.framework) == (job.source_id, "train.py", "python")
    assert again.hyperparameters == job.hyperparameters and again.cloned_from == "first"


def test_a_script_without_a_script_is_refused(cast: Cast) -> None:
    with pytest.raises(InvalidRequest, match="script: is required"):
        training_job_create(actor=cast.alice, name=None, algorithm="script", hyperparameters={}, channels={})
    with pytest.raises(InvalidRequest) as caught:
        script_job(cast.alice, FILES, hyperparameters={"a=b": 1, "": 2, "ok": "x" * 3000})
    assert [error.field for error in caught.value.errors] == [
        "hyperparameters.a=b",
        "hyperparameters.",
        "hyperparameters.ok",
    ]
