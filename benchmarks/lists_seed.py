"""A platform that has been in use for half a year, made by Postgres itself in a minute or two. No benchmark itself.

Rows come from `generate_series`, so that a hundred thousand jobs take seconds; what a column is not told here has its
model's default. Sizes of JSON fields are those of real jobs on Covertype (54 features).
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any, Final

from django.apps import apps
from django.db import connection
from django.db.models import NOT_PROVIDED, Field

PROJECT: Final = "bench"
PERSON: Final = "user-1"
_N_USERS: Final = 12
_N_PROJECTS: Final = 5
_DAYS: Final = 180
_FEATURES: Final = [f"feature_{number}" for number in range(54)]


@dataclass(frozen=True)
class Sizes:
    """How many rows of what. A chunk of metrics has 50 points, one of a log 1,000 lines."""

    jobs: int = 100_000
    models: int = 1_000
    endpoints: int = 1_000
    datasets: int = 2_000
    tuning_jobs: int = 500
    trials: int = 40
    evaluations: int = 3_000
    experiments: int = 200
    cells: int = 24
    transforms: int = 5_000
    table_runs: int = 2_000
    async_invocations: int = 50_000
    audit_events: int = 300_000
    replica_runs: int = 20_000
    metric_chunks: int = 20_000
    log_chunks: int = 100

    @classmethod
    def of(cls, n_jobs: int, *, points: bool) -> Sizes:
        """The same for so many jobs, at least one of each; `points`: with ten million metric points and a log of a
        million lines.
        """
        share = n_jobs / cls.jobs
        scaled = {
            name: max(1, int(n * share)) for name, n in vars(cls()).items() if name not in ("trials", "cells")
        }
        return cls(**(scaled | ({"metric_chunks": 200_000, "log_chunks": 1_000} if points else {})))


def seed(sizes: Sizes) -> int:
    """Fills an empty, migrated database; how many rows there are then."""
    n = sum(_people()) + sum(_jobs(sizes)) + sum(_served(sizes)) + sum(_kept(sizes))
    with connection.cursor() as cursor:
        cursor.execute("VACUUM ANALYZE")
    return n


def _people() -> list[int]:
    return [
        _fill("auth.User", _N_USERS, username="'user-' || i", is_active="true", password="'!'"),
        _fill(
            "core.Project",
            _N_PROJECTS,
            name=f"case when i = 1 then '{PROJECT}' else 'project-' || i end",
            account_id="lpad(i::text, 12, '0')",
            created_at="now()",
        ),
        _fill("core.Membership", _N_USERS, user_id="i", project_id="1", role="'admin'", created_at="now()"),
        _fill(
            "core.Membership",
            _N_PROJECTS - 1,
            user_id="1",
            project_id="i + 1",
            role="'viewer'",
            created_at="now()",
        ),
        _fill(
            "core.AccessKey",
            300,
            key_id="'MLPK' || lpad(i::text, 10, '0')",
            user_id=f"1 + i % {_N_USERS}",
            project_id="1",
            created_at="now() - i * interval '1 hour'",
            revoked_at="case when i % 3 = 0 then now() end",
        ),
        _fill(
            "core.Node",
            24,
            kind="case when i <= 16 then 'worker' when i <= 22 then 'host' else 'gateway' end",
            name="'node-' || i",
            queues="""'["cpu"]'""",
            hostname="'machine-' || i",
            pid="i",
            version="'0.1.0'",
            started_at="now()",
            seen_at="now()",
        ),
        _fill(
            "core.Session",
            2_000,
            session_key="'seeded-' || i",
            session_data="repeat('x', 200)",
            expire_date="now() + interval '1 day'",
            user_id=f"1 + i % {_N_USERS}",
        ),
    ]


def _jobs(sizes: Sizes) -> list[int]:
    n = sizes.jobs
    columns = [
        {
            "name": name,
            "type": "float",
            "missing": 0,
            "min": 0.0,
            "max": 1.5,
            "mean": 0.5,
            "std": 0.2,
            "distinct": 900,
        }
        for name in (*_FEATURES, "Cover_Type")
    ]
    schema = {"columns": [*_FEATURES, "Cover_Type"], "types": ["float"] * 55, "label": 54, "format": "csv"}
    schema |= {"encoding": "utf-8", "delimiter": ",", "header": True, "label_mapping": None}
    knn = {
        "k": "10",
        "predictor_type": "classifier",
        "feature_dim": "54",
        "sample_size": "200000",
        "index_type": "Flat",
    }
    manifest = {
        "algorithm": "knn",
        "n_features": 54,
        "feature_names": _FEATURES,
        "label_mapping": {},
        "versions": {},
    }
    failure = {
        "kind": "AlgorithmError",
        "reason": "the sampled data has fewer rows than k",
        "said": None,
        "log_tail": [f"line {number} of what the job printed before it failed" for number in range(20)],
        "first_line": 180,
    }
    return [
        _fill(
            "jobs.Dataset",
            sizes.datasets,
            project_id=_OF_PROJECT,
            name="'dataset-' || lpad(i::text, 6, '0')",
            description="'Cartographic variables, part ' || i",
            created_by_id=_OF_USER,
            created_at=_at(sizes.datasets),
            updated_at=_at(sizes.datasets),
        ),
        _fill(
            "jobs.DatasetVersion",
            sizes.datasets * 3 // 2,
            dataset_id=f"1 + (i - 1) % {sizes.datasets}",
            number=f"1 + (i - 1) / {sizes.datasets}",
            uid=_uid("v"),
            uri="'s3://b/datasets/' || i",
            filename="'covtype.csv'",
            content_type="'text/csv'",
            size_bytes="1000000 + i",
            n_rows="581012",
            n_columns="55",
            schema=_json(schema),
            columns=_json(columns),
            source="'upload'",
            created_by_id=_OF_USER,
            created_at=_at(sizes.datasets * 3 // 2),
        ),
        _run("UPDATE jobs_dataset SET latest_id = id"),
        _fill(
            "jobs.Source",
            500,
            project_id=_OF_PROJECT,
            uid=_uid("s"),
            sha256="md5(i::text)",
            archive_bytes="2000",
            files=_json([{"path": "train.py", "size_bytes": 2000}]),
            created_by_id=_OF_USER,
            created_at=_at(500),
        ),
        _fill(
            "core.LogStream",
            n,
            uid=_uid("l"),
            n_bytes="80000",
            n_lines="1000",
            created_at="now()",
            ended="true",
        ),
        _fill(
            "jobs.TrainingJob",
            n,
            project_id=_OF_PROJECT,
            name="(array['knn','xgboost','covtype','churn','forest'])[1 + i % 5] || '-' || lpad(i::text, 7, '0')",
            uid=_uid("t"),
            algorithm="(array['knn','xgboost','catboost','script','linear-learner'])[1 + i % 5]",
            framework="case when i % 5 = 3 then 'pytorch' else '' end",
            entry_point="case when i % 5 = 3 then 'train.py' else '' end",
            source_id="case when i % 5 = 3 then 1 + i % 500 end",
            hyperparameters=_json(knn),
            instance_type="(array['local.cpu','ml.m5.large','ml.m5.xlarge'])[1 + i % 3]",
            queue="'cpu'",
            tags=_json({"team": "forest", "stage": "research"}),
            status=f"case when i > {n} - 200 then 'InProgress' when i % 11 = 0 then 'Failed' "
            "when i % 25 = 0 then 'Stopped' else 'Completed' end",
            secondary_status=f"case when i > {n} - 150 then 'Pending' when i > {n} - 200 then 'Training' "
            "when i % 11 = 0 then 'Failed' when i % 25 = 0 then 'Stopped' else 'Completed' end",
            failure=f"case when i <= {n} - 200 and i % 11 = 0 then '{json.dumps(failure)}'::jsonb end",
            progress=_json({"fraction": 1.0, "text": "", "recent": [[1, 0.5], [2, 1.0]]}),
            final_metrics="jsonb_build_object('validation:accuracy', i % 1000 / 1000.0, 'train:loss', i % 77 / 7.0)",
            attempt="1",
            lease_owner=f"case when i > {n} - 200 and i <= {n} - 150 then 'node-1' else '' end",
            lease_expires_at=f"case when i > {n} - 200 and i <= {n} - 150 then now() + interval '1 day' end",
            artifact_uri="'s3://b/artifacts/' || i",
            artifact_bytes="500000 + i",
            manifest=_json(manifest),
            log_id="i",
            created_by_id=_OF_USER,
            created_at=_at(n),
            started_at=f"case when i <= {n} - 150 then {_at(n)} end",
            ended_at=f"case when i <= {n} - 200 then {_at(n)} + interval '1 minute' * (i % 59) end",
            billable_s=f"case when i <= {n} - 200 then i % 3600 end",
            price_per_hour=f"case when i <= {n} - 200 then 0.115 end",
            currency=f"case when i <= {n} - 200 then 'USD' else '' end",
        ),
        _fill(
            "jobs.TrainingInput",
            2 * n,
            job_id="(i + 1) / 2",
            channel="case when i % 2 = 0 then 'train' else 'test' end",
            dataset_version_id=f"1 + i % {sizes.datasets}",
            dataset_reference=f"'dataset-' || lpad((1 + i % {sizes.datasets})::text, 6, '0') || '@1'",
            uri="'s3://b/datasets/' || i",
            content_type="'text/csv'",
        ),
        _fill(
            "jobs.JobEvent",
            6 * n,
            job_id="1 + (i - 1) / 6",
            attempt="1",
            secondary_status="(array['Pending','Starting','Training','Uploading','Completed'])[1 + i % 5]",
            message="'Training in progress'",
            at="now()",
        ),
        _fill(
            "jobs.MetricSummary",
            4 * n,
            job_id="1 + (i - 1) / 4",
            name="'metric-' || i % 4",
            n_points="100",
            last="i % 100 / 100.0",
            minimum="0",
            maximum="1",
            last_at="now()",
        ),
        _fill(
            "jobs.MetricChunk",
            sizes.metric_chunks,
            job_id=f"1 + i % {max(1, n // 10)}",
            name="'metric-0'",
            first_step=f"50 * (i / {max(1, n // 10)})",
            points=_json([[1_780_000_000_000 + step, step, step / 7] for step in range(50)]),
        ),
        _fill(
            "core.LogChunk",
            sizes.log_chunks,
            stream_id="1",
            offset="(i - 1) * 80000",
            n_bytes="80000",
            first_line="(i - 1) * 1000",
            n_lines="1000",
            first_at="now()",
            line_times="decode(repeat('00000000', 1000), 'hex')",
            data="convert_to(repeat(rpad('epoch 12: loss=0.123456', 79, '.') || chr(10), 1000), 'UTF8')",
        ),
        _fill(
            "jobs.TuningJob",
            sizes.tuning_jobs,
            project_id=_OF_PROJECT,
            name="'tuning-' || lpad(i::text, 6, '0')",
            uid=_uid("h"),
            strategy="(array['Bayesian','Random','Grid','Hyperband'])[1 + i % 4]",
            objective_metric="'validation:accuracy'",
            objective_type="'Maximize'",
            ranges=_json([{"name": "k", "type": "Integer", "min": 1, "max": 100, "scaling": "Linear"}]),
            max_jobs=str(sizes.trials),
            algorithm="'knn'",
            instance_type="'local.cpu'",
            status=f"case when i > {sizes.tuning_jobs} - 5 then 'InProgress' else 'Completed' end",
            created_by_id=_OF_USER,
            created_at=_at(sizes.tuning_jobs),
        ),
        _fill(
            "jobs.TuningTrial",
            min(n, sizes.tuning_jobs * sizes.trials),
            tuning_job_id=f"1 + (i - 1) / {sizes.trials}",
            number=f"1 + (i - 1) % {sizes.trials}",
            parameters=_json({"k": "10"}),
            job_name="'trial-' || i",
            training_job_id="i",
            status="'Completed'",
            value="i % 1000 / 1000.0",
            steps=_json([[step, step / 30] for step in range(30)]),
            created_at="now()",
        ),
        _run(
            "UPDATE jobs_tuningjob SET best_trial_id = (SELECT min(id) FROM jobs_tuningtrial "
            "WHERE tuning_job_id = jobs_tuningjob.id)"
        ),
        _fill(
            "jobs.SpentRecord",
            n // 5,
            project_id="1",
            kind="'training_job'",
            name="'gone-' || i",
            detail="'local.cpu'",
            seconds="i % 1000",
            amount="0.01",
            currency="'USD'",
            at=_at(max(1, n // 5)),
        ),
    ]


def _served(sizes: Sizes) -> list[int]:
    n = sizes.endpoints
    uid = "'e' || lpad((1 + (i - 1) % {})::text, 25, '0')"
    manifest = {
        "algorithm": "knn",
        "n_features": 54,
        "feature_names": _FEATURES,
        "label_mapping": {},
        "versions": {},
    }
    by_k = {name: [0.9] * 200 for name in ("accuracy", "f1_weighted", "f1_macro")}
    result = {"quality": {"k": list(range(1, 201)), **by_k}, "latency": {"batch_ms": [1.5] * 100}}
    summary = {
        "metric": "accuracy",
        "value": 0.93,
        "has_k": True,
        "best": 0.94,
        "k_best": 5,
        "kind": "classification",
    }
    objects = {"output_uri": "s3://b/out/", "failure_uri": "s3://b/failed/", "max_concurrent_per_instance": 2}
    n_logs = sizes.jobs
    return [
        _fill(
            "endpoints.Model",
            sizes.models,
            project_id=_OF_PROJECT,
            name="'model-' || lpad(i::text, 6, '0')",
            uid=_uid("m"),
            training_job_id="i",
            algorithm="(array['knn','xgboost','catboost'])[1 + i % 3]",
            artifact_uri="'s3://b/models/' || i",
            artifact_bytes="500000 + i",
            manifest=_json(manifest),
            created_by_id=_OF_USER,
            created_at=_at(sizes.models),
        ),
        _fill(
            "endpoints.EndpointConfig",
            n,
            project_id=_OF_PROJECT,
            name="'endpoint-' || lpad(i::text, 6, '0') || '-1'",
            async_inference=f"case when i <= {min(n, 5)} then {_json(objects)} end",
            created_by_id=_OF_USER,
            created_at=_at(n),
        ),
        _fill(
            "endpoints.ProductionVariant",
            2 * n,
            config_id="(i + 1) / 2",
            name="case when i % 2 = 0 then 'a' else 'b' end",
            model_id=f"1 + i % {sizes.models}",
            instance_type="case when i % 10 = 0 then '' else 'local.cpu' end",
            serverless_memory_mb="case when i % 10 = 0 then 2048 end",
            serverless_max_concurrency="case when i % 10 = 0 then 5 end",
            idle_after_s="case when i % 10 = 0 then 300 end",
        ),
        _fill(
            "endpoints.Endpoint",
            n,
            project_id=_OF_PROJECT,
            name="'endpoint-' || lpad(i::text, 6, '0')",
            uid=_uid("e"),
            status="case when i % 9 = 0 then 'Failed' else 'InService' end",
            wanted_id="i",
            live_id="i",
            created_by_id=_OF_USER,
            created_at=_at(n),
            updated_at=_at(n),
        ),
        _fill("core.LogStream", 2 * n, uid=_uid("r"), created_at="now()"),
        _fill(
            "endpoints.Replica",
            2 * n,
            endpoint_id="(i + 1) / 2",
            variant_id="i",
            uid=_uid("r"),
            index="0",
            status="'InService'",
            host="'node-17'",
            lease_expires_at="now() + interval '1 day'",
            log_id=f"{n_logs} + i",
            created_at="now()",
        ),
        _fill(
            "endpoints.EndpointMetric",
            min(n, 200) * 720,
            endpoint_id="1 + (i - 1) / 720",
            variant="'a'",
            minute_at="date_trunc('minute', now()) - ((i - 1) % 720) * interval '1 minute'",
            n_requests="i % 300",
            busy_ms="i % 900",
            latency=_json(
                {"buckets": {str(at): 3 for at in range(20, 60)}, "n": 120, "sum_ms": 300, "max_ms": 9}
            ),
        ),
        _fill(
            "endpoints.ReplicaRun",
            sizes.replica_runs,
            project_id="1",
            endpoint_id=f"1 + (i - 1) % {n}",
            endpoint_name=f"'endpoint-' || lpad((1 + (i - 1) % {n})::text, 6, '0')",
            endpoint_uid=uid.format(n),
            variant="'a'",
            replica_uid=_uid("r"),
            instance_type="'local.cpu'",
            started_at=_at(sizes.replica_runs),
            ready_at=_at(sizes.replica_runs),
            ended_at=f"case when i % 50 > 0 then {_at(sizes.replica_runs)} + interval '1 hour' end",
            seen_at="now()",
            price_per_hour="0.115",
            currency="'USD'",
        ),
        _fill(
            "endpoints.Evaluation",
            sizes.evaluations,
            project_id=_OF_PROJECT,
            name="'evaluation-' || lpad(i::text, 6, '0')",
            uid=_uid("q"),
            endpoint_id=f"1 + i % {n}",
            endpoint_name=f"'endpoint-' || lpad((1 + i % {n})::text, 6, '0')",
            model_id=f"1 + i % {sizes.models}",
            model_name=f"'model-' || lpad((1 + i % {sizes.models})::text, 6, '0')",
            instance_type="'local.cpu'",
            dataset_reference=f"'dataset-' || lpad((1 + i % {sizes.datasets})::text, 6, '0') || '@1'",
            facts=_json({"algorithm": "knn", "hyperparameters": {"k": "10"}, "price_per_hour": 0.115}),
            status="case when i % 13 = 0 then 'Failed' else 'Completed' end",
            summary=f"case when i % 13 > 0 then '{json.dumps(summary)}'::jsonb end",
            result=f"case when i % 13 > 0 then '{json.dumps(result)}'::jsonb end",
            created_by_id=_OF_USER,
            created_at=_at(sizes.evaluations),
            ended_at=_at(sizes.evaluations),
        ),
        _fill(
            "endpoints.Experiment",
            sizes.experiments,
            project_id=_OF_PROJECT,
            name="'experiment-' || lpad(i::text, 6, '0')",
            uid=_uid("x"),
            algorithm="'knn'",
            train_reference="'dataset-000001@1'",
            test_reference="'dataset-000002@1'",
            status="'Completed'",
            created_by_id=_OF_USER,
            created_at=_at(sizes.experiments),
        ),
        _fill(
            "endpoints.ExperimentCell",
            sizes.experiments * sizes.cells,
            experiment_id=f"1 + (i - 1) / {sizes.cells}",
            position=f"(i - 1) % {sizes.cells}",
            configuration="'flat'",
            instance_type="'local.cpu'",
            training_key="md5(i::text)",
            status="case when i % 17 = 0 then 'Failed' else 'Completed' end",
            training_job_id=f"1 + i % {sizes.jobs}",
            evaluation_id=f"1 + i % {sizes.evaluations}",
        ),
        _fill("core.LogStream", sizes.transforms, uid=_uid("b"), created_at="now()"),
        _fill(
            "endpoints.TransformJob",
            sizes.transforms,
            project_id=_OF_PROJECT,
            name="'transform-' || lpad(i::text, 6, '0')",
            uid=_uid("b"),
            model_id=f"1 + i % {sizes.models}",
            dataset_reference=f"'dataset-' || lpad((1 + i % {sizes.datasets})::text, 6, '0') || '@1'",
            instance_type="'local.cpu'",
            queue="'cpu'",
            status="case when i % 13 = 0 then 'Failed' else 'Completed' end",
            failure="case when i % 13 = 0 then jsonb_build_object('kind', 'DataError', 'reason', 'row 7') end",
            log_id=f"{n_logs} + {2 * n} + i",
            created_by_id=_OF_USER,
            created_at=_at(sizes.transforms),
            started_at=_at(sizes.transforms),
            ended_at=_at(sizes.transforms),
            billable_s="i % 600",
            price_per_hour="0.115",
            currency="'USD'",
        ),
        _fill(
            "endpoints.TableRun",
            sizes.table_runs,
            endpoint_id=f"1 + i % {min(n, 20)}",
            dataset_version_id=f"1 + i % {sizes.datasets}",
            uid=_uid("w"),
            status="'Completed'",
            summary=_json({"accuracy": 0.93}),
            created_by_id=_OF_USER,
            created_at=_at(sizes.table_runs),
        ),
        _fill(
            "endpoints.AsyncInvocation",
            sizes.async_invocations,
            endpoint_id=f"1 + i % {min(n, 5)}",
            uid=_uid("y"),
            inference_id="'request-' || i",
            status=f"case when i > {sizes.async_invocations} - 100 then 'Pending' when i % 40 = 0 then 'Failed' "
            "else 'Completed' end",
            input_uri="'s3://b/async/' || i",
            output_uri="'s3://b/async-out/' || i",
            failure_uri="'s3://b/async-fail/' || i",
            created_at=_at(sizes.async_invocations),
        ),
    ]


def _kept(sizes: Sizes) -> list[int]:
    n = sizes.audit_events
    return [
        _fill(
            "core.AuditEvent",
            n,
            at=_at(n),
            action="(array['training_job.create','training_job.stop','dataset.create','model.create',"
            "'endpoint.update','session.sign_in'])[1 + i % 6]",
            target="'knn-' || lpad(i::text, 7, '0')",
            outcome="case when i % 50 = 0 then 'refused' else 'done' end",
            user_id=_OF_USER,
            username=f"'user-' || (1 + i % {_N_USERS})",
            project_id=_OF_PROJECT,
            project_name=f"case when i % 20 > 0 then '{PROJECT}' else 'project-2' end",
            address="'10.0.0.7'",
            face="'rest'",
            request_id="md5(i::text)",
            detail=_json({"algorithm": "knn"}),
        ),
        _fill(
            "core.ObjectTombstone",
            5_000,
            uri="'s3://b/gone/' || i",
            reason="'training_job.delete'",
            created_at="now()",
            due_at="now() + interval '1 hour'",
        ),
        _fill("core.SweepState", 12, name="'sweep-' || i", due_at="now() + interval '1 day'"),
        _fill(
            "core.IdempotentRequest",
            5_000,
            project_id="1",
            user_id="1",
            key="'key-' || i",
            request_sha256="md5(i::text)",
            created_at="now()",
        ),
    ]


_OF_PROJECT: Final = f"case when i % 20 > 0 then 1 else 2 + (i / 20) % {_N_PROJECTS - 1} end"
_OF_USER: Final = f"1 + i % {_N_USERS}"


def _at(n: int) -> str:
    """The i-th of `n` instants of the last half year; the last one is now."""
    return f"now() - interval '{_DAYS} days' * (({n} - i)::float / {n})"


def _uid(letter: str) -> str:
    return f"'{letter}' || lpad(i::text, 25, '0')"


def _json(value: Any) -> str:
    text = json.dumps(value).replace("'", "''")
    return f"'{text}'::jsonb"


def _fill(label: str, n: int, **columns: str) -> int:
    """Inserts `n` rows, for i from 1; `columns` are SQL expressions of i, the others have the model's defaults."""
    model = apps.get_model(label)
    values = {
        field.column: columns.pop(str(field.column), "") or _default(field)
        for field in model._meta.concrete_fields
        if not (field.primary_key and field.get_internal_type().endswith("AutoField"))
    }
    if columns:
        raise ValueError(f"{label} has no {', '.join(columns)}")
    names = ", ".join(f'"{name}"' for name in values)
    table = model._meta.db_table
    return _run(
        f'INSERT INTO "{table}" ({names}) SELECT {", ".join(values.values())} FROM generate_series(1, {n}) AS i'
    )


def _default(field: Field[Any, Any]) -> str:
    value = field.get_default() if field.default is not NOT_PROVIDED else None
    kind = field.get_internal_type()
    if value is None and field.null:
        return "NULL"
    if kind == "JSONField":
        return _json(value)
    if kind == "BooleanField":
        return "true" if value else "false"
    if kind == "BinaryField":
        return "''::bytea"
    if kind == "DateTimeField":
        return "now()"
    if isinstance(value, int | float):
        return str(value)
    text = field.get_db_prep_save("" if value is None else value, connection)
    return f"'{text}'"


def _run(statement: str) -> int:
    """How many rows it made; none where it only changed some."""
    with connection.cursor() as cursor:
        cursor.execute(statement)
        return cursor.rowcount if statement.startswith("INSERT") else 0
