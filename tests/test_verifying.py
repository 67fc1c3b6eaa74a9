import asyncio
import time

import pytest
from asgiref.sync import sync_to_async
from django.db import connections

from tests import tokens
from tests.settings import TEST_SDKAPPID, TEST_SECRET_KEY
from usersig_django import verifying
from usersig_django.exceptions import (
    BadSignature,
    InvalidInput,
    MalformedUserSig,
    RoomMismatch,
    SDKAppIDMismatch,
    SigningUnavailable,
    UserIDMismatch,
    UserSigExpired,
    UserSigNotYetValid,
    UserSigRevoked,
)
from usersig_django.issuing import issue_private_map_key_for_userid, issue_usersig_for_userid
from usersig_django.models import Application, Revocation, SigningKey
from usersig_django.signing import EcdsaSha256Signer, HmacSha256Signer
from usersig_django.verifying import verify_private_map_key, verify_usersig

pytestmark = pytest.mark.django_db
OTHER_KEY = "fedcba9876543210" * 4
SIGNER = HmacSha256Signer(sdkappid=TEST_SDKAPPID, secret_key=TEST_SECRET_KEY)


def add_application(*keys, environment="live", sdkappid=20000001):
    """With its keys in this order, the last one active."""
    application = Application.objects.create(environment=environment, sdkappid=sdkappid)
    for algorithm, secret in keys:
        key = SigningKey(application=application, algorithm=algorithm, secret=secret)
        key.save()
        application.activate(key)
    return application


def test_verify_usersig__what_was_issued() -> None:
    issued = issue_usersig_for_userid("alice", expire=600)
    claims = verify_usersig(issued.usersig, userid="alice")
    assert (claims.userid, claims.sdkappid, claims.expire) == ("alice", TEST_SDKAPPID, 600)
    assert claims.expires_at == issued.expires_at.timestamp()
    assert verify_usersig(issued.usersig) == claims


@pytest.mark.parametrize("room", [7, "7"], ids=repr)
def test_verify_private_map_key__what_was_issued(room: int | str) -> None:
    issued = issue_private_map_key_for_userid("alice", room=room, privileges=42)
    claims = verify_private_map_key(issued.private_map_key, userid="alice", room=room)
    assert (claims.userid, claims.room, claims.privileges) == ("alice", room, 42)
    assert verify_private_map_key(issued.private_map_key) == claims


def test_verify__token_made_without_this_package() -> None:
    token = tokens.hmac_token(TEST_SECRET_KEY, sdkappid=TEST_SDKAPPID, time=int(time.time()))
    assert verify_usersig(token, userid="alice").expire == 3600


@pytest.mark.parametrize(
    ("token", "arguments", "error"),
    [
        (SIGNER.sign("alice", expire=60), {"userid": "bob"}, UserIDMismatch),
        (SIGNER.sign("alice", expire=60), {"userid": 5}, InvalidInput),
        (SIGNER.sign("alice", expire=60), {"leeway": -1}, InvalidInput),
        (SIGNER.sign("alice", expire=60), {"environment": 5}, InvalidInput),
        (SIGNER.sign("alice", expire=60), {"environment": "live"}, SigningUnavailable),
        (SIGNER.sign("alice", expire=60, now=1_700_000_000), {}, UserSigExpired),
        (SIGNER.sign("alice", expire=60, now=1_700_000_000), {"now": 1_700_000_061}, UserSigExpired),
        (SIGNER.sign("alice", expire=60, now=1_700_000_000), {"now": 1_699_999_699}, UserSigNotYetValid),
        (SIGNER.sign("alice", expire=60, now=1_700_000_000), {"now": 1_699_999_999, "leeway": 0}, UserSigNotYetValid),
        (SIGNER.sign("alice", expire=60), {"not_before": 2**32}, UserSigRevoked),
        (SIGNER.sign("alice", expire=60, userbuf=b"x"), {}, MalformedUserSig),
        (tokens.hmac_token(OTHER_KEY, sdkappid=TEST_SDKAPPID), {}, BadSignature),
        (tokens.hmac_token(TEST_SECRET_KEY, sdkappid=5), {}, SDKAppIDMismatch),
        (tokens.ecdsa_token(), {}, MalformedUserSig),
        ("", {}, MalformedUserSig),
        ("eJ", {}, MalformedUserSig),
        ("x" * 8193, {}, MalformedUserSig),
        (b"eJ", {}, InvalidInput),
        (None, {}, InvalidInput),
    ],
)
def test_verify_usersig__refusals(token: object, arguments: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error) as caught:
        verify_usersig(token, **arguments)
    assert type(caught.value) is error


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"room": 8}, RoomMismatch),
        ({"room": "7"}, RoomMismatch),
        ({"room": 7.0}, InvalidInput),
        ({"userid": "bob"}, UserIDMismatch),
        ({"now": 2**33}, UserSigExpired),
        ({"not_before": 2**32}, UserSigRevoked),
    ],
)
def test_verify_private_map_key__refusals(arguments: dict[str, object], error: type[Exception]) -> None:
    token = issue_private_map_key_for_userid("alice", room=7, privileges=1).private_map_key
    with pytest.raises(error):
        verify_private_map_key(token, **arguments)


