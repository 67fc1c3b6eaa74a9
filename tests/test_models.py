import logging

import pytest
from django.core import serializers
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import IntegrityError, models, transaction

from tests.records import KEY, OTHER_KEY, make_application, make_key, move_ciphertext
from tests.tokens import PRIVATE_PEM
from usersig_django.conf import ECDSA_SHA256, REGIONS
from usersig_django.exceptions import InvalidInput, InvalidKey
from usersig_django.models import Application, IssuedRecord, SigningKey
from usersig_django.signing import EcdsaSha256Signer, HmacSha256Signer

pytestmark = pytest.mark.django_db


@pytest.fixture
def application():
    return make_application()


@pytest.fixture
def key(application):
    return make_key(application)


@pytest.fixture
def audit(caplog):
    caplog.set_level(logging.INFO, "usersig_django.audit")
    return caplog


def test_application__names_every_region_there_is():
    field = Application._meta.get_field("region")
    assert [value for value, _label in field.choices] == list(REGIONS)
    assert field.default == "china"


@pytest.mark.parametrize("environment", ["", "Production", "a b", "a\n", "é", "x" * 51, "a/b"])
def test_application__refuses_what_is_no_environment(environment):
    with pytest.raises(ValidationError) as caught:
        Application(environment=environment, sdkappid=1).full_clean()
    assert set(caught.value.message_dict) == {"environment"}


@pytest.mark.parametrize("sdkappid", [0, -1, 2**32])
def test_application__refuses_an_sdkappid_out_of_range(sdkappid):
    with pytest.raises(ValidationError) as caught:
        Application(environment="e", sdkappid=sdkappid).full_clean()
    assert "sdkappid" in caught.value.message_dict
    with pytest.raises(IntegrityError), transaction.atomic():
        make_application("e", sdkappid=sdkappid)


@pytest.mark.parametrize("expire", [59, 315_360_001])
def test_application__refuses_an_expire_out_of_range(expire):
    with pytest.raises(ValidationError) as caught:
        Application(environment="e", sdkappid=1, expire=expire).full_clean()
    assert set(caught.value.message_dict) == {"expire"}


def test_application__is_one_to_an_environment(application):
    with pytest.raises(ValidationError, match="has an application already"):
        Application(environment="production", sdkappid=1).full_clean()
    with pytest.raises(IntegrityError), transaction.atomic():
        make_application()


def test_application__takes_the_largest_sdkappid():
    assert make_application(sdkappid=2**32 - 1).sdkappid == 2**32 - 1


def test_application__is_deleted_with_its_keys_the_active_one_too(application, key):
    key.activate()
    application.delete()
    assert not SigningKey.objects.exists()


def test_constraints__have_names_and_no_conditions():
    for model in (Application, SigningKey, IssuedRecord):
        for constraint in model._meta.constraints:
            assert constraint.name.startswith("usersig_")
            assert not isinstance(constraint, models.UniqueConstraint) or constraint.condition is None


def test_str__names_what_people_look_for(application, key):
    assert str(application) == "production (1400000123)"
    assert str(key) == f"HMAC-SHA256 {key.fingerprint}"
    assert str(SigningKey()) == "HMAC-SHA256 ?"
    assert str(IssuedRecord(kind="usersig", userid="alice")) == "UserSig alice"


def test_fingerprint__is_the_signers(application, key):
    assert key.fingerprint == HmacSha256Signer(sdkappid=1, secret_key=KEY).key_fingerprint
    legacy = make_key(application, PRIVATE_PEM, algorithm=ECDSA_SHA256)
    assert legacy.fingerprint == EcdsaSha256Signer(sdkappid=1, private_key=PRIVATE_PEM).key_fingerprint


def test_fingerprint__of_what_is_no_key_is_empty(application):
    key = make_key(application, "short")
    assert key.fingerprint == ""
    assert not key.is_usable


