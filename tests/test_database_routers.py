"""The records in a database of their own, as a project's router may decide."""

import io
import time

import pytest
from cryptography.fernet import Fernet
from django.core.management import call_command
from django.db import connections
from django.urls import reverse

from tests.records import KEY, OTHER_KEY, make_application, make_key
from usersig_django.applications import get_application
from usersig_django.issuing import issue_usersig_for_userid
from usersig_django.models import Application, IssuedRecord, SigningKey

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "records"])


class RecordsRouter:
    def db_for_read(self, model, **hints):
        return "records" if model._meta.app_label == "usersig_django" else None

    db_for_write = db_for_read


@pytest.fixture(scope="module", autouse=True)
def _records_database(tmp_path_factory):
    """Beside the test's database, and before a test says that it uses both."""
    connections.settings["records"] = {
        **connections.settings["default"],
        "ENGINE": "django.db.backends.sqlite3",
        "NAME": str(tmp_path_factory.mktemp("database") / "records.sqlite3"),
        "OPTIONS": {},
    }
    yield
    connections["records"].close()
    del connections["records"]
    del connections.settings["records"]


@pytest.fixture(autouse=True)
def _routed(settings):
    settings.DATABASE_ROUTERS = [f"{__name__}.RecordsRouter"]
    settings.USERSIG = {**settings.USERSIG, "AUDIT_TO_DATABASE": True, "CACHE_SECONDS": 3600}
    call_command("migrate", database="records", verbosity=0)


def test_routers__decide_where_everything_is_written(settings, admin_client):
    application = make_application()
    old, new = make_key(application, active=True), make_key(application, OTHER_KEY)
    assert get_application("production").signer.key_fingerprint == old.fingerprint
    new.activate()
    # At once: what was invalidated is what this database's commit invalidates.
    assert issue_usersig_for_userid("alice", environment="production").key_fingerprint == new.fingerprint
    admin_client.post(reverse("admin:usersig_django_signingkey_retire", args=[old.pk]))
    assert SigningKey.objects.get(pk=old.pk).retired_at
    settings.USERSIG = {
        **settings.USERSIG,
        "ENCRYPTION_KEYS": [Fernet.generate_key().decode(), *settings.USERSIG["ENCRYPTION_KEYS"]],
    }
    out = io.StringIO()
    call_command("usersig_keys", "reencrypt", stdout=out)
    assert "2 keys re-encrypted" in out.getvalue()
    assert SigningKey.objects.get(pk=old.pk).secret.reveal() == KEY
    for model in (Application, SigningKey, IssuedRecord):
        assert model.objects.using("records").exists()
        assert not model.objects.using("default").exists()
    time.sleep(0.01)
    call_command("prune_usersig_records", "--older-than", "0", stdout=out)
    assert "1 record deleted." in out.getvalue()
    application.delete()
    assert not SigningKey.objects.exists()
