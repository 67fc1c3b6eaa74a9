import re
from datetime import timedelta

import pytest
from cryptography.fernet import Fernet
from django.contrib.admin.models import LogEntry
from django.contrib.auth import get_user_model
from django.contrib.auth.models import Permission
from django.db import connection
from django.urls import reverse
from django.utils import timezone

from tests.records import KEY, OTHER_KEY, SDKAPPID, ciphertext, make_application, make_key, move_ciphertext
from tests.test_prune_usersig_records import make_record
from tests.tokens import PRIVATE_PEM
from usersig_django.models import Application, IssuedRecord, SigningKey

pytestmark = pytest.mark.django_db


@pytest.fixture
def application():
    return make_application(name="Main")


@pytest.fixture
def key(application):
    return make_key(application)


@pytest.fixture
def client_with(client):
    """The client of somebody on the staff who may do just this."""

    def client_with(*permissions):
        user = get_user_model().objects.create_user("staff", password="x", is_staff=True)
        user.user_permissions.set(Permission.objects.filter(codename__in=permissions))
        client.force_login(user)
        return client

    return client_with


def url(name, *args):
    return reverse(f"admin:usersig_django_{name}", args=args)


def page(response):
    assert response.status_code == 200
    return response.content.decode()


def states(html):
    return re.findall(r'class="usersig-state usersig-(\w+)"', html)


def add_key(client, application, secret, **data):
    return client.post(
        url("signingkey_add"),
        {"application": application.pk, "algorithm": "HMAC-SHA256", "secret": secret, "note": "", **data},
    )


def test_application_list__shows_the_state_at_a_glance(admin_client, application, key, settings):
    key.activate()
    make_application("default")
    make_application("new")
    make_application("off", is_active=False)
    staging = make_application("staging")
    unreadable = make_key(staging, active=True)
    move_ciphertext(key, unreadable)
    html = page(admin_client.get(url("application_changelist")))
    assert states(html) == ["overridden", "no_key", "disabled", "ready", "unreadable_key"]
    assert key.fingerprint in html
    assert reverse("admin:usersig_django_application_tool") in html


def test_application_list__asks_no_more_for_more_applications(admin_client, django_assert_num_queries):
    def count():
        from django.test.utils import CaptureQueriesContext

        with CaptureQueriesContext(connection) as queries:
            page(admin_client.get(url("application_changelist")))
        return len(queries)

    make_key(make_application("a"), active=True)
    few = count()
    for name in "bcdefg":
        make_key(make_application(name), active=True)
    assert count() == few


def test_application_add__asks_for_no_key_yet(admin_client):
    html = page(admin_client.get(url("application_add")))
    assert 'name="environment"' in html
    assert "usersig-keys" not in html


def test_application_add__leads_to_the_page_where_its_key_is_added(admin_client):
    response = admin_client.post(
        url("application_add"),
        {
            "environment": "production",
            "sdkappid": SDKAPPID,
            "name": "",
            "region": "china",
            "expire": "",
            "is_active": "on",
        },
        follow=True,
    )
    html = page(response)
    application = Application.objects.get()
    assert response.redirect_chain == [(url("application_change", application.pk), 302)]
    assert states(html)[0] == "no_key"
    assert f"{url('signingkey_add')}?application={application.pk}" in html


def test_application_add__another_stays_djangos(admin_client):
    response = admin_client.post(
        url("application_add"),
        {"environment": "e", "sdkappid": 1, "region": "china", "_addanother": "1"},
    )
    assert response.url == url("application_add")


def test_application_change__lists_its_keys_and_what_can_be_done(admin_client, application, key):
    old = make_key(application, OTHER_KEY)
    old.retire()
    key.activate()
    staged = make_key(application, "c" * 40)
    broken = make_key(application, "d" * 40)
    move_ciphertext(key, broken)
    html = page(admin_client.get(url("application_change", application.pk)))
    assert url("signingkey_retire", key.pk) in html
    assert url("signingkey_activate", key.pk) not in html
    assert url("signingkey_activate", staged.pk) in html
    assert url("signingkey_retire", old.pk) not in html
    assert html.count("usersig-unreadable_key") == 1
    assert "UserSigs are signed with the active key." in html


@pytest.mark.parametrize("environment", ["default", "other"])
def test_application_change__says_when_settings_override_it(admin_client, environment):
    application = make_application(environment)
    html = page(admin_client.get(url("application_change", application.pk)))
    assert ("this record is ignored" in html) == (environment == "default")


