"""What a request about a dataset may say, beside the file itself. Called by the dataset services only."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from django.utils.translation import gettext as _

from jobs.data.fractions import fractions_check
from jobs.models import DatasetVersion
from jobs.services.dataset_publish import name_free_check
from mlplatform.core import names
from mlplatform.core.errors import Conflict, FieldError, InvalidRequest
from mlplatform.core.people.access import Actor

DESCRIPTION_MAX: Final = 10_000
TAGS_MAX: Final = 50
PARTS_MAX: Final = 10


def new_check(actor: Actor, name: str, description: str) -> None:
    name_free_check(actor=actor, name=name)
    description_check(description)


def description_check(description: str) -> None:
    if len(description) > DESCRIPTION_MAX:
        raise InvalidRequest.for_field(
            "description",
            _("has %(n)s characters; use at most %(limit)s")
            % {"n": len(description), "limit": DESCRIPTION_MAX},
        )


def tags_check(tags: Mapping[str, str]) -> None:
    if len(tags) > TAGS_MAX:
        raise InvalidRequest.for_field("tags", f"there are {len(tags)}; use at most {TAGS_MAX}")
    for key, value in tags.items():
        if not isinstance(value, str) or not 1 <= len(key) <= 128 or len(value) > 256:
            raise InvalidRequest.for_field(
                f"tags.{key[:128]}", _("use a key of 1 to 128 characters and a text of at most 256")
            )


def split_names(actor: Actor, version: DatasetVersion, fractions: Mapping[str, float]) -> dict[str, str]:
    """Name of the dataset of each part. Raises InvalidRequest, Conflict."""
    fractions_check(fractions)
    if len(fractions) > PARTS_MAX:
        raise InvalidRequest.for_field(
            "fractions",
            _("there are %(n)s; use at most %(limit)s") % {"n": len(fractions), "limit": PARTS_MAX},
        )
    found: dict[str, str] = {}
    for part in fractions:
        target = f"{version.dataset.name}-{part}"
        names.name_check(part, field=f"fractions.{part[:63]}")
        names.name_check(target, field=f"fractions.{part[:63]}")
        try:
            name_free_check(actor=actor, name=target)
        except Conflict as error:
            raise Conflict(error.message, errors=[FieldError(f"fractions.{part}", error.message)]) from None
        found[part] = target
    return found


def seed_check(seed: int) -> None:
    if not 0 <= seed < 2**32:
        raise InvalidRequest.for_field("seed", f"{seed} is out of range; use 0 to {2**32 - 1}")
