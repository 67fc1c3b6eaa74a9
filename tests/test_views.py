"""The endpoints as a client meets them: the table of SECURITY 3, line by line."""

import json
from datetime import UTC, datetime
from io import BytesIO
from unittest import mock

import pytest
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured, PermissionDenied, SuspiciousOperation
from django.db import DatabaseError, InterfaceError, OperationalError
from django.http import Http404
from django.test import Client
from django.urls import reverse
from rest_framework import exceptions as drf
from rest_framework.authentication import BaseAuthentication, TokenAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.test import APIRequestFactory, force_authenticate

from tests.settings import TEST_SDKAPPID, TEST_SECRET_KEY, USERSIG
from usersig_django.answers import ERRORS
from usersig_django.exceptions import UserIDReserved
from usersig_django.parsers import StrictJSONParser
from usersig_django.signing import HmacSha256Signer, Privilege
from usersig_django.throttling import UserSigRateThrottle
from usersig_django.views import PrivateMapKeyView, UserSigView

URL = "/api/usersig/"
ROOM_URL = "/api/usersig/private-map-key/"
JSON = "application/json"
MULTIPART = b'--x\r\nContent-Disposition: form-data; name="expire"%b\r\n\r\n60\r\n--x--\r\n'


def grant_audience(user, room):
    return Privilege.AUDIENCE


def repr_cut(value):
    return repr(value)[:20]


def with_usersig(settings, **changes):
    settings.USERSIG = {**USERSIG, **changes}


@pytest.fixture
def user(django_user_model, db):
    return django_user_model.objects.create_user("alice", password="secret")


@pytest.fixture
def signed_in(user):
    client = Client()
    client.force_login(user)
    return client


@pytest.fixture
def signer():
    return HmacSha256Signer(sdkappid=TEST_SDKAPPID, secret_key=TEST_SECRET_KEY)


def post(client, body=None, url=URL, content_type=JSON, **headers):
    data = body if isinstance(body, bytes | str) else b"" if body is None else json.dumps(body)
    return client.post(url, data, content_type=content_type, **headers)


def assert_refused(response, status, code, *fields):
    assert response.status_code == status, response.content
    assert response["Content-Type"] == JSON
    assert response["Cache-Control"] == "no-store"
    assert response["Pragma"] == "no-cache"
    body = response.json()
    assert body["code"] == code
    assert body["detail"]
    assert set(body) == {"code", "detail", "fields"} if fields else {"code", "detail"}
    if fields:
        assert set(body["fields"]) == set(fields)


class TestUserSig:
    def test_usersig__empty_body(self, signed_in, user, signer):
        before = datetime.now(UTC).replace(microsecond=0)
        response = post(signed_in)
        after = datetime.now(UTC)
        assert response.status_code == 200
        body = response.json()
        assert list(body) == ["sdkappid", "userid", "usersig", "expire", "issued_at", "expires_at"]
        assert body["sdkappid"] == TEST_SDKAPPID
        assert body["userid"] == str(user.pk)
        assert body["expire"] == 86400
        issued_at = datetime.fromisoformat(body["issued_at"])
        assert body["issued_at"].endswith("Z")
        assert before <= issued_at <= after
        assert (datetime.fromisoformat(body["expires_at"]) - issued_at).total_seconds() == 86400
        claims = signer.verify(body["usersig"], userid=str(user.pk))
        assert claims.issued_at == issued_at.timestamp()
        assert claims.expire == 86400

    @pytest.mark.parametrize("expire", [60, 3600, 86400])
    def test_usersig__shorter_validity(self, signed_in, signer, expire):
        body = post(signed_in, {"expire": expire}).json()
        assert body["expire"] == expire
        assert signer.verify(body["usersig"]).expire == expire

    def test_usersig__never_cached(self, signed_in):
        response = post(signed_in)
        assert response["Cache-Control"] == "no-store"
        assert response["Pragma"] == "no-cache"

    @pytest.mark.parametrize("accept", ["text/html", "application/xml", "application/json; indent=8", "nonsense"])
    def test_usersig__accept_is_not_negotiated(self, signed_in, accept):
        response = post(signed_in, HTTP_ACCEPT=accept)
        assert response.status_code == 200
        assert response["Content-Type"] == JSON
        assert b"\n" not in response.content

    def test_usersig__token_authentication(self, user, signer):
        token = Token.objects.create(user=user)
        response = post(Client(), HTTP_AUTHORIZATION=f"Token {token.key}")
        assert signer.verify(response.json()["usersig"], userid=str(user.pk))

    def test_usersig__csrf_token_of_the_session(self, user):
        client = Client(enforce_csrf_checks=True)
        client.force_login(user)
        client.get(reverse("login"))
        client.cookies["csrftoken"] = "a" * 32
        assert post(client, HTTP_X_CSRFTOKEN="a" * 32).status_code == 200

    def test_usersig__url_names(self):
        assert reverse("usersig_django:usersig") == URL
        assert reverse("usersig_django:private-map-key") == ROOM_URL

    def test_usersig__application_has_its_own_validity(self, signed_in, settings):
        applications = {"default": {**USERSIG["APPLICATIONS"]["default"], "EXPIRE": 600}}
        with_usersig(settings, APPLICATIONS=applications)
        assert post(signed_in).json()["expire"] == 600
        assert_refused(post(signed_in, {"expire": 601}), 400, "invalid", "expire")

    def test_usersig__no_query_beyond_authentication_once_warm(self, signed_in, django_assert_num_queries, settings):
        settings.USERSIG = USERSIG
        post(signed_in)
        with django_assert_num_queries(2):  # the session and its user
            assert post(signed_in).status_code == 200


