"""The declaration of `knn`: k nearest neighbours, classifier and regressor, with the managed service's
hyperparameters.

Read by everybody; imports neither numpy nor faiss. The rules between hyperparameters are in `rules.py`.
"""

from __future__ import annotations

from typing import Final

from jobs.algorithms.base import AlgorithmSpec, Channel, Metric, predictor_type_suggested
from jobs.algorithms.hyperparameters import Categorical, Integer, Text
from jobs.algorithms.knn.rules import INVERTED, PQ_M_VALUES, rules
from mlplatform.core.text import text as _

_INVERTED: Final = {"index_type": INVERTED}
_GRAPH: Final = {"index_type": ("faiss.HNSW32",)}
_REDUCED: Final = {"dimension_reduction_type": ("sign", "fjlt")}

_MAIN: Final = (
    Integer(
        name="k",
        help=_("How many nearest neighbours vote."),
        required=True,
        example=10,
        min=1,
        tunable=True,
        tune_min=1,
        tune_max=1024,
        scale="logarithmic",
    ),
    Categorical(
        name="predictor_type",
        help=_(
            "classifier: the most frequent label among the neighbours, the smallest one on a tie. "
            "regressor: the mean of their labels."
        ),
        required=True,
        example="classifier",
        values=("classifier", "regressor"),
    ),
    Integer(
        name="sample_size",
        help=_("How many rows to draw at random from the training data and keep in the index."),
        required=True,
        example=200_000,
        min=1,
        tunable=True,
        tune_min=256,
        tune_max=20_000_000,
        scale="logarithmic",
    ),
    Integer(
        name="feature_dim",
        help=_("Number of feature columns; auto counts them in the data."),
        default="auto",
        min=1,
        words=("auto",),
    ),
    Integer(
        name="mini_batch_size",
        help=_("How many rows are read and scored at a time."),
        default=5000,
        min=1,
    ),
)

_REDUCTION: Final = (
    Categorical(
        name="dimension_reduction_type",
        help=_(
            "Random projection to fewer dimensions: sign multiplies by a matrix of random signs, "
            "fjlt is a fast Johnson-Lindenstrauss transform. Leave it out to keep all dimensions."
        ),
        values=("sign", "fjlt"),
    ),
    Integer(
        name="dimension_reduction_target",
        help=_("Number of dimensions after the projection, less than the number of features."),
        min=1,
        relevant_if=_REDUCED,
    ),
)

_INDEX: Final = (
    Categorical(
        name="index_type",
        help=_(
            "faiss.Flat finds exactly the nearest rows. faiss.IVFFlat looks only into the nearest "
            "clusters. faiss.IVFPQ also compresses the rows. faiss.HNSW32 links each row to near ones and "
            "walks along the links: slow to train, fast to answer."
        ),
        default="faiss.Flat",
        values=("faiss.Flat", "faiss.IVFFlat", "faiss.IVFPQ", "faiss.HNSW32"),
    ),
    Categorical(
        name="index_metric",
        help=_(
            "What near means. L2: squared Euclidean distance. COSINE: 1 - cosine of the angle. "
            "INNER_PRODUCT: the larger the product, the nearer. faiss.IVFPQ has L2 only, "
            "faiss.HNSW32 has no INNER_PRODUCT."
        ),
        default="L2",
        values=("L2", "COSINE", "INNER_PRODUCT"),
    ),
    Integer(
        name="faiss_index_ivf_nlists",
        help=_("Number of clusters of an inverted index; auto is the square root of the sample size."),
        default="auto",
        min=1,
        words=("auto",),
        relevant_if=_INVERTED,
    ),
    Integer(
        name="faiss_index_pq_m",
        help=_(
            "Number of parts into which faiss.IVFPQ cuts a row, one byte each. "
            "Rows are padded with zeros to a multiple of it."
        ),
        example=4,
        values=PQ_M_VALUES,
        relevant_if={"index_type": ("faiss.IVFPQ",)},
    ),
)

_HIDDEN: Final = (
    Integer(
        name="_faiss_index_nprobe",
        help=_("How many of the nearest clusters an inverted index looks into."),
        default=5,
        min=1,
        hidden=True,
        relevant_if=_INVERTED,
    ),
    Integer(
        name="_faiss_index_hnsw_ef_construction",
        help=_("How many near rows a graph keeps in sight while it links a new one; more find better links."),
        default=40,
        min=1,
        max=10_000,
        hidden=True,
        relevant_if=_GRAPH,
    ),
    Integer(
        name="_faiss_index_hnsw_ef_search",
        help=_("How many near rows a graph keeps in sight while it searches; never fewer than k."),
        default=64,
        min=1,
        max=1_000_000,
        hidden=True,
        relevant_if=_GRAPH,
    ),
    Integer(
        name="_seed",
        help=_("Seed of sampling, projection and clustering; the same seed gives the same model."),
        default=0,
        min=0,
        max=2**31 - 1,
        hidden=True,
    ),
    Integer(
        name="epochs",
        help=_("Passes over the data; k-NN needs exactly one."),
        default=1,
        min=1,
        max=1,
        hidden=True,
    ),
    Text(
        name="_tuning_objective_metric",
        help=_("The metric of the tuning job that started this job."),
        default="",
        hidden=True,
    ),
)

SPEC: Final = AlgorithmSpec(
    name="knn",
    title=_("k nearest neighbours"),
    summary=_(
        "Keeps a sample of the training rows and answers from the ones nearest to the question: "
        "the most frequent label (classifier) or the mean label (regressor)."
    ),
    engine="jobs.algorithms.knn.engine:KNN",
    hyperparameters=(*_MAIN, *_REDUCTION, *_INDEX, *_HIDDEN),
    channels=(
        Channel(name="train", help=_("The rows to draw the sample from."), required=True),
        Channel(name="test", help=_("Rows to score the model with; the scores are in the log.")),
    ),
    metrics=(
        Metric(
            name="test:accuracy",
            regex=r"#quality_metric: host=\S+, test accuracy <score>=(\S+)",
            direction="Maximize",
            help=_("Share of the test rows whose label is predicted (classifier)."),
        ),
        Metric(
            name="test:macro_f_1.000",
            regex=r"#quality_metric: host=\S+, test macro_f_1\.000 <score>=(\S+)",
            direction="Maximize",
            help=_("Mean over the labels of the F1 score (classifier)."),
        ),
        Metric(
            name="test:mse",
            regex=r"#quality_metric: host=\S+, test mse <score>=(\S+)",
            direction="Minimize",
            help=_("Mean squared error over the test rows (regressor)."),
        ),
        Metric(
            name="train:throughput",
            regex=r"#throughput_metric: host=\S+, train throughput=(\S+) records/second",
            direction="Maximize",
            help=_("Training rows read per second."),
        ),
    ),
    request_content_types=("text/csv", "application/json", "application/jsonlines"),
    response_content_types=(
        "application/json",
        "application/json; verbose=true",
        "application/jsonlines",
        "application/jsonlines; verbose=true",
    ),
    rules=rules,
    suggests=predictor_type_suggested,
)
