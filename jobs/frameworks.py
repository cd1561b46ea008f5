"""The frameworks that a script may ask for: what its image is called and what it is known for. Django-free.

All of them run in the platform's own interpreter with the packages that it has; the name says which of them the script
builds upon, which is what a process is warmed up with and what defaults a model is served with.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from mlplatform.core.errors import InvalidRequest
from mlplatform.core.text import text as _


@dataclass(frozen=True)
class Framework:
    """One framework.

    Attributes:
        image: What an image with it is called.
        imports: Modules that most scripts of it import.
        module: What the service's own image calls the program that runs scripts; empty where it has none.
    """

    name: str
    title: str
    image: str
    imports: tuple[str, ...]
    module: str = ""


_TABLES: Final = ("numpy", "pandas", "sklearn.metrics", "sklearn.model_selection")
FRAMEWORKS: Final[dict[str, Framework]] = {
    framework.name: framework
    for framework in (
        Framework(
            "sklearn",
            "scikit-learn",
            "mlplatform/sklearn",
            (*_TABLES, "sklearn.ensemble", "sklearn.linear_model", "joblib"),
            "sagemaker_sklearn_container.training:main",
        ),
        Framework(
            "xgboost",
            "XGBoost",
            "mlplatform/xgboost",
            (*_TABLES, "xgboost"),
            "sagemaker_xgboost_container.training:main",
        ),
        Framework(
            "tensorflow",
            "TensorFlow",
            "mlplatform/tensorflow",
            ("numpy", "tensorflow"),
            "sagemaker_tensorflow_container.training:main",
        ),
        Framework("catboost", "CatBoost", "mlplatform/catboost", (*_TABLES, "catboost")),
        Framework("python", "Python", "mlplatform/python", ()),
    )
}


def framework_get(name: str, *, field: str = "script.framework") -> Framework:
    """The framework of that name. Raises InvalidRequest that lists those there are."""
    found = FRAMEWORKS.get(name)
    if found is None:
        raise InvalidRequest.for_field(
            field,
            _(
                "{value} is not a framework; use one of {values}",
                value=repr(str(name)[:40]),
                values=", ".join(FRAMEWORKS),
            ),
        )
    return found
