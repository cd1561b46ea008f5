"""Settings from the environment: what cannot be meant is refused before anything starts."""

from __future__ import annotations

import pytest

from mlplatform.core.env import env_int


@pytest.mark.parametrize("text", ["-1", "1", "7199"])
def test_a_grace_time_in_which_work_under_way_would_be_removed_is_refused(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRACE_S", text)
    with pytest.raises(ValueError, match=f"GRACE_S='{text}' is not accepted; use 0, or 7200 or more"):
        env_int("GRACE_S", 86400, least=7200)


@pytest.mark.parametrize(("text", "number"), [("", 86400), ("0", 0), ("7200", 7200)])
def test_none_or_one_that_is_long_enough_is_taken(
    text: str, number: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("GRACE_S", text)
    assert env_int("GRACE_S", 86400, least=7200) == number
