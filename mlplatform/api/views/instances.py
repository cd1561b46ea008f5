"""Instance types: what a job or a replica may run on, and how many of each a project uses now."""

from __future__ import annotations

from rest_framework.request import Request
from rest_framework.response import Response

from jobs.selectors.instances import instance_type_usage
from jobs.selectors.prices import instance_types_priced
from mlplatform.api.auth import Rule, member_of
from mlplatform.api.base import ApiView, list_response
from mlplatform.api.presenters.platform import instance_type_json
from mlplatform.api.schema import operation
from mlplatform.api.serializers.lists import listed
from mlplatform.api.serializers.platform import InstanceType, InstanceTypeQuery
from mlplatform.core.models import NodeKind
from mlplatform.core.nodes import queues_served
from mlplatform.core.people.access import Actor


class InstanceTypeListView(ApiView):
    tag = "platform"
    access = {"GET": Rule.SIGNED_IN}

    @operation(
        "instance_type_list",
        "Instance types, with how many are in use",
        answer=listed(InstanceType),
        query=InstanceTypeQuery,
        errors=[404],
    )
    def get(self, request: Request) -> Response:
        project_name = self.query(InstanceTypeQuery).get("project")
        actor = member_of(request, project_name) if project_name else request.auth
        in_use = instance_type_usage(project=actor.project) if isinstance(actor, Actor) else None
        workers, hosts = queues_served(), queues_served(kind=NodeKind.HOST)
        return list_response(
            [
                instance_type_json(item, in_use=in_use, workers=workers, hosts=hosts)
                for item in instance_types_priced()
            ]
        )
