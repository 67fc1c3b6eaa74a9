"""The schema, and the endpoints against their schema."""

import json
import subprocess
import sys
import textwrap
from collections import Counter
from datetime import datetime
from unittest import mock

import pytest
from django.apps import apps
from django.conf import settings as django_settings
from django.core.management import call_command
from django.test import Client
from django.urls import path
from drf_spectacular.utils import extend_schema
from drf_spectacular.views import SpectacularAPIView
from hypothesis import HealthCheck, Phase, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from rest_framework.authtoken.models import Token
from rest_framework.test import force_authenticate

from example_project.wsgi import application
from tests.settings import USERSIG
from usersig_django.answers import ERRORS
from usersig_django.schema import PrivateMapKeyViewExtension, UserSigViewExtension
from usersig_django.signing import Privilege
from usersig_django.views import PrivateMapKeyView, UserSigView

URL = "/api/usersig/"
ROOM_URL = "/api/usersig/private-map-key/"
CASES = 2000


class Guests(UserSigView):
    def get_expire(self):
        return 300


class ByRequest(UserSigView):
    def get_expire(self):
        return {"alice": 300}[self.request.user.username]


urlpatterns = [
    path("live/", UserSigView.as_view(environment="live")),
    path("default/", UserSigView.as_view()),
    path("excluded/", extend_schema(exclude=True)(type("Excluded", (UserSigView,), {})).as_view()),
    path("guests/", Guests.as_view()),
    path("by-request/", ByRequest.as_view()),
    path("schema/", SpectacularAPIView.as_view()),
]


def most_rooms(user, room):
    """A policy that grants to most and refuses some, so that both answers are met."""
    return Privilege(0) if len(str(room)) == 7 else Privilege.AUDIENCE


@pytest.fixture
def schema(db):
    return Client().get("/api/schema/", HTTP_ACCEPT="application/json").json()


def get_operation(schema, url):
    [method] = schema["paths"][url]
    assert method == "post"
    return schema["paths"][url]["post"]


def get_body(message):
    """The one media type of a request or a response."""
    assert list(message["content"]) == ["application/json"]
    return message["content"]["application/json"]


def get_request_schemas(operation):
    body = get_body(operation["requestBody"])["schema"]
    return body.get("oneOf", [body])


@pytest.mark.parametrize(
    ("extension", "view", "body"),
    [
        (UserSigViewExtension, UserSigView, {}),
        (PrivateMapKeyViewExtension, PrivateMapKeyView, {"str_room_id": "lobby"}),
    ],
    ids=["usersig", "private_map_key"],
)
def test_replacement__answers_as_the_view_does(rf, django_user_model, settings, db, extension, view, body):
    """drf-spectacular documents a stand-in for the view; a tool that calls it must meet no other."""
    settings.USERSIG = {**USERSIG, "ROOM_POLICY": most_rooms}
    request = rf.post(URL, body, content_type="application/json")
    force_authenticate(request, django_user_model.objects.create_user("alice"))
    assert extension(view.as_view()).view_replacement().as_view()(request).status_code == 200


def test_app__works_without_drf_spectacular():
    config = apps.get_app_config("usersig_django")
    with mock.patch.object(apps, "is_installed", return_value=False):
        config.ready()


