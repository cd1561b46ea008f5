"""What an algorithm is: a declaration (`AlgorithmSpec`) that everybody may read, and an engine that only job
processes and model servers load.

Not a registry (see `registry.py`) and not a job process (see `jobs.runner`). The declaration imports nothing
heavy; numpy and the machine-learning libraries come in only when `engine_load` is called.
"""

from __future__ import annotations

import difflib
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol

from jobs.algorithms.hyperparameters import Hyperparameter
from mlplatform.core.errors import DataError, FieldError, InvalidRequest
from mlplatform.core.text import text as _
from mlplatform.core.text import text_of

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from mlplatform.core.tabular.schema import Batch

Prediction = dict[str, "NDArray[Any]"]
"""Columns of one value (or one row of values) per input row, under the service's field names."""


@dataclass(frozen=True)
class DataFacts:
    """What is known of the training data: before submit from the dataset's profile, at run time from what was
    read.

    A part that is not known (yet) is None, and rules that need it are not applied.
    """

    n_rows: int | None = None
    n_features: int | None = None
    n_classes: int | None = None
    feature_types: tuple[str, ...] = ()
    label_is_text: bool = False


UNLABELLED_CONTENT_TYPES: Final = (
    "text/csv",
    "text/csv;label_size=0",
    "application/x-parquet",
    "application/jsonlines",
)
"""Of a channel whose rows need no label: the service's CSV may then begin with the first feature."""
LIBSVM: Final = ("text/libsvm", "text/x-libsvm")
LABELLED_CONTENT_TYPES: Final = ("text/csv", "application/x-parquet", "application/jsonlines", *LIBSVM)


@dataclass(frozen=True)
class Channel:
    """One channel; without `content_types` it takes any."""

    name: str
    help: str
    required: bool = False
    content_types: tuple[str, ...] = LABELLED_CONTENT_TYPES
    input_modes: tuple[str, ...] = ("File", "Pipe")


@dataclass(frozen=True)
class Metric:
    """A metric that the algorithm writes to its log; `regex` has one group, the value."""

    name: str
    regex: str
    direction: Literal["Maximize", "Minimize"]
    help: str = ""


@dataclass(frozen=True)
class LabelFacts:
    """What a dataset's labels look like, for values to begin with.

    Args:
        is_classes: Few whole numbers or texts, rather than amounts.
        n_distinct: How many there are.
        largest: The largest, where they are numbers or stand for numbers.
    """

    is_classes: bool
    n_distinct: int = 0
    largest: float | None = None

    @property
    def n_from_zero(self) -> int:
        """How many classes there are for who counts them from 0 to the largest label."""
        return max(self.n_distinct, 0 if self.largest is None else int(self.largest) + 1)


Rules = Callable[[Mapping[str, Any], DataFacts], Iterable[tuple[str, str]]]
"""Checks between hyperparameters, and of hyperparameters against data: yields (hyperparameter, message)."""

PredictorType = Literal["classifier", "regressor"]
Predicts = Callable[[Mapping[str, Any]], PredictorType | None]
"""What a model with these hyperparameters predicts; None: no label, so that nothing can be compared with labels."""

Suggests = Callable[[LabelFacts], Mapping[str, str]]
"""Hyperparameters that fit such labels."""

Further = Callable[[Mapping[str, str]], Sequence[Hyperparameter]]
"""Declarations beside those that always hold, for the hyperparameters of one request; takes any text, never raises."""


def predictor_type_declared(values: Mapping[str, Any]) -> PredictorType | None:
    """As the hyperparameter `predictor_type` says it."""
    found = values.get("predictor_type")
    return found if found in ("classifier", "regressor") else None


def predictor_type_suggested(labels: LabelFacts) -> Mapping[str, str]:
    """For a hyperparameter `predictor_type` with the values classifier and regressor."""
    return {"predictor_type": "classifier" if labels.is_classes else "regressor"}


