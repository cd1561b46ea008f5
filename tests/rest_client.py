"""Requests to a running platform by REST, with an access key or without."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from http.client import HTTPMessage
from typing import Any


@dataclass(frozen=True)
class Answer:
    """What the platform answered, whatever the status."""

    status: int
    headers: HTTPMessage
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def text(self) -> str:
        return self.body.decode("utf-8")


class Client:
    """Sends requests with one access key, or with none. Paths are below `/api/v1/`, or absolute."""

    def __init__(self, base_url: str, *, token: str | None = None) -> None:
        self.base_url = base_url
        self.token = token

    def get(self, path: str, **headers: str) -> Answer:
        return self.send("GET", path, headers=headers)

    def delete(self, path: str) -> Answer:
        return self.send("DELETE", path)

    def post(self, path: str, value: Any = None) -> Answer:
        return self._send_json("POST", path, value)

    def patch(self, path: str, value: Any) -> Answer:
        return self._send_json("PATCH", path, value)

    def upload(self, path: str, *, file: bytes, filename: str, **fields: str) -> Answer:
        """A multipart form with one file named `file`."""
        boundary = uuid.uuid4().hex
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        ]
        disposition = f'form-data; name="file"; filename="{filename}"'
        head = f"--{boundary}\r\nContent-Disposition: {disposition}\r\n"
        head += "Content-Type: application/octet-stream\r\n\r\n"
        body = b"".join([*parts, head.encode(), file, f"\r\n--{boundary}--\r\n".encode()])
        content_type = f"multipart/form-data; boundary={boundary}"
        return self.send("POST", path, body=body, headers={"Content-Type": content_type})

    def send(
        self,
        method: str,
        path: str,
        *,
        body: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 60.0,
    ) -> Answer:
        url = self.base_url + (path if path.startswith("/") else f"/api/v1/{path}")
        request = urllib.request.Request(url, data=body, method=method, headers=dict(headers or {}))
        if self.token:
            request.add_header("Authorization", f"Bearer {self.token}")
        try:
            with urllib.request.urlopen(request, timeout=timeout_s) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())

    def _send_json(self, method: str, path: str, value: Any) -> Answer:
        body = None if value is None else json.dumps(value).encode()
        return self.send(method, path, body=body, headers={"Content-Type": "application/json"})
