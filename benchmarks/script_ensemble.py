"""The tutorial's ensemble served by its script: one call against two endpoints called in turn, and how soon it starts.

    python -m benchmarks.script_ensemble [--calls 2000]

Both members, trained on scikit-learn's diabetes data, are served once together by `docs/examples/ensemble/inference.py`
and once each by the same script with one member. Who wants the mean for a row asks either the one endpoint, or both,
one after the other; every call goes through a gateway of its own. The two ways take turns, so that a busy machine
is as busy for either. Then how long a model server takes from its start until it answers a ping, and how
much of that is the import of the two libraries. Bars: 0.6 of the time, and 1.5 s.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Any, Final

import catboost
import numpy as np
import xgboost
from sklearn.datasets import load_diabetes

from benchmarks.one_or_two_calls import BOTH, calls_compare
from benchmarks.options import options_parser
from benchmarks.serving_stage import ServingStage
from benchmarks.verdict import verdict
from endpoints.unix_http import unix_call
from mlplatform.core.env import PROJECT_ROOT

START_BAR_S: Final = 1.5
_STARTS: Final = 7
_MEMBERS: Final = {
    "xgboost": """

def model_fn(model_dir):
    model = xgboost.Booster()
    model.load_model(Path(model_dir, "xgboost.json"))
    return model


def predict_fn(rows, model):
    return model.inplace_predict(rows)
""",
    "catboost": """

def model_fn(model_dir):
    return catboost.CatBoostRegressor().load_model(Path(model_dir, "catboost.cbm"))


def predict_fn(rows, model):
    return model.predict(rows, thread_count=1 if len(rows) == 1 else -1)
""",
}
"""What is defined anew of the ensemble's script."""
_FILES: Final = {"xgboost": ("xgboost.json",), "catboost": ("catboost.cbm",)}
_IMPORTS: Final = {
    "as they are": "import xgboost, catboost",
    "as a model server imports them": """
from pathlib import Path
from endpoints.serving.script_lean import frameworks_import
assert len(frameworks_import(Path(SCRIPT), folder=Path(SCRIPT).parent)) == 2
""",
}


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--calls", type=int, default=2000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="mlp-bench-") as text:
        folder = Path(text)
        row, mean = _train(folder / BOTH)
        for name in _MEMBERS:
            _member(folder, name)
        _start_times(folder / BOTH)
        with ExitStack() as stack:
            stages = {name: stack.enter_context(_stage(folder, name)) for name in (BOTH, *_MEMBERS)}
            asyncio.run(calls_compare(stages, row, mean, _prediction, n_calls=options.calls))


def _train(folder: Path) -> tuple[bytes, float]:
    """Saves both members and the script; a row as CSV, and the mean of what both predict for it."""
    (folder / "code").mkdir(parents=True)
    shutil.copy(PROJECT_ROOT / "docs/examples/ensemble/inference.py", folder / "code" / "inference.py")
    found: Any = load_diabetes()
    X, y = found.data.astype(np.float32), found.target
    booster = xgboost.train({"max_depth": 3, "eta": 0.2, "nthread": 1}, xgboost.DMatrix(X, y), 100)
    booster.save_model(folder / "xgboost.json")
    settings: dict[str, Any] = {"verbose": 0, "thread_count": 1, "allow_writing_files": False}
    trees = catboost.CatBoostRegressor(iterations=100, depth=3, **settings).fit(X, y)
    trees.save_model(str(folder / "catboost.cbm"))
    mean = float(np.mean([booster.predict(xgboost.DMatrix(X[:1])), trees.predict(X[:1])]))
    return ",".join(map(str, X[0].tolist())).encode(), mean


def _member(folder: Path, name: str) -> None:
    (folder / name / "code").mkdir(parents=True)
    for file in _FILES[name]:
        shutil.copy(folder / BOTH / file, folder / name / file)
    script = (folder / BOTH / "code" / "inference.py").read_text()
    (folder / name / "code" / "inference.py").write_text(script + _MEMBERS[name])


def _stage(folder: Path, name: str) -> ServingStage:
    place = folder / f"stage-{name}"
    place.mkdir()
    return ServingStage(place, folder / name, options=_options(name))


def _options(name: str) -> list[str]:
    return ["--algorithm", "script", "--framework", "python" if name == BOTH else name]


def _prediction(body: bytes) -> float:
    answer = json.loads(body)
    return float(np.ravel(answer["predictions"] if isinstance(answer, dict) else answer)[0])


def _start_times(model_dir: Path) -> None:
    _server_start(model_dir)  # brings the libraries into memory
    seconds = median(_server_start(model_dir) for _ in range(_STARTS))
    verdict("start of a model server until its first ping", seconds, START_BAR_S, unit="s")
    for name, program in _IMPORTS.items():
        script = f"SCRIPT = {str(model_dir / 'code' / 'inference.py')!r}\n"
        seconds = median(_python(script + program) for _ in range(_STARTS)) - median(
            _python("import numpy") for _ in range(_STARTS)
        )
        print(f"  import of xgboost and catboost {name}: {seconds:.2f} s beyond numpy")


def _python(program: str) -> float:
    began_at = perf_counter()
    subprocess.run([sys.executable, "-c", program], cwd=PROJECT_ROOT, check=True)
    return perf_counter() - began_at


def _server_start(model_dir: Path) -> float:
    socket = Path(tempfile.mkdtemp(prefix="mlp-")) / "s"
    argv = [sys.executable, "-m", "endpoints.serving", "--socket", str(socket), "--model-dir", str(model_dir)]
    argv += [*_options(BOTH), "--parent-pid", str(os.getpid())]
    began_at = perf_counter()
    process = subprocess.Popen(argv, cwd=PROJECT_ROOT, stdout=subprocess.DEVNULL)
    try:
        while not _answers(socket):
            if process.poll() is not None:
                raise RuntimeError(f"the model server ended with {process.returncode}")
            time.sleep(0.002)
        return perf_counter() - began_at
    finally:
        process.kill()
        process.wait()
        shutil.rmtree(socket.parent)


def _answers(socket: Path) -> bool:
    try:
        return socket.exists() and unix_call(str(socket), "GET", "/ping", timeout_s=1.0).status == 200
    except OSError:
        return False


if __name__ == "__main__":
    main()
