import uuid
from types import SimpleNamespace

import pytest
from django.core.exceptions import ImproperlyConfigured

from usersig_django.resolvers import attribute, opaque, primary_key

SECRET = "an opaque secret of enough characters"


@pytest.mark.parametrize(
    ("pk", "userid"),
    [
        (42, "42"),
        ("alice", "alice"),
        (uuid.UUID("12345678-1234-5678-1234-567812345678"), "12345678123456781234567812345678"),
    ],
)
def test_primary_key__as_text(pk: object, userid: str) -> None:
    assert primary_key(SimpleNamespace(pk=pk)) == userid


@pytest.mark.parametrize("resolver", [primary_key, opaque])
def test_primary_key__absent_is_nobodys(resolver, settings) -> None:
    settings.USERSIG = {"USERID_SECRET": SECRET}
    with pytest.raises(ValueError, match="no primary key"):
        resolver(SimpleNamespace(pk=None))


def test_attribute__own_and_related() -> None:
    user = SimpleNamespace(username="alice", profile=SimpleNamespace(im_id="a-1"))
    assert attribute("username")(user) == "alice"
    assert attribute("profile.im_id")(user) == "a-1"


def test_attribute__repairs_nothing() -> None:
    """What is no UserID is refused by who asked, not made one."""
    assert attribute("username")(SimpleNamespace(username=None)) is None
    assert attribute("username")(SimpleNamespace(username=" Ali ce ")) == " Ali ce "


def test_opaque__known_answer(settings) -> None:
    """HMAC-SHA256 of the primary key, cut to 32 hex digits: `printf 42 | openssl dgst -sha256 -hmac <secret>`."""
    settings.USERSIG = {"USERID_SECRET": SECRET}
    assert opaque(SimpleNamespace(pk=42)) == "b02a603a42011b3f053230d5bf2b037c"


def test_opaque__differs_by_user_and_secret(settings) -> None:
    settings.USERSIG = {"USERID_SECRET": SECRET}
    first = opaque(SimpleNamespace(pk=1))
    assert opaque(SimpleNamespace(pk=2)) != first
    settings.USERSIG = {"USERID_SECRET": SECRET[::-1]}
    assert opaque(SimpleNamespace(pk=1)) != first


@pytest.mark.parametrize("secret", ["", "short", None])
def test_opaque__without_a_secret(settings, secret: object) -> None:
    settings.USERSIG = {"USERID_SECRET": secret}
    with pytest.raises(ImproperlyConfigured, match="USERID_SECRET"):
        opaque(SimpleNamespace(pk=1))
