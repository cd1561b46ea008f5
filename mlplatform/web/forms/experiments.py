"""The form of a new experiment: what was posted ⇄ the create request of the service, whose rules are not repeated here.

Only what is no number or no pair at all is refused here, with the place where it stands.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from django.http import QueryDict

from endpoints.models import Experiment
from mlplatform.core.errors import FieldError
from mlplatform.core.text import text as _
from mlplatform.web.forms.training_jobs import folded

ROWS_MAX: Final = 100
CELL_MAX_LENGTH: Final = 1000
COLUMNS: Final = ("name", "index_type", "more")
NUMBERS: Final = ("parallelism", "k_max", "batches", "single_requests")
_TEXTS: Final = ("name", "description", "preset", "algorithm", "train", "test", "unserved", "cloned_from")
_HYPERPARAMETER: Final = "hp."
_INDEX_TYPE: Final = "index_type"
BY_SIZE: Final = "by_sample_size"
AT_SIZE: Final = "@"
_BETWEEN_PAIRS: Final = re.compile(r"[,、;\n]+|\s+(?=[\w.@]+\s*=)")
_BETWEEN_SIZES: Final = re.compile(r"[\s,、;]+")

Row = dict[str, str]


@dataclass
class ExperimentForm:
    """An experiment as a person fills it in: texts until they are checked."""

    name: str = ""
    description: str = ""
    preset: str = ""
    algorithm: str = "knn"
    train: str = ""
    test: str = ""
    hyperparameters: dict[str, str] = field(default_factory=dict)
    configurations: list[Row] = field(default_factory=list)
    sample_sizes: str = ""
    instance_types: list[str] = field(default_factory=list)
    training_instance_type: str = "local.cpu"
    unserved: str = "wait"
    parallelism: str = "1"
    k_max: str = ""
    batches: str = "100"
    single_requests: str = "2000"
    cloned_from: str = ""

    @classmethod
    def from_post(cls, post: QueryDict) -> ExperimentForm:
        form = cls(
            hyperparameters={
                key.removeprefix(_HYPERPARAMETER): folded(value)
                for key, value in post.items()
                if isinstance(value, str) and key.startswith(_HYPERPARAMETER) and value.strip()
            },
            configurations=_rows(post),
            sample_sizes=folded(post.get("sample_sizes", "")),
            instance_types=post.getlist("instance_types"),
            training_instance_type=post.get("training_instance_type") or "local.cpu",
            **{name: folded(post.get(name, "")) for name in _TEXTS},
        )
        for name in NUMBERS:
            setattr(form, name, folded(post.get(name, "")))
        form.description = post.get("description", "").strip()
        return form

    @classmethod
    def from_experiment(cls, experiment: Experiment) -> ExperimentForm:
        """The form that asks for the same again, under a name that is still to be given."""
        form = cls(
            description=experiment.description,
            preset=experiment.preset,
            algorithm=experiment.algorithm,
            train=experiment.train_reference.partition("@")[0],
            test=experiment.test_reference.partition("@")[0],
            training_instance_type=experiment.training_instance_type,
            unserved=experiment.unserved,
            parallelism=str(experiment.parallelism),
            k_max="" if experiment.k_max is None else str(experiment.k_max),
            batches=str(experiment.batches),
            single_requests=str(experiment.single_requests),
            cloned_from=experiment.name,
        )
        form.fill(
            {
                name: getattr(experiment, name)
                for name in ("hyperparameters", "configurations", "sample_sizes", "instance_types")
            }
        )
        return form

    def fill(self, given: Mapping[str, Any]) -> None:
        """Takes over the parts of a request that are given, as a preset has them."""
        for name in NUMBERS:
            if given.get(name) is not None:
                setattr(self, name, str(given[name]))
        for name in ("algorithm", "unserved", "training_instance_type"):
            if given.get(name):
                setattr(self, name, str(given[name]))
        if "hyperparameters" in given:
            self.hyperparameters = {name: str(value) for name, value in given["hyperparameters"].items()}
        if "configurations" in given:
            self.configurations = [_row_of(one) for one in given["configurations"]]
        if "sample_sizes" in given:
            self.sample_sizes = ", ".join(str(size) for size in given["sample_sizes"])
        if "instance_types" in given:
            self.instance_types = [str(name) for name in given["instance_types"]]

    @property
    def n_cells(self) -> int:
        """How many cells the grid has; none while an axis is empty."""
        return self.n_training_jobs * len(self.instance_types)

    @property
    def n_training_jobs(self) -> int:
        return len(self.configurations) * max(1, len(_sizes(self.sample_sizes)))

    def service_arguments(self) -> dict[str, Any]:
        """Keyword arguments of `experiment_create`, but for the actor.

        `wrong` has an entry for every text that is no number, and every one that is no pair; it is the service that
        refuses them, with all else that is wrong.
        """
        errors: list[FieldError] = []
        return self._arguments(errors) | {"wrong": errors}

    def api_call(self, *, base_url: str, project: str) -> str:
        """The same experiment as a curl command."""
        body = {name: value for name, value in self._arguments([]).items() if value not in (None, "", [])}
        return (
            f"curl -X POST {base_url}/api/v1/projects/{project}/experiments/ \\\n"
            '  -H "Authorization: Bearer $TOKEN" -H "Content-Type: application/json" \\\n'
            f"  -d {shlex.quote(json.dumps(body, indent=2, ensure_ascii=False))}"
        )

    def _arguments(self, errors: list[FieldError]) -> dict[str, Any]:
        texts = ("name", "description", "preset", "algorithm", "train", "test")
        return {
            **{name: getattr(self, name) for name in texts},
            "hyperparameters": self.hyperparameters,
            "configurations": [
                _configuration(row, place, errors) for place, row in enumerate(self.configurations)
            ],
            "sample_sizes": [
                _whole(f"sample_sizes.{place}", size, errors)
                for place, size in enumerate(_sizes(self.sample_sizes))
            ],
            "instance_types": self.instance_types,
            "training_instance_type": self.training_instance_type,
            "parallelism": _whole("parallelism", self.parallelism, errors),
            "unserved": self.unserved,
            "k_max": _whole("k_max", self.k_max, errors) if self.k_max else None,
            "batches": _whole("batches", self.batches, errors),
            "single_requests": _whole("single_requests", self.single_requests, errors),
        }


def _rows(post: QueryDict) -> list[Row]:
    """The rows that have something in them."""
    columns = [post.getlist(f"configuration.{column}")[:ROWS_MAX] for column in COLUMNS]
    rows = [
        {column: folded(value[:CELL_MAX_LENGTH]) for column, value in zip(COLUMNS, values, strict=True)}
        for values in zip(*columns, strict=False)
    ]
    return [row for row in rows if any(row.values())]


def _row_of(configuration: Mapping[str, Any]) -> Row:
    varied = {str(name): str(value) for name, value in configuration.get("hyperparameters", {}).items()}
    index_type = varied.pop(_INDEX_TYPE, "")
    pairs = [f"{name}={value}" for name, value in varied.items()]
    for size, given in (configuration.get(BY_SIZE) or {}).items():
        pairs += [f"{name}{AT_SIZE}{size}={value}" for name, value in given.items()]
    return {"name": str(configuration.get("name", "")), "index_type": index_type, "more": ", ".join(pairs)}


def _configuration(row: Row, place: int, errors: list[FieldError]) -> dict[str, Any]:
    """`name=value` holds for all sample sizes, `name@200000=value` for one of them."""
    found = {_INDEX_TYPE: row["index_type"]} if row["index_type"] else {}
    by_size: dict[str, dict[str, str]] = {}
    for pair in _parts(_BETWEEN_PAIRS, row["more"]):
        name, equals, value = (part.strip() for part in pair.partition("="))
        if not (name and equals and value):
            message = _("{value} is not of the form name=value", value=repr(pair[:60]))
            errors.append(FieldError(f"configurations.{place}.more", message))
            continue
        name, at, size = name.partition(AT_SIZE)
        (by_size.setdefault(size, {}) if at else found)[name] = value
    return {"name": row["name"], "hyperparameters": found} | ({BY_SIZE: by_size} if by_size else {})


def _sizes(text: str) -> list[str]:
    return _parts(_BETWEEN_SIZES, text)


def _parts(between: re.Pattern[str], text: str) -> list[str]:
    return [part for part in between.split(text) if part.strip()]


def _whole(name: str, text: str, errors: list[FieldError]) -> Any:
    """The number that a text is; the text itself, and an error, where it is none."""
    if text.isascii() and text.isdecimal() and (text == "0" or not text.startswith("0")) and len(text) < 19:
        return int(text)
    if text.isascii() and text.isdecimal() and text.startswith("0"):
        message = _("{value} is not a whole number; write 200000 without a separator", value=repr(text[:40]))
    else:
        message = _("{value} is not a whole number", value=repr(text[:40]))
    errors.append(FieldError(name, message))
    return text