class TestBody:
    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            (b"", JSON),
            (b"", ""),
            (b"", "text/plain"),
            (b"", "application/x-www-form-urlencoded"),
            (b"{}", JSON),
            (b" { } ", "Application/JSON; charset=utf-8"),
            (b"--x--\r\n", "multipart/form-data; boundary=x"),
        ],
    )
    def test_body__nothing_asked(self, signed_in, body, content_type):
        assert post(signed_in, body, content_type=content_type).status_code == 200

    def test_body__form_of_the_test_client(self, signed_in):
        assert signed_in.post(URL).status_code == 200

    @pytest.mark.parametrize(
        "body",
        [
            b"{", b"null", b"1", b'"text"', b"[]", b'[{"expire": 60}]', b'{"expire": 60} x', b'{"expire": }',
            b'{"expire": NaN}', b'{"expire": Infinity}', b'{"expire": -Infinity}', b'{"expire": 060}',
            b'{"expire": 60, "expire": 61}', b'{"x": {}, "x": {}}', b'{"expire": {"expire": 60}}',
            b'{"expire": [60]}', b'{"expire": {"a": 1, "a": 2}}', b"\xff", b"\xef\xbb\xbf{}",
            '{"expire": 60}'.encode("utf-16"), b"{'expire': 60}", b"[" * 2000, b'{"a":' * 600, b" ", b"\x00",
        ],
        ids=lambda body: repr(body)[:40],
    )  # fmt: skip
    def test_body__not_one_flat_object(self, signed_in, body):
        assert_refused(post(signed_in, body), 400, "parse_error")

    @pytest.mark.parametrize(
        "name",
        [
            "userid",
            "UserID",
            "identifier",
            "sdkappid",
            "key",
            "privileges",
            "userbuf",
            "room_id",
            "Expire",
            "",
            "\x00",
        ],
    )
    @pytest.mark.parametrize("is_superuser", [False, True])
    def test_body__unknown_field(self, signed_in, user, name, is_superuser):
        user.is_staff = user.is_superuser = is_superuser
        user.save()
        assert_refused(post(signed_in, {name: "administrator", "expire": 60}), 400, "unknown_field", name)

    @pytest.mark.parametrize(
        "expire", [59, 86401, 0, -1, True, False, None, "3600", 3600.0, 1e3, 2**64, 10**4000, ""], ids=repr_cut
    )
    def test_body__invalid_expire(self, signed_in, expire):
        assert_refused(post(signed_in, {"expire": expire}), 400, "invalid", "expire")

    @pytest.mark.parametrize(
        ("body", "content_type"),
        [
            (b'{"expire": 60}', "text/plain"),
            (b'{"expire": 60}', "application/vnd.api+json"),
            (b'{"expire": 60}', ""),
            (b"expire=60", "application/x-www-form-urlencoded"),
            (MULTIPART % b"", "multipart/form-data; boundary=x"),
            (MULTIPART % b'; filename="f"', "multipart/form-data; boundary=x"),
        ],
    )  # fmt: skip
    def test_body__other_media_type(self, signed_in, body, content_type):
        assert_refused(post(signed_in, body, content_type=content_type), 415, "unsupported_media_type")

    @pytest.mark.parametrize("csrf", [{}, {"HTTP_X_CSRFTOKEN": "a" * 32}], ids=["no token", "token"])
    @pytest.mark.parametrize(
        ("body", "content_type", "status"),
        [
            (b"x", "multipart/form-data", 415),
            (b"", "multipart/form-data", 200),
            (b"", f"multipart/form-data; boundary={'x' * 300}", 200),
            (MULTIPART % b"", "multipart/form-data; boundary=x; charset=hex", 415),
            ((MULTIPART % b"")[:-6], "multipart/form-data; boundary=x", 415),
            (b"a=1", "application/x-www-form-urlencoded; charset=latin-1", 415),
            (b"", "application/x-www-form-urlencoded; charset=latin-1", 200),
            (b"a&" * 1500, "application/x-www-form-urlencoded", 415),
            (b"csrfmiddlewaretoken=" + b"a" * 32, "application/x-www-form-urlencoded", 415),
        ],
        ids=range(9),
    )
    def test_body__form_that_nobody_parses(self, user, body, content_type, status, csrf):
        client = Client(enforce_csrf_checks=True, raise_request_exception=True)
        client.force_login(user)
        client.cookies["csrftoken"] = "a" * 32
        response = client.generic("POST", URL, body, content_type, **csrf)
        assert response.status_code == (status if csrf else 403)
        assert response["Cache-Control"] == "no-store"

    @pytest.mark.parametrize(("body", "status"), [(b"a=1", 415), (b"--x--\r\n", 200), (MULTIPART % b"", 415)])
    def test_body__form_that_a_middleware_has_read(self, user, rf, body, status):
        is_multipart = body.startswith(b"--")
        content_type = "multipart/form-data; boundary=x" if is_multipart else "application/x-www-form-urlencoded"
        request = rf.post(URL, body, content_type=content_type)
        assert request.POST is not None
        force_authenticate(request, user)
        assert UserSigView.as_view()(request).status_code == status

    @pytest.mark.parametrize("content_type", [JSON, "text/plain", "application/x-www-form-urlencoded"])
    def test_body__too_large(self, signed_in, content_type):
        body = b'{"expire": 60}'.ljust(4097)
        assert_refused(post(signed_in, body, content_type=content_type), 413, "payload_too_large")

    def test_body__largest(self, signed_in):
        assert post(signed_in, b'{"expire": 60}'.ljust(4096)).status_code == 200

    def test_body__too_large_for_the_project(self, signed_in, settings):
        settings.DATA_UPLOAD_MAX_MEMORY_SIZE = 10
        assert_refused(post(signed_in, {"expire": 3600}), 413, "payload_too_large")

    def test_body__too_large_without_a_length(self, user):
        request = APIRequestFactory().post(URL, b'{"expire": 60}'.ljust(4097), content_type=JSON)
        del request.META["CONTENT_LENGTH"]
        request._body = b'{"expire": 60}'.ljust(4097)
        force_authenticate(request, user)
        assert_refused(_as_json(UserSigView.as_view()(request).render()), 413, "payload_too_large")

    @pytest.mark.parametrize("length", [{}, {"CONTENT_LENGTH": ""}])
    def test_body__chunked_without_a_length(self, signed_in, length):
        response = signed_in.generic("POST", URL, b"", JSON, HTTP_TRANSFER_ENCODING="chunked", **length)
        assert_refused(response, 411, "length_required")


