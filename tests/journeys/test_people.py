"""People at the real doors: gateway, web process, database, sessions and the audit log together."""

from __future__ import annotations

import re
import urllib.error
import urllib.parse
import urllib.request
from http.cookiejar import CookieJar

from tests.journeys.street import Street
from tests.rest_client import Answer

FORGED = {"X-Forwarded-For": "6.6.6.6", "X-Real-IP": "6.6.6.6", "Forwarded": "for=6.6.6.6"}


class Browser:
    """Keeps cookies, sends forms with their token, follows nothing."""

    def __init__(self, base_url: str) -> None:
        self.base_url = base_url
        self.jar = CookieJar()
        self._opener = urllib.request.build_opener(
            urllib.request.HTTPCookieProcessor(self.jar), _FollowNothing()
        )

    def open(self, path: str, form: dict[str, str] | None = None) -> Answer:
        body = None
        if form is not None:
            found = re.search(r'name="csrfmiddlewaretoken" value="([^"]+)"', self.open("/login/").text)
            token = found.group(1) if found else next(c.value for c in self.jar if c.name == "csrftoken")
            body = urllib.parse.urlencode(form | {"csrfmiddlewaretoken": token or ""}).encode()
        request = urllib.request.Request(self.base_url + path, data=body, headers=FORGED)
        try:
            with self._opener.open(request, timeout=60) as answer:
                return Answer(answer.status, answer.headers, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.headers, error.read())


class _FollowNothing(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *arguments: object) -> None:  # type: ignore[override]
        return None


def test_an_event_has_the_address_that_the_gateway_saw_and_the_requests_id(street: Street) -> None:
    key = street.client.send(
        "POST",
        "projects/default/access-keys/",
        body=b'{"description": "walked"}',
        headers={"Content-Type": "application/json", **FORGED},
    )
    assert key.status == 201
    events = street.client.get("projects/default/audit-events/?action=access_key.create&limit=1").json
    (event,) = events["items"]
    assert (event["target"], event["address"], event["face"]) == (key.json["key_id"], "127.0.0.1", "api")
    assert event["request_id"] == key.headers["X-Request-Id"]
    assert street.client.delete(f"projects/default/access-keys/{key.json['key_id']}/").status == 200


def test_guesses_are_slowed_down_a_right_password_signs_in_and_signing_out_ends_it(street: Street) -> None:
    platform = street.platform
    guesser = Browser(platform.base_url)
    answers = [
        guesser.open("/login/", {"username": "guessed", "password": f"guess {number}"}) for number in range(6)
    ]
    assert [answer.status for answer in answers[:5]] == [400] * 5
    throttled = next((answer for answer in answers if answer.status == 429), None)
    # On a machine so slow that the five seconds have passed, the sixth is one more wrong one.
    if throttled is not None:
        assert int(throttled.headers["Retry-After"]) >= 1

    person = Browser(platform.base_url)
    signed_in = person.open("/login/", {"username": platform.username, "password": platform.password})
    assert signed_in.status == 302
    page = person.open("/projects/default/audit/")
    assert page.status == 200 and "no-store" in page.headers["Cache-Control"]
    assert "127.0.0.1" in page.text and "6.6.6.6" not in page.text
    assert person.open("/projects/default/audit/download/?format=json").headers["Content-Disposition"]
    stolen = Browser(platform.base_url)
    for cookie in person.jar:
        stolen.jar.set_cookie(cookie)
    assert stolen.open("/preferences/").status == 200
    assert person.open("/logout/", {}).status == 302
    assert stolen.open("/preferences/").status == 302