def test_clean__refuses_what_is_no_key_without_showing_it(application):
    with pytest.raises(ValidationError) as caught:
        SigningKey(application=application, secret=PRIVATE_PEM).full_clean()
    assert set(caught.value.message_dict) == {"secret"}
    assert "BEGIN" not in str(caught.value)


def test_clean__refuses_a_ciphertext_that_was_pasted_as_a_key(application, key):
    from usersig_django.secret import Secret

    other = SigningKey(application=application, secret=Secret(str(vars(key)["secret"])))
    with pytest.raises(ValidationError, match="ciphertext of a key"):
        other.full_clean()


def test_clean__lets_an_unreadable_row_be_edited(application, key):
    other = make_key(application, OTHER_KEY)
    move_ciphertext(key, other)
    SigningKey.objects.get(pk=other.pk).full_clean()


def test_state__is_staged_active_or_retired(application, key):
    assert (key.state, key.is_active) == ("staged", False)
    key.activate()
    assert (key.state, key.is_active) == ("active", True)
    key.retire()
    assert (key.state, key.is_active) == ("retired", False)


def test_activate__writes_the_key_and_the_time(application, key):
    assert application.activate(key) is True
    application.refresh_from_db()
    assert application.active_key == key
    stored = SigningKey.objects.get(pk=key.pk)
    assert stored.activated_at == key.activated_at is not None


def test_activate__is_seen_on_the_instances_at_hand(application, key):
    stored = SigningKey.objects.select_related("application").get(pk=key.pk)
    application.activate(stored)
    assert application.active_key == stored
    assert stored.is_active
    application.retire(stored)
    assert application.active_key is None
    assert stored.state == "retired"


def test_activate__again_changes_nothing(application, key):
    key.activate()
    before = SigningKey.objects.get(pk=key.pk).activated_at
    assert key.activate() is False
    assert SigningKey.objects.get(pk=key.pk).activated_at == before


def test_activate__leaves_the_former_key_staged(application, key):
    other = make_key(application, OTHER_KEY)
    key.activate()
    other.activate()
    key.refresh_from_db()
    assert key.state == "staged"
    assert key.activate() is True


def test_activate__of_another_applications_key_is_refused(application, key):
    other = make_application("other")
    with pytest.raises(InvalidInput, match="no such key"):
        other.activate(key)
    with pytest.raises(InvalidInput, match="no such key"):
        other.retire(key)


def test_activate__of_a_deleted_application_is_refused(application, key):
    Application.objects.get(pk=application.pk).delete()
    with pytest.raises(InvalidInput, match="no such key"):
        application.activate(key)


def test_activate__of_a_retired_key_is_refused(application, key):
    stale = SigningKey.objects.get(pk=key.pk)
    key.retire()
    with pytest.raises(InvalidInput, match="retired key"):
        stale.activate()
    application.refresh_from_db()
    assert application.active_key is None


def test_activate__of_an_unreadable_key_or_of_none_is_refused(application, key):
    other = make_key(application, OTHER_KEY)
    move_ciphertext(key, other)
    with pytest.raises(ImproperlyConfigured, match="sealed for another row"):
        SigningKey.objects.get(pk=other.pk).activate()
    with pytest.raises(InvalidKey):
        make_key(application, "short").activate()
    application.refresh_from_db()
    assert application.active_key is None


def test_save__of_an_older_instance_undoes_no_rotation(application, key):
    other = make_key(application, OTHER_KEY, active=True)
    older, older_key, older_other = Application.objects.get(), *SigningKey.objects.order_by("pk")
    key.activate()
    other.retire()
    for row, field in ((older, "name"), (older_key, "note"), (older_other, "note")):
        setattr(row, field, "changed")
        row.save()
    stored = Application.objects.get()
    assert (stored.active_key, stored.name) == (key, "changed")
    stored_key, stored_other = SigningKey.objects.order_by("pk")
    assert stored_key.activated_at
    assert stored_other.retired_at
    assert (stored_key.note, stored_other.note) == ("changed", "changed")


