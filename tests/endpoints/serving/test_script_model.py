"""Handlers and their defaults, in this process: signatures, bodies, formats of models, threads."""

from __future__ import annotations

import asyncio
import io
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import joblib
import numpy as np
import pytest
from sklearn.linear_model import LinearRegression

from endpoints.serving.answers import ModelFault, NotAcceptable, ValidationError
from endpoints.serving.script_bodies import body_decode, body_encode
from endpoints.serving.script_code import ScriptFailed
from endpoints.serving.script_handlers import Context, HandlersRefused, handlers_of
from endpoints.serving.script_lean import frameworks_import
from endpoints.serving.script_model import Answered, ScriptModel, script_load
from endpoints.serving.script_outline import handlers_defined, handlers_none
from endpoints.serving.script_threads import HandlerThreads
from mlplatform.core.errors import DataError, Throttled, UnsupportedMediaType
from tests.endpoints.serving.script_models import ensemble_train, model_folder


@pytest.fixture(autouse=True)
def clean_imports() -> Iterator[None]:
    """What loading a script changes of the process that is made for one model."""
    path, argv = list(sys.path), list(sys.argv)
    yield
    sys.path[:], sys.argv[:] = path, argv
    sys.modules.pop("inference", None)


def load(folder: Path, *, framework: str = "python", entry_point: str = "") -> ScriptModel:
    return script_load(model_dir=folder, framework=framework, entry_point=entry_point, lean=False)


def ask(model: ScriptModel, body: bytes, content_type: str = "text/csv", accept: str = "") -> Answered:
    return model.answer(body, {"content-type": content_type, "accept": accept})


# ---- handlers


def module_of(text: str) -> ModuleType:
    module = ModuleType("handlers")
    exec(text, module.__dict__)
    return module


@pytest.mark.parametrize(
    ("text", "context"),
    [
        ("def input_fn(data, content_type): return data, None", None),
        ("def input_fn(data, content_type, context): return data, context", "given"),
        ("def input_fn(data, content_type, context=None): return data, context", "given"),
        ("def input_fn(data, content_type, other=7): return data, other", 7),
        ("def input_fn(data, content_type, *, context): return data, context", "given"),
        ("def input_fn(*args): return args[0], None", None),
        ("class input_fn:\n    def __new__(cls, data, content_type): return data, None", None),
    ],
)
def test_a_handler_is_called_with_the_context_if_it_asks_for_one(text: str, context: object) -> None:
    given = Context("/model")
    data, found = handlers_of(module_of(text))["input_fn"](b"x", "text/csv", given)
    assert data == b"x"
    assert found is given if context == "given" else found == context


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("def model_fn(): ...", r"model_fn\(\) cannot be called as model_fn\(model_dir\)"),
        ("def output_fn(a, b, c, d): ...", r"output_fn\(a, b, c, d\) cannot be called"),
        ("def predict_fn(a, b, *, strict): ...", "cannot be called"),
        ("predict_fn = 3", "predict_fn is a int, not a function"),
        ("async def predict_fn(a, b): ...", "is an async function"),
        ("def transform_fn(a, b, c, d): ...\ndef predict_fn(a, b): ...", "not both"),
    ],
)
def test_a_handler_that_cannot_be_called_is_refused(text: str, said: str) -> None:
    with pytest.raises(HandlersRefused, match=said):
        handlers_of(module_of(text))


def test_what_a_script_defines_is_read_without_running_it() -> None:
    text = b"try:\n    from fast import predict_fn\nexcept ImportError:\n    predict_fn = None\nmodel_fn = x = len\n"
    assert handlers_defined(text, name="i.py") == ("model_fn", "predict_fn")
    assert handlers_none(b"import os\nprint(1 / 0)\n") and not handlers_none(b"from x import *\n")
    with pytest.raises(DataError, match=r"i.py, line 2: .*: def f\(:"):
        handlers_defined(b"x = 1\ndef f(:\n", name="i.py")


def test_a_training_script_without_handlers_is_not_run_to_serve(tmp_path: Path) -> None:
    joblib.dump(_linear(), model_folder(tmp_path, "raise SystemExit(9)\n") / "m.joblib")
    assert json.loads(ask(load(tmp_path), b"1,2\n3,4").body) == pytest.approx([5, 11], abs=1e-5)


# ---- bodies


