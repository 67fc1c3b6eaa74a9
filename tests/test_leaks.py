"""A canary key and a canary token through every output that SECURITY 5 lists: no byte of them comes out."""

import base64
import copy
import io
import logging
import pickle
import re
import sys
import traceback

import django
import pytest
from django.contrib.admin.models import LogEntry
from django.core import mail, serializers
from django.core.cache import caches
from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management import CommandError, call_command
from django.core.signals import got_request_exception
from django.db import IntegrityError, OperationalError, connection, transaction
from django.http import HttpResponse
from django.test.utils import CaptureQueriesContext
from django.urls import include, path, reverse
from django.utils.log import AdminEmailHandler

from example_project import urls as example_urls
from tests.records import SDKAPPID, make_application, make_key, move_ciphertext
from tests.tokens import PRIVATE_PEM
from usersig_django import applications
from usersig_django.conf import ECDSA_SHA256
from usersig_django.exceptions import InvalidKey
from usersig_django.issuing import issue_usersig_for_userid
from usersig_django.models import Application, SigningKey

CANARY = "Kanari7-0rnithology-yellow-feathers-in-the-mine-9vogel"
OTHER_CANARY = "Pap4gei-another-bird-that-must-not-sing-in-any-l0gBook"
BODY = "".join(PRIVATE_PEM.splitlines()[1:-1])

pytestmark = pytest.mark.django_db


def forms_of(text):
    """What would give the text away: itself, its ends, and the encodings people meet, however they are aligned."""
    data = text.encode()
    yield from (text, text[:8], text[-8:], data.hex(), data.hex()[:16], data.hex()[-16:], text[::-1])
    for shift in range(3):
        # Without the characters at both ends, which depend on the neighbours.
        yield base64.b64encode(b"x" * shift + data).decode()[4:-4]


SECRETS = [form for text in (CANARY, OTHER_CANARY, BODY) for form in forms_of(text)]


def assert_clean(output, *more):
    text = output.decode("utf-8", "replace") if isinstance(output, bytes) else str(output)
    for secret in (*SECRETS, *more):
        assert secret not in text, f"{secret!r} leaked: {text[max(0, text.find(secret) - 200) :][:400]}"


@pytest.fixture
def application():
    return make_application()


@pytest.fixture
def key(application):
    return make_key(application, CANARY, active=True)


@pytest.fixture
def legacy(application):
    return make_key(application, PRIVATE_PEM, algorithm=ECDSA_SHA256)


@pytest.fixture
def sign_with_records(settings, key):
    settings.USERSIG = {**settings.USERSIG, "ENVIRONMENT": "production"}


def locals_of(error):
    """What an error tracker sends: every local of every frame, of every chained exception."""
    while error:
        for frame, _line in traceback.walk_tb(error.__traceback__):
            if "site-packages/_pytest" not in frame.f_code.co_filename:
                yield from map(repr, frame.f_locals.values())
                yield from (repr(getattr(value, "__dict__", "")) for value in frame.f_locals.values())
        yield "".join(traceback.format_exception_only(error)) + repr(error) + repr(error.args)
        error = error.__cause__ or error.__context__


@pytest.mark.parametrize("stored", [False, True], ids=["new", "stored"])
@pytest.mark.parametrize("secret", [CANARY, PRIVATE_PEM], ids=["hmac", "ecdsa"])
def test_key__shows_nothing_of_its_secret(application, secret, stored):
    algorithm = ECDSA_SHA256 if secret == PRIVATE_PEM else "HMAC-SHA256"
    key = SigningKey(application=application, secret=secret, algorithm=algorithm)
    if stored:
        key.save()
        key = SigningKey.objects.get()
    shown = [key, key.secret, vars(key), vars(copy.copy(key)), vars(copy.deepcopy(key)), key.__reduce__()]
    for thing in shown:
        for output in (repr(thing), str(thing), f"{thing}", f"{thing!s:>90}", "%s %r" % (thing, thing)):  # noqa: UP031
            assert_clean(output)
    for thing in (key, key.secret, copy.copy(key)):
        try:
            assert_clean(pickle.dumps(thing))
        except TypeError as error:
            assert_clean(error)


def test_signer__shows_nothing_of_its_key(key, legacy):
    served = applications.get_application("production")
    for thing in (served, *served.signers, vars(applications._cache)):
        assert_clean(repr(thing) + str(thing))
    for signer in served.signers:
        try:
            assert_clean(pickle.dumps(signer))
        except TypeError as error:
            assert_clean(error)