def test_verify__kinds_are_not_mixed() -> None:
    with pytest.raises(MalformedUserSig):
        verify_private_map_key(issue_usersig_for_userid("alice").usersig)
    with pytest.raises(MalformedUserSig):
        verify_usersig(issue_private_map_key_for_userid("alice", room=7, privileges=1).private_map_key)


def test_verify__every_key_that_is_not_retired() -> None:
    application = add_application(
        ("ECDSA-SHA256", tokens.PRIVATE_PEM), ("HMAC-SHA256", OTHER_KEY), ("HMAC-SHA256", TEST_SECRET_KEY)
    )
    signers = [
        EcdsaSha256Signer(sdkappid=20000001, private_key=tokens.PRIVATE_PEM),
        HmacSha256Signer(sdkappid=20000001, secret_key=OTHER_KEY),
        HmacSha256Signer(sdkappid=20000001, secret_key=TEST_SECRET_KEY),
    ]
    made = [signer.sign("alice", expire=60) for signer in signers]
    for token in made:
        assert verify_usersig(token, userid="alice", environment="live").sdkappid == 20000001
    old = application.keys.get(fingerprint=signers[1].key_fingerprint)
    application.retire(old)
    with pytest.raises(BadSignature):
        verify_usersig(made[1], environment="live")
    assert verify_usersig(made[0], environment="live").userid == "alice"


def test_verify__the_fault_that_says_most() -> None:
    """A key of the other algorithm calls every token malformed; that hides no bad signature, whatever the order."""
    add_application(("HMAC-SHA256", OTHER_KEY), ("ECDSA-SHA256", tokens.PRIVATE_PEM))
    add_application(
        ("ECDSA-SHA256", tokens.PRIVATE_PEM), ("HMAC-SHA256", OTHER_KEY), environment="other", sdkappid=20000001
    )
    for environment in ("live", "other"):
        with pytest.raises(BadSignature):
            verify_usersig(tokens.hmac_token(TEST_SECRET_KEY, sdkappid=20000001), environment=environment)
        with pytest.raises(MalformedUserSig):
            verify_usersig("eJ", environment=environment)


def test_verify__without_any_key() -> None:
    add_application()
    with pytest.raises(SigningUnavailable, match="live"):
        verify_usersig("eJ", environment="live")


def test_verify__without_an_active_key() -> None:
    """What was issued stays valid while nothing can be issued."""
    application = add_application(("HMAC-SHA256", OTHER_KEY))
    Application.objects.filter(pk=application.pk).update(active_key=None)
    token = HmacSha256Signer(sdkappid=20000001, secret_key=OTHER_KEY).sign("alice", expire=60)
    assert verify_usersig(token, environment="live").userid == "alice"


def test_verify__taken_back() -> None:
    before = int(time.time()) - 10
    token = SIGNER.sign("alice", expire=60, now=before)
    key = SIGNER.sign_private_map_key("alice", room=7, privileges=1, expire=60, now=before)
    Revocation.objects.revoke("default", TEST_SDKAPPID, "alice")
    with pytest.raises(UserSigRevoked):
        verify_usersig(token)
    with pytest.raises(UserSigRevoked):
        verify_private_map_key(key)
    assert verify_usersig(SIGNER.sign("alice", expire=60, now=int(time.time()) + 2)).userid == "alice"
    assert verify_usersig(SIGNER.sign("bob", expire=60, now=before)).userid == "bob"


@pytest.mark.django_db(transaction=True)
def test_verify__async_twins() -> None:
    usersig = issue_usersig_for_userid("alice").usersig
    key = issue_private_map_key_for_userid("alice", room=7, privileges=1).private_map_key

    async def verify_both():
        try:
            return (
                await verifying.averify_usersig(usersig, userid="alice"),
                await verifying.averify_private_map_key(key, room=7),
            )
        finally:
            # Of the thread that asgiref runs them in.
            await sync_to_async(connections.close_all)()

    claims, room_claims = asyncio.run(verify_both())
    assert (claims.userid, room_claims.room) == ("alice", 7)
