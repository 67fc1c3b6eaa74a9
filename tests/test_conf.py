from pathlib import Path

import pytest
from django.core.exceptions import ImproperlyConfigured

from usersig_django import resolvers
from usersig_django.conf import DEFAULTS, conf

KEY = "7a6df452e0be0f61ddbd6569c1a3de955368890130ee6d9a2edcef79f7c6237b"
ENTRY = {"SDKAPPID": 20000001, "SECRET_KEY": KEY}


def use(settings, **usersig):
    settings.USERSIG = usersig


def use_entry(settings, **entry):
    use(settings, APPLICATIONS={"default": entry})


@pytest.mark.parametrize("configured", [{}, None], ids=["empty", "absent"])
def test_conf__defaults(settings, configured) -> None:
    if configured is None:
        del settings.USERSIG
    else:
        settings.USERSIG = configured
    assert conf.environment == "default"
    assert conf.applications == {}
    assert (conf.expire, conf.private_map_key_expire) == (86400, 3600)
    assert conf.userid_resolver is resolvers.primary_key
    assert conf.userid_rule == "strict"
    assert conf.reserved_userids == {"administrator", "admin", "root", "system"}
    assert conf.admin_userid == "administrator"
    assert conf.room_policy is None
    assert conf.encryption_keys == ()
    assert (conf.throttle_rate, conf.cache_seconds, conf.compression_level) == ("60/min", 10, 6)
    assert (conf.audit_to_database, conf.revoke_on_deactivation) == (False, False)


def test_conf__has_a_property_for_each_setting() -> None:
    assert {name.lower() for name in DEFAULTS} <= set(dir(conf))


def test_conf__reads_live(settings) -> None:
    use(settings, EXPIRE=60)
    assert conf.expire == 60
    settings.USERSIG["EXPIRE"] = 120
    assert conf.expire == 120
    use(settings, EXPIRE=180)
    assert conf.expire == 180


class Text(str):
    __slots__ = ()


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("ENVIRONMENT", ""),
        ("ENVIRONMENT", None),
        ("ENVIRONMENT", "Production"),
        ("ENVIRONMENT", "live\n"),
        ("ENVIRONMENT", "x" * 51),
        ("ENVIRONMENT", "lïve"),
        ("APPLICATIONS", None),
        ("APPLICATIONS", "live"),
        ("EXPIRE", None),
        ("EXPIRE", True),
        ("EXPIRE", 86400.0),
        ("EXPIRE", "86400"),
        ("EXPIRE", 59),
        ("EXPIRE", 315_360_001),
        ("PRIVATE_MAP_KEY_EXPIRE", 0),
        ("USERID_RESOLVER", ""),
        ("USERID_RESOLVER", "primary_key"),
        ("USERID_RESOLVER", "usersig_django.resolvers.nobody"),
        ("USERID_RESOLVER", "usersig_django.conf.MIN_EXPIRE"),
        ("USERID_RESOLVER", 5),
        ("USERID_RULE", "STRICT"),
        ("USERID_RULE", ["strict"]),
        ("USERID_SECRET", ""),
        ("USERID_SECRET", " " * 40),
        ("USERID_SECRET", "x" * 31),
        ("USERID_SECRET", b"x" * 32),
        ("USERID_SECRET", None),
        ("RESERVED_USERIDS", None),
        ("RESERVED_USERIDS", "administrator"),
        ("RESERVED_USERIDS", ["administrator", 5]),
        ("RESERVED_USERIDS", {"administrator": 1}),
        ("ADMIN_USERID", ""),
        ("ADMIN_USERID", None),
        ("ROOM_POLICY", "nowhere.policy"),
        ("ROOM_POLICY", 255),
        ("ENCRYPTION_KEYS", "one"),
        ("ENCRYPTION_KEYS", [5]),
        ("ENCRYPTION_KEYS", [b"\xff"]),
        ("THROTTLE_RATE", 60),
        ("CACHE_SECONDS", -1),
        ("CACHE_SECONDS", 3601),
        ("CACHE_SECONDS", True),
        ("CACHE_SECONDS", "10"),
        ("CACHE_SECONDS", float("nan")),
        ("COMPRESSION_LEVEL", 10),
        ("COMPRESSION_LEVEL", -1),
        ("AUDIT_TO_DATABASE", 1),
        ("REVOKE_ON_DEACTIVATION", "True"),
    ],
)
def test_conf__refuses_a_value_and_names_the_setting(settings, name: str, value: object) -> None:
    use(settings, **{name: value})
    with pytest.raises(ImproperlyConfigured) as caught:
        getattr(conf, name.lower())
    assert f'USERSIG["{name}"]' in str(caught.value)