@dataclass(frozen=True, kw_only=True)
class AlgorithmSpec:
    """The declaration of one algorithm."""

    name: str
    title: str
    summary: str
    engine: str
    hyperparameters: Sequence[Hyperparameter]
    channels: Sequence[Channel]
    metrics: Sequence[Metric]
    request_content_types: Sequence[str]
    response_content_types: Sequence[str]
    rules: Rules = lambda values, facts: ()
    predicts: Predicts = predictor_type_declared
    suggests: Suggests = lambda labels: {}
    further: Further = lambda given: ()
    label: Literal["required", "optional", "none"] = "required"
    open_channel: Channel | None = None
    absent: Literal["zero", "missing"] = "zero"
    """What a row of a sparse format has where it says nothing."""

    @property
    def is_open(self) -> bool:
        """Whether it takes any hyperparameter and any channel, as a script does: only that knows what they are."""
        return self.open_channel is not None

    def hyperparameter(self, name: str) -> Hyperparameter:
        """The declaration named `name`. Raises KeyError."""
        for declared in self.hyperparameters:
            if declared.name == name:
                return declared
        raise KeyError(name)

    def validate(self, hyperparameters: Mapping[str, str], facts: DataFacts | None = None) -> dict[str, Any]:
        """The typed values of all declared hyperparameters that were given or have a default.

        Args:
            hyperparameters: As in a request, name to text.
            facts: What is known of the training data; None = nothing.

        Raises:
            InvalidRequest: With one entry per problem, its field `hyperparameters.<name>`.
        """
        if self.is_open:
            return dict(hyperparameters)
        errors = [*self._unknown(hyperparameters), *self._missing(hyperparameters)]
        values, refused = self._parse(hyperparameters)
        errors += refused
        if not errors:
            errors = [_error(name, message) for name, message in self.rules(values, facts or DataFacts())]
        if errors:
            raise InvalidRequest.for_fields(errors)
        return values

    def predictor_type(self, hyperparameters: Mapping[str, str]) -> PredictorType | None:
        """What a model with these hyperparameters, as in a request, predicts; None where it predicts no label."""
        values, _errors = self._parse(hyperparameters)
        return self.predicts(values)

    def check(self, values: Mapping[str, Any], facts: DataFacts) -> None:
        """Applies the rules again to typed values, when a job has learned more of its data. Raises
        InvalidRequest.
        """
        errors = [_error(name, message) for name, message in self.rules(values, facts)]
        if errors:
            raise InvalidRequest.for_fields(errors)

    def describe(self) -> dict[str, Any]:
        """The declaration as JSON-ready data, for REST, forms and docs."""
        return {
            "name": self.name,
            "title": self.title,
            "summary": self.summary,
            "label": self.label,
            "hyperparameters": [declared.describe() for declared in self.hyperparameters],
            "channels": [
                {
                    "name": channel.name,
                    "help": channel.help,
                    "required": channel.required,
                    "content_types": list(channel.content_types),
                    "input_modes": list(channel.input_modes),
                }
                for channel in self.channels
            ],
            "metrics": [
                {
                    "name": metric.name,
                    "regex": metric.regex,
                    "direction": metric.direction,
                    "help": metric.help,
                }
                for metric in self.metrics
            ],
            "request_content_types": list(self.request_content_types),
            "response_content_types": list(self.response_content_types),
        }

    def engine_load(self) -> Algorithm:
        """A new engine. Imports the algorithm's library: only for job processes and model servers."""
        module, _colon, name = self.engine.partition(":")
        found: Algorithm = getattr(import_module(module), name)()
        return found

    def _declared(self, hyperparameters: Mapping[str, str]) -> tuple[Hyperparameter, ...]:
        return (*self.hyperparameters, *self.further(hyperparameters))

    def _unknown(self, hyperparameters: Mapping[str, str]) -> Iterator[FieldError]:
        names = [declared.name for declared in self._declared(hyperparameters)]
        for name in hyperparameters:
            if name not in names:
                visible = [declared.name for declared in self.hyperparameters if not declared.hidden]
                near = difflib.get_close_matches(name[:80], visible, n=1, cutoff=0.5)
                hint = (
                    _("did you mean '{name}'?", name=near[0])
                    if near
                    else _("it has {names}", names=", ".join(visible))
                )
                yield _error(
                    name,
                    _(
                        "{algorithm} has no hyperparameter of this name; {hint}",
                        algorithm=self.name,
                        hint=hint,
                    ),
                )

    def _missing(self, hyperparameters: Mapping[str, str]) -> Iterator[FieldError]:
        for declared in self.hyperparameters:
            if declared.required and not str(hyperparameters.get(declared.name, "")).strip():
                yield _error(declared.name, _("is required; use {accepted}", accepted=declared.accepts()))

    def _parse(self, hyperparameters: Mapping[str, str]) -> tuple[dict[str, Any], list[FieldError]]:
        values: dict[str, Any] = {}
        errors: list[FieldError] = []
        for declared in self._declared(hyperparameters):
            text = hyperparameters.get(declared.name)
            if text is None or not str(text).strip():
                values[declared.name] = declared.default
                continue
            try:
                values[declared.name] = declared.parse(str(text))
            except ValueError as error:
                errors.append(_error(declared.name, text_of(error)))
        return values, errors


