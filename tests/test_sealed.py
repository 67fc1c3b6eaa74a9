import copy
import json
import pickle
import uuid

import pytest
from cryptography.fernet import Fernet
from django.core import serializers
from django.core.exceptions import FieldError, ImproperlyConfigured, ValidationError
from django.core.management import call_command
from django.db import IntegrityError, connection, models, transaction
from django.db.models.expressions import RawSQL
from django.db.models.functions import Concat, Lower

from tests.records import KEY, OTHER_KEY, ciphertext, make_application, make_key, move_ciphertext
from usersig_django import sealed
from usersig_django.conf import ECDSA_SHA256
from usersig_django.models import SigningKey
from usersig_django.secret import Secret

pytestmark = pytest.mark.django_db


@pytest.fixture
def application():
    return make_application()


@pytest.fixture
def key(application):
    return make_key(application)


def reload(key):
    return SigningKey.objects.get(pk=key.pk)


def use_encryption_keys(settings, *keys):
    settings.USERSIG = {**settings.USERSIG, "ENCRYPTION_KEYS": list(keys)}


def test_secret__is_read_back_from_the_row(key):
    assert reload(key).secret.reveal() == KEY
    assert KEY not in ciphertext(key)
    assert ciphertext(key).startswith(sealed.MARK)


def test_secret__is_stripped_and_may_be_a_secret_already(application):
    assert make_key(application, f"\n {KEY}\r\n").secret.reveal() == KEY
    assert reload(make_key(application, Secret(OTHER_KEY))).secret.reveal() == OTHER_KEY


def test_secret__is_loaded_later_where_it_was_deferred(key):
    assert SigningKey.objects.defer("secret").get(pk=key.pk).secret.reveal() == KEY
    assert SigningKey.objects.only("pk").get(pk=key.pk).secret.reveal() == KEY


def test_secret__is_the_same_after_refresh_from_db(key):
    stale = reload(key)
    key.secret = OTHER_KEY
    key.save()
    stale.refresh_from_db()
    assert stale.secret.reveal() == OTHER_KEY


def test_secret__is_never_plain_in_vars(application):
    key = SigningKey(application=application, secret=KEY)
    assert KEY not in repr(vars(key))
    key.save()
    assert KEY not in repr(vars(key))
    assert KEY not in repr(vars(reload(key)))


def test_secret__survives_copies_and_pickles_as_ciphertext(key):
    for other in (copy.copy(key), copy.deepcopy(key), pickle.loads(pickle.dumps(reload(key)))):
        assert other.secret.reveal() == KEY
    assert KEY.encode() not in pickle.dumps(key)


def test_secret__unsaved_cannot_be_pickled(application):
    with pytest.raises(TypeError, match="cannot be pickled") as caught:
        pickle.dumps(SigningKey(application=application, secret=KEY))
    assert KEY not in str(caught.value)


def test_secret__is_sealed_for_the_uid_that_is_saved(application):
    key = SigningKey(secret=KEY, application=application, uid=uuid.uuid4())
    key.uid = uuid.uuid4()
    key.save()
    assert reload(key).secret.reveal() == KEY


def test_bulk_create__seals(application):
    SigningKey.objects.bulk_create(
        [SigningKey(application=application, secret=KEY), SigningKey(application=application, secret=OTHER_KEY)]
    )
    assert [key.secret.reveal() for key in SigningKey.objects.all()] == [KEY, OTHER_KEY]
    assert all(key.fingerprint for key in SigningKey.objects.all())


def test_bulk_update__seals_and_moves_the_fingerprint(application, key):
    other = make_key(application)
    before = other.fingerprint
    other.secret = OTHER_KEY
    SigningKey.objects.bulk_update([key, other], ["secret"])
    assert reload(key).secret.reveal() == KEY
    assert reload(other).secret.reveal() == OTHER_KEY
    assert reload(other).fingerprint != before


def test_bulk_update__of_other_fields_keeps_the_ciphertext(key):
    before = ciphertext(key)
    key.note = "n"
    SigningKey.objects.bulk_update([key], ["note"])
    assert ciphertext(key) == before
    assert reload(key).note == "n"