def test_application_change__of_an_unreadable_key_works_and_keeps_the_ciphertext(
    admin_client, application, key, settings
):
    key.activate()
    before = ciphertext(key)
    settings.USERSIG = {**settings.USERSIG, "ENCRYPTION_KEYS": [Fernet.generate_key().decode()]}
    assert states(page(admin_client.get(url("application_change", application.pk))))[0] == "unreadable_key"
    admin_client.post(
        url("application_change", application.pk),
        {"environment": "renamed", "sdkappid": 7, "region": "seoul", "is_active": "on"},
    )
    application.refresh_from_db()
    assert (application.environment, application.sdkappid, application.active_key_id) == ("renamed", 7, key.pk)
    assert ciphertext(key) == before


def test_application_delete__takes_its_keys_with_it(admin_client, application, key):
    key.activate()
    html = page(admin_client.get(url("application_delete", application.pk)))
    assert "Are you sure" in html
    admin_client.post(url("application_delete", application.pk), {"post": "yes"})
    assert not Application.objects.exists()
    assert not SigningKey.objects.exists()


def test_application_delete__needs_the_permission_to_delete_keys_too(client_with, application, key):
    client = client_with("view_application", "delete_application")
    assert "permission to delete" in page(client.get(url("application_delete", application.pk)))
    assert client.post(url("application_delete", application.pk), {"post": "yes"}).status_code == 403
    assert Application.objects.exists()


def test_key_add__stages_a_key_and_leads_back_to_its_application(admin_client, application):
    assert KEY not in page(admin_client.get(url("signingkey_add"), {"application": application.pk}))
    response = add_key(admin_client, application, f"{KEY}\r\n", note="first")
    assert response.url == url("application_change", application.pk)
    key = SigningKey.objects.get()
    assert key.secret.reveal() == KEY
    assert (key.state, key.note) == ("staged", "first")
    assert key.fingerprint in page(admin_client.get(response.url))


def test_key_add__takes_a_pem_as_a_browser_sends_it(admin_client, application):
    add_key(admin_client, application, PRIVATE_PEM.replace("\n", "\r\n"), algorithm="ECDSA-SHA256")
    key = SigningKey.objects.get()
    assert key.secret.reveal() == PRIVATE_PEM.strip()
    assert key.is_usable


@pytest.mark.parametrize("secret", ["", " \r\n", "too-short-a-key", PRIVATE_PEM])
def test_key_add__refuses_what_is_no_key_and_never_echoes_it(admin_client, application, secret):
    html = page(add_key(admin_client, application, secret))
    assert "errorlist" in html
    assert not SigningKey.objects.exists()
    assert re.search(r'<textarea name="secret"[^>]*>\s*</textarea>', html)
    assert "too-short-a-key" not in html
    assert "BEGIN" not in html


@pytest.mark.parametrize("keys", [[], ["malformed"]])
def test_key_add__without_encryption_keys_is_an_error_of_the_form(admin_client, application, settings, keys):
    settings.USERSIG = {**settings.USERSIG, "ENCRYPTION_KEYS": keys}
    html = page(add_key(admin_client, application, KEY))
    assert "ENCRYPTION_KEYS" in html
    assert KEY not in html


def test_key_change__with_an_empty_box_keeps_the_key(admin_client, key):
    before = ciphertext(key)
    html = page(admin_client.get(url("signingkey_change", key.pk)))
    assert key.fingerprint in html
    assert "Leave it empty to keep the key" in html
    admin_client.post(url("signingkey_change", key.pk), {"note": "n", "secret": " "})
    assert ciphertext(key) == before
    assert SigningKey.objects.get().note == "n"


def test_key_change__replaces_the_key_and_its_fingerprint(admin_client, key):
    admin_client.post(url("signingkey_change", key.pk), {"note": "", "secret": OTHER_KEY})
    changed = SigningKey.objects.get()
    assert changed.secret.reveal() == OTHER_KEY
    assert changed.fingerprint == changed.signer_fingerprint() != key.fingerprint


def test_key_change__cannot_move_a_key_or_change_its_algorithm(admin_client, key):
    other = make_application("other")
    admin_client.post(
        url("signingkey_change", key.pk),
        {"application": other.pk, "algorithm": "ECDSA-SHA256", "note": "", "secret": ""},
    )
    changed = SigningKey.objects.get()
    assert (changed.application_id, changed.algorithm) == (key.application_id, "HMAC-SHA256")