class TestAuthentication:
    def test_authentication__nobody(self, db):
        assert_refused(post(Client()), 403, "not_authenticated")

    def test_authentication__challenge_of_the_authenticator(self, db, rf):
        view = UserSigView.as_view(authentication_classes=[TokenAuthentication])
        response = view(rf.post(URL)).render()
        assert response["WWW-Authenticate"] == "Token"
        assert_refused(_as_json(response), 401, "not_authenticated")

    def test_authentication__wrong_token(self, db, rf):
        view = UserSigView.as_view(authentication_classes=[TokenAuthentication])
        response = view(rf.post(URL, HTTP_AUTHORIZATION="Token nobody's")).render()
        assert_refused(_as_json(response), 401, "authentication_failed")

    @pytest.mark.parametrize(
        ("error", "status", "code"),
        [
            (drf.AuthenticationFailed("no", code="token_expired"), 403, "token_expired"),
            (drf.AuthenticationFailed({"detail": "no", "code": "token_not_valid"}), 403, "token_not_valid"),
            (drf.AuthenticationFailed({"detail": "no"}), 403, "authentication_failed"),
            (drf.AuthenticationFailed(["no"]), 403, "authentication_failed"),
            (drf.AuthenticationFailed("no", code="not a slug\n"), 403, "authentication_failed"),
            (drf.PermissionDenied("no"), 403, "permission_denied"),
            (drf.PermissionDenied("no", code="mfa_required"), 403, "mfa_required"),
            (PermissionDenied("no"), 403, "permission_denied"),
            (Http404("no"), 404, "not_found"),
            (SuspiciousOperation("no"), 400, "parse_error"),
            (DatabaseError("no"), 503, "signing_unavailable"),
            (InterfaceError("no"), 503, "signing_unavailable"),
        ],
    )
    def test_authentication__error_of_the_authenticator(self, db, rf, error, status, code):
        class Refuses(BaseAuthentication):
            def authenticate(self, request):
                raise error

        response = UserSigView.as_view(authentication_classes=[Refuses])(rf.post(URL)).render()
        assert_refused(_as_json(response), status, code)
        assert b'no"' not in response.content

    def test_authentication__unplanned_error_is_the_project_s(self, db, rf):
        class Breaks(BaseAuthentication):
            def authenticate(self, request):
                raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            UserSigView.as_view(authentication_classes=[Breaks])(rf.post(URL))

    def test_authentication__session_without_csrf_token(self, user, caplog):
        client = Client(enforce_csrf_checks=True)
        client.force_login(user)
        caplog.set_level("INFO", "usersig_django.audit")
        assert_refused(post(client), 403, "permission_denied")
        assert "refused code=permission_denied" in caplog.text

    def test_authentication__inactive_user(self, user, rf, caplog):
        user.is_active = False
        caplog.set_level("INFO", "usersig_django.audit")
        request = rf.post(URL)
        force_authenticate(request, user)
        response = UserSigView.as_view()(request).render()
        assert_refused(_as_json(response), 403, "user_inactive")
        assert [record.message for record in caplog.records] == [mock.ANY]
        assert "refused code=user_inactive time=" in caplog.text
        assert f"actor={user.pk} " in caplog.text

    @pytest.mark.parametrize("mark", ["is_hijacked", "is_impersonate"])
    def test_authentication__impersonated_session(self, user, rf, mark):
        setattr(user, mark, True)
        request = rf.post(URL)
        force_authenticate(request, user)
        assert_refused(_as_json(UserSigView.as_view()(request).render()), 403, "impersonation_forbidden")


