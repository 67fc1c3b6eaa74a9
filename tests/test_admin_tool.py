import logging
import re
import time

import pytest
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.core.exceptions import ImproperlyConfigured
from django.db import OperationalError, connection
from django.test import Client
from django.urls import reverse

from tests.records import KEY, SDKAPPID, make_application, make_key
from tests.tencent import RestHost, fail
from tests.tokens import PRIVATE_PEM, hmac_token
from usersig_django import admin_tool, revocation
from usersig_django.conf import ECDSA_SHA256, REGIONS
from usersig_django.models import IssuedRecord, Revocation
from usersig_django.signing import EcdsaSha256Signer, HmacSha256Signer, Privilege

pytestmark = pytest.mark.django_db

ALGORITHMS = pytest.mark.parametrize(
    ("algorithm", "secret", "signer"),
    [
        ("HMAC-SHA256", KEY, HmacSha256Signer(sdkappid=SDKAPPID, secret_key=KEY)),
        (ECDSA_SHA256, PRIVATE_PEM, EcdsaSha256Signer(sdkappid=SDKAPPID, private_key=PRIVATE_PEM)),
    ],
)


@pytest.fixture
def tool():
    return reverse("admin:usersig_django_application_tool")


@pytest.fixture
def signer():
    make_key(make_application(), active=True)
    return HmacSha256Signer(sdkappid=SDKAPPID, secret_key=KEY)


@pytest.fixture
def generate(admin_client, tool):
    def generate(**data):
        form = {"environment": "production", "kind": "usersig", "userid": "alice", "expire": "", **data}
        return admin_client.post(
            tool, {"act": "generate", **{f"generate-{name}": value for name, value in form.items()}}
        )

    return generate


@pytest.fixture
def verify(admin_client, tool):
    def verify(token, **data):
        form = {"environment": "production", "token": token, **data}
        return admin_client.post(tool, {"act": "verify", **{f"verify-{name}": value for name, value in form.items()}})

    return verify


def answer(response):
    assert response.status_code == 200
    return response.context["answer"]


def errors(response, form):
    assert response.context["answer"] is None
    [fieldsets] = [fieldsets for name, _, fieldsets in response.context["sections"] if name == form]
    return fieldsets.form.errors


@ALGORITHMS
def test_generate__issues_a_usersig(generate, algorithm, secret, signer):
    make_key(make_application(), secret, algorithm=algorithm, active=True)
    response = generate(expire="600")
    claims = signer.verify(answer(response).token, userid="alice")
    assert claims.expire == 600
    assert answer(response).token in response.content.decode()
    assert ("Validity", "600 seconds") in answer(response).lines


@ALGORITHMS
def test_generate__issues_a_private_map_key(generate, algorithm, secret, signer):
    make_key(make_application(), secret, algorithm=algorithm, active=True)
    response = generate(kind="private_map_key", room_kind="room_id", room="10000", privileges=["2", "8", "32"])
    claims = signer.verify_private_map_key(answer(response).token, userid="alice", room=10000)
    assert claims.privileges == Privilege.AUDIENCE
    assert ("Privileges", "42: enter the room, receive audio, receive video") in answer(response).lines


def test_generate__takes_a_string_room_as_it_is_typed(generate, signer):
    response = generate(kind="private_map_key", room_kind="str_room_id", room=" 7 ", privileges=["255"])
    assert "privileges" in errors(response, "generate")
    response = generate(kind="private_map_key", room_kind="str_room_id", room=" 7 ", privileges=["1", "128"])
    assert signer.verify_private_map_key(answer(response).token, room=" 7 ").privileges == 129


