import json
import logging
import os
import subprocess
import sys
from contextlib import suppress
from datetime import datetime, timedelta
from io import StringIO
from pathlib import Path

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command
from django.db import connection

from tests import tokens
from tests.settings import TEST_SDKAPPID, TEST_SECRET_KEY
from usersig_django.issuing import issue_usersig_for_userid
from usersig_django.management.commands.gen_usersig import Command
from usersig_django.models import Application, SigningKey
from usersig_django.serializers import as_usersig_answer
from usersig_django.signals import usersig_issued
from usersig_django.signing import HmacSha256Signer, Privilege

ROOT = Path(__file__).parent.parent
SIGNER = HmacSha256Signer(sdkappid=TEST_SDKAPPID, secret_key=TEST_SECRET_KEY)


def gen(*args, **options):
    """What it prints, having said nothing else."""
    stdout, stderr = StringIO(), StringIO()
    call_command("gen_usersig", *args, stdout=stdout, stderr=stderr, **options)
    assert stderr.getvalue() == ""
    return stdout.getvalue()


def refused(*args, **options):
    """The exit code and the message."""
    stdout = StringIO()
    with pytest.raises(CommandError) as caught:
        call_command("gen_usersig", *args, stdout=stdout, stderr=StringIO(), **options)
    assert stdout.getvalue() == ""
    return caught.value.returncode, str(caught.value)


def run(*args, settings="tests.settings", **options):
    return subprocess.run(
        [sys.executable, "manage.py", "gen_usersig", *args],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": settings, **options.pop("env", {})},
        capture_output=True,
        text=True,
        **options,
    )


@pytest.fixture
def alice(db):
    return get_user_model().objects.create_user("alice")


# One UserSig.


def test_gen_usersig__text_is_the_token_and_a_newline() -> None:
    [token, rest] = gen("alice").split("\n")
    document = tokens.members(token)
    assert rest == ""
    assert document["TLS.identifier"] == "alice"
    assert document["TLS.expire"] == 86400
    assert document["TLS.sig"] == tokens.hmac_sig(document, TEST_SECRET_KEY)


def test_gen_usersig__json_has_the_members_of_the_http_answer() -> None:
    answer = json.loads(gen("alice", "--format", "json", "--expire", "600"))
    assert list(answer) == ["sdkappid", "userid", "usersig", "expire", "issued_at", "expires_at"]
    assert list(answer) == list(as_usersig_answer(issue_usersig_for_userid("alice")))
    assert (answer["sdkappid"], answer["userid"], answer["expire"]) == (TEST_SDKAPPID, "alice", 600)
    issued_at, expires_at = (datetime.fromisoformat(answer[name]) for name in ("issued_at", "expires_at"))
    assert expires_at - issued_at == timedelta(seconds=600)
    assert answer["expires_at"].endswith("Z")
    assert SIGNER.verify(answer["usersig"], userid="alice").issued_at == issued_at.timestamp()


def test_gen_usersig__env_is_what_a_shell_reads(settings) -> None:
    settings.USERSIG = {**settings.USERSIG, "USERID_RULE": "printable"}
    userid = 'it\'s $HOME `id` "*"'
    printed = gen(userid, "--format", "env")
    names = ["USERSIG_SDKAPPID", "USERSIG_USERID", "USERSIG", "USERSIG_EXPIRE", "USERSIG_EXPIRES_AT"]
    assert [line.split("=")[0] for line in printed.splitlines()] == names
    script = f'{printed}\nprintf "%s\\n" ' + " ".join(f'"${name}"' for name in names)
    read = subprocess.run(["sh", "-euc", script], capture_output=True, text=True, check=True).stdout.splitlines()
    assert read[:2] == [str(TEST_SDKAPPID), userid]
    assert SIGNER.verify(read[2], userid=userid).expire == int(read[3]) == 86400
    assert datetime.fromisoformat(read[4]).timestamp() == SIGNER.verify(read[2]).expires_at


@pytest.mark.parametrize("expire", ["60", "3600", "315360000"])
def test_gen_usersig__expire(expire: str) -> None:
    assert SIGNER.verify(gen("alice", "--expire", expire).strip()).expire == int(expire)


