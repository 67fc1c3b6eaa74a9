import io
import json
import logging
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from tests.records import KEY, OTHER_KEY, SDKAPPID, ciphertext, make_application, make_key, move_ciphertext
from tests.tokens import PRIVATE_PEM
from usersig_django.management import options
from usersig_django.management.commands import usersig_keys
from usersig_django.models import Application, SigningKey

ROOT = Path(__file__).parent.parent

pytestmark = pytest.mark.django_db


@pytest.fixture
def run(capsys):
    """Run an act; what it wrote to stdout and to stderr."""

    def run(*arguments):
        call_command("usersig_keys", *map(str, arguments))
        return capsys.readouterr()

    return run


@pytest.fixture
def refused(run):
    """Run an act that must fail with this code; its message."""

    def refused(code, *arguments):
        with pytest.raises(CommandError) as caught:
            run(*arguments)
        assert caught.value.returncode == code
        return str(caught.value)

    return refused


@pytest.fixture
def stdin(monkeypatch):
    def stdin(text):
        data = text if isinstance(text, bytes) else text.encode()
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(data), encoding="utf-8"))

    return stdin


@pytest.fixture
def application():
    return make_application()


def test_add__reads_the_secret_from_stdin_and_makes_the_application(run, stdin):
    stdin(f"{KEY}\n")
    out, err = run(
        *("add", "--environment", "production", "--sdkappid", SDKAPPID, "--name", "Main", "--region", "seoul"),
        *("--expire", 600, "--note", "first"),
    )
    [key] = SigningKey.objects.select_related("application")
    assert key.secret.reveal() == KEY
    assert (key.note, key.state, key.application.name) == ("first", "staged", "Main")
    assert (key.application.sdkappid, key.application.region, key.application.expire) == (SDKAPPID, "seoul", 600)
    assert out.splitlines() == [
        "Created the application production (1400000123).",
        f"Added key {key.pk} (HMAC-SHA256 {key.fingerprint}) to production (1400000123).",
        f"It does not sign yet: usersig_keys activate {key.pk}",
    ]
    assert err == ""


def test_add__reads_a_file_and_activates(run, application, tmp_path):
    path = tmp_path / "key.pem"
    path.write_bytes(PRIVATE_PEM.replace("\n", "\r\n").encode())
    out, _ = run(
        *("add", "--environment", "production", "--algorithm", "ECDSA-SHA256", "--secret-file", path, "--activate")
    )
    application.refresh_from_db()
    assert application.active_key.algorithm == "ECDSA-SHA256"
    assert application.active_key.is_usable
    assert "signs with" in out


def test_add__reads_an_environment_variable(run, application, monkeypatch):
    monkeypatch.setenv("A_KEY", OTHER_KEY)
    run("add", "--environment", "production", "--sdkappid", SDKAPPID, "--secret-env", "A_KEY")
    assert SigningKey.objects.get().secret.reveal() == OTHER_KEY


def test_add__asks_at_a_terminal_without_showing_what_is_typed(application, settings):
    """A real terminal and a real process: what the terminal shows never holds the key."""
    script = (
        "import django, sys; from tests import settings as s; s.USERSIG['ENCRYPTION_KEYS'] = [sys.argv[1]]; "
        "django.setup(); from usersig_django.management.options import read_secret; "
        "secret = read_secret(None, None, sys.stderr); sys.stdout.write(f'{len(secret.reveal())} characters')"
    )
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-c", script, settings.USERSIG["ENCRYPTION_KEYS"][0]],
        stdin=child,
        stdout=child,
        stderr=child,
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        start_new_session=True,
    )
    os.close(child)
    shown = b""
    while b"not shown" not in shown:
        shown += os.read(parent, 1024)
    os.write(parent, KEY.encode() + b"\n")
    try:
        while chunk := os.read(parent, 1024):
            shown += chunk
    except OSError:  # what Linux says at the terminal's end
        pass
    assert process.wait(timeout=30) == 0
    assert b"64 characters" in shown
    assert KEY.encode() not in shown


