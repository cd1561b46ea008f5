"""Accuracy and F1 for every k from 1 to 100 over 58,102 x 100 neighbours' labels, with intervals.

    python -m benchmarks.accuracy_by_k [--rows 58102] [--k 100] [--labels 7] [--batches 100] [--peers 5]

Labels are drawn so that a neighbour has its row's label the more often the nearer it is. Ours takes batches as they
come from an endpoint: codes to ranks, votes, planes on the disk, scores with intervals. Beside it 100 calls of
scipy's `mode` and of scikit-learn's scores; of those only `--peers` values of k are measured, spread evenly, and
their mean is taken for all. Bar: ours under one second; both must agree. Python and libraries are warm, as in the
process of an evaluation.
"""

from __future__ import annotations

import tempfile
from pathlib import Path
from time import perf_counter
from typing import Any, Final

import numpy as np
from scipy import stats
from sklearn.metrics import accuracy_score, f1_score

from benchmarks.options import options_parser
from benchmarks.verdict import verdict
from endpoints.evaluation.answers import Answered
from endpoints.evaluation.class_scores import classes_score
from endpoints.evaluation.collected import Axis, CollectedClasses
from endpoints.evaluation.label_codes import LabelCodes
from endpoints.evaluation.labels import LabelNames

BAR_S: Final = 1.0


def main() -> None:
    parser = options_parser(__doc__)
    parser.add_argument("--rows", type=int, default=58_102)
    parser.add_argument("--k", type=int, default=100)
    parser.add_argument("--labels", type=int, default=7)
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--peers", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    labels, neighbours = _drawn(options.rows, options.k, options.labels)
    ours_s, peers_s = [], []
    for _ in range(options.rounds):  # the two take turns
        found, votes_s, scores_s = _ours(labels, neighbours, options.batches)
        ours_s.append((votes_s + scores_s, votes_s, scores_s))
        peers_s.append(_peers(labels, neighbours, options.peers, found))
    whole_s, votes_s, scores_s = sorted(ours_s)[len(ours_s) // 2]
    peer_s = sorted(peers_s)[len(peers_s) // 2]
    print(
        f"{options.rows:,} rows x {options.k} neighbours, {options.labels} labels, median of {options.rounds}"
    )
    print(f"  ours            {whole_s:8.3f} s: votes {votes_s:.3f}, scores with intervals {scores_s:.3f}")
    print(f"  mode and scores {peer_s:8.3f} s without intervals; {peer_s / whole_s:.0f} times ours")
    verdict("accuracy and F1 for every k, with intervals", whole_s, BAR_S, unit="s")


def _drawn(n: int, k: int, n_labels: int) -> tuple[Any, Any]:
    chance = np.random.default_rng(0)
    labels = chance.integers(1, n_labels + 1, n).astype(np.float32)
    is_same = chance.random((n, k)) < np.linspace(0.9, 0.4, k)
    others = chance.integers(1, n_labels + 1, (n, k)).astype(np.float32)
    return labels, np.where(is_same, labels[:, None], others)


def _ours(labels: Any, neighbours: Any, n_batches: int) -> tuple[dict[str, Any], float, float]:
    k = neighbours.shape[1]
    with tempfile.TemporaryDirectory(prefix="mlp-bench-") as folder:
        began_at = perf_counter()
        codes = LabelCodes(LabelNames(None), LabelNames(None))
        collected = CollectedClasses(codes.labelled(labels), codes, Axis(k, k), Path(folder))
        first = 0
        for batch in np.array_split(neighbours, n_batches):
            collected.add(first, Answered(batch[:, 0], batch))
            first += len(batch)
        voted_at = perf_counter()
        scored = classes_score(collected)
        ended_at = perf_counter()
    return scored.result["quality"], voted_at - began_at, ended_at - voted_at


def _peers(labels: Any, neighbours: Any, n_measured: int, found: dict[str, Any]) -> float:
    n_k = neighbours.shape[1]
    ks = np.unique(
        np.linspace(1, n_k - 1, n_measured).astype(int)
    )  # at the last k ours are the endpoint's own
    began_at = perf_counter()
    for k in ks:
        predicted = stats.mode(neighbours[:, :k], axis=1).mode
        scores = [accuracy_score(labels, predicted)]
        scores += [f1_score(labels, predicted, average=name) for name in ("weighted", "macro", "micro")]
        ours = [found[name][k - 1] for name in ("accuracy", "f1_weighted", "f1_macro", "f1_micro")]
        if not np.allclose(ours, scores, rtol=1e-12, atol=0):
            raise RuntimeError(f"k = {k}: {ours} and {scores} differ")
    return float((perf_counter() - began_at) / len(ks) * n_k)


if __name__ == "__main__":
    main()
