"""Experiments that are worth running as they are, and worth changing: grids with a name. Pure data, Django-free.

Whoever creates one chooses the data. A preset gives what its maker leaves out; see `services.experiments`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from mlplatform.core.errors import InvalidRequest
from mlplatform.core.text import text as _

Configuration = Mapping[str, Any]
"""{"name", "hyperparameters": {name: text}, "by_sample_size": {"200000": {name: text}}}; the last may be missing."""


@dataclass(frozen=True, kw_only=True)
class Preset:
    """A grid, and how each of its cells is measured."""

    name: str
    title: str
    summary: str
    algorithm: str
    hyperparameters: Mapping[str, str]
    configurations: tuple[Configuration, ...]
    sample_sizes: tuple[int, ...]
    instance_types: tuple[str, ...]
    training_instance_type: str = "local.cpu"
    parallelism: int = 1
    unserved: str = "wait"
    k_max: int | None = None
    batches: int = 100
    single_requests: int = 2000
    sample: str = field(default="")
    """Name of the platform's own sample data that it fits, if one does."""

    def request(self) -> dict[str, Any]:
        """What `experiment_create` takes of it, as fresh lists and mappings."""
        return {
            "algorithm": self.algorithm,
            "hyperparameters": dict(self.hyperparameters),
            "configurations": [_copied(one) for one in self.configurations],
            "sample_sizes": list(self.sample_sizes),
            "instance_types": list(self.instance_types),
            "training_instance_type": self.training_instance_type,
            "parallelism": self.parallelism,
            "unserved": self.unserved,
            "k_max": self.k_max,
            "batches": self.batches,
            "single_requests": self.single_requests,
        }


_PRESETS: Final = (
    Preset(
        name="knn-trade-off",
        title=_("k-NN trade-off"),
        summary=_(
            "Exact and compressed search, 200,000 and 500,000 points, with and without a GPU: eight cells. Made for "
            "the Covertype data (581,012 rows, 54 features), whose published accuracies at k = 100 are 0.812, 0.872, "
            "0.804 and 0.863."
        ),
        algorithm="knn",
        hyperparameters={"predictor_type": "classifier", "k": "100"},
        configurations=(
            {"name": "Flat", "hyperparameters": {"index_type": "faiss.Flat"}},
            {
                "name": "IVFPQ",
                "hyperparameters": {
                    "index_type": "faiss.IVFPQ",
                    "faiss_index_pq_m": "8",
                    "_faiss_index_nprobe": "5",
                },
                "by_sample_size": {
                    "200000": {"faiss_index_ivf_nlists": "500"},
                    "500000": {"faiss_index_ivf_nlists": "700"},
                },
            },
        ),
        sample_sizes=(200_000, 500_000),
        instance_types=("ml.c5.xlarge", "ml.p2.xlarge"),
    ),
    Preset(
        name="knn-small",
        title=_("k-NN on a small table"),
        summary=_(
            "Three kinds of index on 100 points of a small table such as Iris, on this machine: three cells, a whole "
            "experiment within a minute."
        ),
        algorithm="knn",
        hyperparameters={"predictor_type": "classifier", "k": "20"},
        configurations=(
            {"name": "Flat", "hyperparameters": {"index_type": "faiss.Flat"}},
            {"name": "IVFFlat", "hyperparameters": {"index_type": "faiss.IVFFlat"}},
            {"name": "HNSW32", "hyperparameters": {"index_type": "faiss.HNSW32"}},
        ),
        sample_sizes=(100,),
        instance_types=("local.cpu",),
        batches=10,
        single_requests=200,
        sample="iris",
    ),
)
PRESETS: Final[Mapping[str, Preset]] = {preset.name: preset for preset in _PRESETS}


def preset_list() -> tuple[Preset, ...]:
    return _PRESETS


def preset_get(name: str, *, field: str = "preset") -> Preset:
    """The preset of that name. Raises InvalidRequest that lists those there are."""
    found = PRESETS.get(name)
    if found is None:
        message = _(
            "{value} is not a preset; use one of {values}", value=repr(name[:40]), values=", ".join(PRESETS)
        )
        raise InvalidRequest.for_field(field, message)
    return found


def _copied(configuration: Configuration) -> dict[str, Any]:
    copied: dict[str, Any] = {
        "name": configuration["name"],
        "hyperparameters": dict(configuration["hyperparameters"]),
    }
    if configuration.get("by_sample_size"):
        copied["by_sample_size"] = {
            size: dict(given) for size, given in configuration["by_sample_size"].items()
        }
    return copied
