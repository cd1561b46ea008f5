"""Tables of datasets and training jobs."""

from jobs.models.datasets import Dataset, DatasetVersion
from jobs.models.events import JobEvent
from jobs.models.metrics import MetricChunk, MetricSummary
from jobs.models.training import TrainingInput, TrainingJob

__all__ = [
    "Dataset",
    "DatasetVersion",
    "JobEvent",
    "MetricChunk",
    "MetricSummary",
    "TrainingInput",
    "TrainingJob",
]
