"""Where on the form of an experiment stands what its service has refused. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from mlplatform.core.errors import FieldError
from mlplatform.web.forms.experiments import AT_SIZE, BY_SIZE, COLUMNS


def shared_errors(errors: Mapping[str, str], *, empty: Iterable[str], n_rows: int) -> dict[str, str]:
    """What every row misses is missed among what all have in common, and said there once.

    Args:
        empty: hyperparameters that all could have in common, and for which nothing was given.
    """
    found = dict(errors)
    for name in empty:
        places = [f"configurations.{place}.hyperparameters.{name}" for place in range(n_rows)]
        if (
            places
            and len({errors.get(place) for place in places} - {None}) == 1
            and set(places) <= errors.keys()
        ):
            found[f"hyperparameters.{name}"] = found[places[0]]
            for place in places:
                del found[place]
    return found


def row_errors(errors: Mapping[str, str], place: int) -> dict[str, str]:
    """What is wrong with one row: by column, what belongs to none of them below `more`."""
    prefix = f"configurations.{place}"
    found: dict[str, str] = {}
    for name, message in errors.items():
        if name != prefix and not name.startswith(f"{prefix}."):
            continue
        part = name.removeprefix(prefix).removeprefix(".")
        column = _as_typed(part.removeprefix("hyperparameters."))
        if column in COLUMNS:
            found[column] = message
        else:
            said = f"{column}: {message}" if column not in ("", "hyperparameters") else message
            found["more"] = " ".join(filter(None, (found.get("more"), said)))
    return found


def _as_typed(place: str) -> str:
    """`by_sample_size.200000.name` is typed as `name@200000`."""
    kind, _dot, rest = place.partition(".")
    size, _dot, name = rest.partition(".")
    return f"{name}{AT_SIZE}{size}" if kind == BY_SIZE else place


def errors_below(errors: Mapping[str, str], name: str) -> str:
    """What is wrong with a field and its parts, each once."""
    found = [message for key, message in errors.items() if key == name or key.startswith(f"{name}.")]
    return " ".join(dict.fromkeys(found))


def unplaced(errors: Iterable[FieldError], placed: Iterable[str]) -> list[FieldError]:
    """The errors of no field of the form."""
    whole = tuple(placed)
    return [
        one
        for one in errors
        if one.field not in whole and not one.field.startswith(tuple(f"{name}." for name in whole))
    ]