def test_add__asks_on_stderr(run, application, monkeypatch):
    """The same in this process, where a terminal is one that says so."""
    prompts = []

    def getpass(prompt, stream):
        prompts.append(prompt)
        return KEY

    monkeypatch.setattr(options.getpass, "getpass", getpass)
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True, raising=False)
    run("add", "--environment", "production")
    assert prompts == ["Secret (not shown): "]
    assert SigningKey.objects.get().secret.reveal() == KEY


@pytest.mark.parametrize("data", [b"", b" \n"])
def test_add__refuses_an_empty_secret(refused, stdin, application, data):
    stdin(data)
    assert "empty" in refused(2, "add", "--environment", "production")


def test_add__refuses_what_is_no_text(refused, stdin, application, tmp_path):
    path = tmp_path / "key"
    path.write_bytes(b"\xff" * 40)
    assert "not UTF-8" in refused(2, "add", "--environment", "production", "--secret-file", path)
    stdin(b"\xff" * 40)
    assert "not UTF-8" in refused(2, "add", "--environment", "production")


def test_add__refuses_a_missing_file_and_a_missing_variable(refused, application, tmp_path):
    missing = tmp_path / "missing"
    assert "cannot be read" in refused(2, "add", "--environment", "production", "--secret-file", missing)
    assert "empty" in refused(2, "add", "--environment", "production", "--secret-env", "NO_SUCH_VARIABLE")


def test_add__refuses_a_key_of_another_kind_without_showing_it(refused, stdin, application):
    stdin(PRIVATE_PEM)
    message = refused(2, "add", "--environment", "production")
    assert message.startswith("secret: ")
    assert "BEGIN" not in message
    assert not SigningKey.objects.exists()


def test_add__does_not_say_that_it_created_what_was_rolled_back(stdin, capsys):
    stdin("no key")
    with pytest.raises(CommandError):
        call_command("usersig_keys", "add", "--environment", "e", "--sdkappid", "1")
    assert capsys.readouterr().out == ""
    assert not Application.objects.exists()


def test_add__refuses_a_new_application_without_its_sdkappid(refused, stdin):
    stdin(KEY)
    assert "Give --sdkappid" in refused(2, "add", "--environment", "production")


def test_add__refuses_another_sdkappid_than_the_applications(refused, stdin, application):
    stdin(KEY)
    assert "has the SDKAppID 1400000123" in refused(2, "add", "--environment", "production", "--sdkappid", 7)


@pytest.mark.parametrize("arguments", [("Production", 7), ("production", 0), ("production", 2**32)])
def test_add__leaves_nothing_behind_when_the_application_is_invalid(refused, stdin, arguments):
    stdin(KEY)
    environment, sdkappid = arguments
    refused(2, "add", "--environment", environment, "--sdkappid", sdkappid)
    assert not Application.objects.exists()


def test_add__needs_encryption_keys_before_it_asks(refused, application, settings):
    settings.USERSIG = {**settings.USERSIG, "ENCRYPTION_KEYS": []}
    assert "ENCRYPTION_KEYS" in refused(1, "add", "--environment", "production")


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("frobnicate",),
        ("add",),
        ("activate",),
        ("add", "--environment", "e", "--sdkappid", "x"),
        ("add", "--environment", "e", "--secret-file", "a", "--secret-env", "b"),
        ("list", "--format", "xml"),
    ],
)
def test_usage__is_2(refused, arguments):
    assert "Error" in refused(2, *arguments)


def test_list__shows_every_application_and_key(run, application):
    key = make_key(application, active=True, note="now")
    make_key(application, OTHER_KEY)
    make_key(application, "no key").retire()
    make_application("empty", sdkappid=1)
    out, _ = run("list")
    lines = out.splitlines()
    assert lines[0] == "empty  1  china  no key"
    assert lines[1] == "production  1400000123  china  ready"
    assert lines[2].split()[:4] == [str(key.pk), "HMAC-SHA256", key.fingerprint, "active"]
    assert lines[2].endswith("now")
    assert "staged" in lines[3]
    assert "?" in lines[4]
    assert "retired" in lines[4]
    assert not lines[4].endswith(" ")


