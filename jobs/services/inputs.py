"""A job's inputs as its process will find them: objects per channel, and the description it is started with.

Called by the worker for each attempt. What a request may ask for is `jobs.services.channels`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path, PurePosixPath
from platform import python_version
from typing import Any, Final

from django.db.models import Prefetch, prefetch_related_objects

from jobs.algorithms.base import LIBSVM
from jobs.algorithms.registry import ALGORITHMS, SCRIPT, algorithm_get
from jobs.models import DatasetVersion, TrainingInput, TrainingJob
from jobs.runner.script.arguments import reserved_of_request
from jobs.runner.spec import ChannelSpec, JobSpec, ScriptSpec
from jobs.runner.workspace import ChannelSource
from jobs.services.channels import uri_objects
from mlplatform.core.errors import NotFound
from mlplatform.core.names import REGION
from mlplatform.core.nodes import VERSION
from mlplatform.core.tabular.schema import CONTENT_TYPES, SERVICE_CSV, TableSchema

_UNLABELLED_CSV: Final = "text/csv;label_size=0"
_SUFFIXES: Final = {
    "text/csv": ".csv",
    "application/x-parquet": ".parquet",
    "application/jsonlines": ".jsonl",
    **dict.fromkeys(LIBSVM, ".libsvm"),
}
_PACKAGES: Final = ("numpy", "faiss-cpu", "scikit-learn", "pyarrow", "xgboost-cpu", "catboost")


def _inputs(job: TrainingJob) -> Iterable[TrainingInput]:
    """Read once for a job in hand: neither they nor the versions that they name ever change."""
    prefetch_related_objects(
        [job], Prefetch("inputs", TrainingInput.objects.select_related("dataset_version"))
    )
    return job.inputs.all()


def channel_sources(*, job: TrainingJob) -> list[ChannelSource]:
    """The objects of every channel. Raises NotFound for data that is no longer there."""
    return [_channel_source(given, is_named=job.algorithm == SCRIPT) for given in _inputs(job)]


def _channel_source(given: TrainingInput, *, is_named: bool) -> ChannelSource:
    """Built-in algorithms read whatever is there; a script may look for a file by its name."""
    uris = _uris(given)
    suffix = _SUFFIXES.get(given.content_type.partition(";")[0], "")
    version = given.dataset_version
    if not is_named:
        files: tuple[str, ...] = ()
    elif version is not None:
        files = (PurePosixPath(version.filename).name or f"data{suffix}",)
    else:
        files = file_names(given.uri, uris)
    return ChannelSource(
        name=given.channel,
        uris=uris,
        content_type=given.content_type,
        input_mode=given.input_mode,
        suffix=suffix,
        files=files,
    )


def file_names(uri: str, objects: Sequence[str]) -> tuple[str, ...]:
    """What objects at or under an address are called in a channel's folder: their keys behind the prefix, as the
    service has it. Where one would be both a file and a folder, all are numbered.
    """
    folder = f"{uri.removesuffix('/')}/"
    if not all(item.startswith(folder) for item in objects):
        folder = f"{uri.rpartition('/')[0]}/"
    names = [item.removeprefix(folder) for item in objects]
    folders = {parent.as_posix() for name in names for parent in PurePosixPath(name).parents}
    is_safe = all(
        name and ".." not in PurePosixPath(name).parts and not name.startswith("/") for name in names
    )
    if is_safe and not folders & set(names) and len(set(names)) == len(names):
        return tuple(names)
    return tuple(f"part-{index:05d}{PurePosixPath(name).suffix}" for index, name in enumerate(names))


def job_spec(
    *,
    job: TrainingJob,
    attempt: int,
    root: Path,
    n_threads: int,
    memory_limit_bytes: int,
    parent_pid: int,
    script: ScriptSpec | None = None,
) -> JobSpec:
    """What the job process is told; `root` is its folder as it sees it."""
    return JobSpec(
        uid=job.uid,
        name=job.name,
        attempt=attempt,
        algorithm=job.algorithm,
        root=root,
        n_threads=n_threads,
        memory_limit_bytes=memory_limit_bytes,
        channels=_channel_specs(job),
        parent_pid=parent_pid,
        script=script,
    )


def script_spec(*, job: TrainingJob, python: str, n_gpus: int) -> ScriptSpec:
    """What the process of a script's job is told of the script; `python` is the interpreter as it sees it."""
    assert job.source is not None
    return ScriptSpec(
        framework=job.framework,
        entry_point=job.entry_point,
        source_uri=job.source.uri,
        python=python,
        n_gpus=n_gpus,
    )


