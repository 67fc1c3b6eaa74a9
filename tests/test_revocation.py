"""Taking UserSigs back, against a stand-in for Tencent's REST host; nothing leaves the machine."""

import logging
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from unittest import mock

import pytest
from asgiref.sync import async_to_sync
from django.apps import apps
from django.core.exceptions import ImproperlyConfigured
from django.db import connection
from django.db.models.signals import pre_delete, pre_save
from rest_framework.authtoken.models import Token

from tests.settings import TEST_SDKAPPID, TEST_SECRET_KEY, USERSIG
from tests.tencent import OK, RestHost, fail
from usersig_django import deactivation, revocation
from usersig_django.conf import REGIONS
from usersig_django.exceptions import (
    InvalidInput,
    RevocationFailed,
    SigningUnavailable,
    UserIDUnmappable,
    UserSigRevoked,
)
from usersig_django.issuing import issue_private_map_key_for_userid, issue_usersig_for_userid
from usersig_django.models import Revocation
from usersig_django.resolvers import attribute
from usersig_django.revocation import (
    HOSTS,
    arevoke_usersigs_for_userid,
    get_admin_usersig,
    revoke_usersigs,
    revoke_usersigs_for_userid,
)
from usersig_django.signals import usersig_issued, usersig_revocation_failed
from usersig_django.signing import HmacSha256Signer
from usersig_django.verifying import verify_private_map_key, verify_usersig

pytestmark = pytest.mark.django_db

WAIT_FOR = revocation._wait_for


@pytest.fixture
def signer():
    return HmacSha256Signer(sdkappid=TEST_SDKAPPID, secret_key=TEST_SECRET_KEY)


@pytest.fixture
def tencent(signer, tmp_path, monkeypatch):
    with RestHost(signer, tmp_path) as host:
        monkeypatch.setenv("SSL_CERT_FILE", host.certificate)
        monkeypatch.setattr(revocation, "HOSTS", dict.fromkeys(REGIONS, host.address))
        monkeypatch.setattr(revocation, "FIRST_PAUSE_SECONDS", 0.01)
        # At most a second each, which one test of its own waits for.
        monkeypatch.setattr(revocation, "_wait_for", lambda instant: None)
        yield host


@pytest.fixture
def failures():
    received = []

    def receive(sender, **kwargs):
        received.append({"sender": sender, **kwargs})

    usersig_revocation_failed.connect(receive)
    yield received
    usersig_revocation_failed.disconnect(receive)


def issued_before(seconds, issue=issue_usersig_for_userid, userid="alice", **kwargs):
    with mock.patch("time.time", return_value=time.time() - seconds):
        return issue(userid, **kwargs)