class ChannelInput(Protocol):
    """One input channel of a running job, in File or Pipe mode."""

    @property
    def name(self) -> str: ...

    @property
    def feature_names(self) -> tuple[str, ...] | None:
        """Names of the feature columns, None where the data has none."""

    @property
    def n_rows(self) -> int | None:
        """How many rows it has, where the submitter knew."""

    def batches(self, batch_rows: int, *, require_label: bool = False) -> Iterator[Batch]:
        """One pass over the rows in order, in constant memory; may be called again for another epoch.

        Raises DataError.
        """


class TrainingContext(Protocol):
    """All that an engine may touch of the job it runs in."""

    @property
    def hyperparameters(self) -> Mapping[str, Any]: ...
    @property
    def channels(self) -> Mapping[str, ChannelInput]: ...
    @property
    def model_dir(self) -> Path: ...
    @property
    def output_dir(self) -> Path: ...
    @property
    def n_threads(self) -> int: ...
    @property
    def host(self) -> str: ...

    def log(self, message: str, *, level: str = "INFO") -> None:
        """Writes one line in the service's own form."""

    def progress(self, fraction: float) -> None:
        """Says how much of the work is done, from 0 to 1; rate-limited."""

    def check(self, facts: DataFacts) -> None:
        """Applies the algorithm's rules to what is now known of the data. Raises InvalidRequest."""

    def model_facts(self, facts: Mapping[str, Any]) -> None:
        """Says what the model's manifest shall say beside what the platform knows: a few JSON values, under names of
        the algorithm's own. Said again, it takes the place of what was said before.
        """

    def stop_requested(self) -> bool:
        """Whether the job is to end now, without a model."""

    def check_stop(self) -> None:
        """Ends the job here if a stop was requested; call between batches and phases."""


class Predictor(ABC):
    """A loaded model. Its methods may be called from several threads at once.

    Attributes:
        n_features: Number of columns that `predict` wants.
        sample_row: float32 [n_features], a real row of the training data to try the model with; None if not
            kept.
        takes_missing: Whether `predict` takes NaN for a missing value.
        csv_columns: What a CSV has of an answer; none: all of it.
    """

    n_features: int
    sample_row: NDArray[np.float32] | None = None
    takes_missing: bool = False
    csv_columns: tuple[str, ...] = ()

    @abstractmethod
    def predict(self, X: NDArray[np.float32], *, verbose: bool = False) -> Prediction:
        """Predictions for float32 [n, n_features], without infinite values, and without NaN unless `takes_missing`.

        A row's prediction does not depend on the other rows of the batch.

        Raises:
            DataError: If the number of columns is another.
        """

    def columns_check(self, X: NDArray[np.float32]) -> None:
        """Raises DataError for another number of columns than the model wants."""
        if X.ndim != 2 or X.shape[1] != self.n_features:
            raise DataError(
                _(
                    "{n} columns; the model wants {expected} feature columns",
                    n=str(X.shape[1] if X.ndim == 2 else X.shape),
                    expected=self.n_features,
                )
            )


class Algorithm(ABC):
    """An engine: trains, and loads what it trained, so that its artifact format is private to it.

    Attributes:
        trains_with: Modules that only training imports, so that a process started ahead of its job can have them.
    """

    trains_with: tuple[str, ...] = ()

    @abstractmethod
    def train(self, context: TrainingContext) -> None:
        """Reads the channels and writes the model into `context.model_dir`.

        Raises:
            DataError: The data cannot be used.
            InvalidRequest: A hyperparameter does not fit the data.
        """

    @abstractmethod
    def load(self, model_dir: Path, *, n_threads: int) -> Predictor:
        """The model in `model_dir`. Raises ModelError when the files are damaged or another algorithm's."""


def _error(name: str, message: str) -> FieldError:
    return FieldError(f"hyperparameters.{name[:80]}", message)
