"""Projects, members and access keys as JSON. No presenter ever sees a secret but the one just made."""

from __future__ import annotations

from typing import Any

from mlplatform.api.presenters.instants import instant
from mlplatform.core import clock
from mlplatform.core.models import AccessKey, Membership, Project


def project_json(project: Project, role: str) -> dict[str, Any]:
    return {
        "name": project.name,
        "display_name": project.display_name,
        "account_id": project.account_id,
        "role": str(role),
        "created_at": instant(project.created_at),
    }


def member_json(membership: Membership) -> dict[str, Any]:
    return {
        "username": membership.user.get_username(),
        "role": membership.role,
        "created_at": instant(membership.created_at),
    }


def access_key_json(key: AccessKey) -> dict[str, Any]:
    return {
        "key_id": key.key_id,
        "username": key.user.get_username(),
        "description": key.description,
        "status": _status(key),
        "created_at": instant(key.created_at),
        "last_used_at": instant(key.last_used_at),
        "expires_at": instant(key.expires_at),
        "revoked_at": instant(key.revoked_at),
    }


def access_key_created_json(key: AccessKey, secret: str) -> dict[str, Any]:
    return {**access_key_json(key), "secret": secret, "token": f"{key.key_id}.{secret}"}


def _status(key: AccessKey) -> str:
    if key.revoked_at is not None:
        return "Revoked"
    return "Expired" if key.expires_at is not None and key.expires_at <= clock.now() else "Active"