class TestCall:
    def test_call__one_request_as_documented(self, tencent, signer):
        revoked = revoke_usersigs_for_userid("alice")
        [call] = tencent.calls
        assert call["path"] == "/v4/im_open_login_svc/kick"
        assert call["body"] == {"UserID": "alice"}
        query = call["query"]
        assert set(query) == {"sdkappid", "identifier", "usersig", "random", "contenttype"}
        assert (query["sdkappid"], query["identifier"]) == (str(TEST_SDKAPPID), "administrator")
        assert query["contenttype"] == "json"
        assert 0 <= int(query["random"]) < 2**32
        assert signer.verify(query["usersig"], userid="administrator").expire == 300
        assert (revoked.environment, revoked.sdkappid, revoked.userid) == ("default", TEST_SDKAPPID, "alice")
        assert revoked.attempts == 1
        assert abs(datetime.now(UTC) - revoked.revoked_at) < timedelta(seconds=10)

    def test_call__admin_account_is_the_configured_one(self, tencent, settings):
        settings.USERSIG = {**USERSIG, "ADMIN_USERID": "boss"}
        revoke_usersigs_for_userid("alice")
        assert tencent.calls[0]["query"]["identifier"] == "boss"

    def test_call__is_audited_whatever_tencent_says(self, tencent, caplog):
        caplog.set_level("INFO", "usersig_django.audit")
        tencent.script = [fail(70403)]
        with pytest.raises(RevocationFailed):
            revoke_usersigs_for_userid("alice")
        assert any(message.startswith("revoked ") and "userid=alice " in message for message in caplog.messages)

    def test_call__anew_each_time(self, tencent):
        revoke_usersigs_for_userid("alice")
        revoke_usersigs_for_userid("alice")
        assert len({call["query"]["random"] for call in tencent.calls}) == 2

    @pytest.mark.parametrize("region", REGIONS)
    def test_call__host_of_the_region(self, settings, region):
        import httpx

        settings.USERSIG = {
            **USERSIG,
            "APPLICATIONS": {"default": {**USERSIG["APPLICATIONS"]["default"], "REGION": region}},
        }
        with mock.patch.object(
            httpx.HTTPTransport, "handle_request", return_value=httpx.Response(200, json=OK)
        ) as handle:
            revoke_usersigs_for_userid("alice")
        [request] = handle.call_args.args
        assert (request.url.scheme, request.url.host, request.url.port) == ("https", HOSTS[region], None)

    def test_call__through_the_proxy_of_the_environment(self, monkeypatch):
        import httpx

        monkeypatch.setattr(revocation, "FIRST_PAUSE_SECONDS", 0)
        monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:1")
        with mock.patch.object(httpx, "HTTPTransport", side_effect=httpx.ConnectError("")) as transport:
            with pytest.raises(RevocationFailed):
                revoke_usersigs_for_userid("alice")
            assert transport.call_args.kwargs == {"proxy": "http://127.0.0.1:1"}
            monkeypatch.setenv("NO_PROXY", HOSTS["china"])
            with pytest.raises(RevocationFailed):
                revoke_usersigs_for_userid("alice")
            assert transport.call_args.kwargs == {"proxy": None}

    def test_call__untrusted_certificate(self, tencent, monkeypatch):
        monkeypatch.delenv("SSL_CERT_FILE")
        with pytest.raises(RevocationFailed, match="cannot be reached"):
            revoke_usersigs_for_userid("alice")
        assert tencent.calls == []

    def test_call__credential_reaches_no_log(self, tencent, caplog):
        caplog.set_level(logging.DEBUG)
        tencent.script = [b"broken", None, fail(70403)]
        with pytest.raises(RevocationFailed) as refused:
            revoke_usersigs_for_userid("alice")
        texts = [record.getMessage() + str(record.args) for record in caplog.records]
        for call in tencent.calls:
            usersig = call["query"]["usersig"]
            assert not any(usersig in text or "usersig=" in text for text in texts)
            assert usersig not in repr(refused.value)
        assert any("httpcore" in record.name for record in caplog.records)

    def test_call__async(self, tencent):
        assert async_to_sync(arevoke_usersigs_for_userid)("alice").userid == "alice"


