"""Tables of models, endpoints, evaluations and experiments."""

from endpoints.models.endpoints import Endpoint, EndpointConfig, ProductionVariant
from endpoints.models.evaluations import Evaluation
from endpoints.models.experiments import Experiment, ExperimentCell, Unserved
from endpoints.models.metrics import EndpointMetric
from endpoints.models.models import Model
from endpoints.models.replicas import Replica
from endpoints.models.tables import TableRun

__all__ = [
    "Endpoint",
    "EndpointConfig",
    "EndpointMetric",
    "Evaluation",
    "Experiment",
    "ExperimentCell",
    "Model",
    "ProductionVariant",
    "Replica",
    "TableRun",
    "Unserved",
]
