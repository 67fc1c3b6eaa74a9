"""The settings side, the cache, and what transactions do to it; `test_models` has the records themselves."""

import threading
import time
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.db import DatabaseError, connection, transaction
from django.test import override_settings

from tests import tokens
from tests.settings import TEST_SDKAPPID, TEST_SECRET_KEY
from usersig_django import applications
from usersig_django.applications import get_application, get_expire
from usersig_django.exceptions import InvalidInput, SigningUnavailable
from usersig_django.models import Application, SigningKey
from usersig_django.signing import EcdsaSha256Signer, HmacSha256Signer

KEYS = ("fedcba9876543210" * 4, "00112233445566778899aabbccddeeff" * 2)
FINGERPRINTS = [HmacSha256Signer(sdkappid=1, secret_key=key).key_fingerprint for key in KEYS]


def use(settings, **changes):
    settings.USERSIG = {**settings.USERSIG, **changes}


def use_entry(settings, **entry):
    use(settings, APPLICATIONS={"default": {"SDKAPPID": 20000001, **entry}})


def add_record(environment="live", sdkappid=20000002, keys=KEYS[:1], **attributes):
    """An application whose first key is active."""
    application = Application.objects.create(environment=environment, sdkappid=sdkappid, **attributes)
    for secret in keys:
        SigningKey(application=application, secret=secret).save()
    if keys:
        application.activate(application.keys.first())
    return application


def active_fingerprint(environment="live"):
    return get_application(environment).signer.key_fingerprint


# Settings.


def test_get_application__of_the_settings() -> None:
    application = get_application()
    assert (application.environment, application.sdkappid, application.region) == ("default", TEST_SDKAPPID, "china")
    assert application.expire == 86400
    assert application.signers == (application.signer,)
    assert application.signer.sdkappid == TEST_SDKAPPID
    assert TEST_SECRET_KEY[:8] not in repr(application)


def test_get_application__environment_is_the_projects_by_default(settings) -> None:
    entries = {name: {"SDKAPPID": number, "SECRET_KEY": TEST_SECRET_KEY} for number, name in enumerate("abc", 1)}
    use(settings, APPLICATIONS=entries, ENVIRONMENT="b")
    assert get_application().sdkappid == 2
    assert get_application("c").sdkappid == 3


def test_get_application__legacy_key(settings) -> None:
    use_entry(settings, PRIVATE_KEY=tokens.PRIVATE_PEM, REGION="seoul", EXPIRE=600)
    application = get_application()
    assert isinstance(application.signer, EcdsaSha256Signer)
    assert (application.region, application.expire) == ("seoul", 600)


def test_get_application__compression_and_rule_are_the_projects(settings) -> None:
    use(settings, COMPRESSION_LEVEL=0, USERID_RULE="printable")
    token = get_application().signer.sign("a b", expire=60)
    assert token.startswith("eAE")
    assert tokens.members(token)["TLS.identifier"] == "a b"


def test_get_application__key_that_is_none(settings) -> None:
    use_entry(settings, SECRET_KEY="not a key at all, with white space in it")
    with pytest.raises(ImproperlyConfigured, match=r'"default"\]: ') as caught:
        get_application()
    assert "white space in it" not in str(caught.value)
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("environment", [5, b"default", ["default"]], ids=repr)
def test_get_application__environment_of_another_type(environment: object) -> None:
    with pytest.raises(InvalidInput):
        get_application(environment)


def test_get_expire__where_nothing_can_be_issued(settings) -> None:
    use_entry(settings, SECRET_KEY=TEST_SECRET_KEY, EXPIRE=600)
    assert get_expire() == 600
    use_entry(settings, SECRET_KEY="no key", EXPIRE=600)
    assert get_expire() == 86400


@pytest.mark.django_db
def test_get_expire__without_an_application(settings) -> None:
    use(settings, EXPIRE=7200)
    assert get_expire("live") == 7200


# The cache.


def test_cache__one_signer_while_it_lasts() -> None:
    assert get_application() is get_application()


@pytest.mark.parametrize(
    "changes",
    [
        {"EXPIRE": 61},
        {"USERID_RULE": "printable"},
        {"COMPRESSION_LEVEL": 0},
        {"CACHE_SECONDS": 1},
        {"ENCRYPTION_KEYS": []},
        {"APPLICATIONS": {"default": {"SDKAPPID": 7, "SECRET_KEY": "f" * 64}}},
    ],
    ids=lambda changes: next(iter(changes)),
)
def test_cache__change_in_place_is_respected_at_once(settings, changes) -> None:
    settings.USERSIG = dict(settings.USERSIG)
    before = get_application()
    assert get_application() is before
    settings.USERSIG.update(changes)
    assert get_application() is not before


