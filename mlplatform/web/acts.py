"""What each page that changes something does, in the audit log's words: for attempts that are refused.

What succeeds is audited by the service itself. A test walks the URL table and fails for a page that takes a post and
is in none of the two tables here, and for one whose event has another name.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from django.http import HttpRequest

ACTIONS: Final = {
    "project-new": "project.create",
    "member-list": "member.set",
    "member-remove": "member.remove",
    "access-key-new": "access_key.create",
    "access-key-revoke": "access_key.revoke",
    "dataset-new": "dataset.create",
    "dataset-version-new": "dataset_version.create",
    "dataset-label": "dataset.update",
    "dataset-split": "dataset.split",
    "dataset-delete": "dataset.delete",
    "training-job-new": "training_job.create",
    "training-job-stop": "training_job.stop",
    "training-job-delete": "training_job.delete",
    "training-job-deploy": "endpoint.create",
    "tuning_job_new": "tuning_job.create",
    "tuning_job_stop": "tuning_job.stop",
    "tuning_job_extend": "tuning_job.extend",
    "tuning_job_delete": "tuning_job.delete",
    "model-new": "model.create",
    "model-delete": "model.delete",
    "endpoint-new": "endpoint.create",
    "endpoint-edit": "endpoint.update",
    "endpoint-weights": "endpoint.update",
    "endpoint-delete": "endpoint.delete",
    "endpoint-capture": "data_capture.update",
    "endpoint-table": "table_run.create",
    "transform_job_new": "transform_job.create",
    "transform_job_stop": "transform_job.stop",
    "transform_job_delete": "transform_job.delete",
    "transform_job_dataset": "dataset.create",
    "evaluation-new": "evaluation.create",
    "evaluation-stop": "evaluation.stop",
    "evaluation-delete": "evaluation.delete",
    "experiment-new": "experiment.create",
    "experiment-stop": "experiment.stop",
    "experiment-resume": "experiment.resume",
    "experiment-delete": "experiment.delete",
    "price-sheet": "price_sheet.update",
    "password": "password.change",
    "sign-out-everywhere": "session.delete_all",
    "login": "session.create",
    "logout": "session.delete",
}
NOT_AUDITED: Final = frozenset(
    {"preferences", "language", "theme", "endpoint-invoke", "endpoint-async", "training-job-metric-test"}
)
"""Pages that take a post and change nobody's rights and nothing of a project: taste, predictions, trying out."""
READS: Final = {"audit-event-list": "audit_event.list", "audit-event-download": "audit_event.list"}
"""Pages that not everybody may read."""


@dataclass(frozen=True)
class Act:
    action: str
    target: str


def act_of(request: HttpRequest) -> Act | None:
    """What the request tries to do; None where it only reads what any member may read."""
    match = request.resolver_match
    if match is None:
        return None
    table = ACTIONS if request.method == "POST" else READS
    action = table.get(match.url_name or "")
    named = (match.kwargs.get(place) for place in ("name", "username", "key_id"))
    return Act(action, next((name for name in named if name), "")) if action else None
