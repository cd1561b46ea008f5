"""How large the tuning job of a form is, in words, and what its strategy will do. Pure; shown while it is filled in."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.pricing import Price
from jobs.selectors.tuning_forecast import TypicalJob
from mlplatform.web.forms.tuning_jobs import TuningJobForm
from mlplatform.web.forms.tuning_rows import ParameterRow
from mlplatform.web.templatetags.figures import count, duration_text, significant

FACTOR_DEFAULT = 3
RUNGS_MAX = 12


@dataclass(frozen=True)
class Note:
    """A remark; one that `blocks` has to be seen to before the tuning job can begin."""

    text: str
    blocks: bool = False


@dataclass(frozen=True)
class TuningSize:
    sentence: str
    notes: tuple[Note, ...]


def tuning_size(form: TuningJobForm, *, typical: TypicalJob | None, price: Price | None) -> TuningSize:
    """`12 training jobs, 2 at a time`, with remarks.

    Args:
        typical: How long such jobs took before, where that is known.
        price: Of an hour of the instance type.
    """
    if not form.ranges:
        return TuningSize(
            _("Nothing to tune yet"), (Note(_("Make a range of at least one hyperparameter.")),)
        )
    n = n_jobs(form)
    return TuningSize(_sentence(form, n), tuple(_notes(form, n, typical, price)))


def n_jobs(form: TuningJobForm) -> int | None:
    """How many trials there will be at most; None where only time or a criterion ends it."""
    asked = _number(form.max_jobs)
    points = grid_points(form.ranges) if form.strategy == "Grid" else None
    known = [n for n in (asked, points) if n is not None]
    return min(known) if known else None


def grid_points(rows: list[ParameterRow]) -> int | None:
    """Of all combinations; None while one of the ranges has no definite number of values."""
    sizes = [row.size for row in rows]
    return math.prod(size for size in sizes if size) if all(sizes) else None


def rungs_of(form: TuningJobForm) -> list[int]:
    """The resources after which Hyperband lets only the best go on, and the last."""
    low, high = _number(form.min_resource), _number(form.max_resource)
    factor = _number(form.reduction_factor) or FACTOR_DEFAULT
    if not low or not high or high < low or factor < 2:
        return []
    found = [low]
    while found[-1] * factor < high and len(found) < RUNGS_MAX:
        found.append(found[-1] * factor)
    return [*found, high] if high > found[-1] else found


def _sentence(form: TuningJobForm, n: int | None) -> str:
    parallel = max(1, _number(form.max_parallel_jobs) or 1)
    if n is None:
        return _("As many training jobs as the limits allow, %(parallel)s at a time") % {"parallel": parallel}
    jobs = ngettext("%(n)s training job", "%(n)s training jobs", n) % {"n": count(n)}
    return _("%(jobs)s, %(parallel)s at a time") % {"jobs": jobs, "parallel": min(parallel, max(n, 1))}


def _notes(
    form: TuningJobForm, n: int | None, typical: TypicalJob | None, price: Price | None
) -> Iterator[Note]:
    yield from _space_notes(form)
    yield from {"Grid": _grid, "Random": _random, "Hyperband": _hyperband}.get(form.strategy, _bayesian)(form)
    if form.early_stopping == "Auto" and form.strategy != "Hyperband":
        yield Note(
            _("A job that is worse than the median of those before at the same step is stopped early.")
        )
    if n is not None:
        yield from _forecast(form, n, typical, price)


def _space_notes(form: TuningJobForm) -> Iterator[Note]:
    names = ", ".join(row.name or "?" for row in form.ranges)
    yield Note(
        ngettext(
            "%(n)s hyperparameter varies: %(names)s.",
            "%(n)s hyperparameters vary: %(names)s.",
            len(form.ranges),
        )
        % {"n": len(form.ranges), "names": names}
    )


def _grid(form: TuningJobForm) -> Iterator[Note]:
    points = grid_points(form.ranges)
    if points is None:
        lacking = ", ".join(row.name or "?" for row in form.ranges if not row.size)
        yield Note(
            _("The grid has no definite size: give %(names)s values, or bounds with a step.")
            % {"names": lacking}
        )
        return
    sizes = " × ".join(count(row.size) for row in form.ranges)
    yield Note(_("The grid has %(sizes)s = %(n)s points.") % {"sizes": sizes, "n": count(points)})
    asked = _number(form.max_jobs)
    if asked is not None and asked < points:
        yield Note(_("Only the first %(n)s of them are tried.") % {"n": count(asked)})


def _random(form: TuningJobForm) -> Iterator[Note]:
    yield Note(_("Every trial is drawn at random, whatever the others found; many can run at a time."))


def _bayesian(form: TuningJobForm) -> Iterator[Note]:
    yield Note(
        _("The first trials are drawn at random; those after them go where the values so far promise most.")
    )
    n, parallel = _number(form.max_jobs), _number(form.max_parallel_jobs)
    if n and parallel and parallel * 3 > n:
        yield Note(
            _("With so many at a time there is little to learn from: fewer at a time find better values.")
        )


def _hyperband(form: TuningJobForm) -> Iterator[Note]:
    rungs = rungs_of(form)
    if not rungs:
        yield Note(
            _("Say from which resource to which: the steps that a job may take, such as rounds or epochs.")
        )
        return
    places = ", ".join(count(rung) for rung in rungs[:-1])
    factor = _number(form.reduction_factor) or FACTOR_DEFAULT
    if places:
        yield Note(
            _("About one in %(factor)s goes on after %(places)s steps; the best come to %(last)s.")
            % {"factor": factor, "places": places, "last": count(rungs[-1])}
        )
    if form.resource:
        yield Note(
            _(
                "%(name)s is the resource: each job is given %(last)s of it, or is stopped where others are better."
            )
            % {"name": form.resource, "last": count(rungs[-1])}
        )


def _forecast(form: TuningJobForm, n: int, typical: TypicalJob | None, price: Price | None) -> Iterator[Note]:
    parallel = max(1, _number(form.max_parallel_jobs) or 1)
    if typical is not None:
        total_s = typical.seconds * math.ceil(n / parallel)
        yield Note(
            ngettext(
                "About %(total)s if each takes %(each)s, as the last job of this kind did.",
                "About %(total)s if each takes %(each)s, as the last %(n)s jobs of this kind did.",
                typical.n_jobs,
            )
            % {"total": duration_text(total_s), "each": duration_text(typical.seconds), "n": typical.n_jobs}
        )
    if price is None:
        return
    words = {
        "price": significant(float(price.per_hour)),
        "currency": price.currency,
        "type": form.instance_type,
    }
    if not price.per_hour:
        yield Note(_("%(type)s costs nothing.") % words)
    elif typical is None:
        yield Note(_("%(price)s %(currency)s for each hour of a job on %(type)s.") % words)
    else:
        amount = float(price.per_hour) * typical.seconds * n / 3600
        yield Note(
            _("About %(amount)s %(currency)s at %(price)s %(currency)s an hour.")
            % (words | {"amount": significant(amount, 3)})
        )


def _number(text: str) -> int | None:
    """A positive whole number; None where it is none, which the service will say."""
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 10 else None
