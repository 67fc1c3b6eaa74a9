"""One line per issue and per refusal, and with `AUDIT_TO_DATABASE` a record per issue. Never the token."""

import logging
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from django.http import HttpRequest
from django.utils import timezone

from usersig_django.conf import conf
from usersig_django.exceptions import IssuingRefused
from usersig_django.faults import Misconfigured
from usersig_django.models import IssuedRecord

logger = logging.getLogger("usersig_django.audit")

USERSIG: Final = "usersig"
PRIVATE_MAP_KEY: Final = "private_map_key"
USERSIG_BATCH: Final = "usersig_batch"


@dataclass(frozen=True, slots=True)
class Origin:
    """Who asks, and by which way: `channel` is api, command, admin or python."""

    channel: str = "python"
    user: Any = None
    address: str = ""
    request: HttpRequest | None = None


@dataclass(frozen=True, slots=True)
class Event:
    """What was issued, or asked for and refused. What a refusal did not get to know stays empty."""

    kind: str
    environment: str = ""
    sdkappid: int | None = None
    userid: str = ""
    room: int | str | None = None
    privileges: int | None = None
    expire: int | None = None
    key_fingerprint: str = ""
    issued_at: datetime | None = None


def is_on() -> bool:
    """Whether an issue leaves any trace: nothing is put together for a line that nobody reads."""
    return conf.audit_to_database or logger.isEnabledFor(logging.INFO)


def record_issued(event: Event, origin: Origin) -> None:
    """The line, after the record: where the record cannot be written, nothing was issued."""
    if conf.audit_to_database:
        _record(event, origin).save(force_insert=True)
    if logger.isEnabledFor(logging.INFO):
        logger.info("issued %s", _line(event, origin))


def record_revoked(event: Event, origin: Origin) -> None:
    """The line of a revocation, whatever Tencent then says."""
    if logger.isEnabledFor(logging.INFO):
        logger.info("revoked %s", _line(event, origin))


def record_rows(events: Iterable[Event], origin: Origin) -> None:
    """The records of UserSigs that share one line."""
    IssuedRecord.objects.bulk_create([_record(event, origin) for event in events])


def record_batch(event: Event, origin: Origin, *, count: int, refused: int, reserved: Iterable[str]) -> None:
    """The line of a whole run: how many UserSigs, how many refusals, and which reserved UserIDs were asked for."""
    if logger.isEnabledFor(logging.INFO):
        counts = f"count={count} refused={refused} reserved={_field(','.join(sorted(reserved)))}"
        logger.info("issued %s %s", _line(event, origin), counts)


def record_refused(code: str, event: Event, origin: Origin) -> None:
    if logger.isEnabledFor(logging.INFO):
        logger.info("refused code=%s %s", code, _line(event, origin))


@contextmanager
def refusals_recorded(event: Event, origin: Origin) -> Iterator[None]:
    try:
        yield
    except IssuingRefused as refused:
        record_refused(refused.code, event, origin)
        raise


def _record(event: Event, origin: Origin) -> IssuedRecord:
    fields: dict[str, Any] = {
        "user": _actor(origin)[:255],
        "userid": event.userid,
        "sdkappid": event.sdkappid,
        "environment": event.environment,
        "kind": event.kind,
        "room_kind": _room_kind(event.room),
        "room": "" if event.room is None else str(event.room),
        "privileges": event.privileges,
        "expire": event.expire,
        "channel": origin.channel,
        "address": origin.address[:200],
        "issued_at": event.issued_at,
        "key_fingerprint": event.key_fingerprint,
    }
    return IssuedRecord(**fields)


def _line(event: Event, origin: Origin) -> str:
    fields = {
        "time": (event.issued_at or timezone.now()).isoformat(timespec="seconds"),
        "actor": _actor(origin),
        "userid": event.userid,
        "sdkappid": event.sdkappid,
        "environment": event.environment or _default_environment(),
        "kind": event.kind,
        _room_kind(event.room) or "room": event.room,
        "privileges": event.privileges,
        "expire": event.expire,
        "channel": origin.channel,
        "address": origin.address,
        "key": event.key_fingerprint,
    }
    return " ".join(f"{name}={_field(value)}" for name, value in fields.items())


def _default_environment() -> str:
    try:
        return conf.environment
    except Misconfigured:
        return ""


def _actor(origin: Origin) -> str:
    """The user's primary key as text: what stays true when the user is renamed or deleted."""
    pk = getattr(origin.user, "pk", None)
    return "" if pk is None else str(pk)


def _room_kind(room: int | str | None) -> str:
    if room is None:
        return ""
    return "room_id" if isinstance(room, int) else "str_room_id"


def _field(value: object) -> str:
    """One field of the line: `-` where there is nothing; a value that could be read as two fields, or move the
    cursor, comes quoted and escaped."""
    text = "" if value is None else str(int(value) if isinstance(value, int) else value)
    if not text:
        return "-"
    if text.isascii() and text.isprintable() and not set(text) & set(" \"'\\="):
        return text
    return '"' + text.encode("unicode_escape").decode("ascii").replace('"', '\\"') + '"'