class TestSchema:
    def test_schema__without_warnings(self, tmp_path):
        call_command("spectacular", validate=True, fail_on_warn=True, file=str(tmp_path / "schema.yaml"))

    @pytest.mark.parametrize(("url", "properties"), [(URL, [{"expire"}]), (ROOM_URL, [{"room_id"}, {"str_room_id"}])])
    def test_schema__takes_nothing_else(self, schema, url, properties):
        schemas = get_request_schemas(get_operation(schema, url))
        assert [set(body["properties"]) for body in schemas] == properties
        assert all(body["additionalProperties"] is False for body in schemas)

    @pytest.mark.parametrize("expire", [3600, 604800])
    def test_schema__configured_maximum(self, db, settings, expire):
        settings.USERSIG = {**USERSIG, "EXPIRE": expire}
        schema = Client().get("/api/schema/", HTTP_ACCEPT="application/json").json()
        [body] = get_request_schemas(get_operation(schema, URL))
        assert body["properties"]["expire"]["minimum"] == 60
        assert body["properties"]["expire"]["maximum"] == expire

    @pytest.mark.parametrize(("url", "required"), [(URL, False), (ROOM_URL, True)])
    def test_schema__body_is_required_where_it_is(self, schema, url, required):
        assert get_operation(schema, url)["requestBody"].get("required", False) is required

    @pytest.mark.parametrize(("url", "slugs"), [(URL, set(ERRORS) - {"room_forbidden"}), (ROOM_URL, set(ERRORS))])
    def test_schema__every_status_and_slug(self, schema, url, slugs):
        responses = get_operation(schema, url)["responses"]
        assert set(responses) == {"200"} | {str(ERRORS[slug][0]) for slug in slugs}
        for slug in slugs:
            status = str(ERRORS[slug][0])
            assert slug in responses[status]["description"].split(", ")
            sentence = {"code": slug, "detail": str(ERRORS[slug][1])}
            Draft202012Validator(get_body(responses[status])["schema"]).validate(sentence)

    @pytest.mark.parametrize("url", [URL, ROOM_URL])
    def test_schema__examples_are_valid_and_fake(self, schema, url):
        operation = get_operation(schema, url)
        messages = [get_body(operation["requestBody"]), get_body(operation["responses"]["200"])]
        assert all(message["examples"] for message in messages)
        for message in messages:
            for example in message["examples"].values():
                validator = Draft202012Validator(message["schema"], format_checker=Draft202012Validator.FORMAT_CHECKER)
                validator.validate(example["value"])
        for example in messages[1]["examples"].values():
            answer = example["value"]
            token = answer.get("usersig") or answer["private_map_key"]
            assert token.startswith("eJexample-not-a-real-")
            assert answer["sdkappid"] == 1400000000
            times = [datetime.fromisoformat(answer[name]) for name in ("issued_at", "expires_at")]
            assert (times[1] - times[0]).total_seconds() == answer["expire"]

    def test_schema__holds_no_secret(self, schema):
        text = json.dumps(schema)
        secrets = [*USERSIG["ENCRYPTION_KEYS"], USERSIG["APPLICATIONS"]["default"]["SECRET_KEY"]]
        assert not any(secret[:8] in text for secret in [*secrets, django_settings.SECRET_KEY])

    def test_schema__maximum_of_each_view(self, db, settings):
        """`as_view(environment=…)` and the hook have their own; a hook that needs a request costs no schema."""
        live = {"SDKAPPID": 1400000002, "SECRET_KEY": "f" * 64, "EXPIRE": 600}
        settings.USERSIG = {**USERSIG, "APPLICATIONS": {**USERSIG["APPLICATIONS"], "live": live}}
        settings.ROOT_URLCONF = "tests.test_openapi"
        schema = Client().get("/schema/", HTTP_ACCEPT="application/json").json()
        maxima = {
            url: body["properties"]["expire"]["maximum"]
            for url in ("/live/", "/default/", "/guests/", "/by-request/")
            for body in get_request_schemas(get_operation(schema, url))
        }
        assert maxima == {"/live/": 600, "/default/": 86400, "/guests/": 300, "/by-request/": 86400}

    def test_schema__left_out_by_the_project(self, db, settings):
        settings.ROOT_URLCONF = "tests.test_openapi"
        schema = Client().get("/schema/", HTTP_ACCEPT="application/json").json()
        assert "/excluded/" not in schema["paths"]

    def test_schema__made_while_nothing_is_configured(self, db, settings):
        settings.USERSIG = {"ENVIRONMENT": "absent"}
        schema = Client().get("/api/schema/", HTTP_ACCEPT="application/json").json()
        [body] = get_request_schemas(get_operation(schema, URL))
        assert body["properties"]["expire"]["maximum"] == 86400


