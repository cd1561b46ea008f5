"""The tables of the floor: who may do what, what runs where, and the logs of anything that prints."""

from mlplatform.core.models.access import AccessKey, Membership, Project, Role
from mlplatform.core.models.idempotency import IdempotentRequest
from mlplatform.core.models.logs import LogChunk, LogStream
from mlplatform.core.models.nodes import Node, NodeKind
from mlplatform.core.models.revisions import Revision

__all__ = [
    "AccessKey",
    "IdempotentRequest",
    "LogChunk",
    "LogStream",
    "Membership",
    "Node",
    "NodeKind",
    "Project",
    "Revision",
    "Role",
]
