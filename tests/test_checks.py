"""Every check by its id. Nothing here may use the database: pytest-django refuses it without its mark."""

import re

import pytest
from cryptography.fernet import Fernet
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from django.core.checks import run_checks
from django.core.management import call_command
from django.core.management.base import SystemCheckError
from django.test import override_settings

from example_project.settings import USERSIG as EXAMPLE
from usersig_django import checks
from usersig_django.conf import APPLICATION_SETTINGS, DEFAULTS

KEY = "7a6df452e0be0f61ddbd6569c1a3de955368890130ee6d9a2edcef79f7c6237b"
PEM = (
    ec.generate_private_key(ec.SECP256R1())
    .private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    .decode()
)
FERNET = Fernet.generate_key().decode()
ENTRY = {"SDKAPPID": 20000001, "SECRET_KEY": KEY}
GOOD = {"APPLICATIONS": {"default": ENTRY}, "ENCRYPTION_KEYS": [FERNET]}
REDIS = {"default": {"BACKEND": "django.core.cache.backends.redis.RedisCache", "LOCATION": "redis://127.0.0.1"}}
LOCMEM = {"default": {"BACKEND": "django.core.cache.backends.locmem.LocMemCache"}}
NAMED_IDS = [value for value in vars(checks).values() if re.fullmatch(r"usersig\.[EW]\d{3}", str(value))]


def entry(**changes):
    return {**GOOD, "APPLICATIONS": {"default": {**ENTRY, **changes}}}


def keyless(**changes):
    return {**GOOD, "APPLICATIONS": {"default": {"SDKAPPID": 20000001, **changes}}}


def run(usersig, caches=REDIS, deploy=False):
    with override_settings(USERSIG=usersig, CACHES=caches):
        return run_checks(tags=["usersig"], include_deployment_checks=deploy)


