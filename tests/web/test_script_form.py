"""The form of a script's job: files sent, typed, removed; free rows; what is refused stands at its field."""

from __future__ import annotations

import io
import json
import re
import tarfile
from typing import Any

import pytest
from django.core.files.uploadedfile import SimpleUploadedFile

from jobs.models import Source, TrainingJob
from jobs.selectors.sources import source_files
from jobs.services.sources import source_create
from mlplatform.core.models import AuditEvent
from mlplatform.web.script_files import EDITED_FILES_MAX
from tests.jobs.training.cast import dataset_make
from tests.web.conftest import Visitor
from tests.web.reading import text_of

TRAIN = "import os\n\nprint('loss=1')\n"


@pytest.fixture
def form(alice: Visitor) -> dict[str, Any]:
    """What the form posts for a script of two files that nobody has stored yet."""
    dataset_make(alice.actor)
    return {
        "name": "own-1",
        "algorithm": "script",
        "script.source": "",
        "script.framework": "sklearn",
        "script.entry_point": "train.py",
        "file.train.py": TRAIN.replace("\n", "\r\n"),
        "file.src/net.py": "LAYERS = 2\r\n",
        "channel_row.name": ["train", "validation"],
        "channel_row.dataset": ["flags", ""],
        "channel_row.uri": ["", ""],
        "channel_row.content_type": ["", ""],
        "channel_row.input_mode": ["File", "File"],
        "hyperparameter.name": ["eta", ""],
        "hyperparameter.value": ["0.2", ""],
        "metric.name": "loss",
        "metric.regex": "loss=([0-9.]+)",
        "instance_type": "local.cpu",
        "max_runtime_s": "3600",
        "environment": "",
        "tags": "",
    }


def hidden(page: str, name: str) -> str:
    found = re.search(rf'name="{re.escape(name)}" value="([^"]*)"', page)
    assert found, f"no field {name}"
    return found[1]


def error_of(page: str, name: str) -> str:
    """The error that is tied to the first control of that name that is marked."""
    tags = re.findall(rf'<(?:input|select)[^>]*\bname="{re.escape(name)}"[^>]*>', page)
    tag = next(tag for tag in tags if 'aria-invalid="true"' in tag)
    described = re.search(r'aria-describedby="([^"]*)"', tag)
    assert described
    error_id = next(one for one in described[1].split() if one.endswith("-error"))
    found = re.search(rf'id="{re.escape(error_id)}">.*?<span>(.*?)</span>', page, re.S)
    assert found, error_id
    return found[1]


def archive(files: dict[str, bytes], link: str = "") -> bytes:
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w:gz") as tar:
        for path, content in files.items():
            entry = tarfile.TarInfo(path)
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
        if link:
            entry = tarfile.TarInfo(link)
            entry.type, entry.linkname = tarfile.SYMTYPE, "/etc/passwd"
            tar.addfile(entry)
    return packed.getvalue()


def test_beside_the_algorithms_is_the_own_script(alice: Visitor) -> None:
    page = text_of(alice.get("training-job-new"))
    assert "Your own script" in page and 'name="algorithm" value="script"' in page
    assert "x-source" not in page
    page = text_of(alice.get("training-job-new", {"algorithm": "script", "train": "flags"}))
    assert "Drop files, a folder or a .tar.gz here" in page
    assert 'name="channel_row.name" value="train"' in page and '<option value="flags" selected>' in page
    assert re.search(r'name="algorithm" value="script" checked', page)


def test_what_was_typed_is_stored_and_run(alice: Visitor, form: dict[str, Any]) -> None:
    response = alice.post("training-job-new", form)
    assert response["Location"] == alice.url("training-job-detail", name="own-1")
    job = TrainingJob.objects.get(name="own-1")
    assert (job.algorithm, job.framework, job.entry_point) == ("script", "sklearn", "train.py")
    assert job.source is not None
    files = source_files(actor=alice.actor, uid=job.source.uid)
    assert files == {"src/net.py": b"LAYERS = 2\n", "train.py": TRAIN.encode()}
    assert job.hyperparameters == {"eta": "0.2"}
    assert [(one.channel, one.dataset_reference) for one in job.inputs.all()] == [("train", "flags@1")]
    assert job.metric_definitions == [{"name": "loss", "regex": "loss=([0-9.]+)"}]


