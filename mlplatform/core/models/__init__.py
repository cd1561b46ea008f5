"""The tables of the floor: who may do what, what runs where, and the logs of anything that prints."""

from mlplatform.core.models.access import AccessKey, Membership, Project, Role
from mlplatform.core.models.audit import AuditEvent, AuditOutcome
from mlplatform.core.models.idempotency import IdempotentRequest
from mlplatform.core.models.logs import LogChunk, LogStream
from mlplatform.core.models.nodes import Node, NodeKind
from mlplatform.core.models.objects import ObjectTombstone
from mlplatform.core.models.revisions import Revision
from mlplatform.core.models.sessions import Session
from mlplatform.core.models.sweeps import SweepState
from mlplatform.core.models.throttle import GivenPassword, SignInThrottle

__all__ = [
    "AccessKey",
    "AuditEvent",
    "AuditOutcome",
    "GivenPassword",
    "IdempotentRequest",
    "LogChunk",
    "LogStream",
    "Membership",
    "Node",
    "NodeKind",
    "ObjectTombstone",
    "Project",
    "Revision",
    "Role",
    "Session",
    "SignInThrottle",
    "SweepState",
]