def test_fingerprint__follows_the_algorithm_and_the_conflicting_row(application, key):
    key.algorithm = ECDSA_SHA256
    key.save(update_fields=["algorithm"])
    assert reload(key).fingerprint == ""
    key.algorithm = "HMAC-SHA256"
    key.save()
    assert reload(key).fingerprint == reload(key).signer_fingerprint()
    key.algorithm = ECDSA_SHA256
    SigningKey.objects.bulk_update([key], ["algorithm"])
    assert reload(key).fingerprint == ""
    key.algorithm, key.secret = "HMAC-SHA256", OTHER_KEY
    unique = ["id"] if connection.features.supports_update_conflicts_with_target else None
    SigningKey.objects.bulk_create(
        [key], update_conflicts=True, update_fields=["secret", "algorithm"], unique_fields=unique
    )
    assert reload(key).secret.reveal() == OTHER_KEY
    assert reload(key).fingerprint == reload(key).signer_fingerprint()


def test_save__with_update_fields_moves_the_fingerprint_with_the_secret(key):
    before = key.fingerprint
    key.secret = OTHER_KEY
    key.save(update_fields=["note"])
    assert reload(key).secret.reveal() == KEY
    key.save(update_fields=["secret"])
    assert reload(key).secret.reveal() == OTHER_KEY
    assert reload(key).fingerprint == key.fingerprint != before


@pytest.mark.parametrize(
    "value",
    [
        KEY,
        Secret(KEY),
        models.Value(KEY),
        Concat(models.F("note"), models.Value(KEY)),
        models.Case(models.When(note="", then=models.Value(KEY)), default=models.F("secret")),
        models.Case(models.When(note="", then=models.F("note"))),
        models.F("note"),
        models.Subquery(SigningKey.objects.values("note")[:1]),
        RawSQL("note", ()),
        Lower("note"),
    ],
    ids=["text", "secret", "value", "concat", "case", "case of a column", "column", "subquery", "sql", "function"],
)
def test_update__refuses_plain_text(key, value):
    before = ciphertext(key)
    with pytest.raises(ValueError, match="ciphertext only") as caught:
        SigningKey.objects.update(secret=value)
    assert KEY not in str(caught.value)
    # The transaction is whole.
    assert ciphertext(key) == before


def test_update__refuses_plain_text_through_the_base_manager(key):
    with pytest.raises(ValueError, match="ciphertext only"):
        SigningKey._base_manager.update(secret=KEY)


def test_update__passes_ciphertext(key):
    token = str(ciphertext(key))
    assert SigningKey.objects.update(secret="", note="x") == 1
    assert SigningKey.objects.update(secret=token) == 1
    assert SigningKey.objects.update(secret=models.Value(token)) == 1
    assert SigningKey.objects.update(secret=key.secret) == 1
    assert reload(key).secret.reveal() == KEY


def test_update__to_null_is_the_databases_to_refuse(key):
    with pytest.raises(IntegrityError), transaction.atomic():
        SigningKey.objects.update(secret=None)
    assert reload(key).secret.reveal() == KEY


def test_filter__refuses_plain_text(key):
    with pytest.raises(ValueError, match="ciphertext only"):
        SigningKey.objects.filter(secret=KEY).exists()
    assert SigningKey.objects.filter(secret=str(ciphertext(key))).exists()
    assert SigningKey.objects.filter(secret__isnull=False).exists()


@pytest.mark.parametrize("lookup", ["contains", "regex", "startswith", "iexact", "in", "gt", "lower"])
def test_filter__knows_no_lookup_that_looks_into_the_text(key, lookup, django_assert_num_queries):
    with django_assert_num_queries(0), pytest.raises(FieldError) as caught:
        SigningKey.objects.filter(**{f"secret__{lookup}": [KEY] if lookup == "in" else KEY}).exists()
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(
    "value", [models.Value(KEY), Secret(KEY), Lower("note"), models.F("note"), models.Value(KEY, models.TextField())]
)
def test_filter__refuses_plain_text_in_an_expression(key, value, django_assert_num_queries):
    with django_assert_num_queries(0), pytest.raises(ValueError, match="ciphertext only") as caught:
        SigningKey.objects.filter(secret=value).exists()
    assert KEY not in str(caught.value)


def test_values__give_ciphertext(key):
    [row] = SigningKey.objects.values()
    assert KEY not in repr(row)
    assert row["secret"] == ciphertext(key)


def test_assignment__of_ciphertext_is_kept_as_it_is(key):
    token = str(ciphertext(key))
    key.secret = token
    key.save()
    assert ciphertext(key) == token


@pytest.mark.parametrize("value", [7, b"bytes", ["x"]])
def test_assignment__of_no_text_is_refused(key, value):
    with pytest.raises(TypeError, match="takes text"):
        key.secret = value


