"""Applications from the database; from settings, and the cache itself, see test_applications.py."""

import pytest
from cryptography.fernet import Fernet
from django.core.exceptions import ImproperlyConfigured
from django.db import transaction
from django.utils import timezone

from tests.records import KEY, OTHER_KEY, SDKAPPID, make_application, make_key, move_ciphertext
from tests.tokens import PRIVATE_PEM
from usersig_django.applications import State, get_application, get_environments, get_state, is_overridden
from usersig_django.conf import ECDSA_SHA256
from usersig_django.exceptions import BadSignature, SigningUnavailable
from usersig_django.issuing import issue_usersig_for_userid
from usersig_django.models import Application, SigningKey
from usersig_django.signing import EcdsaSha256Signer, HmacSha256Signer
from usersig_django.verifying import verify_usersig

pytestmark = pytest.mark.django_db


@pytest.fixture
def application():
    return make_application()


@pytest.fixture
def key(application):
    return make_key(application, active=True)


def signed_with(secret):
    return HmacSha256Signer(sdkappid=SDKAPPID, secret_key=secret).sign("alice", expire=60)


def test_get_application__serves_the_active_key_of_a_record(key):
    served = get_application("production")
    assert (served.environment, served.sdkappid, served.region) == ("production", SDKAPPID, "china")
    assert served.expire == 86400
    assert served.signer.key_fingerprint == key.fingerprint
    assert HmacSha256Signer(sdkappid=SDKAPPID, secret_key=KEY).verify(served.signer.sign("alice", expire=60))


def test_get_application__takes_the_records_own_expire(application, key):
    application.expire = 600
    application.save()
    assert get_application("production").expire == 600


@pytest.mark.parametrize("environment", ["Production", "production ", "PRODUCTION", "other", "é" * 60, ""])
def test_get_application__never_serves_another_environment(key, environment):
    with pytest.raises(SigningUnavailable):
        get_application(environment)


def test_get_application__prefers_settings(settings):
    make_key(make_application("default"), active=True)
    assert get_application("default").sdkappid == settings.TEST_SDKAPPID


def test_get_application__of_a_disabled_record_is_unavailable(application, key):
    application.is_active = False
    application.save()
    with pytest.raises(SigningUnavailable, match="disabled"):
        get_application("production")


def test_signer__without_an_active_key_is_unavailable(application):
    make_key(application)
    served = get_application("production")
    with pytest.raises(SigningUnavailable, match="no active key"):
        assert served.signer


def test_signer__of_a_moved_ciphertext_is_unavailable_and_names_the_row(application, key):
    move_ciphertext(make_key(application, OTHER_KEY), key)
    application.save()
    with pytest.raises(SigningUnavailable, match=f"signing key row {key.pk}.*sealed for another row"):
        assert get_application("production").signer


def test_signer__of_another_encryption_key_is_unavailable_until_it_is_back(settings, key):
    good = settings.USERSIG
    settings.USERSIG = {**good, "ENCRYPTION_KEYS": [Fernet.generate_key().decode()]}
    with pytest.raises(SigningUnavailable, match="opens with none"):
        assert get_application("production").signer
    settings.USERSIG = good
    assert get_application("production").signer


def test_signers__leave_out_retired_and_unreadable_keys(application, key):
    make_key(application, OTHER_KEY).retire()
    move_ciphertext(key, make_key(application, "b" * 40))
    make_key(application, "no key")
    staged = make_key(application, "c" * 40)
    assert [signer.key_fingerprint for signer in get_application("production").signers] == [
        key.fingerprint,
        staged.fingerprint,
    ]


def test_verify__knows_every_key_that_is_not_retired(application, key):
    old = make_key(application, OTHER_KEY)
    assert verify_usersig(signed_with(OTHER_KEY), environment="production").userid == "alice"
    old.retire()
    with pytest.raises(BadSignature):
        verify_usersig(signed_with(OTHER_KEY), environment="production")