WITHOUT_SPECTACULAR = """
    import sys

    class Blocker:
        def find_spec(self, name, path=None, target=None):
            if name.partition(".")[0] == "drf_spectacular":
                raise ModuleNotFoundError(f"No module named {name!r}", name=name)

    BLOCKED = sys.argv[1] == "absent"
    if BLOCKED:
        sys.meta_path.insert(0, Blocker())

    import django
    from django.conf import settings
    from django.urls import include, path
    from django.urls import path

    settings.configure(
        ALLOWED_HOSTS=["testserver"],
        ROOT_URLCONF=__name__,
        INSTALLED_APPS=["django.contrib.auth", "django.contrib.contenttypes", "rest_framework", "usersig_django"],
        USERSIG={"APPLICATIONS": {"default": {"SDKAPPID": 1400000001, "SECRET_KEY": "0123456789abcdef" * 4}}},
    )
    django.setup()

    from django.contrib.auth.models import User
    from django.core.management import call_command
    from rest_framework.test import APIClient

    urlpatterns = [path("api/usersig/", include("usersig_django.urls"))]
    call_command("check", fail_level="ERROR")
    client = APIClient()
    client.force_authenticate(User(pk=42))
    answer = client.post("/api/usersig/")
    assert answer.status_code == 200, answer.content
    assert answer.json()["userid"] == "42"
    loaded = [name for name in sys.modules if name.startswith("drf_spectacular") or name == "usersig_django.schema"]
    assert not loaded, loaded
"""


@pytest.mark.parametrize("package", ["absent", "not in INSTALLED_APPS"])
def test_schema__optional_package(package):
    script = textwrap.dedent(WITHOUT_SPECTACULAR)
    done = subprocess.run([sys.executable, "-W", "error", "-c", script, package], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


@pytest.fixture
def callers(django_user_model, transactional_db):
    """How a request says who it is from: what `Case.call` takes for it, and the user. The application is a
    real one, and closes the connection that a test's transaction would be in."""
    user = django_user_model.objects.create_user("alice")
    client = Client()
    client.force_login(user)
    session = client.cookies[django_settings.SESSION_COOKIE_NAME].value
    csrf = "a" * 32
    cookies = {django_settings.SESSION_COOKIE_NAME: session, django_settings.CSRF_COOKIE_NAME: csrf}
    return {
        "session": ({"cookies": cookies, "headers": {"X-CSRFToken": csrf}}, user),
        "token": ({"headers": {"Authorization": f"Token {Token.objects.create(user=user).key}"}}, user),
        "anonymous": ({}, None),
    }


@pytest.mark.openapi
@pytest.mark.parametrize("caller", ["session", "token", "anonymous"])
@pytest.mark.parametrize("url", [URL, ROOM_URL])
def test_openapi__generated_requests(url, caller, callers, settings):
    from schemathesis import GenerationMode, openapi

    settings.USERSIG = {**USERSIG, "THROTTLE_RATE": None, "ROOM_POLICY": most_rooms}
    credentials, user = callers[caller]
    # Every check of schemathesis runs: statuses, media types, schemas and headers as documented, valid input accepted
    # and invalid input refused, no 5xx.
    schema = openapi.from_wsgi("/api/schema/", application)
    # Or it would send credentials of its own besides the caller's.
    schema.config.generation.update(with_security_parameters=False)
    checks = schema.config.checks
    checks.positive_data_acceptance.expected_statuses = ["200", "403"]
    checks.negative_data_rejection.expected_statuses = ["400", "403", "413"]
    # It takes the caller's cookies for made-up ones; nobody is let in without, the anonymous run shows.
    checks.ignored_auth.enabled = False
    operation = schema[url]["POST"]
    cases = st.one_of(operation.as_strategy(generation_mode=mode) for mode in GenerationMode)
    met = Counter()

    @hypothesis_settings(
        max_examples=CASES,
        deadline=None,
        database=None,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
    )
    @given(case=cases)
    def send(case):
        response = case.call_and_validate(**credentials)
        met[response.status_code] += 1
        assert response.headers["cache-control"] == ["no-store"]
        if response.status_code == 200:
            assert response.json()["userid"] == str(user.pk)

    send()
    assert met.total() >= CASES
    if user is None:
        assert set(met) == {403}
    else:
        assert set(met) >= {200, 400}
        # Both halves are there: a run of refusals alone would prove little.
        assert met[200] >= CASES / 4
        assert met[400] >= CASES / 10
