"""Pages of a script's job: code, what a traceback leads to, downloads, metrics that nothing matched, comparisons."""

from __future__ import annotations

import io
import re
import tarfile
from typing import Any

import pytest

from jobs.models import JobEvent, TrainingJob
from jobs.services.metrics import MetricPoint, metric_points_append
from jobs.services.scripts import ScriptRequest
from jobs.services.sources import source_create
from mlplatform.core import clock
from mlplatform.core.names import uri
from mlplatform.core.storage.objects import object_store
from tests.jobs.training.cast import dataset_make
from tests.jobs.training.cast import job_make as knn_make
from tests.web.conftest import Visitor
from tests.web.reading import text_of

FILES = {
    "train.py": b"import os\n\nimport nonexistent  # <b>\n",
    "src/net.py": b"LAYERS = 2\n",
    "requirements.txt": b"numpy>=1\n",
    "logo.png": b"\x89PNG\0",
}
TRACEBACK = [
    "Traceback (most recent call last):",
    '  File "/opt/ml/code/train.py", line 3, in <module>',
    '  File "/usr/lib/python3.11/json/decoder.py", line 12, in decode',
    "ModuleNotFoundError: No module named 'nonexistent'",
]


def job_of(
    visitor: Visitor, name: str = "own", files: dict[str, bytes] = FILES, **changes: Any
) -> TrainingJob:
    source = source_create(actor=visitor.actor, files=files)
    script = ScriptRequest(framework="sklearn", entry_point="train.py", source=source.uid)
    dataset_make(visitor.actor) if not visitor.project.datasets.exists() else None
    metrics = [{"name": "loss", "regex": "loss=(.+)"}, {"name": "rmse", "regex": "rmse=(.+)"}]
    job = knn_make(
        visitor.actor, name, script=script, hyperparameters={"eta": "1"}, metric_definitions=metrics
    )
    TrainingJob.objects.filter(pk=job.pk).update(**changes)
    return TrainingJob.objects.get(pk=job.pk)


def failed(visitor: Visitor) -> TrainingJob:
    failure = {
        "kind": "Exception",
        "reason": "it failed",
        "log_tail": TRACEBACK,
        "first_line": 7,
        "exit_code": 1,
    }
    return job_of(visitor, status="Failed", secondary_status="Failed", ended_at=clock.now(), failure=failure)


def test_the_code_tab_shows_every_line_with_its_address(alice: Visitor, bob: Visitor) -> None:
    job_of(alice)
    response = bob.get("training-job-detail", {"tab": "code"}, name="own")
    page = text_of(response)
    assert 'id="train.py:L3"' in page and 'id="src/net.py:L1"' in page
    assert page.index('id="train.py"') < page.index('id="src/net.py"')  # the entry point is first
    assert page.count("entry point") == 2 and "numpy>=1" in page
    assert "This file is no text" in page
    assert '<span class="tok-kn">import</span>' in page
    assert "# <b>" not in response.content.decode()
    assert "Edit and run again" not in page  # Bob may not


def test_the_edit_button_leads_to_the_form_with_the_source(alice: Visitor) -> None:
    job_of(alice)
    page = text_of(alice.get("training-job-detail", name="own"))
    assert "Edit and run again" in page
    address = re.search(r'href="([^"]*\?clone=own)"', page)
    assert address
    assert "nonexistent" in text_of(alice.client.get(address[1]))


def test_a_job_of_an_algorithm_has_no_code(alice: Visitor) -> None:
    knn_make(alice.actor, "knn")
    page = text_of(alice.get("training-job-detail", {"tab": "code"}, name="knn"))
    assert 'href="?tab=code"' not in page and "Final metrics" in page
    assert alice.get("training-job-source", name="knn").status_code == 404
    assert alice.get("training-job-output", name="knn").status_code == 404


