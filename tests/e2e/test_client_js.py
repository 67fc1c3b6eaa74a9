"""client.js in Chromium: what node's tests cannot show (cookies, origins, redirects, storage)."""

import pytest
from playwright.sync_api import Page

pytestmark = pytest.mark.e2e


def run(page: Page, expression: str, **options: object) -> object:
    """The value of a JavaScript expression over `client`, or what a person could read of its error."""
    return page.evaluate(
        f"""async (options) => {{
            const {{ UserSigClient }} = await import("/static/usersig_django/client.js");
            const client = new UserSigClient({{ url: "/api/usersig/", ...options }});
            try {{
                return await {expression};
            }} catch ({{ name, status, code }}) {{
                return {{ name, status, code }};
            }}
        }}""",
        options,
    )


def test_concurrent_calls__are_one_request(home: Page) -> None:
    requests: list[str] = []
    home.on("request", lambda request: requests.append(request.url) if request.method == "POST" else None)
    tokens = run(home, "Promise.all([client.get(), client.get(), client.get()])")
    assert isinstance(tokens, list)
    assert len({token["usersig"] for token in tokens}) == len(requests) == 1


def test_without_the_csrf_cookie__the_server_refuses(home: Page) -> None:
    assert run(home, "client.get()", csrfCookieName="other") == {
        "name": "UserSigRequestError",
        "status": 403,
        "code": "permission_denied",
    }


def test_signed_out__is_the_servers_own_code(home: Page) -> None:
    home.context.clear_cookies(name="sessionid")
    error = run(home, "client.get()")
    assert isinstance(error, dict)
    assert error["code"] == "not_authenticated"


def test_redirect__is_not_followed(home: Page) -> None:
    """The admin sends whoever is no staff to its login page, which would answer 200."""
    error = run(home, "client.get()", url="/admin/")
    assert error == {"name": "UserSigRequestError", "status": 0, "code": "unexpected_answer"}


def test_unreachable__is_a_network_error(home: Page) -> None:
    error = run(home, "client.get()", url="https://nowhere.example/")
    assert error == {"name": "UserSigRequestError", "status": 0, "code": "network_error"}


def test_token__stays_in_memory(home: Page) -> None:
    token = run(home, "client.get()")
    assert isinstance(token, dict)
    kept = home.evaluate(
        "async () => JSON.stringify([{...localStorage}, {...sessionStorage}, document.cookie, location.href, "
        "history.state, await caches.keys(), await indexedDB.databases()])"
    )
    assert token["usersig"] not in kept
    assert all(token["usersig"] not in str(cookie) for cookie in home.context.cookies())
