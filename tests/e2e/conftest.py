from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from django.conf import settings
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.core.cache import cache
from django.test import Client
from pytest_django.live_server_helper import LiveServer

from example_project.pages import SDK, SDK_INSTALL
from usersig_django.signing import HmacSha256Signer

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

    from tests.e2e.gateway import Gateway

CHROMIUM_FLAGS = [
    "--no-sandbox",  # CI runs as root
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="session")
def running_gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Gateway]:
    from tests.e2e.gateway import Gateway

    sdkappid = settings.TEST_SDKAPPID
    signer = HmacSha256Signer(sdkappid=sdkappid, secret_key=settings.TEST_SECRET_KEY)
    with Gateway({sdkappid: signer}, tmp_path_factory.mktemp("gateway")) as gateway:
        yield gateway


@pytest.fixture
def gateway(running_gateway: Gateway) -> Gateway:
    running_gateway.logins.clear()
    running_gateway.session_expired = False
    return running_gateway


@pytest.fixture(scope="session")
def browser(running_gateway: Gateway) -> Iterator[Browser]:
    from playwright.sync_api import sync_playwright

    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium")
    if not chromium:
        pytest.fail("no chromium: apt-get install chromium, or name one in the environment as CHROMIUM")
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        # Playwright's synchronous API keeps an event loop in this thread, where the ORM would refuse to work.
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "1")
        browser = playwright.chromium.launch(
            executable_path=chromium, args=[*CHROMIUM_FLAGS, *running_gateway.chromium_flags]
        )
        yield browser
        browser.close()


@pytest.fixture
def context(browser: Browser) -> Iterator[BrowserContext]:
    cache.clear()
    with browser.new_context(locale="en-GB", timezone_id="Europe/Berlin") as context:
        context.set_default_timeout(15_000)
        yield context


@pytest.fixture
def page(context: BrowserContext) -> Iterator[Page]:
    """A blank page. No script on it may fail, and its security policy may block nothing of ours."""
    page = context.new_page()
    faults: list[str] = []
    page.on("pageerror", lambda error: faults.append(str(error)))
    page.on(
        "console",
        lambda message: faults.append(message.text) if "Content Security Policy" in message.text else None,
    )
    yield page
    assert faults == []


@pytest.fixture
def user(browser: Browser, transactional_db: None) -> User:
    return User.objects.create_user("alice", password="correct horse battery")


@pytest.fixture
def home(page: Page, live_server: LiveServer, user: User) -> Page:
    """The example page, signed in as `user`."""
    client = Client()
    client.force_login(user)
    page.context.add_cookies(
        [{"name": "sessionid", "value": client.cookies["sessionid"].value, "url": live_server.url}]
    )
    page.goto(live_server.url)
    return page


@pytest.fixture(scope="session")
def sdk() -> str:
    if not finders.find(SDK):
        pytest.fail(f"Tencent's Chat SDK is not installed: {SDK_INSTALL}")
    return SDK


@pytest.fixture(scope="session")
def artifacts() -> Path:
    folder = Path(settings.BASE_DIR) / "artifacts"
    folder.mkdir(exist_ok=True)
    return folder
