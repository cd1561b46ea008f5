"""The inspector's page without a gateway, and its table as data. With answers: tests/endpoints and tests/browser."""

from __future__ import annotations

import html
from typing import Any, cast

import pytest

from endpoints.models import Endpoint
from endpoints.services.neighbour_query import Query
from endpoints.services.neighbours import Neighbour, Neighbourhood
from mlplatform.core.status import EndpointStatus
from mlplatform.web.neighbour_table import COLUMNS_SHOWN, ROWS_SHOWN, distance_title, neighbour_table
from mlplatform.web.row_files import neighbours_file, neighbours_table
from tests.web.conftest import Visitor

# The table


def found(query: list[str], rows: list[list[str] | None], **values: Any) -> Neighbourhood:
    neighbours = [
        Neighbour(rank, float(rank), "a" if rank % 2 else "b", row=rank, values=cells)
        for rank, cells in enumerate(rows, start=1)
    ]
    given: dict[str, Any] = {
        "endpoint": cast(Endpoint, None),
        "model": None,
        "variant": "AllTraffic",
        "query": Query(query),
        "feature_names": [f"f{n}" for n in range(len(query))],
        "is_classifier": True,
        "predicted": "a",
        "neighbours": neighbours,
        "votes": [],
    }
    return Neighbourhood(**(given | values))


def test_columns_that_differ_come_first_and_stay_where_they_are_while_k_changes() -> None:
    hood = found(["1", "2", "x"], [["1", "2", "y"], ["1", "9", "x"], ["1", "2", "x"]])
    tables = [neighbour_table(hood, k=k) for k in (1, 2, 3)]
    assert [[column.name for column in table.columns] for table in tables] == [["f1", "f2", "f0"]] * 3
    assert [len(table.rows) for table in tables] == [1, 2, 3]
    assert [column.n_different for column in tables[2].columns] == [1, 1, 0]
    first, second, third = (line.cells for line in tables[2].rows)
    assert [(cell.weight, cell.gap) for cell in first] == [(0, ""), (3, "≠ x"), (0, "")]
    assert [(cell.weight, cell.gap) for cell in second] == [(3, "+7"), (0, ""), (0, "")]
    assert all(cell.weight == 0 for cell in third)


def test_a_cell_is_marked_stronger_the_more_of_the_distance_it_makes() -> None:
    table = neighbour_table(found(["0", "0", "0"], [["10", "-4", "1"]]), k=1)
    assert [(cell.weight, cell.gap) for cell in table.rows[0].cells] == [(3, "+10"), (2, "−4"), (1, "+1")]


def test_a_wide_or_long_table_is_cut_unless_all_of_it_is_asked_for() -> None:
    query = ["0"] * 100
    hood = found(query, [["1", *query[1:]] for _ in range(150)])
    cut = neighbour_table(hood, k=150)
    assert (len(cut.columns), len(cut.rows)) == (COLUMNS_SHOWN, ROWS_SHOWN)
    assert (cut.n_columns, cut.n_rows, cut.columns[0].name) == (100, 150, "f0")
    whole = neighbour_table(hood, k=150, all_columns=True, all_rows=True)
    assert (len(whole.columns), len(whole.rows)) == (100, 150)


def test_neighbours_whose_rows_are_not_there_have_no_cells() -> None:
    table = neighbour_table(found(["1", "2"], [None, ["1", "2", "3"]], true_label="a"), k=2)
    assert [line.cells for line in table.rows] == [[], []]
    assert [line.agrees for line in table.rows] == [True, False]
    assert neighbour_table(found(["1"], [None], is_classifier=False), k=1).rows[0].agrees is None


@pytest.mark.parametrize(
    ("index_metric", "title"),
    [
        ("L2", "Squared distance"),
        ("COSINE", "Cosine distance"),
        ("INNER_PRODUCT", "Inner product"),
        (None, "Distance"),
    ],
)
def test_distances_are_called_what_they_are(index_metric: str | None, title: str) -> None:
    assert distance_title(index_metric) == title


# The file


def test_the_file_has_the_row_itself_then_its_neighbours_with_every_feature_in_order() -> None:
    names = ["rank", "b", "b", "c"]
    hood = found(["1", "2", "x", "4"], [["1", "9", "x", "4"], None], feature_names=names, true_label="a")
    table = neighbours_table(hood, k=2)
    assert [column.key for column in table.columns] == [
        *("rank", "distance", "label", "row"),
        *("rank (1)", "b", "b (3)", "c"),
    ]
    assert [[cell.value for cell in row] for row in table.rows] == [
        [0, None, "a", None, "1", "2", "x", "4"],
        [1, 1.0, "a", 1, "1", "9", "x", "4"],
        [2, 2.0, "b", 2, None, None, None, None],
    ]
    assert len(neighbours_table(hood, k=1).rows) == 2
    answer = neighbours_file(hood, k=2, stem="knn-neighbours", form="csv")
    assert answer["Content-Disposition"] == 'attachment; filename="knn-neighbours.csv"'
    assert b"".join(answer.streaming_content).decode("utf-8-sig").splitlines()[2] == "1,1.0,a,1,1,9,x,4"


# The page


@pytest.fixture
def in_service(alice_at_street: Visitor) -> Endpoint:
    endpoint = Endpoint.objects.get(name="knn")
    endpoint.status, endpoint.live = EndpointStatus.IN_SERVICE, endpoint.wanted
    endpoint.save()
    return endpoint


def test_the_page_begins_with_a_real_row_and_the_datasets_that_fit(
    alice_at_street: Visitor, in_service: Endpoint
) -> None:
    page = html.unescape(alice_at_street.get("endpoint-neighbours", name="knn").content.decode())
    assert "5.9,3,4.2,1.5</textarea>" in page and "Choose a row" in page
    assert '<option value="knn-test">knn-test (38)</option>' in page
    assert "Sepal.Length, Sepal.Width" in page


def test_without_an_answer_the_form_is_kept_and_the_cause_said(
    alice_at_street: Visitor, in_service: Endpoint
) -> None:
    query = {"dataset": "knn-test@1", "row": "7", "k": "3"}
    response = alice_at_street.get("endpoint-neighbours", query, name="knn")
    page = html.unescape(response.content.decode())
    assert response.status_code == 503
    assert "gateway cannot be reached" in page
    assert '<option value="knn-test@1" selected>' in page and 'name="row" value="7"' in page


@pytest.mark.parametrize(
    ("query", "error"),
    [
        ({"dataset": "nothing", "row": "1"}, "dataset-error"),
        ({"dataset": "knn-test", "row": "39"}, "row-error"),
        ({"dataset": "knn-test", "row": "one"}, "row-error"),
        ({"values": "1,2"}, "values-error"),
        ({"values": "1,2,3,4\n1,2,3,4"}, "values-error"),
        ({"values": "<script>alert(1)</script>"}, "values-error"),
    ],
)
def test_what_cannot_be_asked_for_is_said_beside_its_field(
    alice_at_street: Visitor, in_service: Endpoint, query: dict[str, str], error: str
) -> None:
    response = alice_at_street.get("endpoint-neighbours", query, name="knn")
    assert response.status_code == 400
    page = response.content.decode()
    assert f'id="{error}"' in page and "<script>alert" not in page
