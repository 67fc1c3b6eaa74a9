"""Under ASGI: the endpoints, and the twins of `issuing` in a project's own asynchronous views."""

import asyncio
import json
import threading
from unittest import mock

import pytest
from asgiref.sync import ThreadSensitiveContext, async_to_sync
from asgiref.testing import ApplicationCommunicator
from django.contrib.auth.models import User
from django.core.asgi import get_asgi_application
from django.db import OperationalError
from django.http import JsonResponse
from django.test import AsyncClient, AsyncRequestFactory
from django.urls import include, path
from rest_framework.authentication import BaseAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.test import force_authenticate

from tests.settings import TEST_SDKAPPID, TEST_SECRET_KEY, USERSIG
from usersig_django import issuing
from usersig_django.exceptions import RoomForbidden, SigningUnavailable, UserInactive
from usersig_django.issuing import (
    aissue_private_map_key,
    aissue_private_map_key_for_userid,
    aissue_usersig,
    aissue_usersig_for_userid,
)
from usersig_django.models import Application, SigningKey
from usersig_django.signals import usersig_issued
from usersig_django.signing import HmacSha256Signer, Privilege
from usersig_django.views import IssuingView, UserSigView

URL = "/api/usersig/"
ROOM_URL = "/api/usersig/private-map-key/"
JSON = "application/json"


async def login(request):
    user = await request.auser()
    issued = await aissue_usersig(user, expire=600)
    return JsonResponse({"userid": issued.userid, "usersig": issued.usersig})


urlpatterns = [path("login/", login), path("api/usersig/", include("usersig_django.urls"))]


@pytest.fixture
def signer():
    return HmacSha256Signer(sdkappid=TEST_SDKAPPID, secret_key=TEST_SECRET_KEY)


@pytest.fixture
def user(db):
    return User.objects.create_user("alice")


@pytest.fixture
def signed_in(user):
    client = AsyncClient()
    client.force_login(user)
    return client


def grant_audience(user, room):
    return Privilege.AUDIENCE


@async_to_sync
async def run(coroutine):
    """Synchronous code that it calls comes back to this thread, to the connection with the test's transaction."""
    return await coroutine