def test_gen_usersig__environment_of_the_settings(settings) -> None:
    live = {"SDKAPPID": 20000001, "SECRET_KEY": TEST_SECRET_KEY[::-1]}
    settings.USERSIG = {**settings.USERSIG, "APPLICATIONS": {"live": live}}
    document = tokens.members(gen("alice", "--environment", "live").strip())
    assert document["TLS.sdkappid"] == 20000001
    assert document["TLS.sig"] == tokens.hmac_sig(document, TEST_SECRET_KEY[::-1])


@pytest.mark.django_db
def test_gen_usersig__environment_of_a_record() -> None:
    application = Application.objects.create(environment="live", sdkappid=20000002)
    key = SigningKey(application=application, secret=TEST_SECRET_KEY)
    key.save()
    application.activate(key)
    assert tokens.members(gen("alice", "--environment=live").strip())["TLS.sdkappid"] == 20000002


@pytest.mark.parametrize("userid", ["-", "--help", "-x", "--", "-1"])
def test_gen_usersig__userid_that_begins_with_a_dash(userid: str) -> None:
    assert SIGNER.verify(gen("--", userid).strip()).userid == userid


def test_gen_usersig__options_of_call_command_have_their_own_types() -> None:
    assert SIGNER.verify(gen(userid="alice", expire=60).strip()).expire == 60
    key = gen("alice", room_id=7, privileges=Privilege.ALL).strip()
    assert SIGNER.verify_private_map_key(key, room=7).privileges is Privilege.ALL
    key = gen("alice", str_room_id="7", privileges=3).strip()
    assert SIGNER.verify_private_map_key(key, room="7").privileges == 3


# A user of the project.


def test_gen_usersig__user_through_the_resolver(settings, alice) -> None:
    assert SIGNER.verify(gen("--user", "alice").strip()).userid == str(alice.pk)
    settings.USERSIG = {**settings.USERSIG, "USERID_RESOLVER": lambda user: f"u-{user.username}"}
    assert SIGNER.verify(gen(user="alice").strip()).userid == "u-alice"


@pytest.mark.parametrize("username", ["bob", "alice2", "", "\n", "\udcff"], ids=repr)
def test_gen_usersig__user_that_is_not_there(alice, username: str) -> None:
    assert refused(user=username)[0] == 2


def test_gen_usersig__user_who_may_not(settings, alice, caplog) -> None:
    caplog.set_level(logging.INFO, logger="usersig_django.audit")
    alice.is_active = False
    alice.save()
    code, message = refused("--user", "alice", "--environment", "live", "--expire", "600")
    assert (code, "deactivated" in message) == (2, True)
    [line] = caplog.messages
    assert line.startswith("refused code=user_inactive ")
    assert "environment=live kind=usersig room=- privileges=- expire=600 channel=command" in line


@pytest.mark.parametrize("userid", ["bad id", None, 5])
def test_gen_usersig__user_who_cannot_be_mapped(settings, alice, caplog, userid: object) -> None:
    caplog.set_level(logging.INFO, logger="usersig_django.audit")
    settings.USERSIG = {**settings.USERSIG, "USERID_RESOLVER": lambda user: userid}
    assert refused("--user", "alice", "--str-room-id", "lobby")[0] == 2
    assert "refused code=userid_unmappable" in caplog.text
    assert "kind=private_map_key str_room_id=lobby privileges=42" in caplog.text


def test_gen_usersig__user_who_is_reserved(settings, alice) -> None:
    settings.USERSIG = {**settings.USERSIG, "USERID_RESOLVER": lambda user: "root"}
    assert refused("--user", "alice")[0] == 2
    assert SIGNER.verify(gen("--user", "alice", "--allow-reserved").strip()).userid == "root"


# A PrivateMapKey.


def test_gen_usersig__room_by_number() -> None:
    claims = SIGNER.verify_private_map_key(gen("alice", "--room-id", "4294967294").strip(), userid="alice")
    assert (claims.room, claims.privileges, claims.expire) == (4294967294, Privilege.AUDIENCE, 3600)


def test_gen_usersig__room_by_name() -> None:
    claims = SIGNER.verify_private_map_key(gen("alice", "--str-room-id", "7", "--expire", "60").strip())
    assert (claims.room, claims.expire) == ("7", 60)


