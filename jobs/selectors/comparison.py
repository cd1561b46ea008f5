"""Training jobs as runs to be compared, and the curves of their metrics: in few queries, for any number of jobs."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from functools import cache
from itertools import groupby
from operator import itemgetter
from typing import Any, Final

from django.db.models import F, Max, Q
from django.utils.translation import ngettext

from jobs.algorithms.base import AlgorithmSpec
from jobs.algorithms.registry import ALGORITHMS, algorithm_get
from jobs.comparison.runs import Curve, Run, finite_metrics
from jobs.comparison.selection import Candidate, Selection, names_shown
from jobs.metric_points import CHUNK_POINTS, THIN_POINTS, Point, points_joined
from jobs.models import MetricChunk, MetricSummary, TrainingInput, TrainingJob
from jobs.selectors.metrics import POINTS_MAX, chunks_points, points_text, points_thin_text
from jobs.selectors.selected import rows_selected
from jobs.selectors.training import training_jobs_matching
from mlplatform.core.people.access import Actor

CURVE_POINTS_MAX: Final = 50_000
"""Points of all curves of a comparison together; each has its share of them, and at most `POINTS_MAX`."""
_SHARE_MIN: Final = 20
_COLUMNS: Final = [
    "name",
    "status",
    "created_at",
    "started_at",
    "ended_at",
    "algorithm",
    "framework",
    "entry_point",
    "hyperparameters",
    "instance_type",
    "instance_count",
    "environment",
    "final_metrics",
    "billable_s",
]


def training_job_runs(*, actor: Actor, selection: Selection) -> list[Run]:
    """The selected jobs of the project: those named in their order, then those that match, newest first.

    Raises:
        RunsNotFound: A name is not there, or another project's.
        InvalidRequest: More than can be compared, or an unknown status.
    """
    jobs = TrainingJob.objects.filter(project=actor.project).only(*_COLUMNS)
    matching = training_jobs_matching(
        actor=actor, search=selection.search, status=selection.status, algorithm=selection.algorithm
    ).only(*_COLUMNS)
    found = rows_selected(jobs, matching, selection, missing=_missing, name=lambda job: job.name)
    channels: dict[int, dict[str, str]] = defaultdict(dict)
    inputs = TrainingInput.objects.filter(job__in=[job.pk for job in found])
    for job_id, channel, reference, uri in inputs.values_list(
        "job_id", "channel", "dataset_reference", "uri"
    ):
        channels[job_id][channel] = reference or uri
    return [_run(job, channels[job.pk]) for job in found]


def training_job_candidates(
    *, actor: Actor, search: str, besides: Sequence[str], limit: int
) -> list[Candidate]:
    """Jobs that could be compared with those in `besides`: their clones and origins, then the newest."""
    jobs = training_jobs_matching(actor=actor, search=search).exclude(name__in=besides)
    jobs = jobs.only("name", "status", "algorithm", "created_at").order_by("-created_at", "-pk")
    mine = TrainingJob.objects.filter(project=actor.project, name__in=besides)
    origins = mine.exclude(cloned_from="").values("cloned_from")
    kin = list(jobs.filter(Q(cloned_from__in=besides) | Q(name__in=origins))[:limit]) if besides else []
    others = jobs.exclude(pk__in=[job.pk for job in kin])[: limit - len(kin)]
    return [
        Candidate(job.name, job.status, job.algorithm, job.created_at, related=related)
        for related, found in ((True, kin), (False, others))
        for job in found
    ]


def training_job_curve_metrics(*, actor: Actor, names: Sequence[str]) -> dict[str, int]:
    """The metrics of these jobs that have points, with the number of points of the longest, longest first."""
    summaries = MetricSummary.objects.filter(job__project=actor.project, job__name__in=names, n_points__gt=0)
    longest = summaries.order_by().values_list("name").annotate(longest=Max("n_points"))
    return dict(sorted(longest, key=lambda found: (-found[1], found[0])))


def training_job_curves(*, actor: Actor, names: Sequence[str], metric: str) -> list[Curve]:
    """One metric of each job by step, in the order of `names`; jobs without a point of it are left out.

    All together have at most `CURVE_POINTS_MAX` points, with the extremes kept.
    """
    jobs = {"job__project": actor.project, "job__name__in": names, "name": metric}
    counts = dict(MetricSummary.objects.filter(**jobs).values_list("job__name", "n_points"))
    share = max(min(CURVE_POINTS_MAX // max(len(counts), 1), POINTS_MAX), _SHARE_MIN)
    points: dict[str, list[Point]] = {}
    long = [name for name, n_points in counts.items() if n_points * THIN_POINTS >= 2 * share * CHUNK_POINTS]
    chunks = MetricChunk.objects.filter(**jobs).order_by("job_id", "first_step")
    for part, text in (
        (chunks.exclude(job__name__in=long), points_text()),
        (chunks.filter(job__name__in=long), points_thin_text()),
    ):
        read = groupby(chunks_points(part.values_list(F("job__name"), text)), key=itemgetter(0))
        for name, group in read:
            chunk_points = (chunk for _name, chunk in group)
            points[name] = points_joined(chunk_points, n_points=counts.get(name, 0), limit=share)
    return [
        Curve(name, [(step, value) for _at, step, value in points[name]])
        for name in dict.fromkeys(names)
        if points.get(name)
    ]


def _run(job: TrainingJob, channels: Mapping[str, str]) -> Run:
    hyperparameters, defaults = _hyperparameters(job)
    parameters = {
        "algorithm": job.algorithm,
        **({"framework": job.framework, "entry_point": job.entry_point} if job.framework else {}),
        **{f"hyperparameters.{name}": value for name, value in hyperparameters.items()},
        **{f"channels.{channel}": channels[channel] for channel in sorted(channels, reverse=True)},
        "instance_type": job.instance_type,
        "instance_count": str(job.instance_count),
        **{f"environment.{name}": str(value) for name, value in job.environment.items()},
    }
    duration_s = (job.ended_at - job.started_at).total_seconds() if job.started_at and job.ended_at else None
    return Run(
        name=job.name,
        status=job.status,
        ended=job.ended,
        created_at=job.created_at,
        about=job.algorithm,
        parameters=parameters,
        metrics=finite_metrics({**job.final_metrics, "duration_s": duration_s, "billable_s": job.billable_s}),
        defaults=frozenset(f"hyperparameters.{name}" for name in defaults),
        directions=_directions(job.algorithm),
    )


def _hyperparameters(job: TrainingJob) -> tuple[dict[str, str], frozenset[str]]:
    """What holds in the job, in the order of the declaration; and the names of those that are defaults.

    A default counts where the hyperparameter is not given, is not hidden and matters.
    """
    given = {name: str(value) for name, value in job.hyperparameters.items()}
    spec = _spec(job.algorithm)
    declared = spec.hyperparameters if spec else ()
    every = {one.name: str(one.default) for one in declared if one.default is not None} | given
    defaults = frozenset(
        one.name
        for one in declared
        if one.name in every and one.name not in given and not one.hidden and one.relevant(every)
    )
    names = [one.name for one in declared if one.name in given or one.name in defaults]
    return {name: every[name] for name in [*names, *given]}, defaults


@cache
def _directions(algorithm: str) -> dict[str, Any]:
    spec = _spec(algorithm)
    declared = {metric.name: metric.direction for metric in spec.metrics} if spec else {}
    return {"duration_s": "Minimize", "billable_s": "Minimize", **declared}


def _spec(algorithm: str) -> AlgorithmSpec | None:
    """None for an algorithm that is no longer there."""
    return algorithm_get(algorithm) if algorithm in ALGORITHMS else None


def _missing(names: list[str]) -> str:
    return ngettext(
        "There is no training job named %(names)s", "There are no training jobs named %(names)s", len(names)
    ) % {"names": names_shown(names)}
