import logging

import pytest
from django.core.exceptions import ImproperlyConfigured
from django.db import InterfaceError, OperationalError

from usersig_django.exceptions import RoomForbidden
from usersig_django.faults import Misconfigured
from usersig_django.rooms import get_privileges
from usersig_django.signing import Privilege

USER = object()


def use(settings, policy) -> None:
    settings.USERSIG = {"ROOM_POLICY": policy}


def answer(value):
    return lambda user, room: value


def test_get_privileges__without_a_policy(settings) -> None:
    use(settings, None)
    with pytest.raises(RoomForbidden, match="ROOM_POLICY"):
        get_privileges(USER, 1)


@pytest.mark.parametrize("room", [10000, "lobby"])
def test_get_privileges__asks_the_policy_about_user_and_room(settings, room: int | str) -> None:
    asked = []
    use(settings, lambda *question: asked.append(question) or Privilege.AUDIENCE)
    assert get_privileges(USER, room) is Privilege.AUDIENCE
    assert asked == [(USER, room)]


@pytest.mark.parametrize("privileges", [Privilege.CREATE_ROOM, Privilege.AUDIENCE, Privilege(7), Privilege.ALL])
def test_get_privileges__gives_exactly_what_the_policy_gives(settings, privileges: Privilege) -> None:
    use(settings, answer(privileges))
    assert get_privileges(USER, 1) == privileges


def test_get_privileges__nothing_granted(settings, caplog) -> None:
    use(settings, answer(Privilege(0)))
    with pytest.raises(RoomForbidden):
        get_privileges(USER, 1)
    assert not caplog.records


@pytest.mark.parametrize(
    "value", [True, False, None, 255, 0, 42.0, "ALL", [Privilege.ALL], Privilege(256), Privilege(-1 << 9)]
)
def test_get_privileges__answer_that_is_no_privilege(settings, caplog, value: object) -> None:
    use(settings, answer(value))
    with pytest.raises(RoomForbidden):
        get_privileges(USER, 1)
    [record] = caplog.records
    assert (record.name, record.levelno) == ("usersig_django", logging.ERROR)
    assert type(value).__name__ in record.getMessage()


@pytest.mark.parametrize("error", [KeyError("5e5b"), ValueError("5e5b"), TypeError("5e5b"), RecursionError("5e5b")])
def test_get_privileges__policy_that_raises(settings, caplog, error: Exception) -> None:
    def policy(user, room):
        raise error

    use(settings, policy)
    with pytest.raises(RoomForbidden):
        get_privileges(USER, 1)
    [record] = caplog.records
    assert record.levelno == logging.ERROR
    assert type(error).__name__ in record.getMessage()
    assert "5e5b" not in caplog.text


@pytest.mark.parametrize("error", [OperationalError("down"), InterfaceError("gone"), Misconfigured("bad")])
def test_get_privileges__fault_that_is_not_the_policys(settings, caplog, error: Exception) -> None:
    def policy(user, room):
        raise error

    use(settings, policy)
    with pytest.raises(type(error)):
        get_privileges(USER, 1)
    assert not caplog.records


def test_get_privileges__policy_that_cannot_be_imported(settings) -> None:
    use(settings, "nowhere.policy")
    with pytest.raises(ImproperlyConfigured):
        get_privileges(USER, 1)
