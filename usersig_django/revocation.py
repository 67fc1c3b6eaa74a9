"""Taking UserSigs back: Tencent is told to refuse what a user holds (PROTOCOL 5, `im_open_login_svc/kick`), and our
own verification refuses it too. Needs the extra `revocation`."""

import json
import random
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final
from urllib.parse import urlencode
from urllib.request import getproxies, proxy_bypass

from asgiref.sync import sync_to_async
from django.views.decorators.debug import sensitive_variables

from usersig_django import audit
from usersig_django.applications import ServedApplication, get_application
from usersig_django.audit import Event, Origin
from usersig_django.conf import conf
from usersig_django.diagnosis import diagnose
from usersig_django.eligibility import get_userid
from usersig_django.exceptions import RevocationFailed, gettext_noop
from usersig_django.faults import Misconfigured
from usersig_django.issuing import IssuedUserSig, issue_usersig_for_userid
from usersig_django.models import Revocation
from usersig_django.signing.userid import check_userid

# The REST API of each region's data centre (PROTOCOL 5).
HOSTS: Final[Mapping[str, str]] = {
    "china": "console.tim.qq.com",
    "singapore": "adminapisgp.im.qcloud.com",
    "seoul": "adminapikr.im.qcloud.com",
    "tokyo": "adminapijpn.im.qcloud.com",
    "frankfurt": "adminapiger.im.qcloud.com",
    "silicon-valley": "adminapiusa.im.qcloud.com",
    "jakarta": "adminapiidn.im.qcloud.com",
}
ADMIN_EXPIRE: Final = 3600
# All attempts together need a minute at most.
CALL_EXPIRE: Final = 300
ATTEMPTS: Final = 3
TIMEOUT_SECONDS: Final = {"connect": 3.0, "read": 5.0, "write": 5.0, "pool": 3.0}
# For a body that comes drop by drop, or does not end: Tencent's has some hundred bytes.
ANSWER_SECONDS: Final = 10.0
ANSWER_BYTES: Final = 65_536
FIRST_PAUSE_SECONDS: Final = 0.5
# Called too often, timed out, and the internal errors after which Tencent's pages say "try again".
RETRYABLE: Final = frozenset({60007, 60008, 70169, 70202, 70500, 91000})
# Done; and an account that never logged in, which holds nothing.
DONE: Final = frozenset({0, 70107})


@dataclass(frozen=True, slots=True)
class RevokedUserSigs:
    """Every UserSig of this UserID from before `revoked_at` (aware, UTC) is refused, by Tencent and here."""

    environment: str
    sdkappid: int
    userid: str
    revoked_at: datetime
    attempts: int


def get_admin_usersig(environment: str | None = None, *, origin: Origin | None = None) -> IssuedUserSig:
    """A UserSig of `ADMIN_USERID` for one hour, for a backend that calls Tencent's REST API itself.

    It can disband groups and delete accounts: use it in the call that needs it and keep it nowhere. Made anew each
    time, and audited. Errors as `issuing.issue_usersig_for_userid`.
    """
    return _issue_admin_usersig(environment, ADMIN_EXPIRE, origin)


def revoke_usersigs(user: Any, *, environment: str | None = None, origin: Origin | None = None) -> RevokedUserSigs:
    """Take back every UserSig and PrivateMapKey that a user of this project holds. An inactive user's too.

    Errors as `revoke_usersigs_for_userid`, and UserIDUnmappable.
    """
    return revoke_usersigs_for_userid(get_userid(user), environment=environment, origin=origin or Origin(user=user))


def revoke_usersigs_for_userid(
    userid: str, *, environment: str | None = None, origin: Origin | None = None
) -> RevokedUserSigs:
    """Take back every UserSig and PrivateMapKey of a UserID; what is issued from now on is good again.

    Our own verification refuses them at once, also when Tencent cannot be reached. Raises RevocationFailed
    (`error_code`, `hint`): then run it again, it does no harm twice. Also InvalidInput, SigningUnavailable,
    ImproperlyConfigured (`httpx` is not installed), and the database's errors.
    """
    revocation = refuse_usersigs(userid, environment=environment, origin=origin)
    attempts = tell_tencent(revocation, origin=origin)
    _wait_for(revocation.instant)
    return RevokedUserSigs(
        environment=revocation.environment,
        sdkappid=revocation.sdkappid,
        userid=userid,
        revoked_at=datetime.fromtimestamp(revocation.instant, UTC),
        attempts=attempts,
    )


def refuse_usersigs(userid: str, *, environment: str | None = None, origin: Origin | None = None) -> Revocation:
    """The half that needs no network: verification here refuses what the UserID holds, and the revocation is pending
    in the database until Tencent has been told. Errors as `revoke_usersigs_for_userid`, but for RevocationFailed."""
    check_userid(userid, "printable")
    application = get_application(environment)
    revocation = Revocation.objects.revoke(application.environment, application.sdkappid, userid)
    asked = Event(audit.USERSIG, application.environment, application.sdkappid, userid)
    audit.record_revoked(asked, origin or Origin())
    return revocation


