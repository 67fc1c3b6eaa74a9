"""An operator's day in the stock admin, in Chromium, under a policy that allows no inline script or style."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.http import HttpRequest, HttpResponse
from django.urls import reverse
from playwright.sync_api import Browser, Page, expect
from pytest_django import Settings
from pytest_django.live_server_helper import LiveServer

from tests.records import KEY, OTHER_KEY, SDKAPPID, make_application, make_key, move_ciphertext
from tests.tokens import PRIVATE_PEM
from usersig_django.models import Application, SigningKey
from usersig_django.signing import HmacSha256Signer, Privilege

pytestmark = pytest.mark.e2e

PASSWORD = "correct horse battery"
LOOKS = [(width, scheme) for width in (1280, 390) for scheme in ("light", "dark")]


def strict_policy(get_response: Callable[[HttpRequest], HttpResponse]) -> Callable[[HttpRequest], HttpResponse]:
    def middleware(request: HttpRequest) -> HttpResponse:
        response = get_response(request)
        response["Content-Security-Policy"] = "default-src 'self'; form-action 'self'; frame-ancestors 'none'"
        return response

    return middleware


@pytest.fixture(autouse=True)
def _strict_policy(settings: Settings) -> None:
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, f"{__name__}.strict_policy"]


@pytest.fixture
def operator(browser: Browser, transactional_db: None) -> User:
    return User.objects.create_superuser("operator", password=PASSWORD)


@pytest.fixture
def sign_in(live_server: LiveServer, operator: User) -> Callable[[Page], Page]:
    def sign_in(page: Page) -> Page:
        page.goto(live_server.url + reverse("admin:index"))
        page.get_by_label("Username").fill("operator")
        page.get_by_label("Password").fill(PASSWORD)
        page.get_by_role("button", name="Log in").click()
        expect(page.get_by_role("heading", level=1)).to_have_text("Site administration")
        return page

    return sign_in


def add_key(page: Page, secret: str, note: str) -> None:
    page.get_by_role("link", name="Add key").click()
    page.get_by_label("Key", exact=False).last.fill(secret)
    page.get_by_label("Note").fill(note)
    page.get_by_role("button", name="Save", exact=True).click()


def message(page: Page) -> str:
    return page.locator(".messagelist li").last.inner_text()


def test_day__from_the_first_application_to_a_rotation(page: Page, sign_in: Callable[[Page], Page]) -> None:
    sign_in(page)
    page.get_by_role("link", name="Applications").first.click()
    page.get_by_role("link", name="Add application").click()
    page.get_by_label("Environment").fill("production")
    page.get_by_label("SDKAppID").fill(str(SDKAPPID))
    page.get_by_role("button", name="Save", exact=True).click()
    expect(page.locator(".usersig-state").first).to_have_text("no key")

    add_key(page, KEY, "from the console")
    key = SigningKey.objects.get()
    row = page.get_by_role("row").filter(has_text=key.fingerprint)
    expect(row).to_contain_text("staged")
    assert KEY not in page.content()

    row.get_by_role("link", name="Activate…").click()
    expect(page.get_by_role("heading", level=1)).to_have_text(f"Activate {key}")
    page.get_by_role("link", name="No, take me back").click()
    row.get_by_role("link", name="Activate…").click()
    page.get_by_role("button", name="Activate").click()
    assert message(page) == f"{key} signs for production ({SDKAPPID}) now."
    expect(page.locator(".usersig-state").first).to_have_text("ready")

    page.get_by_role("link", name="UserSig tool").click()
    generate = page.locator("#usersig-generate")
    expect(generate.get_by_label("Environment")).to_have_value("production")
    expect(generate.locator("#id_generate-room")).to_be_hidden()
    generate.get_by_label("UserID").fill("alice")
    generate.get_by_role("button", name="Generate").click()
    token = page.get_by_role("textbox", name="UserSig").input_value()
    signer = HmacSha256Signer(sdkappid=SDKAPPID, secret_key=KEY)
    assert signer.verify(token, userid="alice")

    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_role("button", name="Copy").click()
    expect(page.get_by_role("button", name="Copied")).to_be_visible()
    assert page.evaluate("navigator.clipboard.readText()") == token

    verify = page.locator("#usersig-verify")
    verify.get_by_label("Token").fill(token)
    verify.get_by_role("button", name="Verify").click()
    expect(page.get_by_role("status")).to_contain_text("alice")
    expect(page.get_by_role("status").get_by_role("heading")).to_have_text("Valid")
    verify.get_by_label("UserID").fill("bob")
    verify.get_by_role("button", name="Verify").click()
    expect(page.get_by_role("status")).to_contain_text("70013")

    page.goto(page.url.replace("tool/", f"{Application.objects.get().pk}/change/"))
    add_key(page, OTHER_KEY, "next")
    page.get_by_role("row").filter(has_text="next").get_by_role("link", name="Activate…").click()
    page.get_by_role("button", name="Activate").click()
    row.get_by_role("link", name="Retire…").click()
    page.get_by_role("button", name="Retire").click()
    assert message(page) == f"{key} of production ({SDKAPPID}) is retired."
    expect(row).to_contain_text("retired")
    expect(row.get_by_role("link", name="Activate…")).to_have_count(0)
    assert Application.objects.get().active_key == SigningKey.objects.get(note="next")


def test_tool__shows_the_room_for_a_private_map_key_alone(
    page: Page, live_server: LiveServer, sign_in: Callable[[Page], Page]
) -> None:
    make_key(make_application(), active=True)
    sign_in(page)
    page.goto(live_server.url + reverse("admin:usersig_django_application_tool") + "?environment=production")
    generate = page.locator("#usersig-generate")
    generate.get_by_label("PrivateMapKey: enter a room").check()
    generate.locator("#id_generate-room").fill("10000")
    generate.get_by_label("UserID").fill("alice")
    generate.get_by_label("send audio").check()
    generate.get_by_role("button", name="Generate").click()
    token = page.get_by_role("textbox", name="PrivateMapKey").input_value()
    signer = HmacSha256Signer(sdkappid=SDKAPPID, secret_key=KEY)
    claims = signer.verify_private_map_key(token, userid="alice", room=10000)
    assert claims.privileges == Privilege.AUDIENCE | Privilege.SEND_AUDIO
    generate.get_by_label("UserSig: log in").check()
    expect(generate.locator("#id_generate-room")).to_be_hidden()


def test_tool__asks_before_it_issues_for_an_administrator(
    page: Page, live_server: LiveServer, sign_in: Callable[[Page], Page]
) -> None:
    sign_in(page)
    page.goto(live_server.url + reverse("admin:usersig_django_application_tool"))
    generate = page.locator("#usersig-generate")
    generate.get_by_label("UserID").fill("administrator")
    generate.get_by_role("button", name="Generate").click()
    generate.get_by_label("Issue it nevertheless").check()
    generate.get_by_role("button", name="Generate").click()
    signer = HmacSha256Signer(sdkappid=settings.TEST_SDKAPPID, secret_key=settings.TEST_SECRET_KEY)
    assert signer.verify(page.get_by_role("textbox", name="UserSig").input_value(), userid="administrator")


@pytest.fixture
def estate(operator: User) -> Application:
    """Applications in every state there is."""
    application = make_application(name="Main")
    old, active = make_key(application, note="first"), make_key(application, OTHER_KEY, note="2026-11")
    make_key(application, "c" * 40, note="next")
    make_key(application, PRIVATE_PEM, algorithm="ECDSA-SHA256", note="legacy")
    old.activate()
    active.activate()
    old.retire()
    unreadable = make_key(make_application("staging"), active=True)
    move_ciphertext(old, unreadable)
    make_application("new")
    make_application("off", is_active=False)
    make_application("default")
    return application


@pytest.fixture(params=LOOKS, ids=lambda look: f"{look[0]}-{look[1]}")
def look(request: pytest.FixtureRequest, browser: Browser) -> Iterator[tuple[Page, str]]:
    width, scheme = request.param
    with browser.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme) as context:
        yield context.new_page(), f"{width}-{scheme}"


def test_looks__of_every_page(
    look: tuple[Page, str],
    estate: Application,
    sign_in: Callable[[Page], Page],
    live_server: LiveServer,
    artifacts: Path,
) -> None:
    """Pictures for people; that no page is wider than its window, for this test."""
    page, name = look
    sign_in(page)
    active = estate.active_key or estate.keys.get(note="2026-11")
    staged = estate.keys.get(note="next")
    pages = {
        "list": reverse("admin:usersig_django_application_changelist"),
        "application": reverse("admin:usersig_django_application_change", args=[estate.pk]),
        "add-key": reverse("admin:usersig_django_signingkey_add") + f"?application={estate.pk}",
        "change-key": reverse("admin:usersig_django_signingkey_change", args=[staged.pk]),
        "activate": reverse("admin:usersig_django_signingkey_activate", args=[staged.pk]),
        "retire": reverse("admin:usersig_django_signingkey_retire", args=[active.pk]),
        "tool": reverse("admin:usersig_django_application_tool") + "?environment=production",
        "records": reverse("admin:usersig_django_issuedrecord_changelist"),
    }
    for title, address in pages.items():
        page.goto(live_server.url + address)
        page.screenshot(path=artifacts / f"admin-{title}-{name}.png", full_page=True)
        # The stock list scrolls sideways on a phone, inside or outside of its own box.
        if title not in ("list", "records"):
            assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth"), title
    page.goto(live_server.url + pages["tool"])
    page.get_by_label("PrivateMapKey: enter a room").check()
    page.locator("#usersig-generate").get_by_label("UserID").fill("alice")
    page.locator("#id_generate-room").fill("10000")
    page.get_by_role("button", name="Generate").click()
    page.screenshot(path=artifacts / f"admin-tool-generated-{name}.png", full_page=True)
    assert page.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