@pytest.mark.parametrize(
    ("text", "privileges"),
    [
        ("audience", 42),
        ("all", 255),
        ("ALL", 255),
        ("1", 1),
        ("255", 255),
        ("enter_room", 2),
        ("Enter-Room, receive_audio", 10),
        ("audience,send_audio", 46),
        ("send_substream,receive_substream,create_room", 193),
    ],
)
def test_gen_usersig__privileges(text: str, privileges: int) -> None:
    key = gen("alice", "--room-id", "7", "--privileges", text).strip()
    assert SIGNER.verify_private_map_key(key, room=7).privileges == privileges


@pytest.mark.parametrize(
    ("option", "name", "room"), [("--room-id=10000", "room_id", 10000), ("--str-room-id=a b", "str_room_id", "a b")]
)
def test_gen_usersig__private_map_key_as_json_and_env(option: str, name: str, room: int | str) -> None:
    answer = json.loads(gen("alice", option, "--format", "json"))
    assert list(answer) == [
        "sdkappid", "userid", "private_map_key", name, "privileges", "expire", "issued_at", "expires_at"
    ]  # fmt: skip
    assert (answer[name], answer["privileges"]) == (room, 42)
    assert SIGNER.verify_private_map_key(answer["private_map_key"], room=room)
    lines = dict(line.split("=", 1) for line in gen("alice", option, "--format", "env").splitlines())
    assert lines[f"USERSIG_{name.upper()}"].strip("'") == str(room)
    assert lines["USERSIG_PRIVILEGES"] == "42"
    assert "USERSIG_PRIVATE_MAP_KEY" in lines


# What is refused.


@pytest.mark.parametrize(
    "args",
    [
        (),
        ("alice", "--user", "alice"),
        ("alice", "--batch", "-"),
        ("alice", "bob"),
        ("-x",),
        ("alice", "--colour"),
        ("",),
        ("a b",),
        ("alice\n",),
        ("\uff41lice",),
        ("x" * 33,),
        ("alice", "--expire", "59"),
        ("alice", "--expire", "315360001"),
        ("alice", "--expire", "-60"),
        ("alice", "--expire", "+60"),
        ("alice", "--expire", "0x60"),
        ("alice", "--expire", "060"),
        ("alice", "--expire", "6_0"),
        ("alice", "--expire", "60.0"),
        ("alice", "--expire", " 60"),
        ("alice", "--expire", "\uff16\uff10"),
        ("alice", "--expire", ""),
        ("alice", "--expire", "9" * 5000),
        ("alice", "--format", "xml"),
        ("alice", "--format", "csv"),
        ("alice", "--room-id", "0"),
        ("alice", "--room-id", "4294967295"),
        ("alice", "--room-id", "lobby"),
        ("alice", "--room-id", "7", "--str-room-id", "7"),
        ("alice", "--str-room-id", ""),
        ("alice", "--str-room-id", "a/b"),
        ("alice", "--str-room-id", "x" * 65),
        ("alice", "--privileges", "all"),
        ("alice", "--room-id", "7", "--privileges", "0"),
        ("alice", "--room-id", "7", "--privileges", "256"),
        ("alice", "--room-id", "7", "--privileges", "042"),
        ("alice", "--room-id", "7", "--privileges", "nothing"),
        ("alice", "--room-id", "7", "--privileges", "enter_room,"),
        ("alice", "--output", "file"),
        ("alice", "--overwrite"),
        ("alice", "--privileges", ""),
        ("alice", "--room-id", "7", "--privileges", ""),
        ("--batch", "-", "--overwrite"),
        ("--batch", "-", "--output", ""),
        ("alice", "--column", "userid"),
        ("administrator",),
        ("ROOT", "--room-id", "7"),
    ],
    ids=lambda args: repr(args)[:60],
)
def test_gen_usersig__usage_invalid_input_and_refusals_are_2(args: tuple[str, ...]) -> None:
    assert refused(*args)[0] == 2


@pytest.mark.parametrize(
    "options",
    [
        {"expire": "x"},
        {"expire": 60.0},
        {"expire": True},
        {"room_id": "lobby"},
        {"format": "xml"},
        {"privileges": 1},
        {"room_id": 5, "privileges": 0},
    ],
)
def test_gen_usersig__bad_options_of_call_command_are_2(options: dict[str, object]) -> None:
    assert refused("alice", **options)[0] == 2