def tell_tencent(revocation: Revocation, *, origin: Origin | None = None) -> int:
    """The other half: how many attempts it took. Errors as `revoke_usersigs_for_userid`."""
    application = get_application(revocation.environment)
    if application.sdkappid != revocation.sdkappid:
        raise RevocationFailed(
            gettext_noop("SDKAppID %(sdkappid)s is not served by %(environment)r any more."),
            sdkappid=revocation.sdkappid,
            environment=revocation.environment,
        )
    attempts = _kick(application, revocation.userid, origin)
    Revocation.objects.settle(revocation)
    return attempts


aget_admin_usersig = sync_to_async(get_admin_usersig)
arevoke_usersigs = sync_to_async(revoke_usersigs)
arevoke_usersigs_for_userid = sync_to_async(revoke_usersigs_for_userid)


def _issue_admin_usersig(environment: str | None, expire: int, origin: Origin | None) -> IssuedUserSig:
    return issue_usersig_for_userid(
        conf.admin_userid, environment=environment, expire=expire, allow_reserved=True, origin=origin
    )


def _wait_for(instant: int) -> None:
    """The second in which a revocation falls is refused whole: what is issued after it returns must be good."""
    time.sleep(max(0.0, instant - time.time()))


@sensitive_variables()
def _kick(application: ServedApplication, userid: str, origin: Origin | None) -> int:
    """Ask until Tencent agrees; the number of attempts. One admin UserSig serves all of them, and nothing else."""
    admin = _issue_admin_usersig(application.environment, CALL_EXPIRE, origin)
    attempt = 1
    while (failure := _call(HOSTS[application.region], admin, userid)) is not None:
        if not failure.retryable or attempt == ATTEMPTS:
            raise failure
        # Spread, so that workers who failed together do not come back together.
        time.sleep(FIRST_PAUSE_SECONDS * 2 ** (attempt - 1) * random.uniform(0.5, 1.5))  # noqa: S311  # no secret
        attempt += 1
    return attempt


@sensitive_variables()
def _call(host: str, admin: IssuedUserSig, userid: str) -> RevocationFailed | None:
    httpx = _import_httpx()
    query = urlencode(
        {
            "sdkappid": admin.sdkappid,
            "identifier": admin.userid,
            "usersig": admin.usersig,
            "random": secrets.randbelow(2**32),
            "contenttype": "json",
        }
    )
    request = httpx.Request(
        "POST",
        f"https://{host}/v4/im_open_login_svc/kick?{query}",
        json={"UserID": userid},
        extensions={"timeout": TIMEOUT_SECONDS},
    )
    try:
        # The transport and not a client: httpx's client logs every URL, and this one carries a credential.
        with httpx.HTTPTransport(proxy=_get_proxy(host)) as transport:
            response = transport.handle_request(request)
            body = _read_body(response)
    # What httpx raises, and what a wrong proxy or certificate file in the environment makes of it.
    except (httpx.RequestError, httpx.InvalidURL, OSError, ValueError, ImportError) as error:
        return RevocationFailed(
            gettext_noop("%(host)s cannot be reached: %(type)s."),
            host=host,
            type=type(error).__name__,
            retryable=isinstance(error, httpx.RequestError),
        )
    return _read_answer(host, response.status_code, body)


def _read_body(response: Any) -> bytes:
    deadline = time.monotonic() + ANSWER_SECONDS
    body = b""
    for part in response.iter_bytes():
        body += part
        if len(body) > ANSWER_BYTES or time.monotonic() > deadline:
            return b""
    return body


def _read_answer(host: str, status: int, body: bytes) -> RevocationFailed | None:
    """Tencent answers 200 always, and tells in `ErrorCode`; anything else is somebody in between."""
    try:
        answer = json.loads(body)
        code = answer["ErrorCode"]
    except (ValueError, TypeError, KeyError, RecursionError):
        code = None
    if status != 200 or type(code) is not int:
        return RevocationFailed(
            gettext_noop("%(host)s answered with status %(status)s and no ErrorCode of Tencent's."),
            host=host,
            status=status,
            retryable=True,
        )
    if code in DONE:
        return None
    known = diagnose(code)
    hint = known.look_at if known else ""
    return RevocationFailed(
        gettext_noop("Tencent refused with %(code)s."),
        code=code,
        error_code=code,
        hint=hint,
        retryable=code in RETRYABLE,
    )


def _get_proxy(host: str) -> str | None:
    """What HTTPS_PROXY and NO_PROXY say: the transport itself does not ask them."""
    proxy = None if proxy_bypass(host) else getproxies().get("https")
    return f"http://{proxy}" if proxy and "://" not in proxy else proxy


def _import_httpx() -> Any:
    try:
        import httpx
    except ImportError:
        message = gettext_noop("Revocation calls Tencent with httpx: install usersig_django[revocation].")
        raise Misconfigured(message) from None
    return httpx