def test_list__escapes_what_moves_the_cursor_in_a_note(run, application):
    make_key(application, note="é 备注 \x1b[2K\n  99  HMAC-SHA256\u202e")
    out, _ = run("list")
    assert out.splitlines()[1].endswith("é 备注 \\x1b[2K\\n  99  HMAC-SHA256\\u202e")
    assert len(out.splitlines()) == 2


def test_list__of_one_environment_as_json(run, refused, application):
    key = make_key(application, active=True)
    make_key(application, OTHER_KEY).retire()
    make_application("other")
    out, _ = run("list", "--environment", "production", "--format", "json")
    [record] = json.loads(out)
    assert (record["environment"], record["sdkappid"], record["state"]) == ("production", SDKAPPID, "ready")
    assert record["keys"][0]["fingerprint"] == key.fingerprint
    assert record["keys"][0]["active"] is True
    assert record["keys"][0]["retired_at"] is None
    assert record["keys"][1]["retired_at"]
    assert KEY not in out
    assert "nowhere" in refused(2, "list", "--environment", "nowhere")


def test_activate_and_retire__by_number_and_by_fingerprint(run, application):
    old, new = make_key(application, active=True), make_key(application, OTHER_KEY)
    out, err = run("activate", new.pk)
    assert out == f"production (1400000123) signs with {new} now.\n"
    assert err == ""
    assert run("activate", new.pk).out == f"{new} is the active key already.\n"
    assert run("retire", old.fingerprint.upper(), "--environment", "production").out == f"{old} is retired.\n"
    assert run("retire", old.pk).out == f"{old} was retired already.\n"
    out, err = run("retire", new.pk)
    assert err == "production (1400000123) has no key to sign with now.\n"


def test_activate__refuses_a_retired_key_and_audits_it(refused, application, caplog):
    key = make_key(application)
    key.retire()
    caplog.set_level(logging.INFO, "usersig_django.audit")
    assert "retired" in refused(2, "activate", key.pk)
    assert "key activate refused actor='command'" in caplog.text


def test_activate__refuses_what_cannot_be_one_key(refused, application):
    key = make_key(application)
    make_key(make_application("other"))
    for name in ("0", "99999999999999999999999", "nothing", "½"):
        assert "No such key" in refused(2, "activate", name)
    assert "No such key" in refused(2, "activate", key.pk, "--environment", "other")
    assert "Several keys" in refused(2, "activate", key.fingerprint)


def test_activate__of_an_unreadable_key_is_a_fault(refused, application):
    key = make_key(application)
    move_ciphertext(make_key(application, OTHER_KEY), key)
    assert "another row" in refused(1, "activate", key.pk)


def test_enable_and_disable__switch_and_are_audited(run, refused, application, caplog):
    caplog.set_level(logging.INFO, "usersig_django.audit")
    assert run("disable", "production").out == "production (1400000123) is disabled.\n"
    application.refresh_from_db()
    assert not application.is_active
    assert run("enable", "production").out == "production (1400000123) is enabled.\n"
    application.refresh_from_db()
    assert application.is_active
    assert "application disabled actor='command' environment='production'" in caplog.text
    assert "No application" in refused(2, "enable", "Production")