@pytest.mark.parametrize(
    ("data", "field"),
    [
        ({"userid": ""}, "userid"),
        ({"userid": " alice"}, "userid"),
        ({"userid": "x" * 33}, "userid"),
        ({"userid": "é"}, "userid"),
        ({"expire": "59"}, "expire"),
        ({"expire": "315360001"}, "expire"),
        ({"expire": "1.5"}, "expire"),
        ({"environment": "nowhere"}, "environment"),
        ({"kind": "something"}, "kind"),
        ({"kind": "private_map_key", "room_kind": "room_id", "room": "", "privileges": ["1"]}, "room"),
        ({"kind": "private_map_key", "room_kind": "room_id", "room": "0", "privileges": ["1"]}, "room"),
        ({"kind": "private_map_key", "room_kind": "room_id", "room": "4294967296", "privileges": ["1"]}, "room"),
        ({"kind": "private_map_key", "room_kind": "room_id", "room": "٣", "privileges": ["1"]}, "room"),
        ({"kind": "private_map_key", "room_kind": "str_room_id", "room": "é", "privileges": ["1"]}, "room"),
        ({"kind": "private_map_key", "room_kind": "str_room_id", "room": "", "privileges": ["1"]}, "room"),
        ({"kind": "private_map_key", "room_kind": "room_id", "room": "1"}, "privileges"),
    ],
)
def test_generate__refuses_what_the_signer_would(generate, signer, data, field):
    assert field in errors(generate(**data), "generate")


def test_generate__asks_twice_for_a_reserved_userid(generate, signer, caplog):
    caplog.set_level(logging.INFO, "usersig_django.audit")
    response = generate(userid="Administrator")
    assert "confirm_reserved" in errors(response, "generate")
    assert 'name="generate-confirm_reserved"' in response.content.decode()
    assert "REST API" in response.content.decode()
    assert "refused code=userid_reserved" in caplog.text
    assert "userid=Administrator" in caplog.text
    caplog.clear()
    response = generate(userid="Administrator", confirm_reserved="on")
    assert signer.verify(answer(response).token, userid="Administrator")
    assert "userid=Administrator" in caplog.text
    assert "channel=admin" in caplog.text


def test_generate__audits_an_unconfirmed_reserved_userid_for_a_room_too(generate, signer, caplog):
    caplog.set_level(logging.INFO, "usersig_django.audit")
    room = {"kind": "private_map_key", "room_kind": "room_id", "room": "1", "privileges": ["1"]}
    assert "confirm_reserved" in errors(generate(userid="administrator", **room), "generate")
    assert "refused code=userid_reserved" in caplog.text
    assert "kind=private_map_key" in caplog.text


def test_generate__grants_a_privilege_once_however_often_it_is_sent(generate, signer):
    response = generate(kind="private_map_key", room_kind="room_id", room="1", privileges=["1", "1", "8"])
    assert signer.verify_private_map_key(answer(response).token, room=1).privileges == 9


def test_generate__does_not_ask_for_an_ordinary_userid(generate, signer):
    assert "generate-confirm_reserved" not in generate().content.decode()


def test_generate__is_audited_without_the_token(generate, signer, settings, admin_user, caplog):
    settings.USERSIG = {**settings.USERSIG, "AUDIT_TO_DATABASE": True}
    caplog.set_level(logging.DEBUG)
    token = answer(generate()).token
    record = IssuedRecord.objects.get()
    assert (record.channel, record.user, record.userid) == ("admin", str(admin_user.pk), "alice")
    assert record.address == "127.0.0.1"
    assert token not in caplog.text
    assert token not in str(list(IssuedRecord.objects.values()))


def test_generate__says_why_nothing_can_be_issued(generate, settings):
    make_application()
    assert "no active key" in str(errors(generate(), "generate"))
    settings.USERSIG = {**settings.USERSIG, "COMPRESSION_LEVEL": "x"}
    make_key(make_application("other"), active=True)
    assert "COMPRESSION_LEVEL" in str(errors(generate(environment="other"), "generate"))


def test_generate__answers_a_database_fault_in_the_form(generate, signer, settings):
    settings.USERSIG = {**settings.USERSIG, "AUDIT_TO_DATABASE": True}

    def down(execute, sql, params, many, context):
        if "issuedrecord" in sql:
            raise OperationalError("password=hunter2")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(down):
        response = generate()
    assert "database failed" in str(errors(response, "generate"))
    assert "hunter2" not in response.content.decode()


