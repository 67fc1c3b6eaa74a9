import os
import subprocess
import sys
from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.core.management import CommandError, call_command
from django.db import InterfaceError, OperationalError

from tests.records import KEY
from tests.tokens import PRIVATE_PEM
from usersig_django.exceptions import (
    InvalidInput,
    InvalidKey,
    SigningUnavailable,
    UserIDReserved,
    UserSigExpired,
)
from usersig_django.management.base import UsersigCommand, exit_codes

ROOT = Path(__file__).parent.parent


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (UserSigExpired, 4),
        (SigningUnavailable, 1),
        (ImproperlyConfigured, 1),
        (OperationalError, 1),
        (InterfaceError, 1),
        (UserIDReserved, 2),
        (InvalidInput, 2),
        (InvalidKey, 2),
    ],
)
def test_exit_codes__of_every_error(error, code):
    with pytest.raises(CommandError, match="because") as caught, exit_codes():
        raise error("because")
    assert caught.value.returncode == code


def test_exit_codes__leave_other_errors_alone():
    with pytest.raises(ZeroDivisionError), exit_codes():
        _ = 1 / 0


class Broken(UsersigCommand):
    requires_system_checks = ()

    def handle(self, *args, **options):
        raise BrokenPipeError


def test_closed_pipe__ends_quietly():
    assert Broken().execute(no_color=True, force_color=False, skip_checks=True) is None


def test_closed_pipe__takes_what_the_interpreter_still_flushes(monkeypatch):
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as file:
        monkeypatch.setattr(sys, "stdout", file)
        command = Broken()
        command._called_from_command_line = True
        file.write("left over")
        command.execute(no_color=True, force_color=False, skip_checks=True)
        monkeypatch.undo()
        # The second flush of the same text, as at the interpreter's end, has somewhere to go.
        file.flush()


def test_closed_pipe__of_a_caller_in_the_same_process_is_the_callers_to_close():
    reader, writer = os.pipe()
    os.close(reader)
    file = os.fdopen(writer, "w")
    file.write("left over")
    Broken(stdout=file).execute(no_color=True, force_color=False, skip_checks=True)
    with pytest.raises(BrokenPipeError):
        file.close()


def test_parser__leaves_a_shell_with_2(capsys):
    command = Broken()
    command._called_from_command_line = True
    with pytest.raises(SystemExit) as caught:
        command.create_parser("manage.py", "broken").parse_args(["--frobnicate"])
    assert caught.value.code == 2
    assert "frobnicate" in capsys.readouterr().err


def shell(*arguments):
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings"},
        capture_output=True,
        text=True,
        timeout=60,
    )


def test_shell__gives_the_codes_of_argparse_and_of_errors():
    assert shell("usersig_keys", "frobnicate").returncode == 2
    result = shell("verify_usersig", "nonsense")
    assert (result.returncode, result.stderr[:12]) == (4, "CommandError")


@pytest.mark.parametrize(
    "arguments",
    [
        ("usersig_keys", "add", "--environment", "production", KEY),
        ("usersig_keys", "add", "--environment", "production", f"--secret={KEY}"),
        ("usersig_keys", "add", "--environment", "production", "--sdkappid", KEY),
        ("usersig_keys", "add", "--environment", "production", PRIVATE_PEM),
        ("usersig_keys", KEY),
        ("verify_usersig", "-", KEY),
        ("verify_usersig", "-", "--format", KEY),
    ],
)
def test_usage__repeats_no_value_that_may_be_a_key(arguments):
    with pytest.raises(CommandError) as caught:
        call_command(*arguments)
    assert caught.value.returncode == 2
    for piece in (KEY[:8], KEY[-8:], *PRIVATE_PEM.splitlines()[1:-1], "BEGIN"):
        assert piece not in str(caught.value)
    assert "****" in str(caught.value)


def test_shell__repeats_no_value_that_may_be_a_key():
    result = shell("usersig_keys", "add", "--environment", "production", KEY)
    assert result.returncode == 2
    assert "unrecognized arguments: ********" in result.stderr
    assert KEY[:8] not in result.stderr


def test_shell__whose_standard_output_is_closed_says_so_before_anything_is_done():
    command = 'exec "$0" manage.py usersig_keys add --environment e --sdkappid 1 --secret-env A_KEY >&-'
    result = subprocess.run(
        ["sh", "-c", command, sys.executable],
        cwd=ROOT,
        env={**os.environ, "DJANGO_SETTINGS_MODULE": "tests.settings", "A_KEY": KEY},
        stderr=subprocess.PIPE,
        text=True,
        timeout=60,
    )
    assert (result.returncode, result.stderr) == (1, "CommandError: Standard output is closed.\n")


def test_closed_standard_output__is_a_fault(monkeypatch):
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(CommandError, match="Standard output is closed") as caught:
        Broken().execute()
    assert caught.value.returncode == 1


def run_with_closed_pipe(*command):
    reader, writer = os.pipe()
    os.close(reader)
    # No database file of the tree's, and standard output buffered as it is by default.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}
    try:
        return subprocess.run(
            [sys.executable, "manage.py", *command],
            cwd=ROOT,
            env={**environment, "DJANGO_SETTINGS_MODULE": "tests.settings", "DATABASE_URL": "sqlite:///:memory:"},
            stdout=writer,
            stderr=subprocess.PIPE,
            text=True,
            timeout=60,
        )
    finally:
        os.close(writer)


def test_shell__whose_pipe_is_closed_gives_0_and_says_nothing():
    result = run_with_closed_pipe("gen_usersig", "alice")
    assert (result.returncode, result.stderr) == (0, "")


def test_shell__whose_pipe_is_closed_still_hears_of_a_fault():
    result = run_with_closed_pipe("check_usersig")
    assert result.returncode == 1
    assert result.stderr.startswith("CommandError: ")
    assert result.stderr.count("\n") == 1