def test_activation__moves_from_ecdsa_to_hmac(application):
    legacy = make_key(application, PRIVATE_PEM, algorithm=ECDSA_SHA256, active=True)
    before = issue_usersig_for_userid("alice", environment="production").usersig
    assert EcdsaSha256Signer(sdkappid=SDKAPPID, private_key=PRIVATE_PEM).verify(before)
    key = make_key(application, active=True)
    after = issue_usersig_for_userid("alice", environment="production")
    assert after.key_fingerprint == key.fingerprint
    assert HmacSha256Signer(sdkappid=SDKAPPID, secret_key=KEY).verify(after.usersig)
    for token in (before, after.usersig):
        assert verify_usersig(token, environment="production")
    legacy.retire()
    assert verify_usersig(after.usersig, environment="production")


@pytest.mark.django_db(transaction=True)
def test_cache__forgets_at_once_what_this_process_changes(settings):
    settings.USERSIG = {**settings.USERSIG, "CACHE_SECONDS": 3600}
    application = make_application()
    key, other = make_key(application), make_key(application, OTHER_KEY)
    for act, fingerprint in ((key.activate, key.fingerprint), (other.activate, other.fingerprint)):
        act()
        assert get_application("production").signer.key_fingerprint == fingerprint
    application = Application.objects.get(pk=application.pk)
    application.sdkappid = 1400000777
    application.save()
    assert get_application("production").sdkappid == 1400000777
    application.delete()
    with pytest.raises(SigningUnavailable):
        get_application("production")


@pytest.mark.django_db(transaction=True)
def test_cache__forgets_at_once_what_this_process_changes_without_an_instance(settings):
    settings.USERSIG = {**settings.USERSIG, "CACHE_SECONDS": 3600}
    application = make_application()
    key, other = make_key(application, active=True), make_key(application, OTHER_KEY)
    assert get_application("production").signer.key_fingerprint == key.fingerprint
    Application.objects.update(active_key=other)
    assert get_application("production").signer.key_fingerprint == other.fingerprint
    application.sdkappid = 1400000777
    Application.objects.bulk_update([application], ["sdkappid"])
    assert get_application("production").sdkappid == 1400000777
    SigningKey.objects.bulk_create([SigningKey(application=application, secret="c" * 40)])
    assert len(get_application("production").signers) == 3
    SigningKey.objects.filter(pk=key.pk).update(retired_at=timezone.now())
    assert len(get_application("production").signers) == 2
    SigningKey.objects.filter(pk=key.pk).delete()
    Application.objects.update(is_active=False)
    with pytest.raises(SigningUnavailable):
        get_application("production")


@pytest.mark.django_db(transaction=True)
def test_cache__keeps_an_uncommitted_rotation_to_its_transaction(settings):
    settings.USERSIG = {**settings.USERSIG, "CACHE_SECONDS": 3600}
    application = make_application()
    key, other = make_key(application, active=True), make_key(application, OTHER_KEY)
    with transaction.atomic():
        other.activate()
        assert get_application("production").signer.key_fingerprint == other.fingerprint
        transaction.set_rollback(True)
    assert get_application("production").signer.key_fingerprint == key.fingerprint


def test_state__says_what_an_application_can_do(application, key, settings):
    assert get_state(application) is State.READY
    assert get_state(make_application("new")) is State.NO_KEY
    assert get_state(make_application("off", is_active=False)) is State.DISABLED
    assert get_state(make_application("default")) is State.OVERRIDDEN
    broken = make_application("broken")
    make_key(broken, "no key")
    Application.objects.filter(pk=broken.pk).update(active_key=broken.keys.get())
    broken = Application.objects.select_related("active_key").get(pk=broken.pk)
    assert get_state(broken) is State.UNREADABLE_KEY
    assert State.UNREADABLE_KEY.label == "unreadable key"


def test_is_overridden__is_false_where_the_settings_cannot_be_read(settings):
    assert is_overridden("default")
    settings.USERSIG = {"APPLICATIONS": None}
    assert not is_overridden("default")
    settings.USERSIG = None
    with pytest.raises(ImproperlyConfigured):
        get_application("default")


def test_environments__are_those_of_settings_and_records_once_each(application, settings):
    make_application("default")
    assert get_environments() == ["default", "production"]
    settings.USERSIG = {**settings.USERSIG, "ENVIRONMENT": "production"}
    assert get_environments() == ["production", "default"]
    settings.USERSIG = {"APPLICATIONS": None}
    assert get_environments() == ["default", "production"]