def test_a_line_of_the_traceback_leads_to_the_code(alice: Visitor) -> None:
    failed(alice)
    page = text_of(alice.get("training-job-detail", name="own"))
    assert '<a href="?tab=code#train.py:L3">' in page
    assert page.count("?tab=code#") == 2  # that line, and the button; none for the library's line
    assert re.search(r'href="\?tab=code#train.py:L3">[^"]*<svg.*?Open the code here', page, re.S)


def test_the_source_and_the_output_are_downloaded(alice: Visitor, charlie: Visitor) -> None:
    stored = object_store().put_bytes(b"packed", uri(alice.project.bucket, "training/x/output.tar.gz"))
    job_of(alice, output_uri=stored.uri, output_sha256=stored.sha256, output_bytes=stored.size_bytes)
    packed = b"".join(alice.get("training-job-source", name="own").streaming_content)
    with tarfile.open(fileobj=io.BytesIO(packed)) as tar:
        assert sorted(tar.getnames()) == sorted(FILES)
    one = alice.get("training-job-file", name="own", path="src/net.py")
    assert b"".join(one.streaming_content) == FILES["src/net.py"]
    assert one["Content-Disposition"] == 'attachment; filename="net.py"'
    output = alice.get("training-job-output", name="own")
    assert b"".join(output.streaming_content) == b"packed"
    assert "output.tar.gz" in text_of(alice.get("training-job-detail", name="own"))
    assert alice.get("training-job-file", name="own", path="../secret").status_code == 404
    for page, kwargs in (("training-job-source", {}), ("training-job-file", {"path": "train.py"})):
        foreign = alice.url(page, name="own", **kwargs)
        assert charlie.client.get(foreign).status_code == 404


@pytest.mark.parametrize(("ended", "says"), [(False, "0 matches so far"), (True, "0 matches")])
def test_a_metric_without_a_value_says_so_beside_its_expression(
    alice: Visitor, ended: bool, says: str
) -> None:
    changes = {"status": "Completed", "ended_at": clock.now()} if ended else {}
    job = job_of(alice, **changes)
    metric_points_append(job_id=job.pk, points=[MetricPoint("loss", n, 0.5) for n in range(3)])
    page = text_of(alice.get("training-job-detail", {"tab": "metrics"}, name="own"))
    rows = re.findall(
        r'<tr><th scope="row" class="mono">(\w+)</th><td><code>(.*?)</code></td>(.*?)</tr>', page
    )
    found = {name: (regex, re.sub(r"<[^>]+>", "", cell)) for name, regex, cell in rows}
    assert found == {"loss": ("loss=(.+)", "3"), "rmse": ("rmse=(.+)", says)}


def test_the_list_names_framework_and_entry_point_and_filters_scripts(alice: Visitor) -> None:
    job_of(alice)
    knn_make(alice.actor, "knn-1")
    page = text_of(alice.get("training-job-list"))
    assert re.search(r"sklearn<div class=\"sub mono\">train.py</div>", page)
    scripts = text_of(alice.get("training-job-list", {"algorithm": "script"}))
    assert ">own<" in scripts and ">knn-1<" not in scripts


def test_the_calls_of_the_api_tab_name_the_source_and_how_to_send_another(alice: Visitor) -> None:
    job = job_of(alice)
    page = text_of(alice.get("training-job-detail", {"tab": "api"}, name="own"))
    assert job.source is not None and f'"source": "{job.source.uid}"' in page
    assert "/sources/" in page and "filename=src/net.py" in page


def test_two_scripts_are_compared_line_by_line(alice: Visitor) -> None:
    job_of(alice, "first")
    job_of(alice, "second", FILES | {"train.py": b"import os\n\nx = 1\n"})
    page = text_of(alice.get("comparison", {"kind": "training-jobs", "name": ["second", "first"]}))
    code = page[page.index('id="compared-code"') :]
    assert "<code>first</code> → <code>second</code>" in code
    assert re.search(r'is-removed">.*?import nonexistent', code) and re.search(r'is-added">.*?x = 1', code)
    job_of(alice, "third")
    page = text_of(alice.get("comparison", {"kind": "training-jobs", "name": ["third", "first"]}))
    assert "Both run the same code." in page
    knn_make(alice.actor, "knn")
    page = text_of(alice.get("comparison", {"kind": "training-jobs", "name": ["knn", "first"]}))
    assert "compared-code" not in page


