"""A project of a running platform as one person uses it: by REST, with an access key, and nothing else.

Also looks from outside at what the platform keeps, so that a test can say that a refusal left nothing behind.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping
from typing import Any

from tests.live import LivePlatform
from tests.polling import wait_until
from tests.rest_client import Answer, Client

JOB_WITHIN_S = 60.0
ENDPOINT_WITHIN_S = 30.0
ROWS_THAT_COME_AND_GO = (
    "django_",
    "sqlite_",
    "auth_",
    "core_auditevent",
    "core_node",
    "core_revision",
    "core_session",
    "core_sweepstate",
    "endpoints_endpointmetric",
    "endpoints_replicarun",
    "jobs_spentrecord",
)
SQLITE_TABLES = "SELECT name FROM sqlite_master WHERE type = 'table'"
POSTGRES_TABLES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'"
UNFINISHED = (
    "SELECT count(*) FROM jobs_trainingjob WHERE status IN ('InProgress', 'Stopping')",
    "SELECT count(*) FROM endpoints_tablerun WHERE status = 'InProgress'",
    "SELECT count(*) FROM endpoints_evaluation WHERE status IN ('InProgress', 'Stopping')",
    "SELECT count(*) FROM endpoints_endpoint WHERE status NOT IN ('InService', 'Failed')",
    "SELECT count(*) FROM endpoints_replica WHERE status NOT IN ('InService', 'Failed')",
)
KNN = {"k": 1, "predictor_type": "classifier", "sample_size": 1000}


class Street:
    """One project with one key."""

    def __init__(
        self, platform: LivePlatform, *, client: Client | None = None, project: str = "default"
    ) -> None:
        self.platform = platform
        self.client = client or platform.client
        self.base = f"projects/{project}"

    # ---- requests

    def get(self, path: str) -> Answer:
        return self.client.get(f"{self.base}/{path}")

    def post(self, path: str, value: Any = None) -> Answer:
        return self.client.post(f"{self.base}/{path}", value)

    def patch(self, path: str, value: Any) -> Answer:
        return self.client.patch(f"{self.base}/{path}", value)

    def delete(self, path: str) -> Answer:
        return self.client.delete(f"{self.base}/{path}")

    def upload(self, name: str, content: bytes, *, filename: str = "data.csv", **fields: str) -> Answer:
        return self.client.upload(
            f"{self.base}/datasets/", file=content, filename=filename, name=name, **fields
        )

    def invoke(
        self,
        endpoint: str,
        body: bytes | str,
        *,
        content_type: str = "text/csv",
        accept: str = "application/json",
        query: str = "",
    ) -> Answer:
        data = body.encode() if isinstance(body, str) else body
        return self.client.send(
            "POST",
            f"{self.base}/endpoints/{endpoint}/invocations{query}",
            body=data,
            headers={"Content-Type": content_type, "Accept": accept},
        )

    # ---- steps of the street, which must succeed

    def dataset(self, name: str, content: bytes, **fields: str) -> dict[str, Any]:
        answer = self.upload(name, content, **fields)
        assert answer.status == 201, answer.text
        return dict(answer.json)

    def job_request(self, name: str, *, train: str, test: str | None = None, **more: Any) -> dict[str, Any]:
        """A request for k-NN with k = 1; `more` replaces fields, `hyperparameters` are merged."""
        channels = {"train": {"dataset": train}} | ({"test": {"dataset": test}} if test else {})
        hyperparameters = KNN | more.pop("hyperparameters", {})
        request = {"name": name, "algorithm": "knn", "channels": channels, "hyperparameters": hyperparameters}
        return request | more

    def job_start(self, name: str, **request: Any) -> dict[str, Any]:
        answer = self.post("training-jobs/", self.job_request(name, **request))
        assert answer.status == 201, answer.text
        return dict(answer.json)

    def job_ended(self, name: str) -> dict[str, Any]:
        wait_until(
            lambda: self.job(name)["status"] not in {"InProgress", "Stopping"},
            timeout_s=JOB_WITHIN_S,
            every_s=0.1,
            what=lambda: f"the end of job {name}: {self.job(name)}\n{self.log(name)}",
        )
        return self.job(name)

    def job_completed(self, name: str, **request: Any) -> dict[str, Any]:
        self.job_start(name, **request)
        job = self.job_ended(name)
        assert job["status"] == "Completed", f"{job['failure']}\n{self.log(name)}"
        return job

    def job(self, name: str) -> dict[str, Any]:
        return dict(self.get(f"training-jobs/{name}/").json)

    def log(self, name: str) -> str:
        return str(self.get(f"training-jobs/{name}/logs/?limit_bytes=1048576").json["text"])

    def model(self, name: str, *, job: str) -> None:
        answer = self.post("models/", {"name": name, "training_job": job})
        assert answer.status == 201, answer.text

    def endpoint_start(self, name: str, *variants: Mapping[str, Any]) -> None:
        answer = self.post("endpoints/", {"name": name, "variants": list(variants)})
        assert answer.status == 201, answer.text

    def endpoint(self, name: str) -> dict[str, Any]:
        return dict(self.get(f"endpoints/{name}/").json)

    def endpoint_settled(self, name: str) -> dict[str, Any]:
        """The endpoint, once nothing is under way."""
        wait_until(
            lambda: self.endpoint(name)["status"] in {"InService", "Failed", "UpdateRollbackFailed"},
            timeout_s=ENDPOINT_WITHIN_S,
            every_s=0.1,
            what=lambda: str(self.endpoint(name)),
        )
        return self.endpoint(name)

    def endpoint_in_service(self, name: str, *variants: Mapping[str, Any]) -> dict[str, Any]:
        self.endpoint_start(name, *variants)
        endpoint = self.endpoint_settled(name)
        assert endpoint["status"] == "InService", endpoint
        return endpoint

    def served(self, name: str, **request: Any) -> dict[str, Any]:
        """Job, model and endpoint of one name; answers with the job."""
        job = self.job_completed(name, **request)
        self.model(name, job=name)
        self.endpoint_in_service(name, {"model": name})
        return job

    def gone(self, *endpoints: str) -> None:
        """Ends endpoints, so that the model servers of one test do not burden the next."""
        for name in endpoints:
            self.delete(f"endpoints/{name}/")

    def table(self, endpoint: str, dataset: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The ended run of a whole dataset through an endpoint, and its rows."""
        made = self.post(f"endpoints/{endpoint}/table-runs/", {"dataset": dataset})
        assert made.status == 201, made.text
        path = f"endpoints/{endpoint}/table-runs/{made.json['uid']}/"
        wait_until(
            lambda: self.get(path).json["status"] != "InProgress",
            timeout_s=JOB_WITHIN_S,
            every_s=0.1,
            what=lambda: self.get(path).text,
        )
        return dict(self.get(path).json), list(self.get(f"{path}rows/?limit=1000").json["items"])

    def evaluation_ended(self, name: str) -> dict[str, Any]:
        wait_until(
            lambda: self.get(f"evaluations/{name}/").json["status"] not in {"InProgress", "Stopping"},
            timeout_s=JOB_WITHIN_S,
            every_s=0.1,
            what=lambda: f"the end of evaluation {name}: {self.get(f'evaluations/{name}/').text}",
        )
        return dict(self.get(f"evaluations/{name}/").json)

    def evaluated(self, name: str, **request: Any) -> dict[str, Any]:
        """A Completed evaluation."""
        made = self.post("evaluations/", {"name": name, **request})
        assert made.status == 201, made.text
        found = self.evaluation_ended(name)
        assert found["status"] == "Completed", found
        return found

    # ---- from outside

    def traces(self) -> dict[str, Any]:
        """Every row that stands for something of a person's, every object, every temporary file."""
        return {"rows": dict(self._rows()), "objects": self._files("store"), "temporary": self._files("tmp")}

    def at_rest(self) -> bool:
        """Whether nothing that an earlier test began is still on its way: no unfinished job, run or roll-out."""
        return not any(self.platform.query(query)[0][0] for query in UNFINISHED)

    def _files(self, folder: str) -> list[str]:
        root = self.platform.data_dir / folder
        return sorted(str(path.relative_to(root)) for path in root.rglob("*") if path.is_file())

    def _rows(self) -> Iterator[tuple[Any, ...]]:
        """How many rows each table has, in one answer: the database is asked every few milliseconds."""
        names = POSTGRES_TABLES if self.platform.services else SQLITE_TABLES
        tables = [
            name for (name,) in self.platform.query(names) if not name.startswith(ROWS_THAT_COME_AND_GO)
        ]
        counts = " UNION ALL ".join(f"SELECT '{table}', count(*) FROM {table}" for table in tables)
        yield from self.platform.query(counts)


def refused(answer: Answer, *, status: int = 400, field: str = "", words: tuple[str, ...] = ()) -> Any:
    """Asserts that `answer` is a refusal in the form all have, that it names the field and says the words."""
    assert answer.status == status, answer.text
    problem = answer.json
    said = json.dumps(problem, ensure_ascii=False)
    assert problem["request_id"], problem
    assert "Traceback" not in said and "/tmp/" not in said, said
    if field:
        assert field in [error["field"] for error in problem["errors"]], said
    for word in words:
        assert word in said, f"{word!r} is not in {said}"
    return problem


def unique(stem: str) -> str:
    """A name that no other test of this run uses."""
    return f"{stem}-{time.time_ns() // 1000 % 10**9}"
