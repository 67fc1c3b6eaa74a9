"""What the endpoints take and give, as plain data. Two comparisons a request: a DRF serializer in and out doubled
its cost (DESIGN 8)."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from usersig_django.conf import MIN_EXPIRE
from usersig_django.exceptions import InvalidInput
from usersig_django.issuing import IssuedPrivateMapKey, IssuedUserSig
from usersig_django.signing.private_map_key import check_room


class InvalidBody(Exception):
    """A body that is JSON and still not what the endpoint takes: a sentence for each field."""

    def __init__(self, code: str, fields: Mapping[str, str | Promise]) -> None:
        super().__init__(code)
        self.code = code
        self.fields = fields


def read_expire(body: Mapping[str, Any], maximum: int) -> int:
    """The validity asked for, in seconds; the maximum where none is."""
    _refuse_unknown(body, {"expire"})
    if "expire" not in body:
        return maximum
    expire = body["expire"]
    if type(expire) is not int or not MIN_EXPIRE <= expire <= maximum:
        sentence = _("A whole number of seconds from %(minimum)s to %(maximum)s.")
        raise InvalidBody("invalid", {"expire": sentence % {"minimum": MIN_EXPIRE, "maximum": maximum}})
    return expire


def read_room(body: Mapping[str, Any]) -> int | str:
    """The room asked for: `room_id` as an int, or `str_room_id` as a str."""
    _refuse_unknown(body, {"room_id", "str_room_id"})
    if len(body) != 1:
        sentence = _("Give either room_id or str_room_id.")
        raise InvalidBody("invalid", dict.fromkeys(("room_id", "str_room_id"), sentence))
    [(name, room)] = body.items()
    try:
        if type(room) is not (int if name == "room_id" else str):
            raise InvalidInput
        check_room(room)
    except InvalidInput:
        sentences = {
            "room_id": _("A whole number from 1 to 4294967294."),
            "str_room_id": _("Text of 1 to 64 bytes: letters, digits, spaces and the punctuation that TRTC allows."),
        }
        raise InvalidBody("invalid", {name: sentences[name]}) from None
    return room


def as_usersig_answer(issued: IssuedUserSig) -> dict[str, Any]:
    return {
        "sdkappid": issued.sdkappid,
        "userid": issued.userid,
        "usersig": issued.usersig,
        "expire": issued.expire,
        "issued_at": as_text(issued.issued_at),
        "expires_at": as_text(issued.expires_at),
    }


def as_private_map_key_answer(issued: IssuedPrivateMapKey) -> dict[str, Any]:
    return {
        "sdkappid": issued.sdkappid,
        "userid": issued.userid,
        "private_map_key": issued.private_map_key,
        "room_id" if isinstance(issued.room, int) else "str_room_id": issued.room,
        "privileges": int(issued.privileges),
        "expire": issued.expire,
        "issued_at": as_text(issued.issued_at),
        "expires_at": as_text(issued.expires_at),
    }


def _refuse_unknown(body: Mapping[str, Any], known: set[str]) -> None:
    if unknown := body.keys() - known:
        raise InvalidBody("unknown_field", dict.fromkeys(sorted(unknown), _("This field is not known.")))


def as_text(moment: datetime) -> str:
    """RFC 3339 in UTC, whole seconds: `2026-11-20T20:00:00Z`."""
    return moment.isoformat().replace("+00:00", "Z")
