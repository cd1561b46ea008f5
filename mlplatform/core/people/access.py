"""Who is asking, and what they may do: the one door through which every face and service goes."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from cryptography.fernet import Fernet
from django.conf import settings
from django.contrib.auth.models import User
from django.db import OperationalError, transaction

from mlplatform.core import clock, names
from mlplatform.core.audit.record import audit_record
from mlplatform.core.errors import AccessDenied, Conflict, NotAuthenticated, NotFound
from mlplatform.core.health.outages import impatient
from mlplatform.core.models import AccessKey, Membership, Project, Role
from mlplatform.core.revisions import revision_bump
from mlplatform.core.text import text as _

_RANK = {Role.VIEWER: 0, Role.EDITOR: 1, Role.ADMIN: 2}
_KEY_ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
_LAST_USED_STEP = timedelta(minutes=1)


@dataclass(frozen=True)
class Actor:
    """A user acting in one project with one role. Every service and selector takes one."""

    user: User
    project: Project
    role: Role
    key: AccessKey | None = None

    def require(self, role: Role) -> None:
        """Raises AccessDenied unless this actor's role includes `role`."""
        if _RANK[self.role] < _RANK[role]:
            raise AccessDenied(
                _(
                    "This needs the role {needed} in project {project}; you are {role}",
                    needed=role.value,
                    project=self.project.name,
                    role=self.role.value,
                )
            )

    def may(self, role: str) -> bool:
        return _RANK[self.role] >= _RANK[Role(role)]

    @property
    def may_edit(self) -> bool:
        return self.may(Role.EDITOR)

    @property
    def may_administer(self) -> bool:
        return self.may(Role.ADMIN)


def is_operator(user: object) -> bool:
    """Whether the user may see how the installation itself is: staff, who have the admin console."""
    return isinstance(user, User) and user.is_active and user.is_staff


def operator_require(user: object) -> None:
    """Raises AccessDenied unless the user is an operator."""
    if not is_operator(user):
        raise AccessDenied(_("Only operators (staff of the admin console) may see this"))


def actor_for_user(
    *, user: User, project_name: str, memberships: Sequence[Membership] | None = None
) -> Actor:
    """The user as a member of the project. Raises NotFound for a foreign project and for one that never was alike.

    Args:
        memberships: All of the user's, as `project_list` has them, where they were read already.
    """
    known = project_list(user=user, project_name=project_name) if memberships is None else memberships
    membership = next((one for one in known if one.project.name == project_name), None)
    if membership is None or not user.is_active:
        raise NotFound(_("There is no project {name} that you are a member of", name=repr(project_name[:63])))
    return Actor(user=user, project=membership.project, role=Role(membership.role))


def actor_for_key(*, token: str) -> Actor:
    """The actor of a bearer token `<key id>.<secret>`. Raises NotAuthenticated for every kind of wrong token alike."""
    key_id, _dot, secret = token.partition(".")
    key = AccessKey.objects.select_related("user", "project").filter(key_id=key_id[:20]).first()
    digest = hashlib.sha256(secret.encode()).hexdigest()
    if key is None or not hmac.compare_digest(key.secret_sha256, digest) or not _usable(key):
        raise NotAuthenticated(_("The access key is unknown, revoked or expired"))
    membership = Membership.objects.filter(user=key.user, project=key.project).first()
    if membership is None or not key.user.is_active:
        raise NotAuthenticated(_("The access key is unknown, revoked or expired"))
    _touch(key)
    return Actor(user=key.user, project=key.project, role=Role(membership.role), key=key)


def _usable(key: AccessKey) -> bool:
    return key.revoked_at is None and (key.expires_at is None or key.expires_at > clock.now())


def _touch(key: AccessKey) -> None:
    """Notes the use; a database that takes no writes at the moment must not keep anybody from reading."""
    now = clock.now()
    if key.last_used_at is not None and now - key.last_used_at <= _LAST_USED_STEP:
        return
    with contextlib.suppress(OperationalError), impatient():
        AccessKey.objects.filter(pk=key.pk).update(last_used_at=now)