@pytest.mark.parametrize(
    ("body", "kind", "rows"),
    [
        (b"1,2\n3,4\n", "text/csv", [[1, 2], [3, 4]]),
        (b"1,2", "text/csv; charset=utf-8", [[1, 2]]),
        (b"9,1,2", "text/csv; label_size=1", [[1, 2]]),
        (b"[[1,2],[3,4]]", "application/json", [[1, 2], [3, 4]]),
        (b"[1,2]", "application/json", [[1, 2]]),
        (b'{"instances": [{"features": [1,2]}, [3,4]]}', "application/json", [[1, 2], [3, 4]]),
        (b"[1,2]\n[3,4]\n", "application/jsonlines", [[1, 2], [3, 4]]),
        (b"5 0:1 2:3\n1:2\n", "text/libsvm", [[1, np.nan, 3], [np.nan, 2, np.nan]]),
        (b"1,,3", "text/csv", [[1, np.nan, 3]]),
    ],
)
def test_a_body_becomes_rows(body: bytes, kind: str, rows: list[list[float]]) -> None:
    found = body_decode(body, kind, libsvm=True)
    assert found.dtype == np.float32
    np.testing.assert_array_equal(found, rows)


@pytest.mark.parametrize(
    ("body", "kind", "said"),
    [
        (b"", "text/csv", "empty"),
        (b"1,x", "text/csv", "row 1, column '1'"),
        (b"1,2\n3", "text/csv", "row 2"),
        (b"{", "application/json", "not JSON"),
        (b"{}", "application/json", "instances"),
        (b"[[1],[2,3]]", "application/json", "as many columns"),
        (b'["a"]', "application/json", "not numbers"),
        (b"[]", "application/json", "no rows"),
        (b"[" * 10_000, "application/json", "JSON"),
        (b"1 x:2", "text/libsvm", "LibSVM"),
        (b"1 99999999999:2", "text/libsvm", "index"),
        (b"\x93NUMPY", "application/x-npy", "npy"),
    ],
)
def test_a_body_that_is_not_what_it_says_is_told_so(body: bytes, kind: str, said: str) -> None:
    with pytest.raises(ValidationError, match=said):
        body_decode(body, kind, libsvm=True)