class TestFaults:
    @pytest.mark.parametrize(
        "fault",
        [None, b"", b"<html>", b"[]", b'{"ErrorCode": "0"}', b" " * 70_000, fail(60007), fail(70169)],
        ids=range(8),
    )
    def test_faults__passing_one_is_tried_again(self, tencent, fault):
        tencent.script = [fault, fault]
        assert revoke_usersigs_for_userid("alice").attempts == 3
        assert len(tencent.calls) == 3

    @pytest.mark.parametrize(
        ("code", "fault"), [(None, None), (None, b"x"), (70500, fail(70500)), (60008, fail(60008))]
    )
    def test_faults__lasting_one_is_reported(self, tencent, code, fault):
        tencent.script = [fault] * 9
        with pytest.raises(RevocationFailed) as refused:
            revoke_usersigs_for_userid("alice")
        assert (refused.value.error_code, refused.value.retryable) == (code, True)
        assert len(tencent.calls) == 3

    @pytest.mark.parametrize("code", [70402, 70403, 70009, 12345])
    def test_faults__refusal_is_not_tried_again(self, tencent, code):
        tencent.script = [fail(code)] * 9
        with pytest.raises(RevocationFailed) as refused:
            revoke_usersigs_for_userid("alice")
        assert (refused.value.error_code, refused.value.retryable) == (code, False)
        assert bool(refused.value.hint) == (code != 12345)
        assert len(tencent.calls) == 1

    def test_faults__account_that_never_logged_in_holds_nothing(self, tencent):
        tencent.script = [fail(70107)]
        assert revoke_usersigs_for_userid("alice").attempts == 1
        assert not Revocation.objects.get().is_pending

    @pytest.mark.parametrize(
        ("name", "value"),
        [
            ("HTTPS_PROXY", "127.0.0.1:1"),
            ("HTTPS_PROXY", "gopher://127.0.0.1:1"),
            ("HTTPS_PROXY", "socks5://127.0.0.1:1"),
            ("SSL_CERT_FILE", "absent.pem"),
        ],
    )
    def test_faults__environment_that_is_wrong(self, tencent, monkeypatch, name, value):
        monkeypatch.setenv(name, value)
        with pytest.raises(RevocationFailed, match="cannot be reached"):
            revoke_usersigs_for_userid("alice")
        assert Revocation.objects.get().is_pending

    def test_faults__answer_that_is_not_what_it_says(self, tencent):
        import httpx

        def lie(transport, request):
            return httpx.Response(200, headers={"Content-Encoding": "gzip"}, stream=httpx.ByteStream(b"plain"))

        with (
            mock.patch.object(httpx.HTTPTransport, "handle_request", lie),
            pytest.raises(RevocationFailed),
        ):
            revoke_usersigs_for_userid("alice")

    def test_faults__success_that_is_not_tencents(self, tencent):
        import httpx

        answer = httpx.Response(502, json=OK)
        with (
            mock.patch.object(httpx.HTTPTransport, "handle_request", return_value=answer),
            pytest.raises(RevocationFailed, match="status 502"),
        ):
            revoke_usersigs_for_userid("alice")

    def test_faults__body_that_comes_drop_by_drop(self, tencent, monkeypatch):
        import httpx

        monkeypatch.setattr(revocation, "ANSWER_SECONDS", -1)
        answer = httpx.Response(200, json=OK)
        with (
            mock.patch.object(httpx.HTTPTransport, "handle_request", return_value=answer) as handle,
            pytest.raises(RevocationFailed),
        ):
            revoke_usersigs_for_userid("alice")
        assert handle.call_count == 3

    def test_faults__locals_of_the_traceback_hold_no_credential(self, tencent):
        tencent.script = [fail(70403)]
        with pytest.raises(RevocationFailed) as refused:
            revoke_usersigs_for_userid("alice")
        [call] = tencent.calls
        frames = [str(frame.frame.f_locals) for frame in refused.traceback]
        assert not any(call["query"]["usersig"] in text for text in frames if "tests.test_revocation" not in text)

    def test_faults__silence_ends(self, tencent, monkeypatch):
        monkeypatch.setattr(revocation, "TIMEOUT_SECONDS", dict.fromkeys(revocation.TIMEOUT_SECONDS, 0.1))
        tencent.script = [0.5, 0.5]
        assert revoke_usersigs_for_userid("alice").attempts == 3

    def test_faults__wrong_key_is_tencent_s_70009(self, tencent):
        tencent.signer = HmacSha256Signer(sdkappid=TEST_SDKAPPID, secret_key="f" * 64)
        with pytest.raises(RevocationFailed) as refused:
            revoke_usersigs_for_userid("alice")
        assert refused.value.error_code == 70009
        assert refused.value.hint

    def test_faults__nobody_there(self, monkeypatch):
        monkeypatch.setattr(revocation, "HOSTS", dict.fromkeys(REGIONS, "127.0.0.1:1"))
        monkeypatch.setattr(revocation, "FIRST_PAUSE_SECONDS", 0)
        with pytest.raises(RevocationFailed) as refused:
            revoke_usersigs_for_userid("alice")
        assert refused.value.error_code is None

    def test_faults__httpx_is_not_installed(self, monkeypatch):
        monkeypatch.setitem(sys.modules, "httpx", None)
        with pytest.raises(ImproperlyConfigured, match=r"usersig_django\[revocation\]"):
            revoke_usersigs_for_userid("alice")

    @pytest.mark.parametrize("userid", ["", "a\n", "a" * 33, None, 42])
    def test_faults__no_userid(self, userid):
        with pytest.raises(InvalidInput):
            revoke_usersigs_for_userid(userid)

    def test_faults__no_application(self):
        with pytest.raises(SigningUnavailable):
            revoke_usersigs_for_userid("alice", environment="absent")