def access_key_create(
    *,
    user: User,
    project: Project,
    description: str = "",
    expires_at: datetime | None = None,
    actor: Actor | None = None,
) -> tuple[AccessKey, str]:
    """Makes a key of `user` in `project` and returns it with its secret, which is never shown again.

    Args:
        actor: Who makes it, where that is not the user, or is the user by another key.

    Raises:
        AccessDenied: the user is no member of the project.
    """
    if not Membership.objects.filter(user=user, project=project).exists():
        raise AccessDenied(
            _("{user} is not a member of project {project}", user=user.get_username(), project=project.name)
        )
    secret = secrets.token_urlsafe(30)
    with transaction.atomic():
        key = AccessKey.objects.create(
            key_id="MLPK" + "".join(secrets.choice(_KEY_ALPHABET) for _ in range(16)),
            secret_sha256=hashlib.sha256(secret.encode()).hexdigest(),
            secret_encrypted=_cipher().encrypt(secret.encode()),
            user=user,
            project=project,
            description=description[:200],
            expires_at=expires_at,
        )
        revision_bump()
        audit_record(
            actor=actor,
            user=user,
            project=project,
            action="access_key.create",
            target=key.key_id,
            detail={
                "for": user.get_username(),
                "description": key.description,
                "expires_at": expires_at.isoformat(timespec="seconds") if expires_at else None,
            },
        )
    return key, secret


def access_key_list(*, actor: Actor) -> list[AccessKey]:
    """The actor's own keys in the project; all members' keys for an administrator."""
    keys = AccessKey.objects.select_related("user").filter(project=actor.project)
    return list(keys if actor.may_administer else keys.filter(user=actor.user))


def access_key_revoke(*, actor: Actor, key_id: str) -> AccessKey:
    """Ends a key at once: one's own, or any of the project for an administrator. Raises NotFound."""
    key = next((key for key in access_key_list(actor=actor) if key.key_id == key_id), None)
    if key is None:
        raise NotFound(_("There is no access key {key}", key=repr(key_id[:20])))
    if key.revoked_at is None:
        with transaction.atomic():
            key.revoked_at = clock.now()
            key.save(update_fields=["revoked_at"])
            revision_bump()
            audit_record(
                actor=actor,
                action="access_key.revoke",
                target=key.key_id,
                detail={"of": key.user.get_username()},
            )
    return key


def access_key_secret(key: AccessKey) -> str:
    """The decrypted secret, for checking AWS signatures only; never for showing."""
    return _cipher().decrypt(bytes(key.secret_encrypted)).decode()


def _cipher() -> Fernet:
    digest = hashlib.sha256(b"access keys\0" + settings.SECRET_KEY.encode()).digest()
    return Fernet(base64.urlsafe_b64encode(digest))


def project_list(*, user: User, project_name: str = "") -> list[Membership]:
    """The memberships of a user, by project name."""
    memberships = Membership.objects.select_related("project").filter(user=user)
    if project_name:
        memberships = memberships.filter(project__name=project_name)
    return list(memberships.order_by("project__name"))


def project_create(*, user: User, name: str, display_name: str = "") -> Project:
    """Makes a project with `user` as its administrator. Raises InvalidRequest or Conflict for the name."""
    names.name_check(name)
    if Project.objects.filter(name__iexact=name).exists():
        raise Conflict(_("A project named {name} already exists", name=repr(name)))
    with transaction.atomic():
        project = Project.objects.create(name=name, display_name=display_name[:200], account_id=_account_id())
        Membership.objects.create(project=project, user=user, role=Role.ADMIN)
        revision_bump()
        audit_record(user=user, project=project, action="project.create", target=project.name)
    return project


def project_lock(project: Project) -> None:
    """Holds the project's row until the transaction ends, so that what is counted or looked up now still holds when
    it is committed. Rows that refer to the project can be added meanwhile by those who do not need that.
    """
    Project.objects.select_for_update(no_key=True).filter(pk=project.pk).values_list("pk").first()


def _account_id() -> str:
    return str(secrets.randbelow(9 * 10**11) + 10**11)
