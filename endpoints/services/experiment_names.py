"""Names of what an experiment makes: readable, in lists that are not the experiment's own, and free.

`trade-off-IVFPQ-500000-ml-c5-xlarge`: experiment, configuration, sample size and instance type; from the second attempt
on its number. Where that is too long or somebody else's, a piece of the experiment's id ends it, and where even the
configuration is cut, the number of the cell.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from django.db.models import Model

from endpoints.models import Experiment
from mlplatform.core.names import NAME_MAX_LENGTH

_TAIL: Final = 6


def name_free(
    table: type[Model], experiment: Experiment, cell: Mapping[str, Any], *, with_type: bool = True
) -> str:
    """The name of something of `table` for this attempt of a cell.

    Args:
        with_type: It is of this instance type; what several cells share is not.
    """
    parts = [experiment.name, cell["configuration"]]
    parts += [str(cell["sample_size"])] if cell["sample_size"] else []
    parts += [cell["instance_type"].replace(".", "-").replace("_", "-")] if with_type else []
    parts += [str(cell["attempt"])] if cell["attempt"] > 1 else []
    plain = "-".join(parts)
    if len(plain) <= NAME_MAX_LENGTH and not _taken(table, experiment, plain):
        return plain
    return _with_tail(experiment, parts, cell["position"])


def _with_tail(experiment: Experiment, parts: list[str], number: int) -> str:
    """The same as short as it must be: what tells cells apart is kept, the experiment's name is cut."""
    first, *rest = parts
    end = "-".join([*rest, experiment.uid[:_TAIL]])
    room = NAME_MAX_LENGTH - len(end) - 1
    stem = first[: max(room, 0)].rstrip("-")
    if stem:
        return f"{stem}-{end}"
    # What is cut here may be all in which two configurations differ.
    return f"{end}-{number}"[-NAME_MAX_LENGTH:].lstrip("-")


def _taken(table: type[Model], experiment: Experiment, name: str) -> bool:
    return table._default_manager.filter(project=experiment.project, name=name).exists()