@pytest.mark.parametrize("value", ["", None])
def test_reveal__of_an_empty_row_names_the_row(key, value):
    key.secret = value
    key.save()
    row = reload(key)
    assert not row.secret
    with pytest.raises(ImproperlyConfigured, match=f"signing key row {key.pk} holds no secret"):
        row.secret.reveal()


def test_reveal__of_a_ciphertext_that_was_moved_is_refused(application, key):
    other = make_key(application, OTHER_KEY)
    move_ciphertext(key, other)
    with pytest.raises(ImproperlyConfigured, match=f"row {other.pk}: the secret was sealed for another row"):
        reload(other).secret.reveal()


def test_assignment__of_another_rows_secret_seals_it_for_this_row(application, key):
    other = make_key(application, OTHER_KEY)
    other.secret = key.secret
    assert other.secret.reveal() == KEY
    other.save()
    assert reload(other).secret.reveal() == KEY
    assert reload(other).fingerprint == key.fingerprint
    move_ciphertext(make_key(application, OTHER_KEY), key)
    other.secret = reload(key).secret
    with pytest.raises(ImproperlyConfigured, match="sealed for another row"):
        other.save()
    assert reload(other).secret.reveal() == KEY


@pytest.mark.parametrize("told", [True, False])
def test_copy__with_another_uid_is_refused_and_not_written_unreadable(application, key, told):
    copied = reload(key)
    copied.pk, copied.uid = None, uuid.uuid4()
    copied._state.adding = told
    with pytest.raises(ImproperlyConfigured, match="sealed for another row"):
        copied.save()
    assert SigningKey.objects.get() == key
    copied.secret = key.secret
    copied.save()
    assert SigningKey.objects.exclude(pk=key.pk).get().secret.reveal() == KEY


@pytest.mark.django_db(transaction=True)
def test_save__of_an_older_instance_undoes_no_reencryption(settings):
    """The one that was read, and those that were made, before."""
    application = make_application()
    made = make_key(application)
    older = reload(made)
    [bulk, _] = SigningKey.objects.bulk_create(
        [SigningKey(application=application, secret=KEY), SigningKey(application=application, secret=OTHER_KEY)]
    )
    updated = SigningKey.objects.order_by("pk").last()
    updated.secret = KEY
    SigningKey.objects.bulk_update([updated], ["secret"])
    old = settings.USERSIG["ENCRYPTION_KEYS"]
    new = Fernet.generate_key().decode()
    use_encryption_keys(settings, new, *old)
    call_command("usersig_keys", "reencrypt")
    for instance in (made, older, bulk, updated):
        instance.note = "changed"
        instance.save()
    use_encryption_keys(settings, new)
    assert [(key.secret.reveal(), key.note) for key in SigningKey.objects.all()] == [(KEY, "changed")] * 3


def test_save__of_an_older_instance_keeps_a_key_that_was_replaced(key):
    older = reload(key)
    key.secret = OTHER_KEY
    key.save()
    older.save()
    assert reload(key).secret.reveal() == OTHER_KEY
    assert reload(key).fingerprint == key.fingerprint


@pytest.mark.django_db(transaction=True)
def test_save__again_after_a_rollback_writes_what_was_assigned():
    key = make_key(make_application())
    key.secret = OTHER_KEY
    with transaction.atomic():
        key.save()
        transaction.set_rollback(True)
    assert reload(key).secret.reveal() == KEY
    key.save()
    assert reload(key).secret.reveal() == OTHER_KEY


@pytest.mark.django_db(transaction=True)
def test_save__keeps_what_was_assigned_before_the_commit():
    key = make_key(make_application())
    with transaction.atomic():
        key.secret = OTHER_KEY
        key.save()
        key.secret = KEY
    key.save()
    assert reload(key).secret.reveal() == KEY


def test_reveal__with_another_encryption_key_raises_and_gives_no_ciphertext(settings, key):
    use_encryption_keys(settings, Fernet.generate_key().decode())
    with pytest.raises(ImproperlyConfigured, match=f"row {key.pk}: the secret opens with none") as caught:
        reload(key).secret.reveal()
    assert str(ciphertext(key)) not in str(caught.value)