def test_log__at_debug_and_the_sql_log(settings, caplog, application):
    for logger in ("", "django", "usersig_django"):
        caplog.set_level(logging.DEBUG, logger)
    settings.DEBUG = True
    with CaptureQueriesContext(connection) as queries:
        key = make_key(application, CANARY, active=True)
        make_key(application, PRIVATE_PEM, algorithm=ECDSA_SHA256)
        SigningKey.objects.bulk_create([SigningKey(application=application, secret=OTHER_CANARY)])
        key.secret = OTHER_CANARY
        SigningKey.objects.bulk_update([key], ["secret"])
        issued = issue_usersig_for_userid("alice", environment="production")
        key.retire()
    assert len(queries) > 5
    assert "INSERT" in caplog.text
    for query in queries:
        assert_clean(query["sql"], issued.usersig)
    assert_clean(caplog.text, issued.usersig)
    assert_clean([vars(record) for record in caplog.records], issued.usersig)


def failing_insert(execute, sql, params, many, context):
    if sql.startswith("INSERT") and "signingkey" in sql:
        raise IntegrityError("disk full")
    return execute(sql, params, many, context)


def saving_view(request):
    key = SigningKey(application=Application.objects.get(), secret=CANARY)
    key.save()
    return HttpResponse()


def unreadable_view(request):
    return HttpResponse(SigningKey.objects.order_by("pk")[0].secret.reveal())


def invalid_view(request):
    return HttpResponse(SigningKey(secret=PRIVATE_PEM).signer_fingerprint())


urlpatterns = [
    path("save/", saving_view),
    path("unreadable/", unreadable_view),
    path("invalid/", invalid_view),
    path("", include(example_urls)),
]


@pytest.fixture
def error_page(settings, client, admin_user):
    """A request that fails: Django's DEBUG page or, without DEBUG, the HTML mail to the admins."""
    settings.ROOT_URLCONF = __name__
    # Pairs before Django 6.
    settings.ADMINS = ["admin@example.com"] if django.VERSION >= (6, 0) else [("Admin", "admin@example.com")]
    # Without it Django 6.1 warns that there will be no default mailer; earlier ones do not read it.
    settings.MAILERS = {"default": {"BACKEND": "django.core.mail.backends.locmem.EmailBackend"}}
    client.raise_request_exception = False
    client.force_login(admin_user)
    handler = AdminEmailHandler(include_html=True)
    logger = logging.getLogger("django.request")
    logger.addHandler(handler)

    def request(method, *args, debug, **kwargs):
        settings.DEBUG = debug
        response = getattr(client, method)(*args, **kwargs)
        assert response.status_code == 500
        messages = [(message.subject, message.body, *message.alternatives) for message in mail.outbox]
        mail.outbox.clear()
        assert any("Traceback" in str(message) for message in messages)
        return [response.content.decode(), *map(str, messages)]

    yield request
    logger.removeHandler(handler)


@pytest.mark.parametrize("debug", [True, False])
def test_error_page__of_a_failing_insert(error_page, application, debug):
    with connection.execute_wrapper(failing_insert):
        outputs = error_page("get", "/save/", debug=debug)
    assert "disk full" in outputs[-1]
    for output in outputs:
        assert_clean(without_source(output))


@pytest.mark.parametrize("debug", [True, False])
def test_error_page__of_a_secret_that_cannot_be_read(error_page, application, debug):
    first, second = make_key(application, CANARY), make_key(application, OTHER_CANARY)
    move_ciphertext(second, first)
    for output in error_page("get", "/unreadable/", debug=debug):
        assert_clean(without_source(output))


@pytest.mark.parametrize("debug", [True, False])
def test_error_page__of_what_is_no_key(error_page, debug):
    for output in error_page("get", "/invalid/", debug=debug):
        assert_clean(without_source(output))


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize("existing", [False, True])
def test_error_page__of_the_admins_own_form(error_page, application, debug, existing):
    data = {"application": application.pk, "algorithm": "HMAC-SHA256", "secret": CANARY, "note": "a note"}
    address = reverse("admin:usersig_django_signingkey_add")
    if existing:
        address = reverse("admin:usersig_django_signingkey_change", args=[make_key(application, OTHER_CANARY).pk])

    def failing(execute, sql, params, many, context):
        if sql.startswith(("INSERT", "UPDATE")) and "signingkey" in sql:
            raise IntegrityError("disk full")
        return execute(sql, params, many, context)

    with connection.execute_wrapper(failing):
        outputs = error_page("post", address, data, debug=debug)
    assert "disk full" in outputs[-1]
    assert "a note" in outputs[-1]
    for output in outputs:
        assert_clean(without_source(output))