@pytest.mark.parametrize("command", [("gen_usersig", "--batch", "-"), ("verify_usersig", "-")], ids=lambda c: c[0])
def test_gen_usersig__closed_standard_input_is_2(monkeypatch, command: tuple[str, ...]) -> None:
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(CommandError, match="Standard input is closed") as caught:
        call_command(*command)
    assert caught.value.returncode == 2


def test_gen_usersig__reserved_is_audited_either_way(caplog) -> None:
    caplog.set_level(logging.INFO, logger="usersig_django.audit")
    refused("Administrator")
    gen("Administrator", "--allow-reserved")
    first, second = caplog.messages
    assert first.startswith("refused code=userid_reserved ")
    assert second.startswith("issued ")
    assert "channel=command" in first
    assert "userid=Administrator" in second
    assert "channel=command" in second


@pytest.mark.django_db
@pytest.mark.parametrize(
    "usersig",
    [
        {"ENVIRONMENT": "live"},
        {"APPLICATIONS": {"default": {"SDKAPPID": 1}}},
        {"APPLICATIONS": {"default": {"SDKAPPID": 1, "SECRET_KEY": "s3cr3t"}}},
        {"USERID_RULE": "loose"},
        {"EXPIRE": 5},
    ],
)
def test_gen_usersig__faults_are_1(settings, usersig: dict[str, object]) -> None:
    settings.USERSIG = {**settings.USERSIG, **usersig}
    code, message = refused("alice")
    assert code == 1
    assert "s3cr3t" not in message


@pytest.mark.django_db
def test_gen_usersig__database_that_fails_is_1() -> None:
    from django.db import OperationalError

    def refuse(execute, sql, params, many, context):
        raise OperationalError("down")

    with connection.execute_wrapper(refuse):
        assert refused("--user", "alice")[0] == 1
        assert refused("alice", "--environment", "live")[0] == 1


def test_gen_usersig__output_that_cannot_be_written_is_1() -> None:
    full = Path("/dev/full").open("w")  # noqa: SIM115  # closing it fails as well
    with pytest.raises(CommandError, match="No space left") as caught:
        call_command("gen_usersig", "alice", stdout=full)
    with suppress(OSError):
        full.close()
    assert caught.value.returncode == 1


def test_gen_usersig__usage_from_a_shell(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        Command().run_from_argv(["manage.py", "gen_usersig", "--colour"])
    assert caught.value.code == 2
    printed = capsys.readouterr()
    assert printed.out == ""
    assert "--colour" in printed.err


def test_gen_usersig__is_announced(caplog) -> None:
    heard = []

    def receiver(channel, user, request, **kwargs):
        heard.append((channel, user, request))

    usersig_issued.connect(receiver)
    try:
        gen("alice")
    finally:
        usersig_issued.disconnect(receiver)
    assert heard == [("command", None, None)]


# As a process.


def test_process__prints_the_token_alone() -> None:
    done = run("alice")
    assert (done.returncode, done.stderr) == (0, "")
    assert SIGNER.verify(done.stdout.removesuffix("\n"), userid="alice")


@pytest.mark.parametrize(
    ("args", "code"),
    [(("alice", "--expire", "5"), 2), (("--colour",), 2), (("root",), 2), ((), 2)],
    ids=["invalid", "usage", "refused", "nothing"],
)
def test_process__messages_go_to_stderr(args: tuple[str, ...], code: int) -> None:
    done = run(*args)
    assert (done.returncode, done.stdout) == (code, "")
    assert done.stderr
    assert "Traceback" not in done.stderr


def test_process__broken_configuration_is_1_and_shows_no_key() -> None:
    env = {"USERSIG_SDKAPPID": "20000001", "USERSIG_SECRET_KEY": "s3cr3t key " * 4}
    done = run("alice", settings="example_project.settings", env=env)
    assert (done.returncode, done.stdout) == (1, "")
    assert "usersig.E004" in done.stderr
    assert "s3cr3t" not in done.stderr


def test_process__closed_pipe_ends_quietly() -> None:
    reading, writing = os.pipe()
    os.close(reading)
    try:
        done = subprocess.run(
            [sys.executable, "manage.py", "gen_usersig", "alice"],
            cwd=ROOT,
            env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
            stdout=writing,
            stderr=subprocess.PIPE,
            text=True,
        )
    finally:
        os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")