class TestLocally:
    """Our own verification refuses what was issued before the instant."""

    def test_locally__older_tokens_are_refused(self, tencent):
        usersig = issued_before(10).usersig
        key = issued_before(10, issue_private_map_key_for_userid, room=1, privileges=42).private_map_key
        assert verify_usersig(usersig, userid="alice")
        revoke_usersigs_for_userid("alice")
        with pytest.raises(UserSigRevoked):
            verify_usersig(usersig, userid="alice")
        with pytest.raises(UserSigRevoked):
            verify_private_map_key(key, room=1)

    def test_locally__from_one_second_to_the_next(self, tencent, monkeypatch):
        monkeypatch.setattr(revocation, "_wait_for", WAIT_FOR)
        old = issue_usersig_for_userid("alice").usersig
        revoke_usersigs_for_userid("alice")
        with pytest.raises(UserSigRevoked):
            verify_usersig(old)
        assert verify_usersig(issue_usersig_for_userid("alice").usersig)

    @pytest.mark.parametrize("other", ["Alice", "alice_", "bob"])
    def test_locally__other_userids_keep_theirs(self, tencent, other):
        usersig = issued_before(10, userid=other).usersig
        revoke_usersigs_for_userid("alice")
        assert verify_usersig(usersig, userid=other)

    def test_locally__also_when_tencent_is_away(self, tencent):
        usersig = issued_before(10).usersig
        tencent.script = [None] * 3
        with pytest.raises(RevocationFailed):
            revoke_usersigs_for_userid("alice")
        with pytest.raises(UserSigRevoked):
            verify_usersig(usersig)

    def test_locally__other_applications_keep_theirs(self, tencent, settings):
        live = {"SDKAPPID": 1400000002, "SECRET_KEY": "f" * 64}
        settings.USERSIG = {**USERSIG, "APPLICATIONS": {**USERSIG["APPLICATIONS"], "live": live}}
        usersig = issued_before(10, environment="live").usersig
        revoke_usersigs_for_userid("alice")
        assert verify_usersig(usersig, environment="live")

    def test_locally__the_later_bound_counts(self, tencent):
        usersig = issued_before(10).usersig
        with pytest.raises(UserSigRevoked):
            verify_usersig(usersig, not_before=int(time.time()))

    def test_locally__project_without_a_database(self):
        with mock.patch.dict(connection.settings_dict, ENGINE="django.db.backends.dummy"):
            assert Revocation.objects.get_instant(TEST_SDKAPPID, "alice") is None

    def test_locally__row_names_its_application(self):
        row = Revocation.objects.revoke("default", TEST_SDKAPPID, "alice")
        assert str(row).startswith(f"{TEST_SDKAPPID} ")

    def test_locally__instant_never_goes_back(self):
        later = Revocation.objects.revoke("default", TEST_SDKAPPID, "alice").instant
        with mock.patch("time.time", return_value=time.time() - 3600):
            assert Revocation.objects.revoke("default", TEST_SDKAPPID, "alice").instant == later
        assert Revocation.objects.get_instant(TEST_SDKAPPID, "alice") == later
        assert Revocation.objects.count() == 1


@pytest.mark.services
@pytest.mark.django_db(transaction=True)
def test_locally__many_at_once():
    from django.db import connection

    def revoke(_):
        try:
            return Revocation.objects.revoke("default", TEST_SDKAPPID, "alice").instant
        finally:
            connection.close()

    with ThreadPoolExecutor(4) as pool:
        instants = set(pool.map(revoke, range(8)))
    assert Revocation.objects.count() == 1
    assert Revocation.objects.get_instant(TEST_SDKAPPID, "alice") == max(instants)


class TestUsers:
    def test_users__through_the_resolver(self, tencent, django_user_model):
        user = django_user_model.objects.create_user("alice", is_active=False)
        assert revoke_usersigs(user).userid == str(user.pk)

    def test_users__unmappable(self, tencent, django_user_model, settings):
        settings.USERSIG = {**USERSIG, "USERID_RESOLVER": lambda user: None}
        with pytest.raises(UserIDUnmappable):
            revoke_usersigs(django_user_model.objects.create_user("alice"))
        assert tencent.calls == []


class TestAdminUserSig:
    def test_admin_usersig__an_hour_audited(self, signer, caplog):
        caplog.set_level("INFO", "usersig_django.audit")
        issued = get_admin_usersig()
        assert signer.verify(issued.usersig, userid="administrator").expire == 3600
        assert "userid=administrator" in caplog.text
        assert issued.usersig not in caplog.text

    def test_admin_usersig__anew_each_time(self):
        received = []

        def receive(**kwargs):
            received.append(kwargs)

        usersig_issued.connect(receive)
        get_admin_usersig()
        get_admin_usersig()
        usersig_issued.disconnect(receive)
        assert [event["issued"].userid for event in received] == ["administrator"] * 2


