"""The example page in Chromium: its buttons, what they show, and how it looks."""

import re
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from playwright.sync_api import Page, expect
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from example_project import pages
from example_project.models import Room
from usersig_django.signing import HmacSha256Signer, Privilege

pytestmark = pytest.mark.e2e

SIGNER = HmacSha256Signer(sdkappid=settings.TEST_SDKAPPID, secret_key=settings.TEST_SECRET_KEY)


@pytest.fixture
def room(user: User) -> Room:
    return Room.objects.create(name="lobby", owner=user)


def test_sign_in__a_visitor_is_sent_to_the_form_and_back(page: Page, live_server: LiveServer, user: User) -> None:
    page.goto(live_server.url)
    page.get_by_label("Username").fill("alice")
    page.get_by_label("Password").fill("wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("correct username and password")
    page.get_by_label("Password").fill("correct horse battery")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Log in to Tencent Cloud as alice")
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("heading", level=1)).to_have_text("Sign in")


def test_usersig__one_press_shows_a_genuine_one_and_what_it_holds(home: Page, user: User) -> None:
    home.get_by_role("button", name="Get a UserSig").click()
    box = home.locator("#usersig")
    expect(box.get_by_label("Contents of the UserSig")).to_contain_text(f'"TLS.identifier": "{user.pk}"')
    expect(box).to_contain_text(re.compile(r"in 24 hours, on \d+ \w+ 20\d\d at "))
    box.get_by_text("The token").click()
    token = box.locator("[data-field=usersig]").inner_text()
    assert SIGNER.verify(token, userid=str(user.pk)).expire == 86400


def test_usersig__a_second_press_asks_for_nothing(home: Page) -> None:
    requests: list[str] = []
    home.on("request", lambda request: requests.append(request.url) if request.method == "POST" else None)
    button = home.get_by_role("button", name="Get a UserSig")
    button.click()
    status = home.locator("#usersig-form").get_by_role("status")
    expect(status).to_have_text("Issued.")
    button.click()
    expect(status).to_have_text("This one is good for a while yet: no request was made.")
    expect(button).to_be_focused()
    assert len(requests) == 1


def test_usersig__a_refusal_is_told_in_the_servers_words(home: Page, settings: Settings) -> None:
    settings.USERSIG = {**settings.USERSIG, "THROTTLE_RATE": "1/hour"}
    home.get_by_role("button", name="Get a UserSig").click()
    status = home.locator("#usersig-form").get_by_role("status")
    expect(status).to_have_text("Issued.")
    home.reload()
    home.get_by_role("button", name="Get a UserSig").click()
    expect(status).to_contain_text(re.compile(r"\(throttled\) Try again in \d+ s\."))


def test_room__the_owner_gets_a_genuine_key(home: Page, user: User, room: Room) -> None:
    home.reload()
    expect(home.get_by_label("Room", exact=True)).to_have_value("lobby")
    home.get_by_role("button", name="Get a PrivateMapKey").click()
    box = home.locator("#private-map-key")
    expect(box).to_contain_text("255: create the room, enter the room, send audio")
    box.get_by_text("The key").click()
    key = box.locator("[data-field=private_map_key]").inner_text()
    claims = SIGNER.verify_private_map_key(key, userid=str(user.pk), room="lobby")
    assert claims.privileges == Privilege.ALL


def test_room__a_number_is_sent_as_a_number_and_refused_by_the_policy(home: Page) -> None:
    home.get_by_label("Number").check()
    home.get_by_label("Room", exact=True).fill("10000")
    with home.expect_request("**/private-map-key/") as request:
        home.get_by_role("button", name="Get a PrivateMapKey").click()
    assert request.value.post_data_json == {"room_id": 10000}
    expect(home.locator("#room-form").get_by_role("status")).to_contain_text("(room_forbidden)")
    expect(home.locator("#private-map-key")).to_be_hidden()


def test_without_the_sdk__the_page_says_how_to_install_it(home: Page, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pages, "SDK", "vendor/nowhere.js")
    home.reload()
    expect(home.get_by_label("Command that installs the SDK")).to_have_text(pages.SDK_INSTALL)
    expect(home.get_by_role("button", name="Log in to Chat")).to_have_count(0)
    home.get_by_role("button", name="Get a UserSig").click()
    expect(home.locator("#usersig")).to_be_visible()


@pytest.mark.parametrize("width", [1280, 390])
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_looks__nothing_overflows(home: Page, room: Room, sdk: str, artifacts: Path, width: int, scheme: str) -> None:
    """The screenshots are for people; what a machine can see is that nothing scrolls sideways."""
    home.set_viewport_size({"width": width, "height": 844})
    home.emulate_media(color_scheme=scheme)
    home.reload()
    home.get_by_role("button", name="Get a UserSig").click()
    home.get_by_text("The token").click()
    home.get_by_role("button", name="Get a PrivateMapKey").click()
    expect(home.locator("#private-map-key")).to_be_visible()
    home.screenshot(path=artifacts / f"example-{width}-{scheme}.png", full_page=True)
    assert home.evaluate("document.documentElement.scrollWidth") == width
    home.get_by_role("button", name="Sign out").click()
    expect(home.get_by_role("heading", level=1)).to_have_text("Sign in")
    home.screenshot(path=artifacts / f"example-login-{width}-{scheme}.png")
    assert home.evaluate("document.documentElement.scrollWidth") == width