def hyperparameters_of_process(*, job: TrainingJob) -> dict[str, str]:
    """As `hyperparameters.json` has them: a script's with what the SDK adds to them."""
    if job.source is None:
        return dict(job.hyperparameters)
    return reserved_of_request(
        entry_point=job.entry_point,
        source_uri=job.source.uri,
        job_name=job.name,
        region=REGION,
        given=job.hyperparameters,
    )


def manifest_facts(*, job: TrainingJob) -> dict[str, Any]:
    """What a model's manifest says beside its files."""
    version = _train_version(job)
    schema = None if version is None else TableSchema.from_dict(version.schema)
    facts: dict[str, Any] = {
        "algorithm": job.algorithm,
        "versions": _versions(),
        "training_job": job.name,
        "training_job_arn": job.arn,
        "hyperparameters": dict(job.hyperparameters),
        "predictor_type": _predictor_type(job),
        "n_features": _feature_dim(job),
        "feature_names": None,
        "label_name": None,
        "label_mapping": None,
        "label_range": None,
    }
    if job.algorithm == SCRIPT:
        facts |= {"framework": job.framework, "entry_point": job.entry_point}
    if version is not None and schema is not None:
        facts |= {
            "n_features": schema.n_features,
            "feature_names": list(schema.feature_names),
            "label_name": schema.label_name,
            "label_mapping": schema.label_mapping,
            "label_range": _label_range(version, schema),
        }
    return facts


def _predictor_type(job: TrainingJob) -> str | None:
    """Whether the model is a classifier or a regressor; None where it predicts no label."""
    if job.algorithm in ALGORITHMS:
        return algorithm_get(job.algorithm).predictor_type(job.hyperparameters)
    declared: str | None = job.hyperparameters.get("predictor_type")
    return declared


def _train_version(job: TrainingJob) -> DatasetVersion | None:
    return next((given.dataset_version for given in _inputs(job) if given.channel == "train"), None)


def _label_range(version: DatasetVersion, schema: TableSchema) -> list[float] | None:
    """The smallest and the largest label, where labels are numbers."""
    if schema.label is None or schema.label_mapping is not None:
        return None
    found = version.columns[schema.label]
    return None if found.get("min") is None else [found["min"], found["max"]]


def _uris(given: TrainingInput) -> tuple[str, ...]:
    uris = tuple(uri_objects(given.uri))
    if not uris:
        what = f"dataset {given.dataset_reference}" if given.dataset_reference else given.uri
        raise NotFound(f"channel {given.channel}: the data of {what} is no longer there")
    return uris


def _channel_specs(job: TrainingJob) -> dict[str, ChannelSpec]:
    """All channels are read with the label mapping of train, so that a label means the same number in each."""
    schemas = _schemas(job)
    train = schemas.get("train")
    specs = {}
    for given in _inputs(job):
        schema = schemas.get(given.channel)
        if schema is not None and train is not None and schema.label_mapping is not None:
            schema = replace(schema, label_mapping=train.label_mapping)
        read_as = schema or _service_schema(given.content_type)
        specs[given.channel] = ChannelSpec(
            schema=None if read_as is None else read_as.to_dict(),
            content_type=given.content_type,
            input_mode=given.input_mode,
            n_rows=given.dataset_version.n_rows if given.dataset_version else None,
        )
    return specs


def _schemas(job: TrainingJob) -> Mapping[str, TableSchema]:
    return {
        given.channel: TableSchema.from_dict(given.dataset_version.schema)
        for given in _inputs(job)
        if given.dataset_version is not None
    }


def _service_schema(content_type: str) -> TableSchema | None:
    """How objects under a URI are read: the label first, all columns numbers; None for CSV, the process' own
    default.
    """
    bare = content_type.partition(";")[0]
    if content_type == _UNLABELLED_CSV:
        return replace(SERVICE_CSV, label=None)
    formats = {media_type: name for name, media_type in CONTENT_TYPES.items()}
    if bare == "text/csv" or bare not in formats:
        return None
    return TableSchema.from_dict(SERVICE_CSV.to_dict() | {"format": formats[bare], "header": True})


def _feature_dim(job: TrainingJob) -> int | None:
    text = str(job.hyperparameters.get("feature_dim", ""))
    return int(text) if text.isdecimal() else None


@cache
def _versions() -> dict[str, str]:
    """Versions of what made the model, read from package metadata: nothing heavy is imported."""
    found = {"mlplatform": VERSION, "python": python_version()}
    for package in _PACKAGES:
        try:
            found[package] = version(package)
        except PackageNotFoundError:
            continue
    return found
