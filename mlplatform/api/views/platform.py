"""Health and workers: what the installation is and whether it is well."""

from __future__ import annotations

from dataclasses import asdict

from rest_framework.request import Request
from rest_framework.response import Response

from mlplatform.api.auth import Rule
from mlplatform.api.base import ApiView, list_response
from mlplatform.api.health import health, overall
from mlplatform.api.presenters.platform import worker_json
from mlplatform.api.schema import operation
from mlplatform.api.serializers.lists import listed
from mlplatform.api.serializers.platform import DoctorReport, Health, Worker
from mlplatform.core.health.doctor import doctor_report
from mlplatform.core.health.doctor_text import doctor_json
from mlplatform.core.models import Node
from mlplatform.core.translation import translated

DOCTOR_KEPT_S = 5.0


class HealthView(ApiView):
    tag = "platform"
    access = {"GET": Rule.PUBLIC}
    authentication_classes = []

    @operation("health", "Whether the parts of the platform answer", answer=Health)
    def get(self, request: Request) -> Response:
        """200 also when something is not in order: the body says what. Checked at most once a second."""
        components = health()
        body = {name: asdict(component) for name, component in components.items()}
        return Response({"status": overall(components), "components": body})


class WorkerListView(ApiView):
    tag = "platform"
    access = {"GET": Rule.SIGNED_IN}

    @operation("worker_list", "Workers, hosts, gateways and schedulers", answer=listed(Worker))
    def get(self, request: Request) -> Response:
        return list_response([worker_json(node) for node in Node.objects.all()])


class DoctorView(ApiView):
    tag = "platform"
    access = {"GET": Rule.OPERATOR}

    @operation("doctor", "What is wrong with the installation, and what to do about it", answer=DoctorReport)
    def get(self, request: Request) -> Response:
        """For operators: staff, by session or with a key of theirs. 200 also when something is wrong; the worst
        finding comes first. Looked for at most every five seconds. No object of a project is named.
        """
        return Response(doctor_json(doctor_report(max_age_s=DOCTOR_KEPT_S), say=translated))