def test_the_tester_reads_the_log_of_a_job(alice: Visitor) -> None:
    from mlplatform.core.log_lines import LogLines
    from mlplatform.core.logs import log_append

    job = job_of(alice, status="Completed", ended_at=clock.now())
    log_append(
        stream=job.log,
        lines=[LogLines.of("begin", 1), LogLines.of("loss=<b>0.5", 2), LogLines.of("loss=0.25", 3)],
    )
    data = {
        "metric.name": ["loss", "x"],
        "metric.regex": ["loss=([0-9.]+)", "(?<y>a)(?!b)"],
        "metric_job": "own",
    }
    page = alice.post("training-job-metric-test", data, htmx=True).content.decode()
    assert '<mark title="loss">0.25</mark>' in page and "?tab=logs#L3" in page
    assert "is not accepted" in page and "3 lines were read" in page
    assert "own" in text_of(alice.get("training-job-new"))  # offered
    other = data | {"metric.name": "loss", "metric.regex": "(loss)=", "metric_job": "own"}
    said = text_of(alice.post("training-job-metric-test", other, htmx=True))
    assert "2 lines match, but their first group is no number: “loss”" in said and "No line of" not in said
    gone = alice.post("training-job-metric-test", data | {"metric_job": "gone"}, htmx=True)
    assert "gone" in text_of(gone) and gone.status_code == 200


def test_the_algorithms_page_mentions_scripts(alice: Visitor, bob: Visitor) -> None:
    assert "?algorithm=script" in text_of(alice.get("algorithm-list"))
    assert "?algorithm=script" not in text_of(bob.get("algorithm-list"))


def test_the_code_tab_has_the_id_of_the_source_to_copy(alice: Visitor) -> None:
    job = job_of(alice)
    page = text_of(alice.get("training-job-detail", {"tab": "code"}, name="own"))
    assert f"<code data-copied>{job.source.uid}</code>" in page  # type: ignore[union-attr]


def test_a_module_that_is_missing_leads_to_the_requirements(alice: Visitor) -> None:
    failed(alice)
    page = text_of(alice.get("training-job-detail", name="own"))
    assert "nonexistent is not installed: name its package in a file requirements.txt" in page
    other = {"kind": "Exception", "reason": "it failed", "log_tail": ["KeyError: 'target'"], "first_line": 1}
    TrainingJob.objects.update(failure=other)
    assert "is not installed" not in text_of(alice.get("training-job-detail", name="own"))


def test_the_key_metric_of_a_script_is_the_first_that_it_defines(alice: Visitor) -> None:
    job_of(alice, final_metrics={"a": 1.0, "rmse": 2.5})
    page = text_of(alice.get("training-job-list"))
    assert '<span title="rmse">2.5</span>' in page and 'title="a"' not in page


def test_data_and_packages_are_one_stage(alice: Visitor) -> None:
    job = job_of(alice)
    for status in ("Downloading", "Downloading", "Training"):
        JobEvent.objects.create(job=job, attempt=1, secondary_status=status, at=clock.now())
    page = text_of(alice.get("training-job-detail", name="own"))
    stages = page[page.index('class="stages"') : page.index("</ol>", page.index('class="stages"'))]
    assert stages.count("Downloading") == 1 and stages.count("Training") == 1


def test_a_job_without_data_and_hyperparameters_says_so(alice: Visitor) -> None:
    job = job_of(alice)
    job.inputs.all().delete()
    job.hyperparameters = {}
    job.save(update_fields=["hyperparameters"])
    page = text_of(alice.get("training-job-detail", name="own"))
    assert "<dd>No dataset</dd>" in page and "<dd>No hyperparameters</dd>" in page