def test_save__after_a_rotation_that_was_rolled_back_does_not_repeat_it(application, key):
    with transaction.atomic():
        application.activate(key)
        transaction.set_rollback(True)
    application.save()
    key.save()
    assert Application.objects.get().active_key is None
    assert SigningKey.objects.get().activated_at is None


def test_save__writes_the_active_key_where_it_is_named(application, key):
    application.active_key = key
    application.save(update_fields=["active_key"])
    assert Application.objects.get().active_key == key
    assert make_application("other", active_key=key).active_key == key
    copied = Application.objects.get(environment="other")
    copied.pk, copied.environment = None, "copy"
    copied.save()
    assert Application.objects.get(environment="copy").active_key == key


def test_fixture__brings_the_active_key_and_the_times_back(application, key):
    key.activate()
    stored = serializers.serialize("json", [*Application.objects.all(), *SigningKey.objects.all()])
    key.retire()
    for row in serializers.deserialize("json", stored):
        row.save()
    assert Application.objects.get().active_key == key
    assert SigningKey.objects.get().state == "active"


def test_save__of_deferred_fields_leaves_them_alone_as_django_does(application, key):
    deferred = Application.objects.only("pk", "name").get()
    Application.objects.update(region="seoul")
    deferred.name = "changed"
    deferred.save()
    stored = Application.objects.get()
    assert (stored.name, stored.region) == ("changed", "seoul")


def test_save__again_after_a_creation_that_was_rolled_back_creates(application):
    key = SigningKey(application=application, secret=KEY)
    with transaction.atomic():
        key.save()
        transaction.set_rollback(True)
    key.save()
    assert SigningKey.objects.get().secret.reveal() == KEY


def test_retire__of_the_active_key_leaves_none(application, key):
    key.activate()
    assert key.retire() is True
    application.refresh_from_db()
    assert application.active_key is None
    assert SigningKey.objects.get(pk=key.pk).retired_at


def test_retire__again_changes_nothing(application, key):
    key.retire()
    before = SigningKey.objects.get(pk=key.pk).retired_at
    assert key.retire() is False
    assert SigningKey.objects.get(pk=key.pk).retired_at == before


def test_retire__works_on_a_key_that_cannot_be_read(application, key):
    other = make_key(application, OTHER_KEY, active=True)
    move_ciphertext(key, other)
    assert SigningKey.objects.get(pk=other.pk).retire() is True


def test_rotate__audits_every_attempt(application, key, audit):
    other = make_application("other")
    key.activate(by="7")
    key.activate(by="7\n8")
    key.retire()
    with pytest.raises(InvalidInput):
        key.activate()
    with pytest.raises(InvalidInput):
        other.activate(key)
    lines = [record.getMessage() for record in audit.records]
    assert [line.split(" actor")[0] for line in lines] == [
        "key activate done",
        "key activate unchanged",
        "key retire done",
        "key activate refused",
        "key activate refused",
    ]
    assert f"actor='7' environment='production' key={key.pk} fingerprint='{key.fingerprint}'" in lines[0]
    assert "actor='7\\n8'" in lines[1]
    assert not any(KEY in line for line in lines)


def test_delete__takes_only_a_retired_key(application, key):
    for _ in ("staged", "active"):
        with pytest.raises(models.ProtectedError, match="Only a retired key"):
            key.delete()
        with pytest.raises(models.ProtectedError, match="Only a retired key"):
            SigningKey.objects.all().delete()
        key.activate()
    key.retire()
    assert key.delete()[0] == 1


def test_delete__of_retired_keys_at_once(application, key):
    key.retire()
    assert SigningKey.objects.all().delete()[0] == 1


def test_delete__of_an_unsaved_key_is_djangos_own_error(application):
    with pytest.raises(ValueError, match="can't be deleted"):
        SigningKey(application=application, secret=KEY).delete()


def test_key__that_claims_to_be_retired_and_is_active_is_not_deletable(application, key):
    key.activate()
    key.retired_at = key.activated_at
    assert not key.is_deletable