def test_a_job_is_edited_and_run_again_in_one_step(alice: Visitor, form: dict[str, Any]) -> None:
    alice.post("training-job-new", form)
    first = TrainingJob.objects.get(name="own-1")
    page = text_of(alice.get("training-job-new", {"clone": "own-1"}))
    assert hidden(page, "script.source") == first.source.uid  # type: ignore[union-attr]
    assert "LAYERS = 2" in page and 'value="eta"' in page and 'value="0.2"' in page
    assert hidden(page, "cloned_from") == "own-1"
    again = form | {
        "name": "own-2",
        "cloned_from": "own-1",
        "script.source": hidden(page, "script.source"),
        "file.train.py": TRAIN + "# another line\n",
    }
    assert alice.post("training-job-new", again).status_code == 302
    second = TrainingJob.objects.get(name="own-2")
    assert second.cloned_from == "own-1" and second.source_id != first.source_id
    files = source_files(actor=alice.actor, uid=second.source.uid)  # type: ignore[union-attr]
    assert files["train.py"].endswith(b"# another line\n") and files["src/net.py"] == b"LAYERS = 2\n"


def test_a_job_that_is_run_again_unchanged_shares_the_source(alice: Visitor, form: dict[str, Any]) -> None:
    for name in ("own-1", "own-2"):
        assert alice.post("training-job-new", form | {"name": name}).status_code == 302
    assert Source.objects.count() == 1


def test_a_file_is_added_and_another_removed(alice: Visitor, form: dict[str, Any]) -> None:
    source = source_create(
        actor=alice.actor, files={"train.py": TRAIN.encode(), "old.py": b"", "logo.png": b"\0"}
    )
    del form["file.src/net.py"]
    form |= {
        "script.source": source.uid,
        "script.removed": ["old.py"],
        "file.requirements.txt": "numpy\r\n",
    }
    assert alice.post("training-job-new", form).status_code == 302
    job = TrainingJob.objects.get(name="own-1")
    files = source_files(actor=alice.actor, uid=job.source.uid)  # type: ignore[union-attr]
    assert files == {"logo.png": b"\0", "requirements.txt": b"numpy\n", "train.py": TRAIN.encode()}


def test_saving_stores_the_files_and_starts_nothing(alice: Visitor, form: dict[str, Any]) -> None:
    page = text_of(alice.post("training-job-new", form | {"intent": "save"}))
    source = Source.objects.get()
    assert hidden(page, "script.source") == source.uid and hidden(page, "script.edited") == ""
    assert not TrainingJob.objects.exists()


@pytest.mark.parametrize("packed", [True, False])
def test_files_and_archives_are_taken_in_with_their_paths(
    alice: Visitor, form: dict[str, Any], packed: bool
) -> None:
    contents = {"run.py": b"x = 1\n", "src/net.py": b"y = 2\n"}
    for name in [name for name in form if name.startswith("file.")]:
        del form[name]
    if packed:
        form["files"] = SimpleUploadedFile("sourcedir.tar.gz", archive(contents))
    else:
        form["files"] = [SimpleUploadedFile(path, content) for path, content in contents.items()]
        form["paths"] = list(contents)
    page = text_of(alice.post("training-job-new", form | {"intent": "source"}))
    source = Source.objects.get()
    assert [one["path"] for one in source.files] == ["run.py", "src/net.py"]
    assert hidden(page, "script.source") == source.uid
    assert re.search(r'<option value="run.py" selected>', page)
    assert 'name="file.src/net.py"' in page and "y = 2" in page
    assert 'value="eta"' in page  # the rest of the form is kept


def test_files_that_are_sent_are_added_to_those_that_are_there(alice: Visitor, form: dict[str, Any]) -> None:
    form["files"] = SimpleUploadedFile("requirements.txt", b"numpy\n")
    page = text_of(alice.post("training-job-new", form | {"intent": "source"}))
    files = source_files(actor=alice.actor, uid=hidden(page, "script.source"))
    assert set(files) == {"requirements.txt", "src/net.py", "train.py"}


@pytest.mark.parametrize(
    ("sent", "says"),
    [
        (SimpleUploadedFile("a.tar.gz", archive({"train.py": b""}, link="evil")), "evil"),
        (SimpleUploadedFile("a.tar.gz", archive({"../train.py": b""})), "../train.py"),
        (SimpleUploadedFile("a.tar.gz", b"no archive"), "archive"),
        (None, "Choose a file"),
    ],
)
def test_what_cannot_be_taken_in_is_refused_with_the_reason(
    alice: Visitor, form: dict[str, Any], sent: Any, says: str
) -> None:
    if sent is not None:
        sent.seek(0)
        form["files"] = sent
    response = alice.post("training-job-new", form | {"intent": "source"})
    assert response.status_code == 400
    page = text_of(response)
    [alert] = re.findall(
        r'<p class="error" role="alert" id="source-error-1">.*?<span>(.*?)</span>', page, re.S
    )
    assert says in alert
    assert TRAIN in page  # what was typed stays


