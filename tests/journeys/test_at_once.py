"""The same thing asked for by many at the same moment: it is done once, and limits hold."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from tests.journeys.street import Street, unique
from tests.rest_client import Answer

N_AT_ONCE = 8


def at_once(ask: Callable[[], Answer], n: int = N_AT_ONCE) -> Counter[int]:
    with ThreadPoolExecutor(n) as threads:
        answers = [threads.submit(ask) for _ in range(n)]
    return Counter(answer.result().status for answer in answers)


def test_one_name_is_given_once(street: Street) -> None:
    name = unique("race")
    before = street.traces()
    request = street.job_request(name, train="iris-train", instance_type="local.gpu")
    endpoint = {"name": name, "variants": [{"model": name}]}
    once = Counter({409: N_AT_ONCE - 1, 201: 1})
    assert at_once(lambda: street.upload(name, b"1,2\n3,4\n")) == once
    assert at_once(lambda: street.post("training-jobs/", request)) == once
    assert at_once(lambda: street.post("models/", {"name": name, "training_job": "iris-knn"})) == once
    assert at_once(lambda: street.post("endpoints/", endpoint)) == once
    street.endpoint_settled(name)
    street.gone(name)
    street.post(f"training-jobs/{name}/stop/")
    assert street.delete(f"training-jobs/{name}/").status == 204
    assert street.delete(f"datasets/{name}/").status == 204
    now = street.traces()
    assert now["temporary"] == []
    assert len(now["objects"]) == len(before["objects"]) + 1, (
        f"more is left than the artifact of model {name}"
    )


def test_the_limit_holds_when_all_ask_at_once(street: Street) -> None:
    found = at_once(
        lambda: street.post(
            "training-jobs/",
            street.job_request(unique("many"), train="iris-train", instance_type="ml.p3.2xlarge"),
        )
    )
    assert found == Counter({201: 4, 400: N_AT_ONCE - 4})
    for job in street.get("training-jobs/?status=InProgress&limit=100").json["items"]:
        if job["instance_type"] == "ml.p3.2xlarge":
            assert street.post(f"training-jobs/{job['name']}/stop/").status == 200


def test_a_split_asked_for_many_times_at_once_is_made_once(street: Street) -> None:
    parts = {"left": 0.5, "right": 0.5}
    found = at_once(lambda: street.post("datasets/iris/split/", {"fractions": parts}), n=3)
    assert found == Counter({409: 2, 201: 1})
    for part in parts:
        assert street.delete(f"datasets/iris-{part}/").status == 204
