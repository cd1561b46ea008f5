"""What an endpoint answers where another k than its model's was the best one. Pure.

Scores are computed for every k, but a model is served with the k it was trained with: who wants another one trains
again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from mlplatform.web.templatetags.figures import fixed, score


@dataclass(frozen=True)
class OwnK:
    """The model's k with its score, and the best one, which is another."""

    k: int
    value: float
    best: int
    metric: str

    @property
    def quality(self) -> str:
        """`accuracy 0.8740`, to as many places as tables have."""
        if self.metric == "rmse":
            return f"RMSE {fixed(self.value)}"
        return f"{_('accuracy')} {score(self.value)}"

    @property
    def sentence(self) -> str:
        given = {"k": self.k, "quality": self.quality, "best": self.best}
        return (
            _(
                "The endpoint answers with k = %(k)s (%(quality)s); for k = %(best)s train again with k = %(best)s."
            )
            % given
        )


def own_k(summary: Mapping[str, Any]) -> OwnK | None:
    """From what an evaluation has measured; None where the model's k is the best one, or there is no k."""
    k, best, value = summary.get("k"), summary.get("k_best"), summary.get("value")
    if not k or not best or k == best or value is None:
        return None
    return OwnK(k=k, value=value, best=best, metric=str(summary.get("metric")))
