"""Whether an algorithm accepts what a tuning job would give its training jobs: names, ends of ranges, and what follows
from the data. Called by `tuning_checks` before anything is stored.

A range is tried at its ends and in its middle, with all others in their middle, by the declaration that also checks a
training job. Trials that are refused all the same, for a combination, are counted as failed and the rest goes on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from jobs.algorithms.base import AlgorithmSpec, DataFacts
from jobs.algorithms.hyperparameters import Categorical, Continuous, Hyperparameter, Integer
from jobs.tuning.ranges import CategoricalRange, ContinuousRange, IntegerRange, Range
from mlplatform.core.errors import FieldError, InvalidRequest
from mlplatform.core.text import text as _
from mlplatform.core.text import text_of

_PREFIX = "hyperparameters."


def declared_of(spec: AlgorithmSpec, texts: Mapping[str, str]) -> dict[str, Hyperparameter]:
    """The algorithm's hyperparameters by name, given those of a request; none of an open one's."""
    return {declared.name: declared for declared in (*spec.hyperparameters, *spec.further(texts))}


def hyperparameters_check(
    *,
    spec: AlgorithmSpec,
    facts: DataFacts,
    static: Mapping[str, str],
    ranges: Sequence[Range],
    places: Mapping[str, int],
    errors: list[FieldError],
) -> None:
    """Adds what is wrong, under `static_hyperparameters.<name>` and `ranges.<place>.<field>`.

    Args:
        places: Where in the request each range is, by its hyperparameter.
    """
    n_before = len(errors)
    for found in ranges:
        if found.name in static:
            message = _("has a range too; a hyperparameter is either static or tuned")
            errors.append(FieldError(f"static_hyperparameters.{found.name[:80]}", message))
    if spec.is_open:
        return
    middle = {found.name: _middle(found) for found in ranges}
    declared = declared_of(spec, {**middle, **static})
    for found in ranges:
        errors += _range_errors(spec, declared, found, places[found.name])
    if len(errors) > n_before:
        return
    known = {error.field for error in errors}
    for error in _together(spec, facts, static, ranges, middle, places):
        if error.field not in known:
            known.add(error.field)
            errors.append(error)


def _range_errors(
    spec: AlgorithmSpec, declared: Mapping[str, Hyperparameter], found: Range, place: int
) -> Iterator[FieldError]:
    """Whether the algorithm has such a hyperparameter, lets it be tuned, and takes every value of the range."""
    one = declared.get(found.name)
    if one is None:
        # Said as the algorithm says it of a training job, with the nearest name.
        try:
            spec.validate({found.name: ""})
        except InvalidRequest as error:
            said = [wrong.message for wrong in error.errors if wrong.field == f"{_PREFIX}{found.name[:80]}"]
            yield FieldError(f"ranges.{place}.name", said[0] if said else error.message)
        return
    if not one.tunable:
        names = ", ".join(name for name, known in declared.items() if known.tunable)
        message = (
            _("cannot be tuned; {algorithm} lets {names} be tuned", algorithm=spec.name, names=names)
            if names
            else _("cannot be tuned; {algorithm} has nothing to tune", algorithm=spec.name)
        )
        yield FieldError(f"ranges.{place}.name", message)
        return
    if isinstance(found, ContinuousRange) and isinstance(one, Integer):
        message = _("{name} takes whole numbers; use Integer", name=found.name)
        yield FieldError(f"ranges.{place}.type", message)
        return
    if not isinstance(found, CategoricalRange) and not isinstance(one, Integer | Continuous):
        accepted = one.accepts() if isinstance(one, Categorical) else one.type
        message = _("{name} is no number; use Categorical ({accepted})", name=found.name, accepted=accepted)
        yield FieldError(f"ranges.{place}.type", message)
        return
    for field, text in _ends(found):
        try:
            one.parse(text)
        except ValueError as error:
            yield FieldError(f"ranges.{place}.{field}", text_of(error))


def _together(
    spec: AlgorithmSpec,
    facts: DataFacts,
    static: Mapping[str, str],
    ranges: Sequence[Range],
    middle: Mapping[str, str],
    places: Mapping[str, int],
) -> Iterator[FieldError]:
    """What the algorithm says of the middle of everything, and of each range's ends while the others are in theirs."""
    tuned = {found.name: found for found in ranges}
    for name, message in _said(spec, facts, {**static, **middle}):
        field = f"ranges.{places[name]}" if name in tuned else f"static_hyperparameters.{name}"
        yield FieldError(field, message)
    for found in ranges:
        for field, text in _ends(found):
            for name, message in _said(spec, facts, {**static, **middle, found.name: text}):
                if name == found.name:
                    yield FieldError(f"ranges.{places[name]}.{field}", message)


def _said(spec: AlgorithmSpec, facts: DataFacts, texts: Mapping[str, str]) -> list[tuple[str, str]]:
    try:
        spec.validate(texts, facts)
    except InvalidRequest as error:
        return [(wrong.field.removeprefix(_PREFIX), wrong.message) for wrong in error.errors]
    return []


def _ends(found: Range) -> list[tuple[str, str]]:
    """The field of the request and the hyperparameter as text, of each value that decides whether all are accepted."""
    match found:
        case CategoricalRange(_name, choices):
            return [("values", choice) for choice in choices]
        case IntegerRange(_name, low, high):
            return [("min", str(low)), ("max", str(high))]
        case ContinuousRange(_name, low, high):
            return [("min", repr(low)), ("max", repr(high))]
    raise AssertionError(found)


def _middle(found: Range) -> str:
    match found:
        case CategoricalRange(_name, choices):
            return choices[0]
        case IntegerRange(_name, low, high, _scaling, step):
            return str(low + (high - low) // step // 2 * step)
        case ContinuousRange(_name, low, high):
            return repr((low + high) / 2)
    raise AssertionError(found)
