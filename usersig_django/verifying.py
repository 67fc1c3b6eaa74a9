"""Token -> claims, with the keys of an environment's application (DESIGN 4, SECURITY 2)."""

from collections.abc import Callable
from typing import TypeVar

from asgiref.sync import sync_to_async

from usersig_django.applications import Signer, get_application
from usersig_django.exceptions import BadSignature, MalformedUserSig, SigningUnavailable, UserSigRevoked, gettext_noop
from usersig_django.models import Revocation
from usersig_django.signing import PrivateMapKeyClaims, UserSigClaims

Claims = TypeVar("Claims", UserSigClaims, PrivateMapKeyClaims)


def verify_usersig(
    usersig: str,
    *,
    userid: str | None = None,
    environment: str | None = None,
    now: int | None = None,
    leeway: int = 300,
    not_before: int | None = None,
) -> UserSigClaims:
    """What a UserSig claims, once any key of the environment that is not retired has proved it.

    `now` and `not_before` are unix seconds, `leeway` seconds; `userid` is compared where it is given. Raises
    InvalidUserSig (its subclass says why), InvalidInput, SigningUnavailable (no key to verify with), and the
    database's errors: it knows which UserSigs were taken back.
    """
    return _first_that_knows(
        environment,
        lambda signer: signer.verify(usersig, userid=userid, now=now, leeway=leeway, not_before=not_before),
    )


def verify_private_map_key(
    private_map_key: str,
    *,
    userid: str | None = None,
    room: int | str | None = None,
    environment: str | None = None,
    now: int | None = None,
    leeway: int = 300,
    not_before: int | None = None,
) -> PrivateMapKeyClaims:
    """As `verify_usersig`, for a PrivateMapKey; an int `room` is a numeric room, a str a string room."""
    return _first_that_knows(
        environment,
        lambda signer: signer.verify_private_map_key(
            private_map_key, userid=userid, room=room, now=now, leeway=leeway, not_before=not_before
        ),
    )


averify_usersig = sync_to_async(verify_usersig)
averify_private_map_key = sync_to_async(verify_private_map_key)


def _first_that_knows(environment: str | None, verify: Callable[[Signer], Claims]) -> Claims:
    """The first signer's answer that is not "another key's"; a bad signature says more than a form that only the
    keys of the other algorithm read."""
    application = get_application(environment)
    unknown: BadSignature | MalformedUserSig | None = None
    for signer in application.signers:
        try:
            claims = verify(signer)
        except BadSignature as error:
            unknown = error
        except MalformedUserSig as error:
            unknown = unknown or error
        else:
            _refuse_revoked(claims)
            return claims
    raise unknown or SigningUnavailable(
        gettext_noop("%(environment)r has no key to verify with."), environment=application.environment
    )


def _refuse_revoked(claims: UserSigClaims | PrivateMapKeyClaims) -> None:
    instant = Revocation.objects.get_instant(claims.sdkappid, claims.userid)
    if instant is not None and claims.issued_at < instant:
        raise UserSigRevoked(gettext_noop("This UserID's UserSigs from before then were taken back."))
