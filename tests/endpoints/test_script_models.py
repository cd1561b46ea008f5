"""Models that a script serves: made of script jobs, archives and uploads; served, predicted with and measured."""

from __future__ import annotations

import io
import json
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.datasets import load_diabetes

from endpoints.models import Model
from endpoints.selectors.evaluations import evaluation_get
from endpoints.selectors.tables import table_run_get
from endpoints.services.deployments import training_job_deploy
from endpoints.services.endpoints import VariantRequest, endpoint_create, endpoint_update
from endpoints.services.evaluations import evaluation_create, evaluation_execute
from endpoints.services.invocations import endpoint_invoke
from endpoints.services.models import model_create, model_delete
from endpoints.services.tables import table_run_create, table_run_execute
from jobs.models import Source, TrainingInput, TrainingJob
from jobs.services.datasets import dataset_create_from_upload
from jobs.services.sources import source_create
from mlplatform.core import clock
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.logs import log_stream_create
from mlplatform.core.names import uid_new, uri
from mlplatform.core.people.access import Actor
from mlplatform.core.storage.objects import object_store
from tests.endpoints.conftest import HostDriver, PublicGateway
from tests.endpoints.serving.script_models import ENSEMBLE, Ensemble, ensemble_train, model_folder

TRAIN = b"import sklearn\n\nif __name__ == '__main__':\n    raise SystemExit(1)\n"
BACKWARDS = b"""
def model_fn(model_dir):
    return None

def transform_fn(model, data, content_type, accept):
    return data[::-1], "text/plain"
"""
MakeJob = Callable[..., TrainingJob]


@pytest.fixture(scope="session")
def ensemble(tmp_path_factory: pytest.TempPathFactory) -> Ensemble:
    return ensemble_train(tmp_path_factory.mktemp("ensemble") / "model", script="")


@pytest.fixture
def make_job(alice: Actor, ensemble: Ensemble) -> MakeJob:
    """A script's job as a worker leaves it: source, artifact, and a manifest that says nothing of labels."""

    def make(
        name: str, files: dict[str, bytes], *, entry_point: str = "train.py", **values: Any
    ) -> TrainingJob:
        uid = uid_new()
        address = uri(alice.project.bucket, f"training-jobs/{uid}/output/model.tar.gz")
        stored = object_store().put_bytes(packed(ensemble.folder), address)
        return TrainingJob.objects.create(
            project=alice.project,
            name=name,
            uid=uid,
            algorithm="script",
            framework="xgboost",
            entry_point=entry_point,
            source=source_create(actor=alice, files=files),
            instance_type="local.cpu",
            queue="cpu",
            status="Completed",
            secondary_status="Completed",
            artifact_uri=stored.uri,
            artifact_sha256=stored.sha256,
            artifact_bytes=stored.size_bytes,
            manifest={"algorithm": "script", "framework": "xgboost"},
            log=log_stream_create(),
            created_by=alice.user,
            created_at=clock.now(),
            **values,
        )

    return make


def packed(folder: Path, **more: bytes) -> bytes:
    """A model.tar.gz of a folder; further files by path with `__` for `/`."""
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w:gz") as tar:
        for path in sorted(folder.rglob("*")):
            tar.add(path, path.relative_to(folder).as_posix(), recursive=False)
        for name, content in more.items():
            entry = tarfile.TarInfo(name.replace("__", "/"))
            entry.size = len(content)
            tar.addfile(entry, io.BytesIO(content))
    return written.getvalue()


def test_a_model_of_a_script_job_takes_over_source_framework_and_the_inference_script(
    alice: Actor, make_job: MakeJob
) -> None:
    job = make_job("both", {"train.py": TRAIN, "inference.py": ENSEMBLE.encode()})
    model = model_create(actor=alice, name="m", training_job="both")
    assert (model.algorithm, model.framework, model.entry_point) == ("script", "xgboost", "inference.py")
    assert model.source == job.source
    assert model.manifest["script"]["handlers"] == ["model_fn", "predict_fn"]
    assert [file["path"] for file in model.manifest["script"]["files"]] == ["inference.py", "train.py"]
    own = make_job("own", {"train.py": TRAIN + ENSEMBLE.encode()})
    assert own.entry_point == model_create(actor=alice, name="o", training_job="own").entry_point
    make_job("shell", {"train.sh": b"true"}, entry_point="train.sh")
    assert model_create(actor=alice, name="s", training_job="shell").entry_point == ""


