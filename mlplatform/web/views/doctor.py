"""The doctor's page for operators, and the mark that leads to it from every page of theirs."""

from __future__ import annotations

from dataclasses import dataclass

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.views.decorators.http import require_GET

from mlplatform.core.health.doctor import Finding, Level, Report, doctor_report
from mlplatform.core.health.doctor_text import doctor_text
from mlplatform.core.text import Text
from mlplatform.web.access import page_operator
from mlplatform.web.rendering import page_response

KEPT_S = 5.0
MARK_KEPT_S = 30.0


@dataclass(frozen=True)
class FindingRow:
    title: Text | str
    finding: Finding


@require_GET
def doctor(request: HttpRequest) -> HttpResponse:
    page_operator(request)
    report = doctor_report(max_age_s=0.0 if "now" in request.GET else KEPT_S)
    context = {
        "report": report,
        "failed": _rows(report, Level.FAILED),
        "warnings": _rows(report, Level.WARNING),
        "in_order": _rows(report, Level.OK),
        "text": doctor_text(report),
    }
    return page_response(request, "doctor/page.html", context)


@require_GET
def doctor_mark(request: HttpRequest) -> HttpResponse:
    """What the navigation shows beside the link: nothing while all is well."""
    page_operator(request)
    return render(request, "doctor/_mark.html", {"report": doctor_report(max_age_s=MARK_KEPT_S)})


def _rows(report: Report, level: Level) -> list[FindingRow]:
    return [
        FindingRow(report.titles.get(finding.check, finding.check), finding)
        for finding in report.findings
        if finding.level == level
    ]
