"""A table of results as an answer: JSON, or a CSV file."""

from __future__ import annotations

from django.http import HttpResponseBase
from rest_framework.response import Response

from mlplatform.core.downloads import DownloadResponse
from mlplatform.core.result_table import ResultTable

CSV = "text/csv"


def table_response(table: ResultTable, *, form: str, stem: str) -> HttpResponseBase:
    """The table.

    Args:
        form: json or csv.
        stem: Name of the file, without its ending.
    """
    if form == "json":
        return Response(table.to_json())
    chunks = table.to_csv(bom=False)
    return DownloadResponse(chunks, filename=f"{stem}.csv", content_type=f"{CSV}; charset=utf-8")