def test_a_source_given_goes_before_that_of_the_job(alice: Actor, make_job: MakeJob) -> None:
    make_job("job", {"train.py": TRAIN})
    other = source_create(actor=alice, files={"serve/predict.py": ENSEMBLE.encode()})
    model = model_create(
        actor=alice,
        name="m",
        training_job="job",
        source=other.uid,
        entry_point="serve/predict.py",
        framework="catboost",
    )
    assert (model.source, model.entry_point, model.framework) == (other, "serve/predict.py", "catboost")
    model_delete(actor=alice, name="m")
    assert Source.objects.filter(pk=other.pk).exists()


def test_an_archive_is_served_by_the_script_in_its_code(
    alice: Actor, ensemble: Ensemble, tmp_path: Path
) -> None:
    archive = tmp_path / "m.tar.gz"
    archive.write_bytes(packed(ensemble.folder, code__inference=b"", code__inference2=b""))
    plain = model_create(actor=alice, name="plain", archive=archive, framework="xgboost")
    assert (plain.algorithm, plain.entry_point, plain.source) == ("script", "", None)
    archive.write_bytes(packed(model_folder(tmp_path / "m", ENSEMBLE)))
    model = model_create(actor=alice, name="m", archive=archive, framework="xgboost")
    assert (model.entry_point, model.manifest["script"]["handlers"]) == (
        "inference.py",
        ["model_fn", "predict_fn"],
    )
    stored = object_store().put_file(archive, uri(alice.project.bucket, "uploads/m.tar.gz"))
    again = model_create(actor=alice, name="n", artifact_uri=stored.uri, framework="xgboost")
    assert again.artifact_sha256 == model.artifact_sha256 == stored.sha256


@pytest.mark.parametrize(
    ("script", "given", "field", "said"),
    [
        ("def model_fn(:\n", {}, "entry_point", "inference.py, line 1: .*def model_fn"),
        ("x = 1\n", {"entry_point": "serve.py"}, "entry_point", "'serve.py' is not in .*it has inference.py"),
        (
            "def transform_fn(m, d, c, a): ...\ndef input_fn(d, c): ...\n",
            {},
            "entry_point",
            "either transform_fn or those",
        ),
        ("(" * 5000, {}, "entry_point", "inference.py"),
        ("x = 1\n", {"framework": "cobol"}, "framework", "use one of sklearn, xgboost"),
        ("x = 1\n", {"framework": ""}, "algorithm", "give a framework"),
        ("x = 1\n", {"framework": "", "algorithm": "script"}, "framework", "is needed"),
        ("x = 1\n", {"algorithm": "knn"}, "framework", "leave out the script"),
        ("x = 1\n", {"source": "nope"}, "source", "no source"),
    ],
)
def test_a_script_that_cannot_serve_is_refused_before_anybody_waits(
    alice: Actor, tmp_path: Path, script: str, given: dict[str, str], field: str, said: str
) -> None:
    archive = tmp_path / "m.tar.gz"
    archive.write_bytes(packed(model_folder(tmp_path / "m", script)))
    with pytest.raises(InvalidRequest, match=said) as refused:
        model_create(actor=alice, name="m", archive=archive, **({"framework": "python"} | given))  # type: ignore[arg-type]
    assert [error.field for error in refused.value.errors] == [field]
    assert not Model.objects.exists()
    assert list(object_store().list(f"s3://{alice.project.bucket}/models")) == []


