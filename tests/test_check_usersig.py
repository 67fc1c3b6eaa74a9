import pytest
from cryptography.fernet import Fernet
from django.core.cache.backends.dummy import DummyCache
from django.core.management import CommandError, call_command
from django.db import OperationalError, connection

from tests.records import KEY, OTHER_KEY, make_application, make_key, move_ciphertext
from usersig_django import checks
from usersig_django.management.commands import check_usersig
from usersig_django.models import SigningKey

pytestmark = pytest.mark.django_db


class ForgetfulCache(DummyCache):
    def incr(self, key, delta=1, version=None):
        return 1


@pytest.fixture
def examine(capsys):
    """Run the doctor; whether it was content, and its lines by subject."""

    def examine(*arguments):
        code = 0
        try:
            call_command("check_usersig", *arguments)
        except CommandError as error:
            code = error.returncode
        content = {0: True, 1: False}[code]
        out = capsys.readouterr().out
        assert KEY not in out
        return content, {line[6:].split(":")[0]: line for line in out.splitlines()}

    return examine


def test_check__is_content_with_a_deployment_that_signs(examine, settings):
    content, lines = examine()
    assert content
    assert all(line.startswith("ok") for line in lines.values())
    assert list(lines) == ["settings", "clock", "cache", "environment default"]
    assert f"SDKAppID {settings.TEST_SDKAPPID}, HMAC-SHA256 key" in lines["environment default"]
    assert "from settings" in lines["environment default"]


def test_check__reads_every_key_and_signs_with_every_environment(examine):
    key = make_key(make_application(), active=True)
    content, lines = examine()
    assert content
    assert f"{key} (active)" in lines[f"key {key.pk} of production (1400000123)"]
    assert "from database" in lines["environment production"]


def test_check__of_one_environment_looks_at_that_alone(examine):
    application = make_application()
    make_key(application, active=True)
    make_key(make_application("other"), "no key")
    content, lines = examine("--environment", "production")
    assert content
    assert not any("other" in subject for subject in lines)


def test_check__names_every_key_that_does_not_open(examine, settings):
    key = make_key(make_application(), active=True)
    settings.USERSIG = {**settings.USERSIG, "ENCRYPTION_KEYS": [Fernet.generate_key().decode()]}
    content, lines = examine()
    assert not content
    assert lines[f"key {key.pk} of production (1400000123)"].startswith("FAIL")
    # Another deployment's environment: it is the key that failed.
    assert lines["environment production"].startswith("look")


def test_check__fails_where_its_own_environment_cannot_sign(examine, settings):
    settings.USERSIG = {**settings.USERSIG, "ENVIRONMENT": "production"}
    make_application()
    content, lines = examine()
    assert not content
    assert lines["environment production"].startswith("FAIL")


def test_check__fails_where_the_one_asked_for_does_not_exist(examine):
    content, lines = examine("--environment", "nowhere")
    assert not content
    assert "nowhere" in lines["environment nowhere"]


def test_check__leaves_an_unreadable_retired_key_to_the_operator(examine):
    application = make_application()
    key, other = make_key(application), make_key(application, OTHER_KEY)
    key.retire()
    move_ciphertext(other, key)
    content, lines = examine()
    assert content
    assert lines[f"key {key.pk} of production (1400000123)"].startswith("look")


def test_check__notices_a_fingerprint_that_is_another_keys(examine):
    key = make_key(make_application())
    SigningKey.objects.filter(pk=key.pk).update(fingerprint="00000000")
    content, lines = examine()
    assert not content
    assert "another key's" in lines[f"key {key.pk} of production (1400000123)"]


def test_check__shows_what_the_system_checks_object_to(examine, settings):
    settings.USERSIG = {**settings.USERSIG, "ENVIROMENT": "x"}
    content, lines = examine()
    assert content
    assert lines["settings"].startswith("look")
    assert checks.UNKNOWN_SETTING in lines["settings"]
    settings.USERSIG = {**settings.USERSIG, "EXPIRE": "x"}
    assert not examine()[0]


def test_check__survives_settings_that_cannot_be_read(examine, settings):
    settings.USERSIG = {"ENVIRONMENT": 7}
    content, lines = examine()
    assert not content
    assert lines["environments"].startswith("FAIL")


def test_check__fails_with_a_clock_that_is_wrong(examine, monkeypatch):
    monkeypatch.setattr(check_usersig.time, "time", lambda: 1_000_000_000.0)
    content, lines = examine()
    assert not content
    assert lines["clock"] == "FAIL  clock: 2001-09-09 01:46:40 UTC"


@pytest.mark.parametrize(
    ("backend", "text"),
    [
        ("django.core.cache.backends.dummy.DummyCache", "failed (ValueError)"),
        ("tests.test_check_usersig.ForgetfulCache", "does not count"),
    ],
)
def test_check__fails_with_a_cache_that_does_not_count(examine, settings, backend, text):
    settings.CACHES = {"default": {"BACKEND": backend}}
    content, lines = examine()
    assert not content
    assert text in lines["cache"]


def test_check__fails_and_goes_on_without_a_database(examine):
    def down(execute, sql, params, many, context):
        raise OperationalError("connection refused")

    with connection.execute_wrapper(down):
        content, lines = examine()
    assert not content
    assert lines["database"] == "FAIL  database: connection refused"
    assert "connection refused" in lines["environments"]
    assert lines["clock"].startswith("ok")
