"""The price sheet: everybody reads it, operators change it."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from jobs.instance_types import instance_type_list
from jobs.pricing import CURRENCY_SHIPPED, SERVERLESS, prices_shipped
from jobs.selectors.prices import price_sheet, price_sheet_history
from jobs.services.prices import price_sheet_update
from mlplatform.core.errors import InvalidRequest
from mlplatform.core.people.access import is_operator
from mlplatform.core.translation import translated
from mlplatform.web.access import page_operator, page_user
from mlplatform.web.rendering import page_response


@require_http_methods(["GET", "POST"])
def price_sheet_page(request: HttpRequest) -> HttpResponse:
    """The sheet as a form. A field left as it is shipped, or empty, is not said by the sheet."""
    page_user(request)
    sheet = price_sheet()
    said = dict(sheet.prices) if sheet else {}
    currency = sheet.currency if sheet else CURRENCY_SHIPPED
    if request.method == "GET":
        return _page(request, currency, said, "", {})
    user = page_operator(request)
    currency, note = request.POST.get("currency", "").strip(), request.POST.get("note", "")
    given = {item: request.POST.get(f"price:{item}", "").strip() for item in prices_shipped()}
    shipped = {item: format(price, "f") for item, price in prices_shipped().items()}
    prices = {item: text for item, text in given.items() if text and text != shipped[item]}
    try:
        price_sheet_update(user=user, currency=currency, prices=prices, note=note)
    except InvalidRequest as error:
        errors = {problem.field: translated(problem.message) for problem in error.errors}
        return _page(request, currency, given, note, errors, status=400)
    messages.success(request, _("The price sheet holds from now on. What has ended keeps its price."))
    return redirect("web:price-sheet")


def _page(
    request: HttpRequest,
    currency: str,
    said: dict[str, str],
    note: str,
    errors: dict[str, str],
    status: int = 200,
) -> HttpResponse:
    kinds = {kind.name: kind for kind in instance_type_list()}
    rows = [
        {
            "item": item,
            "kind": kinds.get(item),
            "price": said.get(item) or format(price, "f"),
            "shipped": format(price, "f"),
            "error": errors.get(f"prices.{item}", ""),
        }
        for item, price in prices_shipped().items()
    ]
    context = {
        "rows": rows,
        "serverless": SERVERLESS,
        "currency": currency,
        "note": note,
        "errors": errors,
        "may_change": is_operator(request.user),
        "history": price_sheet_history(),
    }
    return page_response(request, "prices/page.html", context, status=status)