def test_a_pickle_in_a_request_is_never_loaded() -> None:
    written = io.BytesIO()
    np.save(written, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(ValidationError, match="npy"):
        body_decode(written.getvalue(), "application/x-npy")
    with pytest.raises(UnsupportedMediaType, match="text/libsvm"):
        body_decode(b"1", "image/png", libsvm=True)


@pytest.mark.parametrize(
    ("prediction", "kind", "body"),
    [
        (np.float32([0.1, 2]), "application/json", b"[0.1,2.0]"),
        (np.array([[1, 2], [3, 4]]), "text/csv", b"1,2\n3,4\n"),
        (np.float32([0.1]), "text/csv", b"0.1\n"),
        (["a", "b"], "application/json", b'["a","b"]'),
        ([1, 2], "application/jsonlines", b"1\n2\n"),
        ({"score": np.float64([1.5])}, "application/json", b'{"score":[1.5]}'),
        (7, "application/json", b"7"),
        (np.array([True]), "application/json", b"[true]"),
    ],
)
def test_a_prediction_is_written_as_asked(prediction: Any, kind: str, body: bytes) -> None:
    assert body_encode(prediction, kind) == body


@pytest.mark.parametrize(
    ("prediction", "kind"),
    [
        (None, "application/json"),
        (np.array([np.inf]), "application/json"),
        ({"a": [1]}, "text/csv"),
        (np.array([object()]), "application/json"),
        (np.array([{}], dtype=object), "application/x-npy"),
        ([[1], [2, 3]], "application/json"),
    ],
)
def test_what_cannot_be_written_is_the_models_fault(prediction: Any, kind: str) -> None:
    with pytest.raises(ModelFault):
        body_encode(prediction, kind)


# ---- models


def _linear() -> LinearRegression:
    X = np.array([[0, 0], [1, 0], [0, 1], [1, 1]])
    return LinearRegression().fit(X, X @ [1, 2])


def test_a_scikit_learn_model_needs_no_script(tmp_path: Path) -> None:
    joblib.dump(_linear(), tmp_path / "model.joblib")
    (tmp_path / "manifest.json").write_text("{}")
    model = load(tmp_path, framework="sklearn")
    answered = ask(model, b"1,2\n3,4")
    assert (answered.content_type, json.loads(answered.body)) == (
        "application/json",
        pytest.approx([5, 11], abs=1e-5),
    )
    npy = ask(model, b"1,2", accept="image/png;q=0.1, application/x-npy").body
    np.testing.assert_allclose(np.load(io.BytesIO(npy)), [5], atol=1e-5)
    with pytest.raises(NotAcceptable):
        ask(model, b"not even looked at", accept="image/png")
    with pytest.raises(ModelFault, match="ValueError: X has 3 features"):
        ask(model, b"1,2,3")


def test_native_formats_of_xgboost_and_catboost_need_no_script(tmp_path: Path) -> None:
    ensemble = ensemble_train(tmp_path, script="")
    with pytest.raises(ScriptFailed, match=r"2 files that could be the model \(catboost.cbm, xgboost.json\)"):
        load(tmp_path)
    both = [
        json.loads(ask(load(tmp_path, framework=name), ensemble.body).body)
        for name in ("xgboost", "catboost")
    ]
    np.testing.assert_allclose(np.mean(both, axis=0), ensemble.mean, atol=1e-5)
    body = "\n".join(
        "0 " + " ".join(f"{i}:{value}" for i, value in enumerate(row)) for row in ensemble.X.tolist()
    )
    libsvm = ask(load(tmp_path, framework="xgboost"), body.encode(), "text/libsvm").body
    np.testing.assert_allclose(json.loads(libsvm), both[0], atol=1e-5)
    (tmp_path / "xgboost.json").rename(tmp_path / "weights.bin")
    with pytest.raises(ScriptFailed, match=r"has catboost.cbm, weights.bin and none of \.json.*def model_fn"):
        load(tmp_path, framework="xgboost")


def test_a_model_that_cannot_be_asked_says_what_to_write(tmp_path: Path) -> None:
    model = load(model_folder(tmp_path, "def model_fn(model_dir):\n    return object()\n"))
    with pytest.raises(ModelFault, match=r"has no predict\(\); write def predict_fn"):
        ask(model, b"1")


def test_an_entry_point_in_a_folder_imports_its_neighbours_and_those_of_the_root(tmp_path: Path) -> None:
    folder = model_folder(
        tmp_path,
        **{
            "code/serve/main.py": "import near, far\ndef model_fn(d): ...\n"
            "def transform_fn(m, b, c, a):\n    return near.X + far.X, 'text/plain'\n",
            "code/serve/near.py": "X = 'near '\n",
            "code/far.py": "import sys\nX = 'far' + str(len(sys.argv))\n",
        },
    )
    try:
        answered = ask(load(folder, entry_point="serve/main.py"), b"")
    finally:
        for name in ("near", "far", "main"):
            sys.modules.pop(name, None)
    assert answered == Answered(b"near far1", "text/plain")
    with pytest.raises(ScriptFailed, match=r"has no absent\.py; it has far\.py"):
        load(folder, entry_point="absent.py")
    with pytest.raises(ScriptFailed, match="has no"):
        load(folder, entry_point="../../etc/passwd")


def test_only_what_a_script_cannot_be_using_is_left_out_of_its_frameworks(tmp_path: Path) -> None:
    """In this process all of them are imported already, so that nothing is: what counts is what is read."""
    from endpoints.serving.script_lean import _named

    lean = "import numpy as np, xgboost as xgb\nfrom catboost import CatBoost\n"
    folder = model_folder(tmp_path, lean) / "code"
    script = folder / "inference.py"
    assert {"xgboost", "catboost"} <= _named(script, folder)
    assert frameworks_import(script, folder=folder) == ()
    for more in ("import pandas", "xgb.XGBRegressor()", "import helper", "from . import helper"):
        (folder / "helper.py").write_text("import sklearn\n")
        script.write_text(lean + more + "\n")
        assert _named(script, folder) == set(), more
    (folder / "train.py").write_text("import sklearn\n")
    script.write_text(lean)
    assert "xgboost" in _named(script, folder)


# ---- threads


def test_one_request_at_a_time_unless_the_environment_allows_more() -> None:
    async def most_at_once(n_threads: int) -> int:
        threads = HandlerThreads(n_threads=n_threads)
        now, most, lock = 0, 0, threading.Lock()

        def work() -> Answered:
            nonlocal now, most
            with lock:
                now += 1
                most = max(most, now)
            time.sleep(0.02)
            with lock:
                now -= 1
            return Answered(b"", "")

        await asyncio.gather(*(threads.run(work) for _ in range(6)))
        threads.close()
        return most

    assert asyncio.run(most_at_once(1)) == 1
    assert asyncio.run(most_at_once(3)) == 3


def test_who_hangs_is_late_and_seen_and_who_waits_behind_is_late_too() -> None:
    async def run() -> None:
        threads = HandlerThreads(n_waiting=1, answer_within_s=0.05)
        gate = threading.Event()

        def hang() -> Answered:
            gate.wait(5)
            return Answered(b"late", "")

        first = asyncio.create_task(threads.run(hang))
        while not threads.busy_s():
            await asyncio.sleep(0.001)
        second = asyncio.create_task(threads.run(hang))
        await asyncio.sleep(0)
        with pytest.raises(Throttled):
            await threads.run(hang)
        for task in (first, second):
            with pytest.raises(ModelFault, match=r"did not answer within 0.05 s"):
                await task
        assert threads.busy_s() > 0.04 and threads.is_alive
        gate.set()
        while threads.busy_s():
            await asyncio.sleep(0.001)
        assert (await threads.run(lambda: Answered(b"again", ""))).body == b"again"
        threads.close()

    asyncio.run(run())
