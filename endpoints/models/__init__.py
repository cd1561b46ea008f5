"""Tables of models and endpoints."""

from endpoints.models.endpoints import Endpoint, EndpointConfig, ProductionVariant
from endpoints.models.metrics import EndpointMetric
from endpoints.models.models import Model
from endpoints.models.replicas import Replica
from endpoints.models.tables import TableRun

__all__ = [
    "Endpoint",
    "EndpointConfig",
    "EndpointMetric",
    "Model",
    "ProductionVariant",
    "Replica",
    "TableRun",
]
