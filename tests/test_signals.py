import logging
from contextlib import contextmanager

import pytest
from django.contrib.auth import get_user_model
from django.test import RequestFactory

from usersig_django.audit import Origin
from usersig_django.batch import IssuedBatch, issue_batch
from usersig_django.exceptions import UserIDReserved
from usersig_django.issuing import (
    IssuedPrivateMapKey,
    IssuedUserSig,
    issue_private_map_key_for_userid,
    issue_usersig,
    issue_usersig_for_userid,
)
from usersig_django.signals import usersig_issued


@contextmanager
def listening(sender=None, receive=None):
    heard = []

    def receiver(**kwargs):
        heard.append(kwargs)
        if receive:
            receive()

    usersig_issued.connect(receiver, sender=sender)
    try:
        yield heard
    finally:
        usersig_issued.disconnect(receiver, sender=sender)


def test_usersig_issued__usersig_without_the_token() -> None:
    user = get_user_model()(pk=42)
    request = RequestFactory().post("/")
    with listening() as heard:
        issued = issue_usersig(user, origin=Origin("api", user, "127.0.0.1", request))
    [kwargs] = heard
    assert kwargs.pop("signal") is usersig_issued
    told = kwargs.pop("issued")
    assert kwargs == {"sender": IssuedUserSig, "user": user, "channel": "api", "request": request}
    assert told.usersig == ""
    assert (told.userid, told.expires_at) == (issued.userid, issued.expires_at)
    assert issued.usersig


def test_usersig_issued__python_callers() -> None:
    user = get_user_model()(pk=42)
    with listening() as heard:
        issue_usersig(user)
        issue_usersig_for_userid("alice")
    assert [(kwargs["user"], kwargs["channel"], kwargs["request"]) for kwargs in heard] == [
        (user, "python", None),
        (None, "python", None),
    ]


def test_usersig_issued__private_map_key_without_the_token() -> None:
    with listening() as heard:
        issue_private_map_key_for_userid("alice", room="lobby", privileges=42)
    [kwargs] = heard
    assert kwargs["sender"] is IssuedPrivateMapKey
    assert (kwargs["issued"].private_map_key, kwargs["issued"].room) == ("", "lobby")


def test_usersig_issued__once_for_a_batch() -> None:
    with listening() as heard:
        tokens = [issued.usersig for issued in issue_batch(["a", "b", "c"])]
    [kwargs] = heard
    assert kwargs["sender"] is IssuedBatch
    assert kwargs["issued"].count == 3
    assert not [token for token in tokens if token in repr(heard)]


@pytest.mark.parametrize(
    ("sender", "heard_of"),
    [(IssuedUserSig, 1), (IssuedPrivateMapKey, 1), (IssuedBatch, 1), (None, 3), (str, 0)],
)
def test_usersig_issued__by_sender(sender: type | None, heard_of: int) -> None:
    with listening(sender) as heard:
        issue_usersig_for_userid("alice")
        issue_private_map_key_for_userid("alice", room=1, privileges=1)
        list(issue_batch(["alice"]))
    assert len(heard) == heard_of


def test_usersig_issued__receiver_that_raises_spoils_nothing(caplog) -> None:
    with listening(receive=lambda: 1 / 0) as broken, listening() as heard:
        issued = issue_usersig_for_userid("alice")
    assert issued.usersig
    assert len(broken) == len(heard) == 1
    [record] = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert "ZeroDivisionError" in caplog.text
    assert issued.usersig not in caplog.text
    assert record.name == "django.dispatch"


def test_usersig_issued__not_for_a_refusal() -> None:
    with listening() as heard, pytest.raises(UserIDReserved):
        issue_usersig_for_userid("administrator")
    assert heard == []