@pytest.mark.parametrize("empty", [True, False])
def test_key_change__of_a_row_that_cannot_be_read_works(admin_client, application, key, empty):
    if empty:
        SigningKey.objects.update(secret="")
    else:
        move_ciphertext(make_key(application, OTHER_KEY), key)
    before = ciphertext(key)
    page(admin_client.get(url("signingkey_changelist")))
    page(admin_client.get(url("signingkey_change", key.pk)))
    assert admin_client.post(url("signingkey_change", key.pk), {"note": "n", "secret": ""}).status_code == 302
    assert ciphertext(key) == before
    admin_client.post(url("signingkey_change", key.pk), {"note": "n", "secret": KEY})
    assert SigningKey.objects.get(pk=key.pk).secret.reveal() == KEY


def test_key_change__of_a_retired_key_has_no_box(admin_client, key):
    key.retire()
    assert 'name="secret"' not in page(admin_client.get(url("signingkey_change", key.pk)))


def test_key_change__for_who_may_only_look_has_no_box(client_with, key):
    html = page(client_with("view_signingkey").get(url("signingkey_change", key.pk)))
    assert 'name="secret"' not in html
    assert key.fingerprint in html


def test_key_save__leads_to_the_keys_who_may_not_see_applications(client_with, key):
    client = client_with("view_signingkey", "change_signingkey")
    response = client.post(url("signingkey_change", key.pk), {"note": "", "secret": ""})
    assert response.url == url("signingkey_changelist")


def test_key_delete__takes_only_a_retired_key(admin_client, key):
    assert admin_client.post(url("signingkey_delete", key.pk), {"post": "yes"}).status_code == 403
    selected = {"action": "delete_selected", "_selected_action": key.pk, "post": "yes"}
    admin_client.post(url("signingkey_changelist"), selected)
    assert SigningKey.objects.exists()
    key.retire()
    assert key.fingerprint in page(admin_client.get(url("signingkey_delete", key.pk)))
    admin_client.post(url("signingkey_delete", key.pk), {"post": "yes"})
    assert not SigningKey.objects.exists()


def test_key_delete__of_several_retired_keys(admin_client, application, key):
    key.retire()
    make_key(application, OTHER_KEY).retire()
    pks = list(SigningKey.objects.values_list("pk", flat=True))
    admin_client.post(
        url("signingkey_changelist"), {"action": "delete_selected", "_selected_action": pks, "post": "yes"}
    )
    assert not SigningKey.objects.exists()


def test_rotate__asks_before_it_does(admin_client, application, key):
    active = make_key(application, OTHER_KEY, active=True)
    html = page(admin_client.get(url("signingkey_activate", key.pk)))
    assert active.fingerprint in html
    assert key.fingerprint in html
    html = page(admin_client.get(url("signingkey_retire", active.pk)))
    assert "This is the key that signs now" in html
    application.refresh_from_db()
    assert application.active_key == active
    assert "This is the key that signs now" not in page(admin_client.get(url("signingkey_retire", key.pk)))


def shown_fields(html):
    """What the page's form sends."""
    return dict(re.findall(r'<input type="hidden" name="(\w+)" value="([^"]*)"', html))


@pytest.mark.parametrize("act", ["activate", "retire"])
def test_rotate__asks_again_where_another_key_signs_meanwhile(admin_client, application, key, act):
    make_key(application, OTHER_KEY, active=True)
    address = url(f"signingkey_{act}", key.pk)
    shown = shown_fields(page(admin_client.get(address)))
    key.activate()
    html = page(admin_client.post(address, shown))
    assert "Look at it again" in html
    assert ("This is the key that signs now" in html) == (act == "retire")
    application.refresh_from_db()
    assert application.active_key == key
    assert admin_client.post(address, shown_fields(html)).status_code == 302
    application.refresh_from_db()
    assert application.active_key == (None if act == "retire" else key)


def test_rotate__where_nothing_signs_yet_says_so(admin_client, key):
    assert "no key" in page(admin_client.get(url("signingkey_activate", key.pk)))