# id, USERSIG, what the message says, what the hint says
FAULTS = [
    (checks.USERSIG_NOT_A_DICT, None, "NoneType", "dict"),
    (checks.USERSIG_NOT_A_DICT, [("EXPIRE", 60)], "list", "dict"),
    (checks.SETTING_INVALID, {**GOOD, "ENVIRONMENT": "Production"}, '["ENVIRONMENT"]', "reference"),
    (checks.SETTING_INVALID, {**GOOD, "EXPIRE": "86400"}, '["EXPIRE"] must be an int', "reference"),
    (checks.SETTING_INVALID, {**GOOD, "EXPIRE": 59}, "from 60 to 315360000", "reference"),
    (checks.SETTING_INVALID, {**GOOD, "PRIVATE_MAP_KEY_EXPIRE": True}, "PRIVATE_MAP_KEY_EXPIRE", "reference"),
    (checks.SETTING_INVALID, {**GOOD, "USERID_RULE": "loose"}, "strict, printable", "reference"),
    (checks.SETTING_INVALID, {**GOOD, "COMPRESSION_LEVEL": 10}, "COMPRESSION_LEVEL", "reference"),
    (checks.SETTING_INVALID, {**GOOD, "CACHE_SECONDS": -1}, "CACHE_SECONDS", "reference"),
    (checks.SETTING_INVALID, {**GOOD, "RESERVED_USERIDS": "administrator"}, "RESERVED_USERIDS", "reference"),
    (checks.SETTING_INVALID, {**GOOD, "ADMIN_USERID": ""}, "ADMIN_USERID", "reference"),
    (checks.SETTING_INVALID, {**GOOD, "AUDIT_TO_DATABASE": 1}, "AUDIT_TO_DATABASE", "reference"),
    (checks.SETTING_INVALID, {**GOOD, "REVOKE_ON_DEACTIVATION": "yes"}, "REVOKE_ON_DEACTIVATION", "reference"),
    (checks.APPLICATION_INVALID, {**GOOD, "APPLICATIONS": []}, "must be a dict", "dict"),
    (checks.APPLICATION_INVALID, {**GOOD, "APPLICATIONS": {"default": KEY}}, "must be a dict", "SDKAPPID"),
    (checks.APPLICATION_INVALID, {**GOOD, "APPLICATIONS": {"Default": ENTRY}}, "name must be", "SDKAPPID"),
    (checks.APPLICATION_INVALID, {**GOOD, "APPLICATIONS": {5: ENTRY}}, "name must be", "SDKAPPID"),
    (checks.APPLICATION_INVALID, entry(SDKAPPID="20000001"), '["SDKAPPID"] must be an int', "SDKAPPID"),
    (checks.APPLICATION_INVALID, entry(SDKAPPID=0), "from 1 to 4294967295", "SDKAPPID"),
    (checks.APPLICATION_INVALID, entry(EXPIRE=30), '["EXPIRE"]', "SDKAPPID"),
    (checks.APPLICATION_INVALID, entry(REGION="moon"), "china", "SDKAPPID"),
    (checks.APPLICATION_INVALID, entry(ALGORITHM="RSA"), "HMAC-SHA256", "SDKAPPID"),
    (checks.APPLICATION_INVALID, entry(ALGORITHM="ECDSA-SHA256"), "holds no key", "SDKAPPID"),
    (checks.APPLICATION_INVALID, entry(PRIVATE_KEY=PEM), "found SECRET_KEY, PRIVATE_KEY", "exactly one"),
    (checks.APPLICATION_INVALID, keyless(), "found none", "exactly one"),
    (checks.APPLICATION_INVALID, keyless(SECRET_KEY=""), "or an empty one", "exactly one"),
    (checks.APPLICATION_INVALID, keyless(SECRET_KEY=None), "or an empty one", "exactly one"),
    (checks.APPLICATION_INVALID, keyless(SECRET_KEY=KEY.encode()), "must be text", "exactly one"),
    (checks.APPLICATION_INVALID, keyless(SECRET_KEY_FILE="/nonexistent/key"), "cannot be read", "exactly one"),
    (checks.KEY_INVALID, entry(SECRET_KEY=KEY[:32] + " " + KEY[32:]), "white space", "console"),
    (checks.KEY_INVALID, entry(SECRET_KEY=KEY[:32] + "\n" + KEY[32:]), "white space", "console"),
    (checks.KEY_INVALID, entry(SECRET_KEY=" \n "), "32 to 256", "console"),
    (checks.KEY_INVALID, entry(SECRET_KEY=PEM), '["default"]: The', "PRIVATE_KEY"),
    (checks.KEY_INVALID, entry(SECRET_KEY="".join(PEM.split())), "another kind", "PRIVATE_KEY"),
    (checks.KEY_INVALID, entry(SECRET_KEY="changeme"), "32 to 256", "console"),
    (checks.KEY_INVALID, keyless(PRIVATE_KEY=KEY), '["default"]', "console"),
    (checks.RESOLVER_INVALID, {**GOOD, "USERID_RESOLVER": "nowhere.at_all"}, "cannot be imported", "callable"),
    (checks.RESOLVER_INVALID, {**GOOD, "USERID_RESOLVER": "usersig_django.resolvers.x"}, "imported", "callable"),
    (checks.RESOLVER_INVALID, {**GOOD, "USERID_RESOLVER": None}, "must be a callable", "callable"),
    (
        checks.USERID_SECRET_INVALID,
        {**GOOD, "USERID_RESOLVER": "usersig_django.resolvers.opaque"},
        "at least 32",
        "random",
    ),
    (checks.ROOM_POLICY_INVALID, {**GOOD, "ROOM_POLICY": "example_project.rooms.nothing"}, "imported", "Privilege"),
    (checks.ROOM_POLICY_INVALID, {**GOOD, "ROOM_POLICY": 255}, "must be a callable", "Privilege"),
    (checks.ENCRYPTION_KEYS_INVALID, {**GOOD, "ENCRYPTION_KEYS": FERNET}, "must be a list", "generate_key"),
    (checks.ENCRYPTION_KEYS_INVALID, {**GOOD, "ENCRYPTION_KEYS": [FERNET[1:]]}, "[0]", "generate_key"),
    (checks.ENCRYPTION_KEYS_INVALID, {**GOOD, "ENCRYPTION_KEYS": [FERNET, ""]}, "[1]", "generate_key"),
    (checks.ENCRYPTION_KEYS_INVALID, {**GOOD, "ENCRYPTION_KEYS": [b"\xff" * 44]}, "ASCII", "generate_key"),
    (checks.THROTTLE_RATE_INVALID, {**GOOD, "THROTTLE_RATE": "often"}, "THROTTLE_RATE", "60/min"),
    (checks.THROTTLE_RATE_INVALID, {**GOOD, "THROTTLE_RATE": "60/"}, "THROTTLE_RATE", "60/min"),
    (checks.THROTTLE_RATE_INVALID, {**GOOD, "THROTTLE_RATE": "60/fortnight"}, "THROTTLE_RATE", "60/min"),
    (checks.THROTTLE_RATE_INVALID, {**GOOD, "THROTTLE_RATE": "0/min"}, "THROTTLE_RATE", "60/min"),
    (checks.THROTTLE_RATE_INVALID, {**GOOD, "THROTTLE_RATE": 60}, "THROTTLE_RATE", "60/min"),
    (checks.UNKNOWN_SETTING, {**GOOD, "EXPIRES": 60}, "'EXPIRES'", "is EXPIRE."),
    (checks.UNKNOWN_SETTING, {**GOOD, "userid_resolver": "x"}, "'userid_resolver'", "is USERID_RESOLVER."),
    (checks.UNKNOWN_SETTING, {**GOOD, "APPLICATION": {}}, "'APPLICATION'", "is APPLICATIONS."),
    (checks.UNKNOWN_SETTING, {**GOOD, 7: 7}, "7", "nearest"),
    (checks.UNKNOWN_SETTING, entry(SDK_APP_ID=1), '["APPLICATIONS"]["default"]', "is SDKAPPID."),
    (checks.UNKNOWN_SETTING, entry(SECRETKEY=KEY), "'SECRETKEY'", "is SECRET_KEY."),
    (checks.DEMO_APPLICATION, {k: v for k, v in EXAMPLE.items() if k != "ROOM_POLICY"}, "'demo'", "console"),
    (checks.NOTHING_SIGNS, {}, "'default'", "ENCRYPTION_KEYS"),
    (checks.NOTHING_SIGNS, {"ENVIRONMENT": "live", "APPLICATIONS": {"default": ENTRY}}, "'live'", "APPLICATIONS"),
]
# As above, of `check --deploy` alone, and with CACHES.
DEPLOY_FAULTS = [
    (checks.PLACEHOLDER_KEY, entry(SECRET_KEY="change-me-" * 4), REDIS, "placeholder", "console"),
    (
        checks.PLACEHOLDER_KEY,
        entry(SECRET_KEY="Your-Tencent-SecretKey-Goes-Here-0123"),
        REDIS,
        "placeholder",
        "console",
    ),
    (checks.PLACEHOLDER_KEY, entry(SECRET_KEY="x" * 64), REDIS, "placeholder", "console"),
    (checks.PLACEHOLDER_KEY, entry(SECRET_KEY="0123456789abcdef" * 4), REDIS, "placeholder", "console"),
    (checks.PLACEHOLDER_KEY, entry(SECRET_KEY="01" * 20 + "2"), REDIS, "placeholder", "console"),
    (checks.LONG_LIFETIME, {**GOOD, "EXPIRE": 15_552_000}, REDIS, '"EXPIRE"', "renew"),
    (checks.LONG_LIFETIME, {**GOOD, "PRIVATE_MAP_KEY_EXPIRE": 315_360_000}, REDIS, "PRIVATE_MAP", "renew"),
    (checks.LONG_LIFETIME, entry(EXPIRE=checks.ADVISED_EXPIRE + 1), REDIS, '["default"]["EXPIRE"]', "renew"),
    (checks.INEXACT_CACHE, GOOD, LOCMEM, "LocMemCache", "Redis"),
    (
        checks.INEXACT_CACHE,
        GOOD,
        {"default": {"BACKEND": "django.core.cache.backends.dummy.DummyCache"}},
        "DummyCache",
        "Redis",
    ),
    (
        checks.INEXACT_CACHE,
        GOOD,
        {"default": {"BACKEND": "django.core.cache.backends.db.DatabaseCache", "LOCATION": "t"}},
        "DatabaseCache",
        "Redis",
    ),
    (
        checks.INEXACT_CACHE,
        GOOD,
        {"default": {"BACKEND": "django.core.cache.backends.filebased.FileBasedCache", "LOCATION": "t"}},
        "FileBasedCache",
        "Redis",
    ),
    (checks.ADMIN_NOT_RESERVED, {**GOOD, "RESERVED_USERIDS": []}, REDIS, "empty", "REST API"),
    (
        checks.ADMIN_NOT_RESERVED,
        {**GOOD, "RESERVED_USERIDS": ["root"], "ADMIN_USERID": "boss"},
        REDIS,
        "'administrator'",
        "REST API",
    ),
]