class TestTwins:
    def test_twins__async_view(self, signed_in, user, signer, settings):
        settings.ROOT_URLCONF = "tests.test_asgi"
        body = run(signed_in.get("/login/")).json()
        assert body["userid"] == str(user.pk)
        assert signer.verify(body["usersig"], userid=str(user.pk)).expire == 600

    def test_twins__each_gives_what_its_original_gives(self, signer, settings):
        settings.USERSIG = {**USERSIG, "ROOM_POLICY": grant_audience}

        async def issue():
            return (
                await aissue_usersig(User(pk=7), expire=60),
                await aissue_usersig_for_userid("bob", expire=61),
                await aissue_private_map_key(User(pk=7), 10000),
                await aissue_private_map_key_for_userid("bob", room="lobby", privileges=Privilege.ALL),
            )

        for_user, for_userid, room_key, room_key_for_userid = run(issue())
        assert signer.verify(for_user.usersig, userid="7").expire == 60
        assert signer.verify(for_userid.usersig, userid="bob").expire == 61
        claims = signer.verify_private_map_key(room_key.private_map_key, userid="7", room=10000)
        assert claims.privileges == Privilege.AUDIENCE
        token = room_key_for_userid.private_map_key
        assert signer.verify_private_map_key(token, userid="bob", room="lobby").privileges == Privilege.ALL

    @pytest.mark.parametrize(
        ("usersig", "call", "error"),
        [
            ({}, lambda: aissue_usersig(User(pk=7, is_active=False)), UserInactive),
            ({"ROOM_POLICY": None}, lambda: aissue_private_map_key(User(pk=7), 1), RoomForbidden),
            ({"ENVIRONMENT": "absent"}, lambda: aissue_usersig_for_userid("bob"), SigningUnavailable),
        ],
    )
    def test_twins__refuse_as_their_originals(self, db, settings, usersig, call, error):
        settings.USERSIG = {**USERSIG, **usersig}
        with pytest.raises(error):
            run(_await(call))

    def test_twins__database_fault_passes(self):
        with (
            mock.patch.object(issuing, "get_application", side_effect=OperationalError),
            pytest.raises(OperationalError),
        ):
            run(aissue_usersig_for_userid("bob"))

    def test_twins__ask_the_database(self, db, settings):
        """The resolver, the record and the audit go through the ORM, which refuses to work in an event loop."""
        settings.USERSIG = {
            **USERSIG,
            "APPLICATIONS": {},
            "AUDIT_TO_DATABASE": True,
            "USERID_RESOLVER": lambda user: User.objects.get(pk=user.pk).username,
        }
        application = Application.objects.create(environment="default", sdkappid=TEST_SDKAPPID)
        key = SigningKey(application=application, secret=TEST_SECRET_KEY)
        key.save()
        application.activate(key)
        user = User.objects.create(username="carol")
        assert run(aissue_usersig(user)).userid == "carol"

    def test_twins__never_work_on_the_loop_s_thread(self, settings):
        """What blocks (the database, a project's resolver and receivers) blocks a thread for synchronous code."""
        threads = []

        def resolver(user):
            threads.append(threading.current_thread())
            return "carol"

        def receiver(**kwargs):
            threads.append(threading.current_thread())

        async def issue():
            await aissue_usersig(User(pk=7))
            return threading.current_thread()

        settings.USERSIG = {**USERSIG, "USERID_RESOLVER": resolver}
        usersig_issued.connect(receiver)
        try:
            # asgiref falls back to the caller's own thread where a test began synchronously.
            loop_thread = _run_in_thread(issue)
        finally:
            usersig_issued.disconnect(receiver)
        assert len(threads) == 2
        assert loop_thread not in threads
        assert threads[0] is threads[1]

    def test_twins__one_request_keeps_one_thread(self, settings):
        """Thread-sensitive, as Django's own ORM: what one request does shares its connection and transaction; two
        requests do not wait for each other."""
        threads = {}
        both = threading.Barrier(2, timeout=10)

        def resolver(user):
            both.wait()
            threads.setdefault(user.pk, set()).add(threading.current_thread())
            return str(user.pk)

        async def handle(pk):
            async with ThreadSensitiveContext():
                return [(await aissue_usersig(User(pk=pk))).userid for _ in range(3)]

        async def handle_both():
            return await asyncio.gather(handle(1), handle(2))

        settings.USERSIG = {**USERSIG, "USERID_RESOLVER": resolver}
        assert _run_in_thread(handle_both) == [["1"] * 3, ["2"] * 3]
        assert [len(used) for used in threads.values()] == [1, 1]
        assert threads[1] != threads[2]

    def test_twins__concurrent_calls_do_not_mix(self, signer):
        async def issue():
            return await asyncio.gather(*(aissue_usersig(User(pk=pk), expire=60 + pk) for pk in range(1, 501)))

        for pk, issued in enumerate(run(issue()), start=1):
            assert (issued.userid, issued.expire) == (str(pk), 60 + pk)
            assert signer.verify(issued.usersig, userid=str(pk)).expire == 60 + pk

    def test_twins__cancelled_caller(self):
        """Who goes away gets nothing, and leaves nothing behind that the next caller meets."""

        async def issue():
            task = asyncio.create_task(aissue_usersig(User(pk=7)))
            await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return await aissue_usersig(User(pk=8))

        assert run(issue()).userid == "8"


class TestEndpoints:
    def test_endpoints__session(self, signed_in, user, signer):
        response = run(signed_in.post(URL, {"expire": 60}, content_type=JSON))
        assert response.status_code == 200
        assert response["Cache-Control"] == "no-store"
        assert signer.verify(response.json()["usersig"], userid=str(user.pk)).expire == 60

    def test_endpoints__concurrent_requests_do_not_mix(self, db, signer):
        tokens = {str(user.pk): Token.objects.create(user=user).key for user in _make_users(50)}
        client = AsyncClient()

        async def ask():
            return await asyncio.gather(
                *(client.post(URL, headers={"authorization": f"Token {key}"}) for key in tokens.values())
            )

        for userid, response in zip(tokens, run(ask()), strict=True):
            assert response.json()["userid"] == userid
            assert signer.verify(response.json()["usersig"], userid=userid)


class Known(BaseAuthentication):
    def authenticate(self, request):
        return User(pk=7), None


