"""Alice's project with a real k-NN artifact, and a host whose passes the test makes itself."""

from __future__ import annotations

import itertools
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from django.contrib.auth.models import User
from sklearn.datasets import load_iris
from sklearn.model_selection import train_test_split

from endpoints.gateway.runs import RunsDoor
from endpoints.gateway.server import Gateway, GatewayConfig
from endpoints.gateway.tables import flush, load_table, write_loads
from endpoints.models import Endpoint, Model
from endpoints.reconciler import Host
from endpoints.services.models import model_create
from endpoints.services.run_tokens import run_token_key
from endpoints.serving.address import Address
from jobs.models import TrainingJob
from jobs.runner.pack import model_pack
from jobs.runner.spec import ChannelSpec, JobSpec
from jobs.runner.workspace import ChannelSource, Workspace
from mlplatform.core import clock
from mlplatform.core.env import PROJECT_ROOT, runtime_dir
from mlplatform.core.logs import log_stream_create
from mlplatform.core.models import Membership, Role
from mlplatform.core.names import uid_new, uri
from mlplatform.core.people.access import Actor, project_create
from mlplatform.core.storage.objects import object_store
from tests.endpoints.loop_thread import LoopThread

FEATURES = ["sepal_length", "sepal_width", "petal_length", "petal_width"]
_numbers = itertools.count()
LABELS = {"setosa": 0, "versicolor": 1, "virginica": 2}


@dataclass(frozen=True)
class IrisParts:
    """The split of the tutorial: 112 rows to train with and 38 to test with, features then label."""

    train: list[list[float]]
    test: list[list[float]]


@dataclass(frozen=True)
class TrainedModel:
    archive: Path
    manifest: dict[str, Any]
    n_correct: int


@pytest.fixture(autouse=True)
def platform_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, settings: Any) -> Iterator[Path]:
    """A data directory and an object store of the test's own."""
    folder = tmp_path / "data"
    monkeypatch.setenv("MLPLATFORM_DATA_DIR", str(folder))
    settings.OBJECT_STORE_URL = f"file://{folder / 'store'}"
    yield folder
    if runtime_dir().parent != folder:  # a short one under the system's temporary folder
        shutil.rmtree(runtime_dir(), ignore_errors=True)


@pytest.fixture(scope="session")
def iris() -> IrisParts:
    table = load_iris()
    rows = [
        [*features, float(label)] for features, label in zip(table.data.tolist(), table.target, strict=True)
    ]
    train, test = train_test_split(rows, random_state=0, test_size=0.25)
    return IrisParts(train, test)


