"""The neighbours of a row as JSON."""

from __future__ import annotations

from typing import Any

from endpoints.services.neighbours import Neighbourhood
from mlplatform.api.presenters.numbers import finite


def neighbours_json(found: Neighbourhood) -> dict[str, Any]:
    query = found.query
    return {
        "endpoint": found.endpoint.name,
        "variant": found.variant,
        "model": found.model.name,
        "predicted": found.predicted,
        "query": {
            "dataset": str(query.version) if query.version else None,
            "row_number": query.number,
            "features": query.values,
            "label": found.true_label,
        },
        "feature_names": found.feature_names,
        "training_data": str(found.training_data) if found.training_data else None,
        "neighbours": [
            {
                "rank": one.rank,
                "distance": finite(one.distance),
                "label": one.label,
                "row": one.row,
                "features": one.values,
            }
            for one in found.neighbours
        ],
        "votes": [
            {
                "k": vote.k,
                "prediction": found.label_of(vote) if found.is_classifier else vote.value,
                "n_votes": vote.n_votes,
                "n_true": vote.n_true,
            }
            for vote in found.votes
        ],
        "note": found.unread or None,
    }