def test_verify__shows_a_valid_usersig(verify, signer):
    response = verify(signer.sign("alice", expire=600))
    assert answer(response).good
    lines = dict(answer(response).lines)
    assert (lines["Kind"], lines["UserID"], lines["SDKAppID"]) == ("UserSig", "alice", str(SDKAPPID))


@pytest.mark.parametrize(("room", "kind"), [(7, "room_id"), ("7", "str_room_id")])
def test_verify__compares_the_room(verify, signer, room, kind):
    token = signer.sign_private_map_key("alice", room=room, privileges=255, expire=600)
    assert answer(verify(token)).good
    assert answer(verify(token, room="7", room_kind=kind)).good
    assert not answer(verify(token, room="8", room_kind=kind)).good
    other = "room_id" if kind == "str_room_id" else "str_room_id"
    assert not answer(verify(token, room="7", room_kind=other)).good


def test_verify__takes_line_breaks_around_a_pasted_token(verify, signer):
    assert answer(verify(f"\r\n {signer.sign('alice', expire=600)}\r\n")).good


def test_verify__says_what_tencent_answers_and_where_to_look(verify, signer):
    response = verify(signer.sign("alice", expire=60, now=int(time.time()) - 3600))
    found = answer(response)
    assert not found.good
    assert "expired" in found.reason
    assert dict(found.lines)["Tencent answers"].startswith("70001")
    assert dict(found.lines)["Look at"]
    assert dict(found.lines)["UserID"] == "alice"


def test_verify__of_another_user_or_of_nonsense_is_not_valid(verify, signer):
    assert not answer(verify(signer.sign("alice", expire=600), userid="bob")).good
    assert not answer(verify("nonsense")).good


def test_verify__without_a_code_of_tencents_still_says_why(verify, signer):
    found = answer(verify(signer.sign("alice", expire=600, now=int(time.time()) + 3600)))
    assert not found.good
    assert found.reason
    assert "Tencent answers" not in dict(found.lines)


def test_verify__shows_times_that_no_calendar_holds(verify, signer):
    found = answer(verify(hmac_token(time=9_999_999_999_999_999, expire=1)))
    assert dict(found.lines)["Issued"] == "9999999999999999"


def test_verify__refuses_an_empty_token_and_a_room_that_is_none(verify, signer):
    assert "token" in errors(verify(""), "verify")
    assert "room" in errors(verify("x", room="x", room_kind="room_id"), "verify")


@pytest.fixture
def revoke(admin_client, tool, tmp_path, monkeypatch):
    signer = HmacSha256Signer(sdkappid=SDKAPPID, secret_key=KEY)
    make_key(make_application(), active=True)
    with RestHost(signer, tmp_path) as host:
        monkeypatch.setenv("SSL_CERT_FILE", host.certificate)
        monkeypatch.setattr(revocation, "HOSTS", dict.fromkeys(REGIONS, host.address))

        def revoke(**data):
            form = {"environment": "production", "userid": "alice", "confirm": "on", **data}
            return admin_client.post(
                tool, {"act": "revoke", **{f"revoke-{name}": value for name, value in form.items()}}
            )

        revoke.calls, revoke.script = host.calls, host.script
        yield revoke


def test_revoke__tells_tencent_and_says_since_when(revoke):
    page = revoke().content.decode()
    assert "Taken back" in page
    assert [call["body"] for call in revoke.calls] == [{"UserID": "alice"}]
    assert revoke.calls[0]["query"]["usersig"] not in page
    assert Revocation.objects.get_instant(SDKAPPID, "alice") is not None


def test_revoke__asks_for_a_confirmation(revoke):
    page = revoke(confirm="").content.decode()
    assert "Confirm that you want this." in page
    assert revoke.calls == []


@pytest.mark.parametrize(("code", "hint"), [(70403, "ADMIN_USERID"), (1, "")])
def test_revoke__says_why_tencent_refused(revoke, code, hint):
    revoke.script.append(fail(code))
    page = revoke().content.decode()
    assert f"Tencent refused with {code}." in page
    assert hint in page
    assert "Here the tokens are refused already." in page


