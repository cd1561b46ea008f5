"""Tables of datasets, source code, training jobs, tuning jobs and prices."""

from jobs.models.datasets import Dataset, DatasetVersion
from jobs.models.events import JobEvent
from jobs.models.metrics import MetricChunk, MetricSummary
from jobs.models.prices import PriceSheet
from jobs.models.sources import Source
from jobs.models.spending import SpentRecord
from jobs.models.training import TrainingInput, TrainingJob
from jobs.models.tuning import TuningJob, TuningStrategy, TuningTrial

__all__ = [
    "Dataset",
    "DatasetVersion",
    "JobEvent",
    "MetricChunk",
    "MetricSummary",
    "PriceSheet",
    "Source",
    "SpentRecord",
    "TrainingInput",
    "TrainingJob",
    "TuningJob",
    "TuningStrategy",
    "TuningTrial",
]
