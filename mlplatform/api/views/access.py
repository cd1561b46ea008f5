"""Projects, members and access keys."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from rest_framework.request import Request
from rest_framework.response import Response

from mlplatform.api.auth import Rule, signed_in
from mlplatform.api.base import ApiView, list_response
from mlplatform.api.presenters.access import (
    access_key_created_json,
    access_key_json,
    member_json,
    project_json,
)
from mlplatform.api.schema import example, operation
from mlplatform.api.serializers.access import (
    AccessKey,
    AccessKeyCreated,
    AccessKeyRequest,
    Member,
    MemberRequest,
    Project,
)
from mlplatform.api.serializers.lists import listed
from mlplatform.core import clock
from mlplatform.core.people.access import (
    Actor,
    access_key_create,
    access_key_list,
    access_key_revoke,
    project_list,
)
from mlplatform.core.people.members import member_list, member_remove, member_set


class ProjectListView(ApiView):
    tag = "projects"
    access = {"GET": Rule.SIGNED_IN}

    @operation("project_list", "The caller's own projects", answer=listed(Project))
    def get(self, request: Request) -> Response:
        """With an access key: the key's own project only."""
        key_actor: Any = request.auth
        if isinstance(key_actor, Actor):
            return list_response([project_json(key_actor.project, key_actor.role)])
        memberships = project_list(user=signed_in(request))
        return list_response([project_json(found.project, found.role) for found in memberships])


class ProjectView(ApiView):
    tag = "projects"
    access = {"GET": Rule.VIEWER}

    @operation("project_get", "One project", answer=Project)
    def get(self, request: Request, project: str) -> Response:
        return Response(project_json(self.actor.project, self.actor.role))


class MemberListView(ApiView):
    tag = "projects"
    access = {"GET": Rule.VIEWER}

    @operation("member_list", "Members of a project", answer=listed(Member))
    def get(self, request: Request, project: str) -> Response:
        return list_response([member_json(found) for found in member_list(actor=self.actor)])


class MemberView(ApiView):
    tag = "projects"
    access = {"PUT": Rule.ADMIN, "DELETE": Rule.ADMIN}

    @operation(
        "member_set",
        "Add a user to the project, or change the role",
        request=MemberRequest,
        answer=Member,
        errors=[409],
        examples=[example("A viewer", {"role": "viewer"})],
    )
    def put(self, request: Request, project: str, username: str) -> Response:
        role = self.body(MemberRequest)["role"]
        return Response(member_json(member_set(actor=self.actor, username=username, role=role)))

    @operation("member_remove", "Take a user out of the project", status=204, errors=[409])
    def delete(self, request: Request, project: str, username: str) -> Response:
        """The user's keys in this project stop working at once."""
        member_remove(actor=self.actor, username=username)
        return Response(status=204)


class AccessKeyListView(ApiView):
    tag = "access keys"
    access = {"GET": Rule.VIEWER, "POST": Rule.VIEWER}

    @operation("access_key_list", "One's own access keys; for an administrator all", answer=listed(AccessKey))
    def get(self, request: Request, project: str) -> Response:
        return list_response([access_key_json(key) for key in access_key_list(actor=self.actor)])

    @operation(
        "access_key_create",
        "Make an access key of one's own",
        request=AccessKeyRequest,
        answer=AccessKeyCreated,
        status=201,
        idempotent=True,
        examples=[example("For a notebook", {"description": "notebook", "lifetime_s": 2592000})],
    )
    def post(self, request: Request, project: str) -> Response:
        """The secret is in this answer and in no other."""
        asked = self.body(AccessKeyRequest)
        return self.create_once(lambda: self._create(**asked), hide=["secret", "token"])

    def _create(self, description: str, lifetime_s: int | None) -> dict[str, Any]:
        expires_at = None if lifetime_s is None else clock.now() + timedelta(seconds=lifetime_s)
        key, secret = access_key_create(
            user=self.actor.user,
            project=self.actor.project,
            description=description,
            expires_at=expires_at,
            actor=self.actor,
        )
        return access_key_created_json(key, secret)


class AccessKeyView(ApiView):
    tag = "access keys"
    access = {"DELETE": Rule.VIEWER}

    @operation("access_key_revoke", "End an access key at once", answer=AccessKey)
    def delete(self, request: Request, project: str, key_id: str) -> Response:
        """One's own; any of the project for an administrator. The key stays in the list, as revoked."""
        return Response(access_key_json(access_key_revoke(actor=self.actor, key_id=key_id)))
