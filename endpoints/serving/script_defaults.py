"""The defaults of an inference script's handlers that depend on the framework: how a model is loaded, and asked.

A model is loaded without a `model_fn` when its folder has exactly one file of a native format. The frameworks are those
of the user, imported by name when such a file is there; nothing here is imported by the platform's own processes.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

from endpoints.serving.script_code import ScriptFailed
from endpoints.serving.script_outline import CODE_FOLDER
from mlplatform.core.text import text as _

_OURS: Final = frozenset({"manifest.json", CODE_FOLDER})
_CLASSES: Final = frozenset({"Logloss", "CrossEntropy", "MultiClass", "MultiClassOneVsAll", "MultiLogloss"})
"""Losses of CatBoost whose models predict a class."""
_SHOWN_MAX: Final = 20


@dataclass(frozen=True)
class Native:
    """A format that is loaded without a `model_fn`: by the file's ending, or its whole name."""

    endings: tuple[str, ...]
    load: Callable[[Path], Any]

    def takes(self, path: Path) -> bool:
        return path.name in self.endings or path.suffix in self.endings


def model_default(model_dir: Path, framework: str) -> Any:
    """The model of the one file that can be told to be it.

    Raises:
        ScriptFailed: There is none, or several.
    """
    natives = NATIVE.get(framework, NATIVE["python"])
    saved = _saved_model(model_dir) if _TENSORFLOW in natives else None
    if saved is not None:
        return _load_saved(saved)
    files = sorted(
        path for path in model_dir.iterdir() if path.name not in _OURS and not path.name.startswith(".")
    )
    found = [(path, native) for path in files for native in natives if native.takes(path)]
    if len(found) == 1:
        path, native = found[0]
        return native.load(path)
    endings = ", ".join(dict.fromkeys(ending for native in natives for ending in native.endings))
    shown = ", ".join(path.name for path in files[:_SHOWN_MAX]) or "-"
    if found:
        raise ScriptFailed(
            _(
                "the model's folder has {n} files that could be the model ({files}); "
                "write def model_fn(model_dir) in inference.py that loads what it needs",
                n=len(found),
                files=", ".join(path.name for path, _native in found[:_SHOWN_MAX]),
            )
        )
    raise ScriptFailed(
        _(
            "the model's folder has {files} and none of {endings}; write def model_fn(model_dir) in inference.py "
            "that loads the model",
            files=shown,
            endings=endings,
        )
    )


def predict_default(data: Any, model: Any) -> Any:
    """`model.predict(data)`; an XGBoost booster gets a DMatrix, a TensorFlow SavedModel its serving signature.

    Raises:
        TypeError: The model cannot be asked; the message says what to write.
    """
    owner, name = _class_of(model)
    if owner == "xgboost" and name == "Booster":
        xgboost: Any = import_module("xgboost")
        matrix = data if isinstance(data, xgboost.DMatrix) else xgboost.DMatrix(data)
        return model.predict(matrix, validate_features=False)
    if owner == "keras":
        return model.predict(data, verbose=0)
    if hasattr(model, "signatures") and not hasattr(model, "predict"):
        return _signature_predict(model, data)
    predict = getattr(model, "predict", None)
    if not callable(predict):
        raise TypeError(
            f"the model is a {type(model).__name__}, which has no predict(); write def predict_fn(data, model)"
        )
    return predict(data)


def _class_of(model: Any) -> tuple[str, str]:
    return type(model).__module__.partition(".")[0], type(model).__name__


# ---- formats


def _xgboost_load(path: Path) -> Any:
    xgboost: Any = import_module("xgboost")
    if path.name == "xgboost-model":
        with path.open("rb") as file:
            pickled = file.read(1) == b"\x80"
        if pickled:  # as older images of the service left it
            return _pickle_load(path)
    booster = xgboost.Booster()
    booster.load_model(path)
    return booster


def _catboost_load(path: Path) -> Any:
    catboost: Any = import_module("catboost")
    model = catboost.CatBoost().load_model(str(path))
    loss = str(model.get_all_params().get("loss_function", "")).partition(":")[0]
    return catboost.CatBoostClassifier().load_model(str(path)) if loss in _CLASSES else model


def _joblib_load(path: Path) -> Any:
    joblib: Any = import_module("joblib")
    return joblib.load(path)


def _pickle_load(path: Path) -> Any:
    """The model's own file, in the model's own sandbox."""
    with path.open("rb") as file:
        return pickle.load(file)


def _keras_load(path: Path) -> Any:
    keras: Any = import_module("keras")
    return keras.saving.load_model(path, compile=False)


_XGBOOST: Final = Native((".json", ".ubj", ".bst", "xgboost-model"), _xgboost_load)
_CATBOOST: Final = Native((".cbm",), _catboost_load)
_PICKLED: Final = Native((".joblib", ".pkl", ".pickle"), _joblib_load)
_TENSORFLOW: Final = Native((".keras", ".h5"), _keras_load)
NATIVE: Final[Mapping[str, tuple[Native, ...]]] = {
    "xgboost": (_XGBOOST, _PICKLED),
    "catboost": (_CATBOOST, _PICKLED),
    "sklearn": (_PICKLED,),
    "tensorflow": (_TENSORFLOW,),
    "python": (_XGBOOST, _CATBOOST, _PICKLED, _TENSORFLOW),
}


# ---- TensorFlow


def _saved_model(model_dir: Path) -> Path | None:
    """The newest SavedModel: in the folder itself, in a numbered folder, or in one of a named folder."""
    if (model_dir / "saved_model.pb").is_file():
        return model_dir
    found = [path.parent for depth in ("*", "*/*") for path in model_dir.glob(f"{depth}/saved_model.pb")]
    numbered = [path for path in found if path.name.isdecimal()]
    return (
        max(numbered, key=lambda path: int(path.name))
        if numbered
        else (found[0] if len(found) == 1 else None)
    )


def _load_saved(folder: Path) -> Any:
    tensorflow: Any = import_module("tensorflow")
    return tensorflow.saved_model.load(str(folder))


def _signature_predict(model: Any, data: Any) -> Any:
    tensorflow: Any = import_module("tensorflow")
    signature = model.signatures.get("serving_default") or next(iter(model.signatures.values()), None)
    if signature is None:
        return model(tensorflow.constant(data)).numpy()
    inputs = signature.structured_input_signature[1]
    name, wanted = next(iter(inputs.items()))
    answered = signature(**{name: tensorflow.cast(tensorflow.constant(data), wanted.dtype)})
    arrays = {key: value.numpy() for key, value in answered.items()}
    return next(iter(arrays.values())) if len(arrays) == 1 else arrays