def test_an_address_of_the_projects_bucket_is_read(alice: Visitor, form: dict[str, Any]) -> None:
    from mlplatform.core.names import uri
    from mlplatform.core.storage.objects import object_store

    address = uri(alice.project.bucket, "code/train.py")
    object_store().put_bytes(b"z = 3\n", address)
    for name in [name for name in form if name.startswith("file.")]:
        del form[name]
    page = text_of(alice.post("training-job-new", form | {"intent": "source", "script.uri": address}))
    assert "z = 3" in page
    elsewhere = form | {"intent": "source", "script.uri": "s3://another-bucket/code/"}
    refused = text_of(alice.post("training-job-new", elsewhere))
    assert "another-bucket" in refused and 'role="alert"' in refused


@pytest.mark.parametrize("name", ["sklearn", "ensemble"])
def test_an_example_fills_the_form(alice: Visitor, form: dict[str, Any], name: str) -> None:
    form |= {"hyperparameter.name": "", "hyperparameter.value": "", "metric.name": "", "metric.regex": ""}
    page = text_of(alice.post("training-job-new", form | {"script.example": name}))
    assert 'name="file.train.py"' in page and "argparse" in page
    assert "validation-rmse" in page
    assert hidden(page, "script.source") == "" and hidden(page, "script.edited") == "1"
    assert not Source.objects.exists()


@pytest.mark.parametrize(
    ("changes", "name", "says"),
    [
        ({"script.framework": "torch"}, "script.framework", "torch"),
        ({"script.entry_point": "main.py"}, "script.entry_point", "train.py"),
        ({"file.train.py": "x = (\n"}, "script.entry_point", "train.py, line 1"),
        ({"channel_row.dataset": ["nowhere", ""]}, "channel_row.dataset", "nowhere"),
        (
            {"channel_row.name": ["train", "train"], "channel_row.dataset": ["flags", "flags"]},
            "channel_row.name",
            "twice",
        ),
        (
            {"hyperparameter.name": ["eta", "eta"], "hyperparameter.value": ["1", "2"]},
            "hyperparameter.name",
            "twice",
        ),
    ],
)
def test_what_is_wrong_stands_at_its_field(
    alice: Visitor, form: dict[str, Any], changes: dict[str, Any], name: str, says: str
) -> None:
    response = alice.post("training-job-new", form | changes)
    assert response.status_code == 400
    page = text_of(response)
    assert says in error_of(page, name)
    assert "LAYERS = 2" in page
    assert not TrainingJob.objects.exists()


def test_a_syntax_error_leads_to_its_line(alice: Visitor, form: dict[str, Any]) -> None:
    page = text_of(alice.post("training-job-new", form | {"file.train.py": "x = 1\ny = (\n"}))
    assert 'href="#train.py:L2"' in page and 'data-wrong-line="2"' in page


def test_a_path_that_leaves_the_folder_is_refused(alice: Visitor, form: dict[str, Any]) -> None:
    page = text_of(alice.post("training-job-new", form | {"file.../evil.py": "x"}))
    assert "../evil.py" in re.findall(r'id="source-error-1">.*?<span>(.*?)</span>', page, re.S)[0]
    assert not Source.objects.exists()


def test_the_call_sends_the_files_that_are_not_stored(alice: Visitor, form: dict[str, Any]) -> None:
    preview = {"intent": "preview", "script.path": ["train.py", "src/net.py"], "script.edited": "1"}
    page = text_of(alice.post("training-job-new", form | preview))
    assert "/sources/" in page and "files=@src/net.py;filename=src/net.py" in page and '"$SOURCE"' in page
    source = source_create(actor=alice.actor, files={"train.py": TRAIN.encode()})
    stored = preview | {"script.edited": "", "script.source": source.uid}
    page = text_of(alice.post("training-job-new", form | stored))
    body = json.loads(page[page.index("{") : page.rindex("}") + 1])
    assert body["script"] == {"framework": "sklearn", "entry_point": "train.py", "source": source.uid}
    assert "algorithm" not in body and "/sources/" not in page


def test_a_source_of_another_project_is_not_shown(
    alice: Visitor, charlie: Visitor, form: dict[str, Any]
) -> None:
    secret = source_create(actor=charlie.actor, files={"train.py": b"SECRET = 1\n"})
    for name in [name for name in form if name.startswith("file.")]:
        del form[name]
    response = alice.post("training-job-new", form | {"script.source": secret.uid})
    assert response.status_code in {400, 404} and "SECRET" not in text_of(response)
    assert not TrainingJob.objects.exists()


def test_a_viewer_stores_nothing(bob: Visitor, form: dict[str, Any]) -> None:
    assert bob.post("training-job-new", form | {"intent": "save"}).status_code == 403
    assert not Source.objects.exists()
    assert AuditEvent.objects.filter(action="training_job.create", outcome="refused").exists()