@pytest.mark.parametrize("usersig", [None, [], "text", 5])
def test_conf__usersig_that_is_no_dict(settings, usersig: object) -> None:
    settings.USERSIG = usersig
    with pytest.raises(ImproperlyConfigured, match="USERSIG must be a dict"):
        conf.expire  # noqa: B018


def test_conf__module_that_fails_while_it_is_imported(settings, tmp_path: Path, monkeypatch) -> None:
    (tmp_path / "resolver_that_fails.py").write_text("1 / 0")
    monkeypatch.syspath_prepend(tmp_path)
    use(settings, USERID_RESOLVER="resolver_that_fails.resolve")
    with pytest.raises(ImproperlyConfigured, match="cannot be imported: ZeroDivisionError"):
        conf.userid_resolver  # noqa: B018


def test_conf__values_that_are_taken(settings) -> None:
    def policy(user, room):
        return None

    use(
        settings,
        ENVIRONMENT="a-z_0",
        USERID_RESOLVER=str,
        USERID_SECRET=f" {KEY}\n",
        RESERVED_USERIDS=("Boss", "STRASSE", "straße"),
        ADMIN_USERID="Chef",
        ROOM_POLICY=policy,
        ENCRYPTION_KEYS=(" one\n", b"two"),
        THROTTLE_RATE=None,
        CACHE_SECONDS=0.5,
    )
    assert conf.environment == "a-z_0"
    assert conf.userid_resolver is str
    assert conf.userid_secret.reveal() == KEY
    assert conf.reserved_userids == {"boss", "strasse", "chef"}
    assert conf.room_policy is policy
    assert [key.reveal() for key in conf.encryption_keys] == ["one", "two"]
    assert conf.throttle_rate is None
    assert conf.cache_seconds == 0.5


def test_application__absent(settings) -> None:
    use(settings, APPLICATIONS={"live": ENTRY})
    assert conf.application("default") is None
    assert conf.application("liv") is None


def test_application__as_little_as_it_needs(settings) -> None:
    use_entry(settings, **ENTRY)
    application = conf.application("default")
    assert application.secret.reveal() == KEY
    assert (application.environment, application.sdkappid, application.algorithm) == (
        "default",
        20000001,
        "HMAC-SHA256",
    )
    assert (application.region, application.expire) == ("china", None)
    assert KEY not in repr(application)


def test_application__all_it_can_have(settings) -> None:
    use_entry(
        settings, SDKAPPID=2**32 - 1, PRIVATE_KEY="pem", ALGORITHM="ECDSA-SHA256", EXPIRE=60, REGION="silicon-valley"
    )
    application = conf.application("default")
    assert (application.sdkappid, application.algorithm) == (2**32 - 1, "ECDSA-SHA256")
    assert (application.region, application.expire) == ("silicon-valley", 60)


def test_application__empty_places_beside_the_key(settings) -> None:
    """As an environment without the variable leaves them."""
    use_entry(settings, **ENTRY, PRIVATE_KEY="", SECRET_KEY_FILE=None)
    assert conf.application("default").secret.reveal() == KEY


