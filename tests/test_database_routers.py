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
    # Another connection to the same: what one has not committed the other does not see.
    connections.settings["replica"] = connections.settings["records"]
    yield
    for alias in ("records", "replica"):
        connections[alias].close()
        del connections[alias]
        del connections.settings[alias]


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


class ReplicaRouter:
    """Reads somewhere else, where nothing uncommitted is seen."""

    def db_for_read(self, model, **hints):
        return "replica" if model._meta.app_label == "usersig_django" else None

    def db_for_write(self, model, **hints):
        return "records" if model._meta.app_label == "usersig_django" else None

    def allow_relation(self, one, other, **hints):
        return True


@pytest.mark.django_db(transaction=True, databases=["default", "records", "replica"])
def test_add__makes_the_application_and_its_key_where_reads_go_to_a_replica(settings, monkeypatch):
    settings.DATABASE_ROUTERS = [f"{__name__}.ReplicaRouter"]
    monkeypatch.setenv("A_KEY", KEY)
    out = io.StringIO()
    arguments = ("--environment", "replicated", "--sdkappid", "1", "--secret-env", "A_KEY", "--activate")
    call_command("usersig_keys", "add", *arguments, stdout=out)
    key = SigningKey.objects.get(application__environment="replicated")
    assert key.secret.reveal() == KEY
    assert key.is_active
    key.application.delete()