class TestMethod:
    @pytest.mark.parametrize("method", ["GET", "HEAD", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW"])
    @pytest.mark.parametrize("url", [URL, ROOM_URL])
    def test_method__not_post(self, signed_in, method, url):
        response = signed_in.generic(method, url)
        assert response.status_code == 405
        assert response["Allow"] == "POST"
        assert response["Cache-Control"] == "no-store"
        if method != "HEAD":
            assert_refused(response, 405, "method_not_allowed")


class TestUserID:
    @pytest.mark.parametrize("userid", ["administrator", "Administrator", "ADMIN", "root", "system", "boss"])
    def test_userid__reserved(self, signed_in, user, settings, userid):
        user.is_superuser = user.is_staff = True
        user.save()
        with_usersig(settings, USERID_RESOLVER=lambda user: userid, ADMIN_USERID="Boss")
        assert_refused(post(signed_in), 403, "userid_reserved")

    @pytest.mark.parametrize("userid", [None, 42, b"bytes", "", " ", "a" * 33, "a\n", "a b", "ä", ["a"], True])
    def test_userid__unusable(self, signed_in, settings, userid):
        with_usersig(settings, USERID_RESOLVER=lambda user: userid)
        assert_refused(post(signed_in), 409, "userid_unmappable")

    @pytest.mark.parametrize(
        "error", [ValueError, KeyError, RecursionError, UserIDReserved, PermissionDenied, Http404]
    )
    def test_userid__resolver_raises(self, signed_in, settings, error, caplog):
        def resolver(user):
            raise error("canary")

        with_usersig(settings, USERID_RESOLVER=resolver)
        response = post(signed_in)
        assert_refused(response, 409, "userid_unmappable")
        assert b"canary" not in response.content
        assert [r.levelname for r in caplog.records if r.name == "usersig_django"] == ["ERROR"]
        assert error.__qualname__ in caplog.text


class TestThrottle:
    def test_throttle__limit(self, signed_in, settings):
        with_usersig(settings, THROTTLE_RATE="3/min")
        with mock.patch.object(UserSigRateThrottle, "timer", staticmethod(lambda: 600_012.5)):
            assert [post(signed_in).status_code for _ in range(4)] == [200, 200, 200, 429]
            response = post(signed_in)
        assert_refused(response, 429, "throttled")
        assert response["Retry-After"] == "48"
        with mock.patch.object(UserSigRateThrottle, "timer", staticmethod(lambda: 600_060.0)):
            assert post(signed_in).status_code == 200

    def test_throttle__endpoints_count_separately(self, signed_in, settings):
        with_usersig(settings, THROTTLE_RATE="1/day", ROOM_POLICY=grant_audience)
        assert post(signed_in).status_code == 200
        assert post(signed_in, {"room_id": 1}, ROOM_URL).status_code == 200
        assert post(signed_in).status_code == 429
        assert post(signed_in, {"room_id": 1}, ROOM_URL).status_code == 429

    def test_throttle__users_count_separately(self, signed_in, settings, django_user_model):
        with_usersig(settings, THROTTLE_RATE="1/day")
        other = Client()
        other.force_login(django_user_model.objects.create_user("bob"))
        assert post(signed_in).status_code == 200
        assert post(other).status_code == 200
        assert post(other).status_code == 429

    def test_throttle__off(self, signed_in, settings):
        with_usersig(settings, THROTTLE_RATE=None)
        with mock.patch.object(cache, "add", side_effect=AssertionError):
            assert post(signed_in).status_code == 200

    def test_throttle__cache_down(self, signed_in, caplog):
        with mock.patch.object(type(UserSigRateThrottle.cache), "__getattr__", side_effect=ConnectionError("dsn")):
            assert post(signed_in).status_code == 200
        [record] = [record for record in caplog.records if record.name == "usersig_django"]
        assert record.levelname == "WARNING"
        assert "dsn" not in record.getMessage()

    @pytest.mark.parametrize("rate", ["60", "x/min", "60/", "60/century", 1.5])
    def test_throttle__rate_is_nonsense(self, signed_in, settings, rate):
        with_usersig(settings, THROTTLE_RATE=rate)
        assert_refused(post(signed_in), 503, "signing_unavailable")

    def test_throttle__comes_before_the_body(self, signed_in, settings):
        with_usersig(settings, THROTTLE_RATE="1/day")
        post(signed_in)
        assert_refused(post(signed_in, b"["), 429, "throttled")


class TestUnavailable:
    @pytest.mark.parametrize(
        "changes",
        [
            {"ENVIRONMENT": "absent"},
            {"ENVIRONMENT": "Not a name"},
            {"APPLICATIONS": {"default": {}}},
            {"APPLICATIONS": {"default": {"SDKAPPID": TEST_SDKAPPID, "SECRET_KEY": "short"}}},
            {"APPLICATIONS": {"default": {"SDKAPPID": "1400000001", "SECRET_KEY": TEST_SECRET_KEY}}},
            {"APPLICATIONS": []},
            {"EXPIRE": 59},
            {"EXPIRE": "86400"},
            {"USERID_RESOLVER": "tests.absent"},
            {"USERID_RULE": "lax"},
            {"COMPRESSION_LEVEL": 10},
            {"RESERVED_USERIDS": "admin"},
            {"USERID_RESOLVER": "usersig_django.resolvers.opaque"},
            {"CACHE_SECONDS": -1},
        ],
    )
    def test_unavailable__configuration(self, signed_in, settings, changes, caplog):
        with_usersig(settings, **changes)
        response = post(signed_in)
        assert_refused(response, 503, "signing_unavailable")
        assert response["Retry-After"] == "5"
        [record] = [record for record in caplog.records if record.name == "usersig_django"]
        assert record.levelname == "ERROR"
        assert TEST_SECRET_KEY[:8] not in caplog.text

    def test_unavailable__recovers_without_a_restart(self, signed_in, settings):
        with_usersig(settings, ENVIRONMENT="absent")
        assert post(signed_in).status_code == 503
        settings.USERSIG = USERSIG
        assert post(signed_in).status_code == 200

    def test_unavailable__clock_before_2020(self, signed_in, caplog):
        with mock.patch("time.time", return_value=1_577_836_799.9):
            assert_refused(post(signed_in), 503, "signing_unavailable")
        assert "2020-01-01" in caplog.text

    @pytest.mark.parametrize("where", ["resolver", "policy"])
    @pytest.mark.parametrize("error", [OperationalError, InterfaceError])
    def test_unavailable__database_in_a_plug_point(self, signed_in, settings, where, error):
        def fails(*args):
            raise error("dsn")

        with_usersig(settings, **({"USERID_RESOLVER": fails} if where == "resolver" else {"ROOM_POLICY": fails}))
        response = post(signed_in, {"room_id": 1}, ROOM_URL)
        assert_refused(response, 503, "signing_unavailable")
        assert b"dsn" not in response.content

    def test_unavailable__audit_record_cannot_be_written(self, signed_in, settings):
        with_usersig(settings, AUDIT_TO_DATABASE=True)
        with mock.patch("usersig_django.audit.IssuedRecord.save", side_effect=OperationalError):
            assert_refused(post(signed_in), 503, "signing_unavailable")

    def test_unavailable__body_is_refused_first(self, signed_in, settings):
        with_usersig(settings, ENVIRONMENT="absent")
        assert_refused(post(signed_in, {"expire": 86401}), 400, "invalid", "expire")
        assert_refused(post(signed_in, {"userid": "x"}), 400, "unknown_field", "userid")

    def test_unavailable__userid_is_refused_first(self, signed_in, settings):
        with_usersig(settings, ENVIRONMENT="absent", USERID_RESOLVER=lambda user: "admin")
        assert_refused(post(signed_in), 403, "userid_reserved")


class TestPrivateMapKey:
    @pytest.mark.parametrize(
        ("name", "room"), [("room_id", 10000), ("str_room_id", "lobby"), ("str_room_id", "10000")]
    )
    def test_private_map_key__granted(self, signed_in, user, settings, signer, name, room):
        with_usersig(settings, ROOM_POLICY=grant_audience)
        body = post(signed_in, {name: room}, ROOM_URL).json()
        members = ["sdkappid", "userid", "private_map_key", name, "privileges", "expire", "issued_at", "expires_at"]
        assert list(body) == members
        assert (body[name], body["privileges"], body["expire"]) == (room, 42, 3600)
        claims = signer.verify_private_map_key(body["private_map_key"], userid=str(user.pk), room=room)
        assert claims.privileges == Privilege.AUDIENCE

    def test_private_map_key__no_policy(self, signed_in, settings):
        with_usersig(settings, ROOM_POLICY=None)
        assert_refused(post(signed_in, {"room_id": 1}, ROOM_URL), 403, "room_forbidden")

    @pytest.mark.parametrize("granted", [Privilege(0), True, 42, None, "ALL", Privilege(256), Privilege(511)])
    def test_private_map_key__nothing_granted(self, signed_in, settings, granted, caplog):
        with_usersig(settings, ROOM_POLICY=lambda user, room: granted)
        assert_refused(post(signed_in, {"room_id": 1}, ROOM_URL), 403, "room_forbidden")
        assert any(record.levelname == "ERROR" for record in caplog.records) == (granted != Privilege(0))

    @pytest.mark.parametrize("error", [ValueError, KeyError, PermissionDenied, Http404, ImproperlyConfigured])
    def test_private_map_key__policy_raises(self, signed_in, settings, error, caplog):
        def policy(user, room):
            raise error("canary")

        with_usersig(settings, ROOM_POLICY=policy)
        assert_refused(post(signed_in, {"room_id": 1}, ROOM_URL), 403, "room_forbidden")
        assert error.__qualname__ in caplog.text

    @pytest.mark.parametrize(
        ("body", "fields"),
        [
            ({}, ["room_id", "str_room_id"]),
            ({"room_id": 1, "str_room_id": "a"}, ["room_id", "str_room_id"]),
            *[({"room_id": room}, ["room_id"]) for room in (0, -1, 2**32 - 1, 2**32 + 7, True, "1", 1.0, None)],
            *[({"str_room_id": room}, ["str_room_id"]) for room in ("", "a" * 65, "ä", "a\n", 'a"', 1, None, True)],
        ],
        ids=repr_cut,
    )
    def test_private_map_key__invalid_room(self, signed_in, body, fields):
        assert_refused(post(signed_in, body, ROOM_URL), 400, "invalid", *fields)

    @pytest.mark.parametrize("name", ["privileges", "userid", "expire"])
    def test_private_map_key__client_names_no_privileges(self, signed_in, name):
        assert_refused(post(signed_in, {"room_id": 1, name: 255}, ROOM_URL), 400, "unknown_field", name)

    def test_private_map_key__reserved_before_the_policy(self, signed_in, settings):
        with_usersig(settings, USERID_RESOLVER=lambda user: "admin", ROOM_POLICY=None)
        assert_refused(post(signed_in, {"room_id": 1}, ROOM_URL), 403, "userid_reserved")


class TestHooks:
    def test_hooks__environment_of_the_url(self, user, rf, settings):
        live = {"SDKAPPID": 1400000002, "SECRET_KEY": "f" * 64}
        with_usersig(settings, APPLICATIONS={**USERSIG["APPLICATIONS"], "live": live})
        request = rf.post(URL)
        force_authenticate(request, user)
        body = _as_json(UserSigView.as_view(environment="live")(request).render()).json()
        assert HmacSha256Signer(sdkappid=1400000002, secret_key="f" * 64).verify(
            body["usersig"], userid=body["userid"]
        )

    def test_hooks__get_expire(self, user, rf):
        class Guests(UserSigView):
            def get_expire(self):
                return 300

        for body, expire in ((b"", 300), (b'{"expire": 60}', 60)):
            request = rf.post(URL, body, content_type=JSON)
            force_authenticate(request, user)
            assert _as_json(Guests.as_view()(request).render()).json()["expire"] == expire

    @pytest.mark.parametrize("hook", [{"get_expire": lambda self: 5}, {"get_environment": lambda self: 5}])
    def test_hooks__nonsense_is_the_server_s_fault(self, user, rf, hook):
        request = rf.post(URL)
        force_authenticate(request, user)
        response = type("Odd", (UserSigView,), hook).as_view()(request).render()
        assert_refused(_as_json(response), 503, "signing_unavailable")

    def test_hooks__environment_that_fails_hides_no_refusal(self, user, rf, caplog):
        def fails(self):
            raise ZeroDivisionError

        caplog.set_level("INFO", "usersig_django.audit")
        user.is_active = False
        request = rf.post(URL)
        force_authenticate(request, user)
        view = type("Odd", (UserSigView,), {"get_environment": fails}).as_view(environment="live")
        response = view(request).render()
        assert_refused(_as_json(response), 403, "user_inactive")
        assert " environment=live " in caplog.text


def test_parser__reads_as_the_views_do():
    assert StrictJSONParser().parse(BytesIO(b'{"expire": 60}')) == {"expire": 60}
    with pytest.raises(drf.ParseError):
        StrictJSONParser().parse(BytesIO(b"[]"))


class TestProjectSettings:
    """A project's own DRF settings change nothing here, and nothing of ours reaches its other views."""

    def test_project_settings__exception_handler_is_not_called(self, signed_in, settings):
        settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "EXCEPTION_HANDLER": "tests.absent.handler"}
        assert_refused(post(signed_in, b"["), 400, "parse_error")

    def test_project_settings__versioning_is_not_applied(self, signed_in, settings):
        settings.REST_FRAMEWORK = {
            **settings.REST_FRAMEWORK,
            "DEFAULT_VERSIONING_CLASS": "rest_framework.versioning.NamespaceVersioning",
            "ALLOWED_VERSIONS": ["v1"],
        }
        assert post(signed_in).status_code == 200

    def test_project_settings__views_are_not_atomic(self):
        for view in (UserSigView, PrivateMapKeyView):
            assert view.as_view()._non_atomic_requests == {"default"}

    def test_project_settings__address_by_num_proxies(self, signed_in, settings, caplog):
        settings.REST_FRAMEWORK = {**settings.REST_FRAMEWORK, "NUM_PROXIES": 1}
        caplog.set_level("INFO", "usersig_django.audit")
        post(signed_in, HTTP_X_FORWARDED_FOR="10.0.0.1, 203.0.113.7")
        assert "address=203.0.113.7 " in caplog.text


def test_errors__detail_is_a_fixed_sentence():
    assert all(str(sentence).endswith(".") for _, sentence in ERRORS.values())


def _as_json(response):
    """What the test client adds to a response."""
    response.json = lambda: json.loads(response.content)
    return response