def test_rotate__activates_and_retires_with_a_message_and_a_history_entry(admin_client, application, key):
    response = admin_client.post(url("signingkey_activate", key.pk), follow=True)
    assert f"{key} signs for production (1400000123) now." in page(response)
    application.refresh_from_db()
    assert application.active_key == key
    assert "already" in page(admin_client.post(url("signingkey_activate", key.pk), follow=True))
    response = admin_client.post(url("signingkey_retire", key.pk), follow=True)
    assert "is retired." in page(response)
    assert [entry.change_message for entry in LogEntry.objects.order_by("pk")] == ["Activated.", "Retired."]
    assert "Activated." in page(admin_client.get(url("signingkey_history", key.pk)))
    response = admin_client.post(url("signingkey_activate", key.pk), follow=True)
    assert "A retired key cannot be activated" in page(response)


def test_rotate__of_an_unreadable_key_says_why(admin_client, application, key):
    move_ciphertext(make_key(application, OTHER_KEY), key)
    response = admin_client.post(url("signingkey_activate", key.pk), follow=True)
    assert "sealed for another row" in page(response)


def test_rotate__of_no_key_is_404(admin_client):
    assert admin_client.get(url("signingkey_activate", 999)).status_code == 404


def test_rotate__needs_the_permission_to_change_keys(client_with, application, key):
    client = client_with("view_application", "change_application", "view_signingkey")
    for method in (client.get, client.post):
        assert method(url("signingkey_activate", key.pk)).status_code == 403
    html = page(client.get(url("application_change", application.pk)))
    assert key.fingerprint in html
    assert url("signingkey_activate", key.pk) not in html
    assert url("signingkey_add") not in html
    application.refresh_from_db()
    assert application.active_key is None


def test_rotate__needs_a_csrf_token(admin_user, key):
    from django.test import Client

    client = Client(enforce_csrf_checks=True)
    client.force_login(admin_user)
    assert client.post(url("signingkey_activate", key.pk)).status_code == 403


def test_keys__are_not_shown_to_who_may_not_see_them(client_with, application, key):
    html = page(client_with("view_application").get(url("application_change", application.pk)))
    assert "usersig-keys" not in html


def test_records__are_listed_filtered_and_read_only(admin_client, application):
    record = make_record(0, user="7", room_kind="room_id", room="10000", kind="private_map_key", privileges=42)
    make_record(40, user="8", userid="bob", environment="production", channel="command")
    listing = url("issuedrecord_changelist")

    def found(**query):
        return [row.userid for row in admin_client.get(listing, query).context["cl"].result_list]

    assert found() == ["alice", "bob"]
    assert found(user="8") == ["bob"]
    assert found(environment="production") == ["bob"]
    assert found(channel__exact="api") == ["alice"]
    assert found(kind__exact="usersig") == ["bob"]
    assert found(q="alice") == ["alice"]
    assert found(q="ali") == []
    assert found(issued_at__gte=timezone.now() - timedelta(days=7)) == ["alice"]
    html = page(admin_client.get(listing, {"user": "7", "channel__exact": "api"}))
    assert 'name="user" value="7"' in html
    assert '<input type="hidden" name="channel__exact" value="api">' in html
    html = page(admin_client.get(url("issuedrecord_change", record.pk)))
    assert "10000" in html
    assert 'name="_save"' not in html
    assert admin_client.get(url("issuedrecord_add")).status_code == 403
    assert admin_client.post(url("issuedrecord_change", record.pk), {"userid": "x"}).status_code == 403
    assert admin_client.post(url("issuedrecord_delete", record.pk), {"post": "yes"}).status_code == 403
    assert IssuedRecord.objects.count() == 2


def test_records__need_the_permission_to_view_them(client_with):
    assert client_with("view_application").get(url("issuedrecord_changelist")).status_code == 403


@pytest.mark.parametrize("name", ["application_changelist", "signingkey_changelist", "issuedrecord_changelist"])
def test_pages__are_not_cached(admin_client, name):
    assert "no-store" in admin_client.get(url(name))["Cache-Control"]


def test_pages__hold_no_inline_script_or_style_of_ours(admin_client, application, key):
    for address in (
        url("application_changelist"),
        url("application_change", application.pk),
        url("signingkey_add"),
        url("signingkey_change", key.pk),
        url("signingkey_activate", key.pk),
        url("issuedrecord_changelist"),
        url("application_tool"),
    ):
        html = page(admin_client.get(address))
        assert not re.search(r"<script(?![^>]* (src|type=\"application/json\"))|<style| style=| on\w+=", html), address