class TestBody:
    """As an ASGI server hands it on: in pieces, with a Content-Length or without."""

    @pytest.fixture
    def ask(self, monkeypatch):
        """The status and the body for a raw ASGI request, in as many pieces as are given. Each is handled in a thread
        of its own, with a connection that sees nothing of a test's transaction: so nothing here asks a database."""
        monkeypatch.setattr(IssuingView, "authentication_classes", [Known])

        def ask(*pieces, content_type=JSON, length=None, url=URL):
            headers = [(b"host", b"testserver"), (b"content-type", content_type.encode())]
            if length is None:
                headers.append((b"transfer-encoding", b"chunked"))
            else:
                headers.append((b"content-length", str(length).encode()))
            scope = {
                "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "POST", "path": url,
                "query_string": b"", "headers": headers,
            }  # fmt: skip

            async def send():
                server = ApplicationCommunicator(get_asgi_application(), scope)
                for number, piece in enumerate(pieces, start=1):
                    await server.send_input({"type": "http.request", "body": piece, "more_body": number < len(pieces)})
                start = await server.receive_output(10)
                body = await server.receive_output(10)
                await server.wait()
                assert (b"Cache-Control", b"no-store") in start["headers"]
                return start["status"], json.loads(body["body"])

            return run(send())

        return ask

    @pytest.mark.parametrize(
        "pieces", [[b'{"expire": 60}'], [b'{"exp', b'ire"', b": 60}"], [b"", b'{"expire": 60}', b""]]
    )
    def test_body__chunked(self, ask, pieces):
        """WSGI would read it as empty and has to answer 411; here it is read."""
        status, body = ask(*pieces)
        assert (status, body["expire"]) == (200, 60)

    def test_body__chunked_and_empty(self, ask):
        status, body = ask(b"")
        assert (status, body["expire"]) == (200, 86400)

    @pytest.mark.parametrize("with_length", [True, False])
    @pytest.mark.parametrize(("size", "status"), [(4096, 200), (4097, 413)])
    def test_body__largest(self, ask, size, status, with_length):
        body = b'{"expire": 60}'.ljust(size)
        pieces = [body[:1000], body[1000:3000], body[3000:]]
        assert ask(*pieces, length=size if with_length else None)[0] == status

    def test_body__largest_of_all(self, ask):
        """Django's own limit, which nothing but the pieces themselves can show it has been passed."""
        status, body = ask(*[b" " * 1_000_000] * 4)
        assert (status, body["code"]) == (413, "payload_too_large")

    def test_body__not_json(self, ask):
        status, body = ask(b'{"expire"')
        assert (status, body["code"]) == (400, "parse_error")

    @pytest.mark.parametrize("with_length", [True, False])
    @pytest.mark.parametrize(
        ("content_type", "body"),
        [
            ("text/plain", b'{"expire": 60}'),
            ("application/x-www-form-urlencoded", b"expire=60"),
            (
                "multipart/form-data; boundary=x",
                b'--x\r\nContent-Disposition: form-data; name="expire"\r\n\r\n60\r\n--x--\r\n',
            ),
        ],
    )
    def test_body__other_media_type(self, ask, content_type, body, with_length):
        status, answer = ask(body, content_type=content_type, length=len(body) if with_length else None)
        assert (status, answer["code"]) == (415, "unsupported_media_type")

    @pytest.mark.parametrize(
        ("content_type", "body", "length"),
        [
            ("application/x-www-form-urlencoded", b"", 0),
            ("application/x-www-form-urlencoded", b"", None),
            ("multipart/form-data; boundary=x", b"--x--\r\n", 7),
            ("multipart/form-data; boundary=x", b"", None),
        ],
    )
    def test_body__form_without_fields(self, ask, content_type, body, length):
        assert ask(body, content_type=content_type, length=length)[0] == 200


def test_view__under_its_own_factory(user, signer):
    """The view itself takes an ASGIRequest."""
    request = AsyncRequestFactory().post(URL, {"expire": 60}, content_type=JSON)
    force_authenticate(request, user)
    response = UserSigView.as_view()(request).render()
    assert signer.verify(json.loads(response.content)["usersig"], userid=str(user.pk)).expire == 60


async def _await(call):
    return await call()


def _run_in_thread(function):
    """A loop in a thread of its own, as a server has: no synchronous code waits below it."""
    result = []
    thread = threading.Thread(target=lambda: result.append(asyncio.run(function())))
    thread.start()
    thread.join(30)
    return result[0]


def _make_users(number):
    return User.objects.bulk_create([User(username=f"user{index}") for index in range(number)])
