from datetime import UTC, datetime

import pytest

from tests import tokens
from tests.settings import TEST_SDKAPPID, TEST_SECRET_KEY
from usersig_django import issuing
from usersig_django.batch import RECORDS_AT_ONCE, issue_batch
from usersig_django.exceptions import InvalidInput, SigningUnavailable, UserIDReserved
from usersig_django.issuing import IssuedUserSig
from usersig_django.models import IssuedRecord


def test_issue_batch__each_userid_in_order() -> None:
    issued = list(issue_batch(["bob", "alice", "bob"], expire=600))
    for one, userid in zip(issued, ["bob", "alice", "bob"], strict=True):
        document = tokens.members(one.usersig)
        assert document["TLS.identifier"] == one.userid == userid
        assert document["TLS.sdkappid"] == one.sdkappid == TEST_SDKAPPID
        assert document["TLS.expire"] == one.expire == 600
        assert document["TLS.time"] == one.issued_at.timestamp() == one.expires_at.timestamp() - 600
        assert document["TLS.sig"] == tokens.hmac_sig(document, TEST_SECRET_KEY)


@pytest.mark.parametrize("userid", ["", "a b", "x" * 33, "\u017fystem", 5, None, b"alice"], ids=repr)
def test_issue_batch__what_is_no_userid_does_not_stop_it(userid: object) -> None:
    first, second, third = issue_batch(["alice", userid, "bob"])
    assert (first.userid, type(second), third.userid) == ("alice", InvalidInput, "bob")


def test_issue_batch__reserved() -> None:
    first, second = issue_batch(["Root", "rooty"])
    assert (type(first), second.userid) == (UserIDReserved, "rooty")
    [allowed] = issue_batch(["Root"], allow_reserved=True)
    assert allowed.userid == "Root"


def test_issue_batch__reads_no_further_than_asked() -> None:
    source = iter(["alice", "bob"])
    batch = issue_batch(source)
    assert next(batch).userid == "alice"
    assert next(source) == "bob"
    assert list(batch) == []


def test_issue_batch__clock_is_read_for_each(monkeypatch) -> None:
    seconds = iter([1_800_000_000, 1_800_000_000, 1_800_000_001])
    monkeypatch.setattr(issuing.time, "time", lambda: next(seconds))
    first, second = issue_batch(["alice", "bob"], expire=60)
    assert (first.issued_at.timestamp(), second.issued_at.timestamp()) == (1_800_000_000, 1_800_000_001)
    assert tokens.members(second.usersig)["TLS.time"] == 1_800_000_001
    assert second.expires_at == datetime.fromtimestamp(1_800_000_061, UTC)


def test_issue_batch__clock_that_falls_back_before_2020(monkeypatch) -> None:
    seconds = iter([1_800_000_000, 5])
    monkeypatch.setattr(issuing.time, "time", lambda: next(seconds))
    with pytest.raises(SigningUnavailable):
        list(issue_batch(["alice"]))


def test_issue_batch__keeps_its_key_when_the_settings_change(settings) -> None:
    batch = issue_batch(["alice", "bob"])
    first = next(batch)
    settings.USERSIG = {"APPLICATIONS": {"default": {"SDKAPPID": 5, "SECRET_KEY": TEST_SECRET_KEY[::-1]}}}
    assert next(batch).key_fingerprint == first.key_fingerprint


@pytest.mark.django_db
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"expire": 59}, InvalidInput),
        ({"expire": True}, InvalidInput),
        ({"environment": 5}, InvalidInput),
        ({"environment": "live"}, SigningUnavailable),
    ],
)
def test_issue_batch__refuses_before_the_first_row(arguments: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        issue_batch(iter(lambda: pytest.fail("read"), None), **arguments)


@pytest.mark.django_db
def test_issue_batch__records_before_it_gives(settings) -> None:
    settings.USERSIG = {**settings.USERSIG, "AUDIT_TO_DATABASE": True}
    batch = issue_batch(f"user-{number}" for number in range(RECORDS_AT_ONCE + 1))
    assert isinstance(next(batch), IssuedUserSig)
    assert IssuedRecord.objects.count() == RECORDS_AT_ONCE
    assert len(list(batch)) == RECORDS_AT_ONCE
    assert IssuedRecord.objects.count() == RECORDS_AT_ONCE + 1