@pytest.mark.parametrize(
    "changes", [{"EXPIRE": 86400.0}, {"COMPRESSION_LEVEL": True}, {"CACHE_SECONDS": True}], ids=repr
)
def test_cache__equal_value_of_another_type_is_a_change(settings, changes) -> None:
    settings.USERSIG = {**settings.USERSIG, "EXPIRE": 86400, "COMPRESSION_LEVEL": 1, "CACHE_SECONDS": 1}
    get_application()
    settings.USERSIG.update(changes)
    with pytest.raises(ImproperlyConfigured):
        get_application()


def test_cache__key_changed_in_place_is_respected_at_once(settings) -> None:
    entry = dict(settings.USERSIG["APPLICATIONS"]["default"])
    settings.USERSIG = {**settings.USERSIG, "APPLICATIONS": {"default": entry}}
    before = get_application().signer.key_fingerprint
    entry["SECRET_KEY"] = "f" * 64
    assert get_application().signer.key_fingerprint != before


def test_cache__settings_that_cannot_be_compared_are_read_each_time(settings) -> None:
    entry = {**settings.USERSIG["APPLICATIONS"]["default"], "NOTES": []}
    settings.USERSIG = {**settings.USERSIG, "APPLICATIONS": {"default": entry}}
    assert get_application() is not get_application()


def test_cache__override_settings_is_respected_at_once() -> None:
    before = get_application()
    changed = {"APPLICATIONS": {"default": {"SDKAPPID": 7, "SECRET_KEY": TEST_SECRET_KEY}}}
    with override_settings(USERSIG=changed):
        assert get_application().sdkappid == 7
    assert get_application().sdkappid == before.sdkappid


def test_cache__expires(settings, monkeypatch) -> None:
    use(settings, CACHE_SECONDS=10)
    clock = [1000.0]
    monkeypatch.setattr(applications.time, "monotonic", lambda: clock[0])
    first = get_application()
    clock[0] += 9.9
    assert get_application() is first
    clock[0] += 0.1
    assert get_application() is not first


def test_cache__of_no_seconds_looks_every_time(settings) -> None:
    use(settings, CACHE_SECONDS=0)
    assert get_application() is not get_application()


def test_cache__key_file_is_read_again(settings, tmp_path: Path) -> None:
    file = tmp_path / "key"
    file.write_text(KEYS[0] + "\n")
    use_entry(settings, SECRET_KEY_FILE=file)
    use(settings, CACHE_SECONDS=0.05)
    assert active_fingerprint("default") == FINGERPRINTS[0]
    file.write_text(KEYS[1] + "\n")
    assert active_fingerprint("default") == FINGERPRINTS[0]
    time.sleep(0.1)
    assert active_fingerprint("default") == FINGERPRINTS[1]
    file.unlink()
    time.sleep(0.1)
    with pytest.raises(ImproperlyConfigured):
        get_application()
    file.write_text(KEYS[0])
    assert active_fingerprint("default") == FINGERPRINTS[0]


def test_cache__failures_are_not_kept(settings) -> None:
    entry = {"SDKAPPID": 7, "SECRET_KEY": "no key"}
    use(settings, APPLICATIONS={"default": entry})
    with pytest.raises(ImproperlyConfigured):
        get_application()
    entry["SECRET_KEY"] = TEST_SECRET_KEY
    assert get_application().sdkappid == 7


def test_cache__what_was_read_before_an_invalidation_is_not_kept(monkeypatch) -> None:
    """Otherwise a key activated while another thread loads would stay hidden for CACHE_SECONDS."""
    load = applications._load

    def load_while_a_key_is_activated(environment):
        application = load(environment)
        applications.invalidate()
        return application

    with monkeypatch.context() as patched:
        patched.setattr(applications, "_load", load_while_a_key_is_activated)
        stale = get_application()
    assert get_application() is not stale


# Records.


@pytest.mark.django_db
def test_get_application__of_a_record() -> None:
    add_record(region="tokyo", expire=600)
    application = get_application("live")
    assert (application.environment, application.sdkappid) == ("live", 20000002)
    assert (application.region, application.expire) == ("tokyo", 600)
    assert application.signer.key_fingerprint == FINGERPRINTS[0]


@pytest.mark.django_db
def test_get_application__settings_before_a_record() -> None:
    add_record("default")
    assert get_application().sdkappid == TEST_SDKAPPID


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("attributes", "says"),
    [
        ({"is_active": False}, "disabled"),
        ({"keys": ()}, "no active key"),
        ({"environment": "other"}, "No application"),
    ],
)
def test_get_application__record_that_cannot_sign(attributes: dict[str, object], says: str) -> None:
    add_record(**attributes)
    with pytest.raises(SigningUnavailable, match=says):
        get_application("live").signer  # noqa: B018