@pytest.mark.parametrize("debug", [True, False])
def test_error_page__of_the_admins_own_form_without_a_database(error_page, application, debug):
    """Even the user cannot be looked up: no view has run yet."""

    def down(execute, sql, params, many, context):
        raise OperationalError("connection refused")

    with connection.execute_wrapper(down):
        outputs = error_page(
            "post", reverse("admin:usersig_django_signingkey_add"), {"note": "a note", "secret": CANARY}, debug=debug
        )
    assert "a note" in outputs[-1]
    for output in outputs:
        assert_clean(without_source(output))


@pytest.mark.parametrize("debug", [True, False])
def test_error_page__of_the_tool(error_page, key, debug, monkeypatch):
    from usersig_django import admin_tool

    token = issue_usersig_for_userid("alice", environment="production").usersig

    def fail(*args, **kwargs):
        raise ZeroDivisionError

    monkeypatch.setattr(admin_tool, "inspect", fail)
    outputs = error_page(
        "post",
        reverse("admin:usersig_django_application_tool"),
        {"act": "verify", "verify-environment": "production", "verify-token": token},
        debug=debug,
    )
    for output in outputs:
        assert_clean(output, token)


@pytest.mark.parametrize("debug", [True, False])
def test_error_page__of_a_tool_page_that_breaks_after_its_token(error_page, key, debug, monkeypatch):
    """Say, in the template of a themed admin: what was issued is in the page so far."""
    from usersig_django import admin_tool

    issued, caught = [], []
    issue = admin_tool.issue_usersig_for_userid

    def remember(*args, **kwargs):
        issued.append(issue(*args, **kwargs))
        return issued[0]

    def fail(self, *args, **kwargs):
        error = ZeroDivisionError()
        caught.append(error)
        raise error

    monkeypatch.setattr(admin_tool, "issue_usersig_for_userid", remember)
    monkeypatch.setattr(admin_tool.VerifyForm.declared_fields["token"].widget.__class__, "render", fail)
    outputs = error_page(
        "post",
        reverse("admin:usersig_django_application_tool"),
        {"act": "generate", "generate-environment": "production", "generate-kind": "usersig", "generate-userid": "a"},
        debug=debug,
    )
    assert "ZeroDivisionError" in outputs[-1]
    for output in (*outputs, *locals_of(caught[0])):
        assert_clean(without_source(output), issued[0].usersig)


def failing_middleware(get_response):
    def middleware(request):
        return get_response(request) if request.user.pk else HttpResponse()

    return middleware


@pytest.mark.parametrize("debug", [True, False])
@pytest.mark.parametrize(
    "middleware", ["django.contrib.auth.middleware.LoginRequiredMiddleware", f"{__name__}.failing_middleware"]
)
def test_error_page__of_a_middleware_that_fails_before_the_view(error_page, settings, debug, middleware):
    settings.MIDDLEWARE = [*settings.MIDDLEWARE, middleware]

    def down(execute, sql, params, many, context):
        raise OperationalError("connection refused")

    with connection.execute_wrapper(down):
        outputs = error_page(
            "post", reverse("admin:usersig_django_signingkey_add"), {"note": "a note", "secret": CANARY}, debug=debug
        )
        others = error_page("post", "/nowhere/", {"note": "a note"}, debug=debug) if "failing" in middleware else []
    assert "a note" in outputs[-1]
    for output in (*outputs, *others):
        assert_clean(without_source(output))


def test_error_page__without_a_request_is_not_ours():
    got_request_exception.send(sender=None)


def without_source(html):
    """The page quotes the lines of the tests themselves, and of their constants' names at most."""
    return re.sub(r"(?s)<ol[^>]*class=\"(pre|post)-context\".*?</ol>", "", html)


def raises(call):
    try:
        call()
    except (ImproperlyConfigured, InvalidKey, ValidationError, IntegrityError, ValueError) as error:
        return error
    raise AssertionError("nothing was raised")


