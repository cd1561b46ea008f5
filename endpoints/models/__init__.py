"""Tables of models, endpoints, what they are asked, evaluations and experiments."""

from endpoints.models.asynchronous import AsyncInvocation
from endpoints.models.capture import CapturedFile, DataCapture
from endpoints.models.endpoints import Endpoint, EndpointConfig, ProductionVariant
from endpoints.models.evaluations import Evaluation
from endpoints.models.experiments import Experiment, ExperimentCell, Unserved
from endpoints.models.metrics import EndpointMetric
from endpoints.models.models import Model
from endpoints.models.replica_runs import ReplicaRun
from endpoints.models.replicas import Replica
from endpoints.models.tables import TableRun
from endpoints.models.transforms import TransformJob

__all__ = [
    "AsyncInvocation",
    "CapturedFile",
    "DataCapture",
    "Endpoint",
    "EndpointConfig",
    "EndpointMetric",
    "Evaluation",
    "Experiment",
    "ExperimentCell",
    "Model",
    "ProductionVariant",
    "Replica",
    "ReplicaRun",
    "TableRun",
    "TransformJob",
    "Unserved",
]