@pytest.mark.django_db
@pytest.mark.parametrize(
    "environment", ["Live", "LIVE", "live ", " live", "live\n", "l\u0131ve", "%", "l_ve", "", "x" * 51, "l\0ve"]
)
def test_get_application__name_that_is_only_nearly_right(environment: str) -> None:
    """MariaDB finds some of these."""
    add_record()
    with pytest.raises(SigningUnavailable):
        get_application(environment)


@pytest.mark.django_db
def test_get_application__database_compares_loosely() -> None:
    """As MariaDB does without a binary collation: the row is compared again."""
    add_record("li-ve")
    real = Application.objects.filter

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Application.objects, "filter", lambda environment: real(environment="li-ve"))
        with pytest.raises(SigningUnavailable):
            get_application("li_ve")


@pytest.mark.django_db
def test_get_application__active_key_that_cannot_be_read(settings) -> None:
    """Neither the staged key nor the ciphertext steps in; the staged one still verifies."""
    application = add_record()
    settings.USERSIG = {**settings.USERSIG, "ENCRYPTION_KEYS": [Fernet.generate_key().decode()]}
    SigningKey(application=application, secret=KEYS[1]).save()
    served = get_application("live")
    with pytest.raises(SigningUnavailable, match="cannot be used") as caught:
        served.signer  # noqa: B018
    assert f"row {application.active_key_id}" in str(caught.value)
    assert [signer.key_fingerprint for signer in served.signers] == [FINGERPRINTS[1]]


@pytest.mark.django_db
def test_get_application__no_queries_once_warm(django_assert_num_queries) -> None:
    add_record()
    with django_assert_num_queries(2):
        get_application("live")
    with django_assert_num_queries(0):
        get_application("live")
        get_application()


# Transactions.


def fingerprint_of_another_connection():
    found = []

    def look():
        try:
            found.append(active_fingerprint())
        except (SigningUnavailable, DatabaseError) as error:
            found.append(type(error))
        finally:
            connection.close()

    thread = threading.Thread(target=look)
    thread.start()
    thread.join()
    return found[0]


@pytest.mark.django_db(transaction=True)
def test_invalidate__activation_is_seen_at_once() -> None:
    application = add_record(keys=KEYS)
    assert active_fingerprint() == FINGERPRINTS[0]
    application.activate(application.keys.last())
    assert active_fingerprint() == FINGERPRINTS[1]


@pytest.mark.django_db(transaction=True)
def test_invalidate__transaction_sees_its_own_key_and_no_other_does() -> None:
    application = add_record(keys=KEYS)
    assert active_fingerprint() == FINGERPRINTS[0]
    with transaction.atomic():
        application.activate(application.keys.last())
        assert active_fingerprint() == FINGERPRINTS[1]
        # Warm, so that it needs no row which the transaction holds.
        assert fingerprint_of_another_connection() == FINGERPRINTS[0]
    assert active_fingerprint() == fingerprint_of_another_connection() == FINGERPRINTS[1]


@pytest.mark.django_db(transaction=True)
def test_invalidate__rollback_brings_the_old_key_back() -> None:
    application = add_record(keys=KEYS)
    with transaction.atomic():
        application.activate(application.keys.last())
        assert active_fingerprint() == FINGERPRINTS[1]
        transaction.set_rollback(True)
    assert active_fingerprint() == FINGERPRINTS[0]


@pytest.mark.django_db(transaction=True)
def test_invalidate__savepoint_that_is_rolled_back() -> None:
    application = add_record(keys=KEYS)
    with transaction.atomic():
        assert active_fingerprint() == FINGERPRINTS[0]
        with transaction.atomic():
            application.activate(application.keys.last())
            assert active_fingerprint() == FINGERPRINTS[1]
            transaction.set_rollback(True)
        assert active_fingerprint() == FINGERPRINTS[0]
    assert active_fingerprint() == FINGERPRINTS[0]


@pytest.mark.django_db(transaction=True)
def test_invalidate__second_change_in_one_transaction() -> None:
    application = add_record(keys=KEYS)
    first, second = application.keys.all()
    with transaction.atomic():
        application.activate(second)
        assert active_fingerprint() == FINGERPRINTS[1]
        application.activate(first)
        assert active_fingerprint() == FINGERPRINTS[0]
    assert active_fingerprint() == FINGERPRINTS[0]


@pytest.mark.django_db(transaction=True)
def test_invalidate__deletion() -> None:
    application = add_record()
    assert active_fingerprint() == FINGERPRINTS[0]
    application.delete()
    with pytest.raises(SigningUnavailable):
        get_application("live")