def test_ids__are_unique_and_each_is_triggered_below() -> None:
    assert len(set(NAMED_IDS)) == len(NAMED_IDS)
    assert {row[0] for row in FAULTS} | {row[0] for row in DEPLOY_FAULTS} == set(NAMED_IDS)


@pytest.mark.parametrize(("id_", "usersig", "says", "hint"), FAULTS)
def test_check_settings__fault_of_the_table(id_: str, usersig: object, says: str, hint: str) -> None:
    [message] = [found for found in run(usersig) if found.id == id_]
    assert says in message.msg
    assert hint in message.hint
    assert message.is_serious() == id_.startswith("usersig.E")


@pytest.mark.parametrize(("id_", "usersig", "caches", "says", "hint"), DEPLOY_FAULTS)
def test_check_deployment__fault_of_the_table(id_: str, usersig: object, caches: object, says: str, hint: str) -> None:
    assert not [found for found in run(usersig, caches) if found.id == id_]
    [message] = [found for found in run(usersig, caches, deploy=True) if found.id == id_]
    assert says in message.msg
    assert hint in message.hint
    assert not message.is_serious()


@pytest.mark.parametrize("usersig", [row[1] for row in (*FAULTS, *DEPLOY_FAULTS)])
def test_checks__show_no_secret(usersig: object) -> None:
    said = "".join(f"{message.msg}{message.hint}{message.obj}" for message in run(usersig, deploy=True))
    for secret in (KEY[:8], KEY[-8:], PEM.splitlines()[1][:8], PEM.splitlines()[2], FERNET[1:9], FERNET[-8:]):
        assert secret not in said


