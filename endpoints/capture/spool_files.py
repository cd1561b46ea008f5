"""Names of spool files, and where in the store each of them is to be. Pure.

`<yyyymmddhh>.<MM-SS-mmm>-<uuid>.jsonl` has the records of one hour (UTC), from the minute, second and millisecond on at
which it was begun; `….place` beside it says whose they are. From the two follows the object's address, so that a file
which is uploaded twice is one object.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from uuid import uuid4

from endpoints.capture.rule import CapturePlace

RECORDS: Final = ".jsonl"
PLACE: Final = ".place"
BEGUN: Final = ".new"
_STEM: Final = re.compile(r"(\d{10})\.(\d\d-\d\d-\d{3})-([0-9a-f-]{36})")


@dataclass(frozen=True)
class SpoolName:
    """What a spool file's name says. `name` is the object's, without its folder; `hour` is UTC."""

    hour: datetime
    name: str
    uid: str


def spool_stem_new(*, now: float) -> str:
    """A name for a file whose first record is of `now`, in seconds since the epoch."""
    at = datetime.fromtimestamp(now, tz=UTC)
    return f"{at:%Y%m%d%H}.{at:%M-%S}-{at.microsecond // 1000:03d}-{uuid4()}"


def spool_name(path: Path) -> SpoolName | None:
    """None for a file that is none of ours."""
    found = _STEM.fullmatch(path.stem) if path.suffix == RECORDS else None
    if found is None:
        return None
    hour, at, uid = found.groups()
    return SpoolName(datetime.strptime(hour, "%Y%m%d%H").replace(tzinfo=UTC), f"{at}-{uid}{RECORDS}", uid)


def captured_uri(place: CapturePlace, name: SpoolName) -> str:
    """`<destination>/<endpoint>/<variant>/yyyy/mm/dd/hh/<MM-SS-mmm>-<uuid>.jsonl`."""
    folder = f"{place.destination.rstrip('/')}/{place.endpoint}/{place.variant}"
    return f"{folder}/{name.hour:%Y/%m/%d/%H}/{name.name}"


def place_write(path: Path, place: CapturePlace) -> None:
    path.write_text(json.dumps(asdict(place)), encoding="utf-8")


def place_read(path: Path) -> CapturePlace:
    """Raises FileNotFoundError; ValueError or TypeError where it was cut short."""
    return CapturePlace(**json.loads(path.read_text(encoding="utf-8")))