def test_error_tracker__that_collects_locals(application, settings):
    first, second = make_key(application, CANARY), make_key(application, OTHER_CANARY)
    move_ciphertext(second, first)
    moved = SigningKey.objects.get(pk=first.pk)
    no_key = SigningKey(application=application, secret=PRIVATE_PEM)
    new = SigningKey(application=application, secret=CANARY)
    errors = [raises(moved.secret.reveal), raises(moved.activate), raises(no_key.signer_fingerprint)]
    errors.append(raises(no_key.full_clean))
    with connection.execute_wrapper(failing_insert), transaction.atomic():
        errors.append(raises(new.save))
        transaction.set_rollback(True)
    new = SigningKey(application=application, secret=CANARY)
    settings.USERSIG = {**settings.USERSIG, "ENCRYPTION_KEYS": ["malformed"]}
    errors += [raises(new.save), raises(second.secret.reveal)]
    for error in errors:
        for output in locals_of(error):
            assert_clean(output)


def test_admin__on_every_page(admin_client, application, key, legacy):
    add = reverse("admin:usersig_django_signingkey_add")
    change = reverse("admin:usersig_django_signingkey_change", args=[key.pk])
    data = {"application": application.pk, "algorithm": "HMAC-SHA256", "note": ""}
    refused = {**data, "secret": CANARY, "algorithm": ECDSA_SHA256}
    responses = [
        admin_client.post(add, {**data, "secret": OTHER_CANARY}, follow=True),
        admin_client.post(add, refused),
        admin_client.post(add, {**data, "application": "", "secret": CANARY}),
        admin_client.post(change, {"note": "x" * 300, "secret": CANARY}),
        admin_client.post(change, {"note": "", "secret": CANARY}, follow=True),
        admin_client.post(reverse("admin:usersig_django_signingkey_activate", args=[legacy.pk]), follow=True),
        admin_client.post(reverse("admin:usersig_django_signingkey_retire", args=[legacy.pk]), follow=True),
    ]
    for model in ("application", "signingkey", "issuedrecord"):
        listing = reverse(f"admin:usersig_django_{model}_changelist")
        responses += [admin_client.get(listing), admin_client.get(listing, {"q": "x"})]
    for row in (application, *SigningKey.objects.all()):
        for act in ("change", "history", "delete"):
            name = f"admin:usersig_django_{row._meta.model_name}_{act}"
            responses.append(admin_client.get(reverse(name, args=[row.pk]), follow=True))
    for response in responses:
        assert_clean(response.content)
        assert_clean(response.headers)
    assert LogEntry.objects.count() >= 4
    for entry in LogEntry.objects.values():
        assert_clean(entry)
    assert "Key" in LogEntry.objects.filter(action_flag=2).order_by("pk")[0].get_change_message()


def test_admin__search_in_the_secret_is_not_possible(admin_client, key):
    listing = reverse("admin:usersig_django_signingkey_changelist")
    for query in ({"secret__startswith": "sealed1"}, {"secret": CANARY}, {"q": CANARY[:8]}):
        response = admin_client.get(listing, query)
        assert response.status_code in (302, 400) or f"{key.fingerprint}</a>" in response.content.decode()


@pytest.mark.parametrize("format", ["json", "jsonl", "xml", "yaml"])
def test_dumpdata__in_every_format(key, legacy, format):
    out = io.StringIO()
    call_command("dumpdata", format=format, stdout=out)
    assert "sealed1:" in out.getvalue()
    assert_clean(out.getvalue())
    assert_clean(serializers.serialize(format, SigningKey.objects.all()))


def test_values__in_every_shape(key, legacy):
    rows = SigningKey.objects.all()
    for output in (list(rows.values()), list(rows.values_list()), list(rows.values_list("secret", flat=True))):
        assert_clean(output)
    assert_clean(pickle.dumps(list(rows)))
    assert_clean(pickle.dumps(rows.query))


@pytest.mark.django_db(transaction=True)
def test_migrations__hold_nothing(key, capsys):
    call_command("sqlmigrate", "usersig_django", "0001")
    assert_clean(capsys.readouterr().out)


def test_api_schema_and_pages(admin_client, sign_with_records):
    answers = [admin_client.get("/api/schema/"), admin_client.get("/api/docs/"), admin_client.get("/api/usersig/")]
    answers.append(admin_client.post("/api/usersig/", content_type="application/json"))
    assert answers[-1].status_code == 200
    for response in answers:
        assert_clean(response.content)
    answers = [admin_client.get("/api/usersig/", HTTP_ACCEPT="text/html")]
    for response in answers:
        assert_clean(response.content)