@pytest.mark.parametrize(
    "usersig",
    [
        GOOD,
        keyless(PRIVATE_KEY=PEM),
        keyless(PRIVATE_KEY=PEM.replace("\n", "\\n")),
        {"ENCRYPTION_KEYS": [FERNET]},
        entry(EXPIRE=checks.ADVISED_EXPIRE),
        {**GOOD, "RESERVED_USERIDS": ["Administrator"]},
        {**GOOD, "USERID_SECRET": "short, and of no resolver"},
        {**GOOD, "USERID_RESOLVER": "usersig_django.resolvers.opaque", "USERID_SECRET": KEY},
        {**GOOD, "APPLICATIONS": {"default": ENTRY, "demo": EXAMPLE["APPLICATIONS"]["demo"]}},
    ],
)
def test_checks__silent_where_nothing_is_wrong(usersig: object) -> None:
    assert run(usersig, deploy=True) == []


def test_check_deployment__throttle_off() -> None:
    assert run({**GOOD, "THROTTLE_RATE": None}, LOCMEM, deploy=True) == []
    # Django's own check says that there is no default cache.
    assert run(GOOD, {}, deploy=True) == []


def test_check_deployment__says_nothing_twice() -> None:
    """What cannot be read at all is told by its error."""
    broken = {**GOOD, "EXPIRE": None, "THROTTLE_RATE": 5, "RESERVED_USERIDS": 5, "APPLICATIONS": 5}
    assert {message.id for message in run(broken, LOCMEM, deploy=True)} == {
        checks.SETTING_INVALID,
        checks.THROTTLE_RATE_INVALID,
        checks.APPLICATION_INVALID,
    }
    assert [message.id for message in run("text", deploy=True)] == [checks.USERSIG_NOT_A_DICT]


@pytest.mark.parametrize("broken", [{"ENVIRONMENT": 5}, {"ENCRYPTION_KEYS": 5}, {"COMPRESSION_LEVEL": "6"}])
def test_check_settings__one_broken_setting_does_not_stop_the_others(broken: dict[str, object]) -> None:
    ids = [message.id for message in run({"APPLICATIONS": {"x": {}}, "EXPIRES": 5, **broken})]
    assert checks.UNKNOWN_SETTING in ids
    assert checks.APPLICATION_INVALID in ids
    assert len([id_ for id_ in ids if id_ in (checks.SETTING_INVALID, checks.ENCRYPTION_KEYS_INVALID)]) == 1


def test_check_settings__each_application_is_told_apart() -> None:
    usersig = {**GOOD, "APPLICATIONS": {"default": ENTRY, "live": {}, "stage": {**ENTRY, "SECRET_KEY": "x"}}}
    assert [(message.id, re.findall(r'\["(\w+)"\]', message.msg)[1]) for message in run(usersig)] == [
        (checks.APPLICATION_INVALID, "live"),
        (checks.KEY_INVALID, "stage"),
    ]


@pytest.mark.parametrize("name", DEFAULTS)
def test_check_settings__typing_error_names_the_setting_meant(name: str) -> None:
    [message] = run({**GOOD, name + name[-1]: 1})
    assert (message.id, message.hint) == (checks.UNKNOWN_SETTING, f"The nearest known setting is {name}.")


@pytest.mark.parametrize("name", APPLICATION_SETTINGS)
def test_check_settings__typing_error_names_the_application_setting_meant(name: str) -> None:
    [message] = run(entry(**{name + name[-1]: 1}))
    assert (message.id, message.hint) == (checks.UNKNOWN_SETTING, f"The nearest known setting is {name}.")


def test_check_command__fails_on_an_error() -> None:
    with override_settings(USERSIG={**GOOD, "ENCRYPTION_KEYS": ["x"]}), pytest.raises(SystemCheckError) as caught:
        call_command("check")
    assert checks.ENCRYPTION_KEYS_INVALID in str(caught.value)


def test_check_command__runs_the_deployment_checks_with_deploy(capsys: pytest.CaptureFixture[str]) -> None:
    with override_settings(USERSIG=GOOD, CACHES=LOCMEM):
        call_command("check", tags=["usersig"])
        assert "usersig." not in capsys.readouterr().err
        call_command("check", tags=["security"], deploy=True)
    assert checks.INEXACT_CACHE in capsys.readouterr().err