def test_page__opens_on_the_environment_it_is_asked_for(admin_client, tool, signer):
    html = admin_client.get(tool, {"environment": "production"}).content.decode()
    assert html.count('<option value="production" selected>') == 3
    html = admin_client.get(tool).content.decode()
    assert html.count('<option value="default" selected>') == 3


def test_page__is_never_stored_and_scripts_are_files(admin_client, tool, generate, signer):
    for response in (admin_client.get(tool), generate()):
        assert "no-store" in response["Cache-Control"]
        html = response.content.decode()
        assert not re.search(r"<script(?![^>]* src)|<style| style=| on\w+=", html)
    assert 'data-usersig-copy="usersig-token"' in html


def test_page__keeps_the_token_out_of_urls(generate, signer):
    response = generate()
    assert response.status_code == 200
    assert "Location" not in response
    assert answer(response).token not in str(response.cookies)


def test_page__needs_the_permission_to_issue(client, tool, signer):
    user = get_user_model().objects.create_user("staff", password="x", is_staff=True)
    permissions = Permission.objects.filter(content_type__app_label="usersig_django")
    user.user_permissions.set(permissions.exclude(codename="issue_usersig"))
    client.force_login(user)
    assert client.get(tool).status_code == 403
    assert client.post(tool, {"act": "generate"}).status_code == 403
    listing = reverse("admin:usersig_django_application_changelist")
    assert tool not in client.get(listing).content.decode()
    user.user_permissions.set(permissions.filter(codename="issue_usersig"))
    assert client.get(tool).status_code == 200


def test_page__is_found_by_who_may_do_nothing_else(client, tool):
    user = get_user_model().objects.create_user("issuer", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="issue_usersig"))
    client.force_login(user)
    app = reverse("admin:app_list", args=["usersig_django"])
    assert f'href="{app}"' in client.get(reverse("admin:index")).content.decode()
    assert f'href="{app}"' in client.get(tool).content.decode()
    html = client.get(app).content.decode()
    assert f'href="{tool}"' in html
    for name in ("application", "signingkey", "issuedrecord"):
        address = reverse(f"admin:usersig_django_{name}_changelist")
        assert f'href="{address}"' not in html
        assert client.get(address).status_code == 403


def test_page__is_not_offered_to_who_may_not_open_it(client, tool):
    user = get_user_model().objects.create_user("viewer", password="x", is_staff=True)
    user.user_permissions.set(Permission.objects.filter(codename="view_application"))
    client.force_login(user)
    assert f'href="{tool}"' not in client.get(reverse("admin:app_list", args=["usersig_django"])).content.decode()


def test_page__is_not_for_people_who_are_not_on_the_staff(client, tool):
    client.force_login(get_user_model().objects.create_user("someone", password="x"))
    assert client.get(tool).status_code == 302


def test_page__needs_a_csrf_token(admin_user, tool, signer):
    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    assert client.post(tool, {"act": "generate"}).status_code == 403


def test_page__without_a_known_act_only_opens(admin_client, tool):
    assert admin_client.post(tool, {"act": "something"}).context["answer"] is None


def test_page__opens_without_settings_and_records(admin_client, tool, settings):
    settings.USERSIG = {"ENVIRONMENT": 7}
    assert admin_client.get(tool).status_code == 200


def test_submit__puts_a_fault_of_configuration_into_the_form(generate, signer, monkeypatch):
    def fail(*args, **kwargs):
        raise ImproperlyConfigured("because")

    monkeypatch.setattr(admin_tool, "issue_usersig_for_userid", fail)
    assert "because" in str(errors(generate(), "generate"))


def test_broken_userid_rule__is_an_error_of_the_form(generate, signer, settings):
    settings.USERSIG = {**settings.USERSIG, "USERID_RULE": "x"}
    assert "USERID_RULE" in str(errors(generate(), "generate"))
