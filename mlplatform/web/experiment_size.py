"""How large the experiment of a form is, in words, and what stands in its way. Pure; shown while it is filled in."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass

from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from jobs.instance_types import InstanceType, instance_type_list
from mlplatform.web.forms.experiments import ExperimentForm
from mlplatform.web.templatetags.figures import count


@dataclass(frozen=True)
class Note:
    """A remark; one that `blocks` has to be seen to before the experiment can begin."""

    text: str
    blocks: bool = False


@dataclass(frozen=True)
class GridSize:
    sentence: str
    notes: tuple[Note, ...]


def grid_size(form: ExperimentForm, *, served: Collection[str], limit: int) -> GridSize:
    """`8 cells: 4 training jobs, 8 endpoints, 8 evaluations`, with remarks.

    Args:
        served: queues of the hosts that are alive.
        limit: how many cells an experiment may have.
    """
    if not form.n_cells:
        return GridSize(_("No cell yet"), (Note(_missing(form)),))
    return GridSize(_sentence(form, served), tuple(_notes(form, served, limit)))


def _sentence(form: ExperimentForm, served: Collection[str]) -> str:
    skipped = len(_unserved(form, served)) * form.n_training_jobs if form.unserved == "skip" else 0
    cells = form.n_cells - skipped
    jobs = form.n_training_jobs if cells else 0
    parts = {
        "cells": ngettext("%(n)s cell", "%(n)s cells", cells) % {"n": count(cells)},
        "jobs": ngettext("%(n)s training job", "%(n)s training jobs", jobs) % {"n": count(jobs)},
        "endpoints": ngettext("%(n)s endpoint", "%(n)s endpoints", cells) % {"n": count(cells)},
        "evaluations": ngettext("%(n)s evaluation", "%(n)s evaluations", cells) % {"n": count(cells)},
    }
    if skipped:
        parts["skipped"] = count(skipped)
        return _("%(cells)s: %(jobs)s, %(endpoints)s, %(evaluations)s, and %(skipped)s skipped") % parts
    return _("%(cells)s: %(jobs)s, %(endpoints)s, %(evaluations)s") % parts


def _unserved(form: ExperimentForm, served: Collection[str]) -> list[InstanceType]:
    return [
        one for one in instance_type_list() if one.name in form.instance_types and one.queue not in served
    ]


def _missing(form: ExperimentForm) -> str:
    if not form.configurations:
        return _("Add a configuration.")
    return _("Choose an instance type.")


def _notes(form: ExperimentForm, served: Collection[str], limit: int) -> Iterator[Note]:
    too_many = form.n_cells > limit
    quota = ngettext(
        "An experiment may have %(limit)s cell.", "An experiment may have %(limit)s cells.", limit
    )
    yield Note(quota % {"limit": count(limit)}, blocks=too_many)
    if form.parallelism.isdecimal() and len(form.parallelism) < 6:
        n_at_once = min(int(form.parallelism), form.n_cells)
        yield Note(
            ngettext(
                "%(n)s cell at a time; its endpoint is deleted once it is measured.",
                "%(n)s cells at a time; their endpoints are deleted once they are measured.",
                n_at_once,
            )
            % {"n": count(n_at_once)}
        )
    unserved = _unserved(form, served)
    if unserved:
        yield Note(_unserved_words(form, unserved))


def _unserved_words(form: ExperimentForm, unserved: list[InstanceType]) -> str:
    n = len(unserved) * form.n_training_jobs
    given = {"n": count(n), "types": ", ".join(one.name for one in unserved)}
    if form.unserved == "skip":
        return (
            ngettext(
                "%(n)s cell is skipped unless somebody serves %(types)s by then.",
                "%(n)s cells are skipped unless somebody serves %(types)s by then.",
                n,
            )
            % given
        )
    return (
        ngettext(
            "%(n)s cell waits until somebody serves %(types)s.",
            "%(n)s cells wait until somebody serves %(types)s.",
            n,
        )
        % given
    )