class TestDeactivation:
    @pytest.fixture(autouse=True)
    def _opted_in(self, settings):
        settings.USERSIG = {**USERSIG, "REVOKE_ON_DEACTIVATION": True}

    @pytest.fixture
    def user(self, django_user_model):
        return django_user_model.objects.create_user("alice")

    def change(self, capture, user, **attributes):
        for name, value in attributes.items():
            setattr(user, name, value)
        with capture(execute=True):
            user.save()

    def test_deactivation__one_call_after_the_commit(self, tencent, user, signer, django_capture_on_commit_callbacks):
        user.is_active = False
        with django_capture_on_commit_callbacks(execute=True):
            user.save()
            assert tencent.calls == []
        [call] = tencent.calls
        assert call["body"] == {"UserID": str(user.pk)}
        assert signer.verify(call["query"]["usersig"], userid="administrator")

    def test_deactivation__only_the_change_counts(self, tencent, user, django_capture_on_commit_callbacks):
        self.change(django_capture_on_commit_callbacks, user, first_name="A")
        self.change(django_capture_on_commit_callbacks, user, is_active=False)
        self.change(django_capture_on_commit_callbacks, user, first_name="B")
        assert len(tencent.calls) == 1
        self.change(django_capture_on_commit_callbacks, user, is_active=True)
        self.change(django_capture_on_commit_callbacks, user, is_active=False)
        assert len(tencent.calls) == 2

    def test_deactivation__not_saved(self, tencent, user, django_capture_on_commit_callbacks):
        user.is_active = False
        with django_capture_on_commit_callbacks(execute=True):
            user.save(update_fields=["first_name"])
        assert tencent.calls == []
        with django_capture_on_commit_callbacks(execute=True):
            user.save(update_fields=["is_active"])
        assert len(tencent.calls) == 1

    def test_deactivation__new_user_who_is_inactive(
        self, tencent, django_user_model, django_capture_on_commit_callbacks
    ):
        with django_capture_on_commit_callbacks(execute=True):
            django_user_model.objects.create_user("bob", is_active=False)
        assert tencent.calls == []

    def test_deactivation__deleted(self, tencent, user, django_user_model, django_capture_on_commit_callbacks):
        pk = user.pk
        with django_capture_on_commit_callbacks(execute=True):
            django_user_model.objects.filter(pk=pk).delete()
        [call] = tencent.calls
        assert call["body"] == {"UserID": str(pk)}

    def test_deactivation__deleted_after_it(self, tencent, user, django_capture_on_commit_callbacks):
        self.change(django_capture_on_commit_callbacks, user, is_active=False)
        with django_capture_on_commit_callbacks(execute=True):
            user.delete()
        assert len(tencent.calls) == 1

    def test_deactivation__not_opted_in(self, tencent, user, settings, django_capture_on_commit_callbacks):
        settings.USERSIG = USERSIG
        self.change(django_capture_on_commit_callbacks, user, is_active=False)
        with django_capture_on_commit_callbacks(execute=True):
            user.delete()
        assert tencent.calls == []

    def test_deactivation__tencent_is_away(
        self, tencent, user, django_user_model, failures, caplog, django_capture_on_commit_callbacks
    ):
        tencent.script = [None] * 3
        self.change(django_capture_on_commit_callbacks, user, is_active=False)
        assert not django_user_model.objects.get(pk=user.pk).is_active
        [failure] = failures
        assert (failure["sender"], failure["userid"]) == (django_user_model, str(user.pk))
        assert isinstance(failure["error"], RevocationFailed)
        [record] = [record for record in caplog.records if record.name == "usersig_django"]
        assert record.levelname == "ERROR"
        assert str(user.pk) in record.getMessage()

    def test_deactivation__resolver_fails(self, tencent, user, failures, settings, django_capture_on_commit_callbacks):
        settings.USERSIG = {**settings.USERSIG, "USERID_RESOLVER": lambda user: None}
        self.change(django_capture_on_commit_callbacks, user, is_active=False)
        assert [failure["userid"] for failure in failures] == [None]
        assert tencent.calls == []

    def test_deactivation__refused_here_in_the_same_transaction(
        self, tencent, user, django_user_model, django_capture_on_commit_callbacks
    ):
        """A process that dies before it tells Tencent has lost nothing."""
        usersig = issue_usersig_for_userid(str(user.pk)).usersig
        with django_capture_on_commit_callbacks(execute=False):
            django_user_model.objects.filter(pk=user.pk).delete()
        with pytest.raises(UserSigRevoked):
            verify_usersig(usersig)
        [pending] = Revocation.objects.filter(is_pending=True)
        assert (pending.userid, pending.environment) == (str(user.pk), "default")

    def test_deactivation__settled_when_tencent_agrees(self, tencent, user, django_capture_on_commit_callbacks):
        self.change(django_capture_on_commit_callbacks, user, is_active=False)
        assert not Revocation.objects.get().is_pending

    def test_deactivation__resolver_that_reads_what_the_deletion_takes_along(
        self, tencent, user, settings, django_capture_on_commit_callbacks
    ):
        Token.objects.create(user=user, key="im-id")
        settings.USERSIG = {**settings.USERSIG, "USERID_RESOLVER": attribute("auth_token.key")}
        with django_capture_on_commit_callbacks(execute=True):
            type(user).objects.get(pk=user.pk).delete()
        assert [call["body"] for call in tencent.calls] == [{"UserID": "im-id"}]

    def test_deactivation__deferred_user(self, tencent, user, django_capture_on_commit_callbacks):
        with django_capture_on_commit_callbacks(execute=True):
            type(user).objects.only("pk").get(pk=user.pk).delete()
        assert len(tencent.calls) == 1

    def test_deactivation__deleted_without_saving_it_first(self, tencent, user, django_capture_on_commit_callbacks):
        user.is_active = False
        with django_capture_on_commit_callbacks(execute=True):
            user.delete()
        assert len(tencent.calls) == 1

    def test_deactivation__save_that_failed_leaves_no_mark(self, tencent, user, django_capture_on_commit_callbacks):
        user.is_active = False
        with mock.patch.object(type(user), "save_base", side_effect=lambda **kwargs: pre_save.send(
            sender=type(user), instance=user, raw=False, using="default", update_fields=None
        )):  # fmt: skip
            user.save()
        user.refresh_from_db()
        with django_capture_on_commit_callbacks(execute=True):
            user.save(update_fields=["email"])
        assert tencent.calls == []

    def test_deactivation__proxy_of_the_user_model(self, tencent, user, django_capture_on_commit_callbacks):
        class Member(type(user)):
            class Meta:
                proxy = True
                app_label = "example_project"

        deactivation.connect()
        try:
            member = Member.objects.get(pk=user.pk)
            self.change(django_capture_on_commit_callbacks, member, is_active=False)
            assert len(tencent.calls) == 1
            self.change(django_capture_on_commit_callbacks, member, is_active=True)
            with django_capture_on_commit_callbacks(execute=True):
                member.delete()
            assert len(tencent.calls) == 2
        finally:
            del apps.all_models["example_project"]["member"]
            apps.clear_cache()

    def test_deactivation__child_by_inheritance_is_deleted_as_its_parent(self, django_user_model):
        class Customer(django_user_model):
            class Meta:
                app_label = "example_project"

        try:
            deactivation.connect()
            assert pre_save.has_listeners(Customer)
            assert not pre_delete.has_listeners(Customer)
            assert pre_delete.has_listeners(django_user_model)
        finally:
            del apps.all_models["example_project"]["customer"]
            apps.clear_cache()

    @pytest.mark.parametrize("broken", [{"ENVIRONMENT": "Not a name"}, {"REVOKE_ON_DEACTIVATION": "yes"}], ids=repr)
    def test_deactivation__settings_that_are_broken(
        self, tencent, user, settings, broken, caplog, django_capture_on_commit_callbacks
    ):
        settings.USERSIG = {**settings.USERSIG, **broken}
        self.change(django_capture_on_commit_callbacks, user, is_active=False)
        assert not type(user).objects.get(pk=user.pk).is_active
        assert [record.levelname for record in caplog.records if record.name == "usersig_django"] == ["ERROR"]

    def test_deactivation__project_without_users(self):
        with mock.patch.object(deactivation, "get_user_model", side_effect=ImproperlyConfigured):
            deactivation.connect()

    @pytest.mark.django_db(transaction=True)
    def test_deactivation__rolled_back(self, tencent, user):
        from django.db import transaction

        user.is_active = False
        with transaction.atomic():
            user.save()
            transaction.set_rollback(True)
        assert tencent.calls == []
        user.save()
        assert len(tencent.calls) == 1