def test_reencrypt__renews_every_row_and_then_none(run, application, settings):
    keys = [make_key(application), make_key(application, OTHER_KEY)]
    [old] = settings.USERSIG["ENCRYPTION_KEYS"]
    new = Fernet.generate_key().decode()
    settings.USERSIG = {**settings.USERSIG, "ENCRYPTION_KEYS": [new, old]}
    before = [ciphertext(key) for key in keys]
    assert run("reencrypt", "--dry-run").out == (
        "2 keys would be re-encrypted, 0 already under the first of ENCRYPTION_KEYS, 0 unreadable.\n"
    )
    assert [ciphertext(key) for key in keys] == before
    assert run("reencrypt").out.startswith("2 keys re-encrypted, 0 already")
    assert run("reencrypt").out.startswith("0 keys re-encrypted, 2 already")
    settings.USERSIG = {**settings.USERSIG, "ENCRYPTION_KEYS": [new]}
    assert [key.secret.reveal() for key in SigningKey.objects.all()] == [KEY, OTHER_KEY]


def test_reencrypt__goes_on_past_a_row_that_fails_and_names_it(run, refused, application, settings):
    broken, good = make_key(application), make_key(application, OTHER_KEY)
    move_ciphertext(good, broken)
    [old] = settings.USERSIG["ENCRYPTION_KEYS"]
    settings.USERSIG = {**settings.USERSIG, "ENCRYPTION_KEYS": [Fernet.generate_key().decode(), old]}
    before = ciphertext(broken)
    assert refused(1, "reencrypt") == f"signing key row {broken.pk}: the secret was sealed for another row."
    assert ciphertext(broken) == before
    settings.USERSIG = {**settings.USERSIG, "ENCRYPTION_KEYS": settings.USERSIG["ENCRYPTION_KEYS"][:1]}
    assert SigningKey.objects.get(pk=good.pk).secret.reveal() == OTHER_KEY


def test_reencrypt__killed_half_way_is_simply_run_again(run, application, settings, monkeypatch):
    keys = [make_key(application), make_key(application, OTHER_KEY)]
    [old] = settings.USERSIG["ENCRYPTION_KEYS"]
    settings.USERSIG = {**settings.USERSIG, "ENCRYPTION_KEYS": [Fernet.generate_key().decode(), old]}
    row = usersig_keys._reencrypt_row

    def die_at_the_second(alias, pk, **options):
        if pk == keys[1].pk:
            raise KeyboardInterrupt
        return row(alias, pk, **options)

    monkeypatch.setattr(usersig_keys, "_reencrypt_row", die_at_the_second)
    with pytest.raises(KeyboardInterrupt):
        run("reencrypt")
    assert [key.secret.reveal() for key in SigningKey.objects.all()] == [KEY, OTHER_KEY]
    monkeypatch.undo()
    assert run("reencrypt").out.startswith("1 key re-encrypted, 1 already")


def test_reencrypt__looks_again_at_a_row_that_was_changed_meanwhile(run, application, settings, monkeypatch):
    key = make_key(application)
    [old] = settings.USERSIG["ENCRYPTION_KEYS"]
    settings.USERSIG = {**settings.USERSIG, "ENCRYPTION_KEYS": [Fernet.generate_key().decode(), old]}
    reseal = usersig_keys.reseal

    def reseal_late(sealed, row):
        monkeypatch.undo()
        renewed = reseal(sealed, row)
        key.secret = OTHER_KEY
        key.save()
        return renewed

    monkeypatch.setattr(usersig_keys, "reseal", reseal_late)
    assert run("reencrypt").out == (
        "0 keys re-encrypted, 1 already under the first of ENCRYPTION_KEYS, 0 unreadable.\n"
    )
    assert SigningKey.objects.get().secret.reveal() == OTHER_KEY


def test_reencrypt__of_a_row_that_is_gone_counts_nothing(application):
    assert usersig_keys._reencrypt_row("default", 0, dry_run=False) is False


def test_reencrypt__needs_encryption_keys(refused, settings):
    settings.USERSIG = {**settings.USERSIG, "ENCRYPTION_KEYS": ["x"]}
    assert "no Fernet key" in refused(1, "reencrypt")


def test_database_fault__is_1(refused):
    def down(execute, sql, params, many, context):
        raise OperationalError("connection refused")

    with connection.execute_wrapper(down):
        assert refused(1, "list") == "The database failed: connection refused"
