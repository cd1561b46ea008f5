"""One captured request as a line of JSON, in the managed service's format. Pure but for the id that it draws.

Put together from pieces, of which those that repeat are kept: beside a prediction of a quarter of a millisecond every
object that is made counts.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from random import getrandbits
from time import gmtime, strftime
from typing import Final

import orjson

from endpoints.capture.rule import LiveCapture

Headers = Sequence[tuple[bytes, bytes]]
_CONTENT_TYPE: Final = b"content-type"
_INFERENCE_ID: Final = b"x-amzn-sagemaker-inference-id"
_CUSTOM_ATTRIBUTES: Final = b"x-amzn-sagemaker-custom-attributes"
_second: tuple[int, bytes] = (-1, b"")


def record_line(
    capture: LiveCapture, *, request: Headers, body: bytes, answer: Headers, content: bytes, now: float
) -> bytes:
    """The line with its line end.

    Args:
        request, answer: Headers with lower case names.
        content: The answer's body.
        now: When it was answered, in seconds since the epoch.
    """
    observed, inference_id = b"", None
    attributes: list[str] = []
    for name, value in request:
        if name == _CONTENT_TYPE:
            observed = value
        elif name == _INFERENCE_ID:
            inference_id = value
        elif name == _CUSTOM_ATTRIBUTES:
            attributes.append(value.decode("latin-1"))
    pieces = [b'{"captureData":{']
    if capture.rule.captures_input:
        pieces += (b'"endpointInput":', *_side(capture, "INPUT", observed, body))
    if capture.rule.captures_output:
        answered = next((value for name, value in answer if name == _CONTENT_TYPE), b"")
        separator = b"," if capture.rule.captures_input else b""
        pieces += (separator, b'"endpointOutput":', *_side(capture, "OUTPUT", answered, content))
    pieces += (b'},"eventMetadata":{"eventId":"', _event_id(), b'"')
    if inference_id is not None:
        pieces += (b',"inferenceId":', orjson.dumps(inference_id.decode("latin-1")))
    if attributes:
        pieces += (b',"customAttributes":', orjson.dumps(attributes))
    pieces += (b',"inferenceTime":"', _instant(now), b'"},"eventVersion":"0"}\n')
    return b"".join(pieces)


def _side(capture: LiveCapture, mode: str, content_type: bytes, body: bytes) -> tuple[bytes, bytes, bytes]:
    frame = capture.frame(mode, content_type)
    if frame.is_text:
        try:
            return frame.before, orjson.dumps(body.decode()), frame.after
        except UnicodeDecodeError:  # not the text that it says it is; nothing of it may be lost
            pass
    return frame.before, b'"%b"' % b64encode(body), frame.after_base64


def _event_id() -> bytes:
    """A random UUID of version 4, without an object and without asking the system."""
    digits = b"%032x" % getrandbits(128)
    return b"%b-%b-4%b-a%b-%b" % (digits[:8], digits[8:12], digits[13:16], digits[17:20], digits[20:])


def _instant(now: float) -> bytes:
    """`2022-02-14T17:25:06Z`; the same for all of a second."""
    global _second
    second, text = _second
    if second != int(now):
        text = strftime("%Y-%m-%dT%H:%M:%SZ", gmtime(now)).encode()
        _second = (int(now), text)
    return text