def test_a_source_of_more_files_than_the_editor_has_is_edited_and_kept_whole(
    alice: Visitor, form: dict[str, Any]
) -> None:
    many = {f"lib/part{n:03}.py": b"x = 1\n" for n in range(299)} | {"a.py": b"y = 1\n"}
    source = source_create(actor=alice.actor, files=many)
    page = text_of(alice.post("training-job-new", form | {"intent": "clear"}))
    assert "x-source" in page and 'name="file.' not in page
    given = {name: value for name, value in form.items() if not name.startswith("file.")}
    given |= {"script.source": source.uid, "script.entry_point": "a.py"}
    page = text_of(alice.post("training-job-new", given | {"intent": "save"}))
    texts = dict(re.findall(r'name="(file\.[^"]+)"[^>]*>\n(.*?)</textarea>', page, re.S))
    assert len(texts) == EDITED_FILES_MAX
    changed = given | texts | {"file.a.py": "y = 2\r\n"}
    assert alice.post("training-job-new", changed).status_code == 302
    job = TrainingJob.objects.get(name="own-1")
    files = source_files(actor=alice.actor, uid=job.source.uid)  # type: ignore[union-attr]
    assert files == many | {"a.py": b"y = 2\n"}


def test_markup_in_files_stays_text(alice: Visitor, form: dict[str, Any]) -> None:
    evil = "</textarea><script>alert(1)</script>"
    response = alice.post(
        "training-job-new", form | {"intent": "save", "file.train.py": evil, "file.<b>.py": "x"}
    )
    assert "<script>alert" not in response.content.decode() and "<b>.py" not in response.content.decode()


def channel_of(page: str, name: str) -> str:
    """The dataset that is chosen in the row of a channel."""
    row = page[page.index(f'name="channel_row.name" value="{name}"') :]
    found = re.search(r'<option value="([^"]*)"[^>]* selected>', row[: row.index("</select>")])
    return found[1] if found else ""


@pytest.mark.parametrize("name", ["sklearn", "ensemble"])
def test_an_example_is_told_the_label_of_the_dataset(alice: Visitor, form: dict[str, Any], name: str) -> None:
    version = alice.project.datasets.get(name="flags").latest
    assert version is not None and version.label_name
    label = version.label_name
    form |= {"hyperparameter.name": "", "hyperparameter.value": ""}
    page = text_of(alice.post("training-job-new", form | {"script.example": name}))
    field = {"sklearn": "label", "ensemble": "target"}[name]
    assert re.search(
        rf'name="hyperparameter.name" value="{field}".*?name="hyperparameter.value" value="{label}"',
        page,
        re.S,
    )
    without = form | {"channel_row.dataset": ["", ""], "script.example": "ensemble"}
    assert re.search(
        r'name="hyperparameter.value" value="target"', text_of(alice.post("training-job-new", without))
    )


def test_the_data_stays_when_another_algorithm_is_chosen(alice: Visitor, form: dict[str, Any]) -> None:
    chosen = {"intent": "algorithm", "name": "knn-2026-01-02-03-04-05-ab12"}
    to_script = chosen | {
        "algorithm": "script",
        "channel.train.dataset": "flags",
        "channel.train.input_mode": "Pipe",
    }
    page = text_of(alice.post("training-job-new", to_script))
    assert channel_of(page, "train") == "flags" and channel_of(page, "validation") == ""
    assert 'value="script-2026-01-02-03-04-05-ab12"' in page
    form["channel_row.name"], form["channel_row.dataset"] = ["train", "extra"], ["flags", "flags"]
    page = text_of(alice.post("training-job-new", form | {"intent": "algorithm", "algorithm": "xgboost"}))
    train = page[page.index('name="channel.train.dataset"') :]
    assert re.search(r'<option value="flags" selected>', train[: train.index("</select>")])
    assert "extra" not in page
    assert 'value="own-1"' in page  # a name that somebody gave stays


def test_a_wrong_definition_is_marked_in_its_row_and_the_pasted_log_stays(
    alice: Visitor, form: dict[str, Any]
) -> None:
    form |= {"metric.name": ["loss", "a", ""], "metric.regex": ["loss=([0-9.]+)", "", "b(.)"]}
    page = text_of(alice.post("training-job-new", form | {"metric_text": "\nloss=1 <b>"}))
    assert re.findall(r'<p class="error edit-error" id="(metric-[^"]+)"', page) == [
        "metric-2-error",
        "metric-3-name-error",
    ]
    assert "has 0 characters" in error_of(page, "metric.regex")
    assert "1 to 255 printable characters" in error_of(page, "metric.name")
    assert "\nloss=1 <b></textarea>" in page


def test_inference_alone_is_no_entry_point(alice: Visitor, form: dict[str, Any]) -> None:
    for name in [name for name in form if name.startswith("file.")]:
        del form[name]
    form |= {"file.inference.py": "x = 1\r\n", "script.entry_point": ""}
    page = text_of(alice.post("training-job-new", form))
    assert 'option value="" selected' in page and "inference.py" in error_of(page, "script.entry_point")
    assert not TrainingJob.objects.exists()
