"""What a browser or a client is told while the web process cannot answer: one small self-contained page, or
JSON."""

from __future__ import annotations

from html import escape

from endpoints.serving.answers import RETRY_AFTER_S, error_answer
from endpoints.serving.exchange import Exchange
from mlplatform.core.errors import PlatformError, ServiceUnavailable

_TEXTS = {
    "en": {
        503: (
            "The platform is starting",
            "Its web process does not answer yet. This page tries again by itself.",
        ),
        502: ("The answer was cut short", "The web process ended while it was answering. Its log says why."),
        504: ("No answer in time", "The web process took too long to answer."),
    },
    "ja": {
        503: (
            "プラットフォームを起動しています",
            "Web プロセスがまだ応答しません。このページは自動的に再試行します。",
        ),
        502: ("応答が途中で切れました", "Web プロセスが応答中に終了しました。理由はログにあります。"),
        504: ("時間内に応答がありません", "Web プロセスの応答に時間がかかりすぎました。"),
    },
}
_PAGE = """<!doctype html>
<html lang="{language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
{refresh}<title>{title}</title>
</head>
<body>
<main>
<h1>{title}</h1>
<p>{text}</p>
<p><small>{status} &middot; {request_id}</small></p>
</main>
</body>
</html>
"""


class BadGateway(PlatformError):
    """The web process broke off before it had answered."""

    code = "BadGateway"
    http_status = 502


class GatewayTimeout(PlatformError):
    """The web process took too long."""

    code = "GatewayTimeout"
    http_status = 504


def page_answer(exchange: Exchange, error: PlatformError, request_id: bytes) -> None:
    """Answers with `error` as HTML where the client is a browser, otherwise as JSON."""
    shown_id = request_id.decode("latin-1")
    if b"text/html" not in (exchange.header(b"accept") or b""):
        status, headers, body = error_answer(error, shown_id)
        exchange.respond(status, headers, body)
        return
    language = "ja" if (exchange.header(b"accept-language") or b"").lower().startswith(b"ja") else "en"
    title, text = _TEXTS[language][error.http_status]
    is_starting = isinstance(error, ServiceUnavailable)
    page = _PAGE.format(
        language=language,
        title=escape(title),
        text=escape(text),
        status=error.http_status,
        request_id=escape(shown_id),
        refresh='<meta http-equiv="refresh" content="2">\n'
        if is_starting and exchange.method == b"GET"
        else "",
    )
    headers = [
        (b"content-type", b"text/html; charset=utf-8"),
        (b"content-security-policy", b"default-src 'none'; frame-ancestors 'none'"),
        (b"cache-control", b"no-store"),
        (b"x-content-type-options", b"nosniff"),
        (b"x-request-id", request_id),
    ]
    if is_starting:
        headers.append((b"retry-after", b"%d" % RETRY_AFTER_S))
    exchange.respond(error.http_status, headers, page.encode())
