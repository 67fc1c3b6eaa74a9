"""Many UserSigs in one run: one look for the application, one audit line, one signal (DESIGN 6, 8)."""

from collections.abc import Generator, Iterable
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from typing import Final

from usersig_django import audit
from usersig_django.applications import ServedApplication, get_application
from usersig_django.audit import Event, Origin
from usersig_django.conf import conf
from usersig_django.eligibility import check_not_reserved
from usersig_django.exceptions import InvalidInput, UserIDReserved
from usersig_django.issuing import IssuedUserSig, check_lifetime, read_clock
from usersig_django.signals import usersig_issued
from usersig_django.signing.userid import check_userid

Refusal = InvalidInput | UserIDReserved

# Rows that one INSERT takes on every database, when each issue leaves a record.
RECORDS_AT_ONCE: Final = 500


@dataclass(frozen=True, slots=True)
class IssuedBatch:
    """What is true of a run: how many UserSigs it gave and how many UserIDs it refused. `expire` is in seconds;
    `issued_at`, when it began, is aware and in UTC."""

    environment: str
    sdkappid: int
    count: int
    refused: int
    expire: int
    issued_at: datetime
    key_fingerprint: str


def issue_batch(
    userids: Iterable[str],
    *,
    environment: str | None = None,
    expire: int | None = None,
    allow_reserved: bool = False,
    origin: Origin | None = None,
) -> Generator[IssuedUserSig | Refusal, None, None]:
    """For each UserID, in order, its UserSig, or the error that refused it. Reads and gives one at a time.

    The run keeps the key it began with. Its audit line and its signal come when it ends or is closed; with
    `AUDIT_TO_DATABASE` each UserSig still leaves its record. Arguments and errors as `issue_usersig_for_userid`.
    """
    if expire is not None:
        check_lifetime(expire)
    run = _Run(get_application(environment), expire, origin or Origin(), allow_reserved=allow_reserved)
    return _issue(run, userids)


def _issue(run: "_Run", userids: Iterable[str]) -> Generator[IssuedUserSig | Refusal, None, None]:
    recorded = conf.audit_to_database
    source = iter(userids)
    try:
        while chunk := list(islice(source, RECORDS_AT_ONCE if recorded else 1)):
            results = [run.issue(userid) for userid in chunk]
            if recorded:
                run.record(results)
            for result in results:
                if isinstance(result, IssuedUserSig):
                    run.count += 1
                else:
                    run.refused += 1
                yield result
    finally:
        run.close()


class _Run:
    def __init__(
        self, application: ServedApplication, expire: int | None, origin: Origin, *, allow_reserved: bool
    ) -> None:
        self.environment = application.environment
        self.sdkappid = application.sdkappid
        self.signer = application.signer
        self.key_fingerprint = self.signer.key_fingerprint
        self.expire = application.expire if expire is None else expire
        self.origin = origin
        self.allow_reserved = allow_reserved
        self.rule = conf.userid_rule
        self.reserved = conf.reserved_userids
        self.reserved_asked: set[str] = set()
        self.count = self.refused = 0
        self.set_clock(read_clock())
        self.began_at = self.issued_at

    def set_clock(self, now: int) -> None:
        self.now = now
        self.issued_at = datetime.fromtimestamp(now, UTC)
        self.expires_at = datetime.fromtimestamp(now + self.expire, UTC)

    def issue(self, userid: str) -> IssuedUserSig | Refusal:
        try:
            check_userid(userid, self.rule)
            if userid.casefold() in self.reserved:
                self.reserved_asked.add(userid.casefold())
                if not self.allow_reserved:
                    check_not_reserved(userid)
        except (InvalidInput, UserIDReserved) as error:
            return error
        now = read_clock()
        if now != self.now:
            self.set_clock(now)
        return IssuedUserSig(
            self.environment,
            self.sdkappid,
            userid,
            self.signer.sign(userid, expire=self.expire, now=now),
            self.expire,
            self.issued_at,
            self.expires_at,
            self.key_fingerprint,
        )

    def record(self, results: Iterable[IssuedUserSig | Refusal]) -> None:
        row = replace(self.event(), kind=audit.USERSIG)
        audit.record_rows(
            (
                replace(row, userid=result.userid, issued_at=result.issued_at)
                for result in results
                if isinstance(result, IssuedUserSig)
            ),
            self.origin,
        )

    def event(self) -> Event:
        return Event(
            kind=audit.USERSIG_BATCH,
            environment=self.environment,
            sdkappid=self.sdkappid,
            expire=self.expire,
            key_fingerprint=self.key_fingerprint,
            issued_at=self.began_at,
        )

    def close(self) -> None:
        audit.record_batch(
            self.event(), self.origin, count=self.count, refused=self.refused, reserved=self.reserved_asked
        )
        usersig_issued.send_robust(
            sender=IssuedBatch,
            issued=IssuedBatch(
                environment=self.environment,
                sdkappid=self.sdkappid,
                count=self.count,
                refused=self.refused,
                expire=self.expire,
                issued_at=self.began_at,
                key_fingerprint=self.key_fingerprint,
            ),
            user=self.origin.user,
            channel=self.origin.channel,
            request=self.origin.request,
        )