@pytest.mark.parametrize(
    ("name", "kind", "said"),
    [
        ("code/link.py", tarfile.SYMTYPE, "is a link or device"),
        ("../outside.py", tarfile.REGTYPE, "leads out of"),
        ("code/inference.py", tarfile.LNKTYPE, "is a link or device"),
    ],
)
def test_an_archive_with_links_or_paths_out_of_it_is_refused(
    alice: Actor, tmp_path: Path, name: str, kind: bytes, said: str
) -> None:
    entry = tarfile.TarInfo(name)
    entry.type, entry.linkname = kind, "/etc/passwd"
    with tarfile.open(tmp_path / "m.tar.gz", "w:gz") as tar:
        tar.addfile(entry)
    with pytest.raises(InvalidRequest, match=said):
        model_create(actor=alice, name="m", archive=tmp_path / "m.tar.gz", framework="python")


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_the_ensemble_of_a_script_job_is_deployed_predicted_with_measured_and_replaced(
    alice: Actor, make_job: MakeJob, ensemble: Ensemble, host: HostDriver, public_gateway: PublicGateway
) -> None:
    """The whole street: job, endpoint in one step, an invocation, a table run, an evaluation, another script."""
    job = make_job("diabetes", {"train.py": TRAIN, "inference.py": ENSEMBLE.encode()})
    table = _diabetes(alice)
    TrainingInput.objects.create(job=job, channel="train", dataset_version=table, uri=table.uri)
    endpoint = training_job_deploy(actor=alice, training_job="diabetes", name="diabetes")
    host.until_status(endpoint, "InService")
    public_gateway.reload()
    status, body = _invoke(alice, "diabetes", ensemble.body)
    assert status == 200, body
    np.testing.assert_allclose(json.loads(body), ensemble.mean, atol=1e-6, rtol=0)

    run = table_run_create(actor=alice, endpoint="diabetes", dataset="diabetes")
    assert table_run_execute(run_id=run.pk)
    run = table_run_get(actor=alice, endpoint="diabetes", uid=run.uid)
    assert (run.status, run.failure, run.summary["kind"]) == ("Completed", "", "regression")
    evaluation = evaluation_create(
        actor=alice, name="e", endpoint="diabetes", dataset="diabetes", batches=4, single_requests=5
    )
    assert evaluation_execute(evaluation_id=evaluation.pk)
    found = evaluation_get(actor=alice, name="e")
    assert found.status == "Completed", found.failure
    assert found.facts["predictor_type"] == "regressor"
    assert found.summary["value"] == pytest.approx(run.summary["rmse"])

    source = source_create(actor=alice, files={"inference.py": BACKWARDS})
    model_create(actor=alice, name="other", training_job="diabetes", source=source.uid)
    endpoint_update(actor=alice, name="diabetes", variants=[VariantRequest(model="other")])
    host.until_status(endpoint, "InService")
    public_gateway.reload()
    assert _invoke(alice, "diabetes", b"abc") == (200, b"cba")


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_a_script_that_cannot_be_imported_fails_its_endpoint_with_its_line(
    alice: Actor, make_job: MakeJob, host: HostDriver
) -> None:
    make_job(
        "bad",
        {"train.py": TRAIN, "inference.py": b"import os\nimport no_such_module\n\ndef model_fn(d): ...\n"},
    )
    model_create(actor=alice, name="bad", training_job="bad")
    endpoint = endpoint_create(actor=alice, name="bad", variants=[VariantRequest(model="bad")])
    host.until_status(endpoint, "Failed")
    assert endpoint.failure is not None
    assert endpoint.failure["reason"] == (
        "inference.py, line 2: ModuleNotFoundError: No module named 'no_such_module'"
    )
    assert "import no_such_module" in endpoint.failure["detail"]


@pytest.mark.slow
@pytest.mark.django_db(transaction=True)
def test_code_that_changed_and_packages_that_cannot_be_had_fail_the_endpoint(
    alice: Actor, make_job: MakeJob, host: HostDriver
) -> None:
    serve = b"def model_fn(d):\n    return None\n"
    job = make_job("changed", {"inference.py": serve}, entry_point="inference.py")
    make_job("packages", {"inference.py": serve, "requirements.txt": b"no-such-package==1.0 ; nonsense\n"})
    assert job.source is not None
    object_store().put_bytes(b"other bytes", job.source.uri)
    for name, said in (("changed", "has the digest"), ("packages", "requirements.txt")):
        made = model_create_without_look(alice, name)
        endpoint = endpoint_create(actor=alice, name=name, variants=[VariantRequest(model=made.name)])
        host.until_status(endpoint, "Failed")
        assert endpoint.failure is not None and said in endpoint.failure["reason"], endpoint.failure


def model_create_without_look(alice: Actor, training_job: str) -> Model:
    """A model of a job whose source may be unreadable by now."""
    job = TrainingJob.objects.get(name=training_job)
    address = uri(alice.project.bucket, f"models/{uid_new()}/model.tar.gz")
    object_store().copy(job.artifact_uri, address)
    return Model.objects.create(
        project=alice.project,
        name=training_job,
        uid=uid_new(),
        training_job=job,
        algorithm="script",
        framework="python",
        entry_point="inference.py",
        source=job.source,
        artifact_uri=address,
        artifact_sha256=job.artifact_sha256,
        artifact_bytes=job.artifact_bytes,
        created_by=alice.user,
        created_at=clock.now(),
    )


def _diabetes(alice: Actor) -> Any:
    found: Any = load_diabetes()
    head = ",".join([*found.feature_names, "target"])
    rows = [
        ",".join(map(str, [*np.float32(row).tolist(), target]))
        for row, target in zip(found.data[:60], found.target[:60], strict=True)
    ]
    text = "\n".join([head, *rows]) + "\n"
    made = dataset_create_from_upload(
        actor=alice, name="diabetes", file=io.BytesIO(text.encode()), filename="d.csv", label="target"
    )
    return made.latest


def _invoke(alice: Actor, name: str, body: bytes) -> tuple[int, bytes]:
    answer = endpoint_invoke(actor=alice, name=name, body=body)
    return answer.status, answer.body
