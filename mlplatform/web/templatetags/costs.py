"""Amounts of money, and what they were spent on, in templates."""

from __future__ import annotations

from decimal import Decimal
from typing import Any

from django import template
from django.template.context import RequestContext
from django.utils.formats import localize, number_format
from django.utils.html import format_html
from django.utils.safestring import SafeString
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from endpoints.selectors.cost_table import SPENDERS
from endpoints.selectors.costs import Spender, Spent
from jobs.pricing import Cost
from jobs.selectors.prices import prices_now
from mlplatform.core.translation import translated
from mlplatform.web.templatetags.figures import MISSING

register = template.Library()

_PLACES = Decimal("0.01")


@register.filter
def money(cost: Cost | None) -> str:
    """`1.25 USD`; what is less than a tenth of a unit with three significant digits, as `0.00567 USD`."""
    if cost is None:
        return MISSING
    if cost.amount is None:
        return _("in several currencies")
    return f"{_amount(cost.amount)} {cost.currency}"


@register.simple_tag
def currency() -> str:
    """Of the price sheet that holds."""
    return prices_now().currency


@register.filter
def price_text(price: Any) -> str:
    """A price of an hour with all its digits."""
    return MISSING if price is None else format(Decimal(str(price)).normalize(), "f")


@register.simple_tag
def spender_word(kind: Spender) -> str:
    return str(translated(SPENDERS[kind]))


@register.simple_tag(takes_context=True)
def spender_link(context: RequestContext, one: Spent) -> SafeString | str:
    """The name, as a link where it still is."""
    if not one.exists:
        return format_html('{} <span class="small soft">{}</span>', one.name, _("deleted"))
    return format_html('<a href="{}{}/">{}</a>', context["folders"][one.kind], one.name, one.name)


@register.simple_tag
def spender_number(one: Spent) -> SafeString | str:
    """Of how many jobs or model servers it is, where there are several."""
    if one.n < 2:
        return ""
    if one.kind is Spender.ENDPOINT:
        words = ngettext("%(n)s model server", "%(n)s model servers", one.n)
    else:
        words = ngettext("%(n)s job", "%(n)s jobs", one.n)
    return format_html('<span class="sub">{}</span>', words % {"n": localize(one.n)})


def _amount(amount: Decimal) -> str:
    if amount == 0:
        return "0"
    if amount >= Decimal("0.1"):
        return number_format(amount.quantize(_PLACES), decimal_pos=2, force_grouping=True)
    digits = 2 - amount.adjusted()
    return number_format(round(amount, min(digits, 9)), decimal_pos=min(digits, 9))
