"""A model packed by the worker and unpacked by a host, against Python's own tarfile with gzip at its fastest level.

    python -m benchmarks.model_archive [--rows 300000] [--columns 54] [--trees 1500] [--rounds 3]

Two models: the rows of a k-NN index, whose mantissas no packer makes smaller, and an XGBoost booster of many trees, of
which a third is left. The sides take turns. Ours also reads every file once more for its SHA-256. Bar: packing is two
and a half times as fast; unpacking is no slower.
"""

from __future__ import annotations

import tarfile
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from statistics import median
from time import perf_counter
from typing import Final

import numpy as np

from benchmarks.options import options_parser
from benchmarks.verdict import verdict
from jobs.runner.pack import model_pack
from mlplatform.core.storage.archives import archive_unpack

PACK_BAR: Final = 2.5
UNPACK_BAR: Final = 1.0


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--columns", type=int, default=54)
    parser.add_argument("--trees", type=int, default=1500)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    rng = np.random.default_rng(0)
    contents = {
        "k-NN": rng.normal(size=(options.rows, options.columns)).astype(np.float32).tobytes(),
        "XGBoost": _booster(options.trees),
    }
    for name, content in contents.items():
        with tempfile.TemporaryDirectory(prefix="mlp-bench-") as folder:
            _compare(name, content, Path(folder), options.rounds)


def _booster(n_trees: int) -> bytes:
    import xgboost
    from sklearn.datasets import load_diabetes

    X, y = load_diabetes(return_X_y=True)
    parameters = {"max_depth": 5, "eta": 0.05, "subsample": 0.7}
    return bytes(xgboost.train(parameters, xgboost.DMatrix(X, y), n_trees).save_raw(raw_format="ubj"))


def _compare(name: str, content: bytes, root: Path, n_rounds: int) -> None:
    model, archives = root / "model", (root / "ours.tar.gz", root / "theirs.tar.gz")
    model.mkdir()
    (model / "model").write_bytes(content)
    packing: tuple[list[float], list[float]] = ([], [])
    unpacking: tuple[list[float], list[float]] = ([], [])
    for turn in range(n_rounds):
        packing[0].append(_seconds(lambda: model_pack(model_dir=model, archive=archives[0], facts={})))
        packing[1].append(_seconds(lambda: _pack(model, archives[1])))
        for archive, ours, theirs in zip(archives, ("a", "b"), ("c", "d"), strict=True):
            at = root / f"{turn}"
            unpacking[0].append(_seconds(partial(archive_unpack, archive, at / ours)))
            unpacking[1].append(_seconds(partial(_unpack, archive, at / theirs)))
    sizes = [archive.stat().st_size for archive in archives]
    print(f"{name}: {len(content):,} bytes; ours {sizes[0]:,}, theirs {sizes[1]:,} packed")
    print(f"  pack    ours {median(packing[0]):8.3f} s, theirs {median(packing[1]):8.3f} s")
    print(f"  unpack  ours {median(unpacking[0]):8.3f} s, theirs {median(unpacking[1]):8.3f} s")
    packed = median(packing[1]) / median(packing[0])
    unpacked = median(unpacking[1]) / median(unpacking[0])
    verdict(f"{name}: a model packed", packed, PACK_BAR, unit="times", at_least=True)
    verdict(f"{name}: a model unpacked", unpacked, UNPACK_BAR, unit="times", at_least=True)


def _pack(model: Path, archive: Path) -> None:
    with tarfile.open(archive, "w:gz", compresslevel=1) as tar:
        tar.add(model / "model", "model")


def _unpack(archive: Path, target: Path) -> None:
    with tarfile.open(archive, "r:gz") as tar:
        tar.extractall(target, filter="data")


def _seconds(work: Callable[[], object]) -> float:
    begun = perf_counter()
    work()
    return perf_counter() - begun


if __name__ == "__main__":
    main()
