"""The files of an ensemble: `ensemble.json`, and each member's own in `members/<n>-<kind>/`.

The members' folders are models of their own, which their algorithms load and check.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from jobs.algorithms.base import Predictor
from jobs.algorithms.class_labels import ClassLabels
from jobs.algorithms.ensemble.blending import Blend
from jobs.algorithms.ensemble.members import KINDS, MOST, Member
from jobs.algorithms.ensemble.predictor import EnsemblePredictor
from mlplatform.core.errors import ModelError

FILE: Final = "ensemble.json"
VERSION: Final = 1


@dataclass(frozen=True)
class Description:
    """What `ensemble.json` says.

    Args:
        members: In the order of the weights.
        labels: Ascending: class i of the members is label i; None for a regression.
        cross_validated: Scores by member and `blend`, where there are any.
    """

    members: tuple[Member, ...]
    blend: Blend
    labels: ClassLabels | None
    n_features: int
    feature_names: tuple[str, ...] | None
    sample_row: list[float] | None
    cross_validated: dict[str, dict[str, float]]

    def folders(self, model_dir: Path) -> list[Path]:
        return member_folders(self.members, model_dir)


def member_folders(members: Sequence[Member], model_dir: Path) -> list[Path]:
    return [model_dir / "members" / f"{n}-{member.kind}" for n, member in enumerate(members, start=1)]


def ensemble_write(description: Description, model_dir: Path) -> None:
    """Writes `ensemble.json` beside the members."""
    content: dict[str, Any] = {
        **asdict(description),
        "algorithm": "ensemble",
        "version": VERSION,
        "members": [{"name": member.name, "kind": member.kind} for member in description.members],
        "blend": {"weights": list(description.blend.weights), "constant": description.blend.constant},
        "labels": None if description.labels is None else description.labels.to_json(),
    }
    text = json.dumps(content, ensure_ascii=False, indent=1)
    (model_dir / FILE).write_text(text + "\n", encoding="utf-8")


def ensemble_read(model_dir: Path, *, n_threads: int) -> EnsemblePredictor:
    """The ensemble in a folder. Raises ModelError."""
    description = _description(model_dir)
    predictors: list[Predictor] = []
    for member, folder in zip(description.members, description.folders(model_dir), strict=True):
        try:
            predictor = member.spec.engine_load().load(folder, n_threads=n_threads)
        except ModelError as error:
            raise ModelError(f"The member {member.name} in members/{folder.name}: {error}") from error
        if predictor.n_features != description.n_features:
            raise ModelError(f"The member {member.name} does not belong to the model: its columns are others")
        predictors.append(predictor)
    sample_row = description.sample_row
    return EnsemblePredictor(
        {member.name: one for member, one in zip(description.members, predictors, strict=True)},
        blend=description.blend,
        labels=description.labels,
        sample_row=None if sample_row is None else np.asarray(sample_row, np.float32),
    )


def _description(model_dir: Path) -> Description:
    try:
        found = json.loads((model_dir / FILE).read_text(encoding="utf-8"))
        if (found["algorithm"], found["version"]) != ("ensemble", VERSION):
            raise ValueError(f"it says {found['algorithm']!r}, version {found['version']!r}")
        members = tuple(Member(one["name"], one["kind"]) for one in found["members"])
        weights = tuple(float(weight) for weight in found["blend"]["weights"])
        if not 0 < len(members) == len(weights) <= MOST or any(one.kind not in KINDS for one in members):
            raise ValueError("its members are none that there are")
        labels, names = found["labels"], found["feature_names"]
        return Description(
            members=members,
            blend=Blend(weights, float(found["blend"]["constant"])),
            labels=None if labels is None else ClassLabels.from_json(labels),
            n_features=int(found["n_features"]),
            feature_names=None if names is None else tuple(names),
            sample_row=found["sample_row"],
            cross_validated=found["cross_validated"],
        )
    except OSError as error:
        raise ModelError(f"The model has no readable file {FILE}: {error.strerror or error}") from error
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise ModelError(f"The model's {FILE} is not of an ensemble: {error}") from error