@pytest.mark.parametrize("position", [9, 40, 90, -5])
def test_reveal__of_an_altered_ciphertext_is_refused(key, position):
    token = list(ciphertext(key))
    token[position] = "A" if token[position] != "A" else "B"
    vars(key)["secret"] = sealed.Ciphertext("".join(token))
    key.save(update_fields=["secret"])
    with pytest.raises(ImproperlyConfigured, match="opens with none"):
        reload(key).secret.reveal()


def test_reveal__of_plain_text_that_sql_wrote_is_refused(key):
    vars(key)["secret"] = sealed.Ciphertext(KEY)
    key.save(update_fields=["secret"])
    with pytest.raises(ImproperlyConfigured, match="opens with none"):
        reload(key).secret.reveal()


def test_save__of_an_unreadable_row_keeps_ciphertext_and_fingerprint(settings, key):
    before = ciphertext(key)
    use_encryption_keys(settings, Fernet.generate_key().decode())
    row = reload(key)
    row.note = "still here"
    row.save()
    assert ciphertext(key) == before
    assert reload(key).fingerprint == key.fingerprint


@pytest.mark.parametrize(
    ("keys", "message"),
    [
        ([], "is empty"),
        (["short"], r"ENCRYPTION_KEYS\"\]\[0\] is no Fernet key"),
        ([Fernet.generate_key().decode(), "é" * 44], r"\[1\] is no Fernet key"),
    ],
)
def test_save__without_encryption_keys_writes_nothing(settings, application, keys, message):
    use_encryption_keys(settings, *keys)
    with pytest.raises(ImproperlyConfigured, match=message):
        make_key(application)
    assert not SigningKey.objects.exists()


def test_reseal__renews_once_and_keeps_the_text(settings, key):
    old = settings.USERSIG["ENCRYPTION_KEYS"]
    use_encryption_keys(settings, Fernet.generate_key().decode(), *old)
    renewed = sealed.reseal(ciphertext(key), key)
    SigningKey.objects.update(secret=renewed)
    use_encryption_keys(settings, *settings.USERSIG["ENCRYPTION_KEYS"][:1])
    assert reload(key).secret.reveal() == KEY
    assert sealed.reseal(ciphertext(key), key) is None


def test_full_clean__wants_a_secret_and_takes_a_stored_one(application, key):
    with pytest.raises(ValidationError) as caught:
        SigningKey(application=application).full_clean()
    assert "secret" in caught.value.message_dict
    reload(key).full_clean()


@pytest.mark.parametrize("format", ["json", "jsonl", "xml", "yaml", "python"])
def test_fixture__holds_ciphertext_and_loads(key, format):
    text = serializers.serialize(format, SigningKey.objects.all())
    assert KEY not in str(text)
    SigningKey.objects.update(secret="")
    for row in serializers.deserialize(format, text):
        row.save()
    assert reload(key).secret.reveal() == KEY


def test_fixture__of_an_unsaved_key_holds_ciphertext(application):
    key = SigningKey(pk=1, application=application, secret=KEY)
    assert KEY not in serializers.serialize("json", [key])


@pytest.mark.parametrize("secret", [KEY, 12345678901234567890])
def test_loaddata__of_plain_text_is_refused_without_showing_it(tmp_path, capsys, key, secret):
    [row] = json.loads(serializers.serialize("json", [key]))
    row["fields"]["secret"] = secret
    fixture = tmp_path / "plain.json"
    fixture.write_text(json.dumps([row]))
    with pytest.raises(serializers.base.DeserializationError) as caught:
        call_command("loaddata", fixture, verbosity=3)
    shown = "".join([str(caught.value), repr(caught.value), *capsys.readouterr()])
    assert str(secret) not in shown
    assert reload(key).secret.reveal() == KEY


def test_loaddata__of_an_empty_secret_loads_an_empty_row(tmp_path, key):
    [row] = json.loads(serializers.serialize("json", [key]))
    row["fields"]["secret"] = ""
    fixture = tmp_path / "empty.json"
    fixture.write_text(json.dumps([row]))
    call_command("loaddata", fixture, verbosity=0)
    assert not reload(key).secret


def test_secret__that_is_not_utf8_is_no_fault_of_the_field(application):
    key = make_key(application, "\udcff" * 40)
    assert key.fingerprint == ""
    assert reload(key).secret.reveal() == "\udcff" * 40


def test_rename__of_environment_and_sdkappid_keeps_keys_readable(application, key):
    application.environment, application.sdkappid = "renamed", 1400000999
    application.save()
    assert reload(key).secret.reveal() == KEY