def test_cache__holds_no_key_and_no_token(admin_client, sign_with_records, monkeypatch):
    stored = []
    backend = caches["default"]

    def recording(method):
        def call(*args, **kwargs):
            stored.append((args, kwargs))
            return method(*args, **kwargs)

        return call

    for name in ("set", "add", "set_many", "incr"):
        monkeypatch.setattr(backend, name, recording(getattr(backend, name)))
    token = admin_client.post("/api/usersig/", content_type="application/json").json()["usersig"]
    assert stored
    assert_clean(stored, token)


def test_token__is_stored_nowhere(admin_client, sign_with_records, settings, caplog):
    settings.USERSIG = {**settings.USERSIG, "AUDIT_TO_DATABASE": True}
    caplog.set_level(logging.DEBUG)
    tokens = [admin_client.post("/api/usersig/", content_type="application/json").json()["usersig"]]
    tool = reverse("admin:usersig_django_application_tool")
    data = {"act": "generate", "generate-environment": "production", "generate-kind": "usersig"}
    response = admin_client.post(tool, {**data, "generate-userid": "alice"})
    tokens.append(response.context["answer"].token)
    admin_client.post(tool, {"act": "verify", "verify-environment": "production", "verify-token": tokens[0]})
    out = io.StringIO()
    call_command("gen_usersig", "alice", stdout=out)
    tokens.append(out.getvalue().strip())
    assert all(tokens)
    everything = io.StringIO()
    call_command("dumpdata", stdout=everything)
    assert_clean(everything.getvalue(), *tokens)
    assert_clean(caplog.text, *tokens)
    assert_clean([vars(record).get("args") for record in caplog.records], *tokens)


def test_commands__on_stdout_and_stderr(application, key, legacy, capsys, tmp_path, monkeypatch, settings):
    secret = tmp_path / "key"
    secret.write_text(OTHER_CANARY)
    monkeypatch.setenv("CANARY_KEY", CANARY)
    environment = ("--environment", "production")
    staged = make_key(application, OTHER_CANARY)
    for arguments in (
        ("usersig_keys", "add", *environment, "--secret-file", str(secret), "--activate"),
        ("usersig_keys", "add", *environment, "--secret-env", "CANARY_KEY"),
        ("usersig_keys", "add", *environment, "--secret-env", "CANARY_KEY", "--algorithm", ECDSA_SHA256),
        ("usersig_keys", "add", *environment, "--sdkappid", str(SDKAPPID + 1), "--secret-file", str(secret)),
        ("usersig_keys", "list"),
        ("usersig_keys", "list", "--format", "json"),
        ("usersig_keys", "activate", str(staged.pk)),
        ("usersig_keys", "retire", str(staged.pk)),
        ("usersig_keys", "activate", str(staged.pk)),
        ("usersig_keys", "reencrypt", "--dry-run"),
        ("usersig_keys", "reencrypt"),
        ("usersig_keys", "disable", "production"),
        ("usersig_keys", "enable", "production"),
        ("check_usersig",),
        ("gen_usersig", "alice", *environment),
        ("verify_usersig", "nonsense", *environment),
        ("prune_usersig_records", "--older-than", "0"),
        ("check",),
        ("check", "--deploy"),
    ):
        try:
            call_command(*arguments)
        except CommandError as error:
            assert_clean(traceback.format_exception(error))
        assert_clean("".join(capsys.readouterr()))


def test_command__shows_no_secret_that_it_reads_from_stdin(application, capsys, monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.StringIO(CANARY + "\n"))
    call_command("usersig_keys", "add", "--environment", "production")
    assert SigningKey.objects.get().secret.reveal() == CANARY
    assert_clean("".join(capsys.readouterr()))
    monkeypatch.setattr(sys, "stdin", io.StringIO(PRIVATE_PEM))
    with pytest.raises(CommandError) as caught:
        call_command("usersig_keys", "add", "--environment", "production")
    for output in locals_of(caught.value):
        assert_clean(output)


def test_canary__would_be_found(key):
    """The sweep itself works: what it looks for is there, where it belongs."""
    with pytest.raises(AssertionError, match="leaked"):
        assert_clean(f"key={CANARY}")
    with pytest.raises(AssertionError, match="leaked"):
        assert_clean(base64.b64encode(f"ab{CANARY}c".encode()))
    assert key.secret.reveal() == CANARY
