"""Tencent's own web Chat SDK logs in with what our endpoint issued, at a gateway that asks our verifier."""

import re
import time
from collections.abc import Callable

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from playwright.sync_api import Page, Route, expect

from tests.e2e.gateway import Gateway
from usersig_django.signing import HmacSha256Signer

pytestmark = [pytest.mark.e2e, pytest.mark.usefixtures("sdk")]

SDKAPPID, KEY = settings.TEST_SDKAPPID, settings.TEST_SECRET_KEY
SIGNER = HmacSha256Signer(sdkappid=SDKAPPID, secret_key=KEY)
OTHER_APPLICATION = HmacSha256Signer(sdkappid=SDKAPPID + 1, secret_key=KEY)
OTHER_KEY = HmacSha256Signer(sdkappid=SDKAPPID, secret_key=KEY[::-1])


def expired(userid: str) -> str:
    return SIGNER.sign(userid, expire=3600, now=int(time.time()) - 3601)


# What the endpoint might answer if it were wrong, and Tencent's code for it.
FORGERIES: dict[str, tuple[Callable[[str], str], int]] = {
    "expired": (expired, 70001),
    "other user": (lambda userid: SIGNER.sign(userid + "0", expire=3600), 70013),
    "other application": (lambda userid: OTHER_APPLICATION.sign(userid, expire=3600), 70014),
    "wrong key": (lambda userid: OTHER_KEY.sign(userid, expire=3600), 70009),
    "garbage": (lambda userid: "eJ-not-a-usersig", 70003),
}


def substitute(page: Page, forge: Callable[[str], str], *, times: int | None = None) -> None:
    """Lets the real answer through with another token in it."""

    def replace(route: Route) -> None:
        answer = route.fetch()
        body = answer.json()
        route.fulfill(response=answer, json={**body, "usersig": forge(body["userid"])})

    page.route("**/api/usersig/", replace, times=times)


def test_good__resolves(home: Page, gateway: Gateway, user: User) -> None:
    home.get_by_role("button", name="Log in to Chat").click()
    expect(home.locator("#chat-form").get_by_role("status")).to_have_text(f"Logged in to Chat as {user.pk}.")
    assert gateway.logins == [(SDKAPPID, str(user.pk), 0)]


@pytest.mark.parametrize("kind", FORGERIES)
def test_bad__is_refused_with_tencents_code(home: Page, gateway: Gateway, user: User, kind: str) -> None:
    """Only an expired one is tried again, and only once."""
    forge, code = FORGERIES[kind]
    substitute(home, forge)
    home.get_by_role("button", name="Log in to Chat").click()
    status = home.locator("#chat-form").get_by_role("status")
    expect(status).to_have_text(re.compile(rf"^Chat refused with code {code}\."))
    attempts = 2 if kind == "expired" else 1
    assert gateway.logins == [(SDKAPPID, str(user.pk), code)] * attempts


def test_expired__is_replaced_and_logged_in_with(home: Page, gateway: Gateway, user: User) -> None:
    substitute(home, expired, times=1)
    home.get_by_role("button", name="Log in to Chat").click()
    expect(home.locator("#chat-form").get_by_role("status")).to_have_text(f"Logged in to Chat as {user.pk}.")
    assert [code for _, _, code in gateway.logins] == [70001, 0]


def test_session_that_outlives_its_usersig__logs_in_again(home: Page, gateway: Gateway, user: User) -> None:
    """KICKED_OUT with `userSigExpired`: one new UserSig, one new login."""
    issued: list[str] = []
    home.on("request", lambda request: issued.append(request.url) if request.method == "POST" else None)
    home.get_by_role("button", name="Log in to Chat").click()
    status = home.locator("#chat-form").get_by_role("status")
    expect(status).to_have_text(f"Logged in to Chat as {user.pk}.")
    gateway.session_expired = True
    deadline = time.monotonic() + 15
    while len(gateway.logins) < 2 and time.monotonic() < deadline:
        home.wait_for_timeout(100)
    home.wait_for_timeout(1000)  # for the logins and requests that must not come
    expect(status).to_have_text(f"Logged in to Chat as {user.pk}.")
    assert [code for _, _, code in gateway.logins] == [0, 0]
    assert len(issued) == 2
