"""Bodies of inference requests in LibSVM text, `index:value …` a line, with the label before it or without."""

from __future__ import annotations

from math import nan

import numpy as np
from numpy.typing import NDArray

from mlplatform.core.errors import DataError
from mlplatform.core.tabular.libsvm import dense, labels_add, lines_of, rows_parse


def decode_libsvm(
    body: bytes, n_features: int, parameters: dict[str, str], missing: bool
) -> NDArray[np.float32]:
    """Rows of float32 [n, n_features]; what one leaves out is NaN where the model takes missing values, else 0.

    An index is the position of a column, from 0. Labels are skipped; either every row has one or none has.
    """
    lines = lines_of(body.removeprefix(b"\xef\xbb\xbf"))
    if not lines:
        raise DataError("the body is empty; at least one row of index:value is needed")
    return dense(rows_parse(labels_add(lines)), n_features=n_features, absent=nan if missing else 0.0)