@pytest.fixture(scope="session")
def knn_iris(iris: IrisParts, tmp_path_factory: pytest.TempPathFactory) -> TrainedModel:
    """k-NN with k = 1, trained by the real job process and packed by the worker's own packer."""
    folder = tmp_path_factory.mktemp("knn-iris")
    workspace = Workspace(folder / "ml")
    workspace.make()
    channel = ChannelSource("train", (), "text/csv", "File", ".csv")
    values = {"k": "1", "feature_dim": "4", "sample_size": "112", "predictor_type": "classifier"}
    workspace.configure(hyperparameters=values, channels=[channel], instance_type="local.cpu")
    data = folder / "ml/input/data/train/train.csv"
    data.parent.mkdir(exist_ok=True)
    data.write_text("".join(f"{row[-1]:g},{','.join(map(str, row[:-1]))}\n" for row in iris.train))
    spec = JobSpec(
        uid=uid_new(),
        name="iris-knn",
        attempt=1,
        algorithm="knn",
        root=folder / "ml",
        channels={"train": ChannelSpec()},
    )
    job = subprocess.run(
        [sys.executable, "-m", "jobs.runner", str(spec.write())],
        cwd=PROJECT_ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert job.returncode == 0, job.stdout + job.stderr
    facts = {
        "algorithm": "knn",
        "predictor_type": "classifier",
        "n_features": 4,
        "feature_names": FEATURES,
        "label_mapping": LABELS,
    }
    packed = model_pack(model_dir=workspace.model_dir, archive=folder / "model.tar.gz", facts=facts)
    return TrainedModel(packed.path, packed.manifest, n_correct=37)


@pytest.fixture
def alice(db: None) -> Actor:
    user = User.objects.create_user("alice", password="correct horse battery")
    return Actor(user=user, project=project_create(user=user, name="flowers"), role=Role.ADMIN)


@pytest.fixture
def bob(alice: Actor) -> Actor:
    user = User.objects.create_user("bob")
    Membership.objects.create(project=alice.project, user=user, role=Role.VIEWER)
    return Actor(user=user, project=alice.project, role=Role.VIEWER)


@pytest.fixture
def charlie(db: None) -> Actor:
    user = User.objects.create_user("charlie")
    return Actor(user=user, project=project_create(user=user, name="elsewhere"), role=Role.ADMIN)


@pytest.fixture
def completed_job(alice: Actor, knn_iris: TrainedModel) -> TrainingJob:
    """A training job as a worker leaves it, with its artifact in the store."""
    uid = uid_new()
    stored = object_store().put_file(
        knn_iris.archive, uri(alice.project.bucket, f"training-jobs/{uid}/output/model.tar.gz")
    )
    return TrainingJob.objects.create(
        project=alice.project,
        name="iris-knn",
        uid=uid,
        algorithm="knn",
        hyperparameters={"k": "1"},
        instance_type="local.cpu",
        queue="cpu",
        status="Completed",
        secondary_status="Completed",
        artifact_uri=stored.uri,
        artifact_sha256=stored.sha256,
        artifact_bytes=stored.size_bytes,
        manifest=knn_iris.manifest,
        log=log_stream_create(),
        created_by=alice.user,
        created_at=clock.now(),
    )


@pytest.fixture
def iris_model(alice: Actor, completed_job: TrainingJob) -> Model:
    return model_create(actor=alice, name="iris-knn", training_job=completed_job.name)


@pytest.fixture
def broken_model(alice: Actor, tmp_path: Path) -> Model:
    """A model whose archive is well-formed and has no index in it."""
    folder = tmp_path / "broken"
    folder.mkdir()
    (folder / "model_algo-1.json").write_text("{}")
    packed = model_pack(model_dir=folder, archive=tmp_path / "broken.tar.gz", facts={"algorithm": "knn"})
    address = uri(alice.project.bucket, "uploads/broken.tar.gz")
    object_store().put_file(packed.path, address)
    return model_create(actor=alice, name="broken", artifact_uri=address, algorithm="knn")


class HostDriver:
    """Makes the passes of a real host until something holds."""

    def __init__(self, name: str) -> None:
        self.host = Host(name=name)
        self.host.begin()

    def until(self, holds: Callable[[], object], *, within_s: float = 20.0) -> None:
        deadline = time.monotonic() + within_s
        while not holds():
            assert time.monotonic() < deadline, f"not within {within_s} s"
            self.host.tick()
            self.host.wait(0.02)

    def until_status(self, endpoint: Endpoint, status: str, *, within_s: float = 20.0) -> Endpoint:
        def reached() -> bool:
            endpoint.refresh_from_db()
            return endpoint.status == status

        self.until(reached, within_s=within_s)
        return endpoint


@pytest.fixture
def host(transactional_db: None, platform_folders: Path) -> Iterator[HostDriver]:
    driver = HostDriver("test-host")
    yield driver
    driver.host.end()


@dataclass(frozen=True)
class PublicGateway:
    """A real gateway on a free port, with the real database behind it."""

    port: int
    flush: Callable[[], None]
    reload: Callable[[], None]


@contextmanager
def gateway_running(*, reload_every_s: float) -> Iterator[PublicGateway]:
    folder = runtime_dir() / f"g{next(_numbers)}"
    folder.mkdir(parents=True, exist_ok=True)
    config = GatewayConfig(
        public=Address(host="127.0.0.1", port=0),
        trusted=Address(path=str(folder / "gateway.sock")),
        web=Address(path=str(folder / "web.sock")),
        runs=RunsDoor(Address(path=str(folder / "runs" / "runs.sock")), key=run_token_key()),
        reload_every_s=reload_every_s,
        grace_s=5.0,
    )
    for place in (folder / "gateway.sock", folder / "runs" / "runs.sock"):
        link = runtime_dir() / place.name
        if not link.exists():
            link.symlink_to(place)
    loop = LoopThread()
    gateway = loop.make(lambda: Gateway(config, load_table=load_table, flush=flush, write_loads=write_loads))
    address = loop.call(gateway.start())
    yield PublicGateway(
        port=address.port,
        flush=lambda: loop.call(gateway._writer.write()),
        reload=lambda: loop.call(gateway._keeper.refresh()),
    )
    loop.call(gateway.stop())
    loop.close()


@pytest.fixture
def public_gateway(transactional_db: None, platform_folders: Path) -> Iterator[PublicGateway]:
    with gateway_running(reload_every_s=0.05) as gateway:
        yield gateway
