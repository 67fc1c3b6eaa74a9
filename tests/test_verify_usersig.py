import io
import json
import sys
import time

import pytest
from django.core.management import CommandError, call_command

from tests.tokens import PRIVATE_PEM, hmac_token, wrap
from usersig_django.inspection import inspect
from usersig_django.signing import EcdsaSha256Signer, HmacSha256Signer, Privilege

pytestmark = pytest.mark.django_db


@pytest.fixture
def signer(settings):
    return HmacSha256Signer(sdkappid=settings.TEST_SDKAPPID, secret_key=settings.TEST_SECRET_KEY)


@pytest.fixture
def verify(capsys):
    """Run the command; its exit code, stdout and message."""

    def verify(*arguments):
        try:
            call_command("verify_usersig", *map(str, arguments))
        except CommandError as error:
            return error.returncode, capsys.readouterr().out, str(error)
        return 0, capsys.readouterr().out, ""

    return verify


def test_verify__shows_a_valid_usersig(verify, signer, settings):
    code, out, _ = verify(signer.sign("alice", expire=600, now=int(time.time())))
    lines = dict(line.split(":", 1) for line in out.splitlines())
    assert code == 0
    assert lines["valid"].strip() == "yes"
    assert lines["kind"].strip() == "usersig"
    assert lines["userid"].strip() == "alice"
    assert lines["sdkappid"].strip() == str(settings.TEST_SDKAPPID)
    assert lines["expire"].strip() == "600"
    assert set(lines) == {"valid", "kind", "sdkappid", "userid", "issued_at", "expire", "expires_at"}


def test_verify__answers_json_with_every_member(verify, signer):
    token = signer.sign_private_map_key("alice", room=7, privileges=Privilege.AUDIENCE, expire=600, now=1_795_200_000)
    code, out, _ = verify(token, "--format", "json")
    assert code == 4 or code == 0
    answer = json.loads(out)
    assert {name: answer[name] for name in ("kind", "userid", "room_id", "str_room_id", "privileges")} == {
        "kind": "private_map_key",
        "userid": "alice",
        "room_id": 7,
        "str_room_id": None,
        "privileges": 42,
    }
    assert answer["issued_at"] == "2026-11-20T18:40:00Z"


def test_verify__reads_standard_input(verify, signer, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(signer.sign("alice", expire=600) + "\r\n"))
    assert verify("-")[0] == 0


def test_verify__refuses_standard_input_that_is_no_text(verify, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"\xff\xfe"), encoding="utf-8"))
    assert verify("-")[::2] == (2, "Standard input is not UTF-8 text.")


def test_verify__stops_reading_what_is_too_long_for_a_token(verify, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO("A" * 100_000))
    code, out, message = verify("-")
    assert (code, "longer" in message) == (4, True)
    assert "kind" not in out


@pytest.mark.parametrize(
    ("arguments", "tencent_code"),
    [(("--userid", "bob"), 70013), (("--environment", "default"), None)],
)
def test_verify__compares_what_it_is_given(verify, signer, arguments, tencent_code):
    code, out, _ = verify(signer.sign("alice", expire=600), *arguments, "--format", "json")
    assert code == (4 if tencent_code else 0)
    assert json.loads(out)["tencent_code"] == tencent_code


@pytest.mark.parametrize(
    ("room", "arguments", "code"),
    [
        (7, ("--room-id", 7), 0),
        (7, ("--room-id", 8), 4),
        (7, ("--str-room-id", "7"), 4),
        ("lobby", ("--str-room-id", "lobby"), 0),
        ("lobby", (), 0),
    ],
)
def test_verify__compares_the_room(verify, signer, room, arguments, code):
    token = signer.sign_private_map_key("alice", room=room, privileges=255, expire=600)
    assert verify(token, *arguments)[0] == code


def test_verify__of_a_usersig_where_a_room_is_asked_for_is_not_valid(verify, signer):
    assert verify(signer.sign("alice", expire=600), "--room-id", 7)[0] == 4


def test_verify__says_what_tencent_answers_and_where_to_look(verify, signer):
    code, out, message = verify(signer.sign("alice", expire=60, now=1_600_000_000))
    assert code == 4
    assert "expired" in message
    assert "tencent_code: 70001" in out
    assert "look_at:" in out
    assert "valid:        no" in out


def test_verify__shows_what_a_foreign_token_claims(verify):
    token = EcdsaSha256Signer(sdkappid=1, private_key=PRIVATE_PEM).sign("alice", expire=600)
    code, out, _ = verify(token, "--format", "json")
    answer = json.loads(out)
    assert (code, answer["userid"], answer["sdkappid"]) == (4, "alice", 1)


def test_verify__of_another_userbuf_than_a_private_map_keys(verify, signer):
    code, out, _ = verify(signer.sign("alice", expire=600, userbuf=b"something"), "--format", "json")
    assert (code, json.loads(out)["kind"]) == (4, "usersig")


def test_verify__of_times_that_no_calendar_holds(verify):
    code, out, _ = verify(hmac_token(time=9_999_999_999_999_999, expire=1), "--format", "json")
    assert (code, json.loads(out)["issued_at"]) == (4, 9_999_999_999_999_999)


@pytest.mark.parametrize("token", ["", "nonsense", "é", "eJw=", wrap("{}")])
def test_verify__of_nonsense_is_malformed(verify, token):
    code, out, _ = verify(token, "--format", "json")
    answer = json.loads(out)
    assert (code, answer["valid"], answer["kind"], answer["tencent_code"]) == (4, False, None, 70003)


def test_verify__names_a_foreign_form(verify):
    assert "verify_plain_json" in verify('{"TLS.ver": "2.0"}')[2]
    assert "standard base64" in verify("eJ+/=")[2]


def test_verify__without_an_application_is_a_fault(verify, signer):
    assert verify(signer.sign("alice", expire=600), "--environment", "nowhere")[0] == 1


@pytest.mark.parametrize(
    "arguments",
    [(), ("t", "--room-id", "x"), ("t", "--room-id", " 5"), ("t", "--room-id", "0"), ("t", "--str-room-id", "a/b")],
)
def test_verify__usage_is_2(verify, arguments):
    assert verify(*arguments)[0] == 2


def test_inspect__tells_the_kinds_apart(signer):
    assert not inspect(signer.sign("alice", expire=600)).is_private_map_key
    assert inspect(signer.sign_private_map_key("alice", room=1, privileges=1, expire=60)).is_private_map_key