@pytest.mark.parametrize("name", ["SECRET_KEY_FILE", "PRIVATE_KEY_FILE"])
@pytest.mark.parametrize("as_path", [Path, str])
def test_application__key_file_is_stripped_and_read_again(settings, tmp_path: Path, name: str, as_path) -> None:
    file = tmp_path / "key"
    file.write_text(f"\n{KEY}\r\n")
    use_entry(settings, SDKAPPID=1, **{name: as_path(file)})
    assert conf.application("default").secret.reveal() == KEY
    file.write_text(KEY[::-1])
    assert conf.application("default").secret.reveal() == KEY[::-1]


@pytest.mark.parametrize(
    ("entry", "says"),
    [
        ("text", "must be a dict, not str"),
        ({}, "found none"),
        ({**ENTRY, "SECRET_KEY": ""}, "found none"),
        ({**ENTRY, "SECRET_KEY": KEY.encode()}, "must be text, not bytes"),
        ({**ENTRY, "PRIVATE_KEY": "pem"}, "found SECRET_KEY, PRIVATE_KEY"),
        ({**ENTRY, "SECRET_KEY_FILE": "/nonexistent"}, "found SECRET_KEY, SECRET_KEY_FILE"),
        ({"SDKAPPID": 1, "SECRET_KEY_FILE": 5}, "must be a path, not int"),
        ({"SDKAPPID": 1, "SECRET_KEY_FILE": "/nonexistent"}, "cannot be read"),
        ({"SDKAPPID": 1, "SECRET_KEY_FILE": "/"}, "cannot be read"),
        ({"SDKAPPID": 1, "SECRET_KEY_FILE": "nul\0"}, "cannot be read"),
        ({**ENTRY, "ALGORITHM": "hmac-sha256"}, "must be one of HMAC-SHA256, ECDSA-SHA256"),
        ({**ENTRY, "ALGORITHM": "ECDSA-SHA256"}, "SECRET_KEY holds no key for ECDSA-SHA256"),
        ({"SDKAPPID": 1, "PRIVATE_KEY": "pem", "ALGORITHM": "HMAC-SHA256"}, "PRIVATE_KEY holds no key for"),
        ({"SECRET_KEY": KEY}, '"SDKAPPID"] must be an int, not NoneType'),
        ({**ENTRY, "SDKAPPID": "20000001"}, "must be an int, not str"),
        ({**ENTRY, "SDKAPPID": True}, "must be an int, not bool"),
        ({**ENTRY, "SDKAPPID": 1.0}, "must be an int, not float"),
        ({**ENTRY, "SDKAPPID": 0}, "from 1 to 4294967295"),
        ({**ENTRY, "SDKAPPID": 2**32}, "from 1 to 4294967295"),
        ({**ENTRY, "EXPIRE": None}, "must be an int, not NoneType"),
        ({**ENTRY, "EXPIRE": 59}, "from 60 to 315360000"),
        ({**ENTRY, "REGION": "mars"}, "china, singapore"),
        ({**ENTRY, "REGION": None}, "china, singapore"),
    ],
)
def test_application__refuses_an_entry_and_names_it(settings, entry: object, says: str) -> None:
    use(settings, APPLICATIONS={"default": entry})
    with pytest.raises(ImproperlyConfigured) as caught:
        conf.application("default")
    assert says in str(caught.value)
    assert 'USERSIG["APPLICATIONS"]["default"]' in str(caught.value)
    assert KEY[:8] not in str(caught.value)


def test_application__key_file_that_is_no_text(settings, tmp_path: Path) -> None:
    """The decoder's own error holds what it read, so it is not even the cause."""
    (tmp_path / "key").write_bytes(KEY.encode() + b"\xff")
    use_entry(settings, SDKAPPID=1, SECRET_KEY_FILE=tmp_path / "key")
    with pytest.raises(ImproperlyConfigured, match="not UTF-8 text") as caught:
        conf.application("default")
    assert caught.value.__cause__ is None
    assert caught.value.__suppress_context__


@pytest.mark.parametrize("environment", ["Live", "live ", "", "x" * 51, 5])
def test_application__name_no_environment_can_have(settings, environment: object) -> None:
    use(settings, APPLICATIONS={environment: ENTRY})
    with pytest.raises(ImproperlyConfigured, match="environment's name"):
        conf.application(environment)
