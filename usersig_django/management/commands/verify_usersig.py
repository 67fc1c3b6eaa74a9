"""What a token holds, whether it is valid, and where to look when it is not (DESIGN 6)."""

import json
from datetime import UTC, datetime
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, pgettext

from usersig_django.diagnosis import diagnose
from usersig_django.faults import translated
from usersig_django.inspection import Inspection, inspect
from usersig_django.management.base import NOT_VERIFIED, USAGE, UsersigCommand
from usersig_django.management.options import read_room, standard_input
from usersig_django.signing import PrivateMapKeyClaims, UserSigClaims
from usersig_django.signing.codec import MAX_LENGTH
from usersig_django.signing.private_map_key import check_room


class Command(UsersigCommand):
    help = gettext_lazy(
        "Say what a UserSig or PrivateMapKey holds, and verify it. Exits with 4 where it is not valid."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("token", metavar="TOKEN", help=_("the token, or - for standard input"))
        parser.add_argument("--userid", help=_("the UserID that the token must be for"))
        parser.add_argument(
            "--environment", help=_("the environment whose keys verify; default: USERSIG['ENVIRONMENT']")
        )
        room = parser.add_mutually_exclusive_group()
        room.add_argument("--room-id", metavar="N", help=_("the numeric room that the token must be for"))
        room.add_argument("--str-room-id", metavar="S", help=_("the string room that the token must be for"))
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, token: str, format: str, **options: Any) -> None:  # noqa: A002  # the option's name
        room = read_room(options)
        if room is not None:
            check_room(room)
        text = _read_standard_input() if token == "-" else token  # noqa: S105  # no password
        inspection = inspect(text, userid=options["userid"], room=room, environment=options["environment"])
        answer = _as_json(inspection)
        if format == "json":
            self.stdout.write(json.dumps(answer, indent=2))
        else:
            for name, value in answer.items():
                if value is not None:
                    self.stdout.write(f"{name + ':':<14}{_as_text(value)}")
        if inspection.fault:
            raise CommandError(translated(inspection.fault), returncode=NOT_VERIFIED)


def _read_standard_input() -> str:
    try:
        # A line's end is the shell's; more than a token can have is refused as it comes.
        return standard_input().read(MAX_LENGTH + 2).rstrip("\r\n")
    except UnicodeDecodeError:
        raise CommandError(_("Standard input is not UTF-8 text."), returncode=USAGE) from None


def _as_json(inspection: Inspection) -> dict[str, Any]:
    """The members are always the same; what is not known, or does not apply, is None."""
    fault = inspection.fault
    code = fault.tencent_code if fault else None
    diagnosis = diagnose(code) if code else None
    return {
        "valid": fault is None,
        "kind": _kind(inspection),
        **_claims(inspection.claims),
        "fault": translated(fault) if fault else None,
        "tencent_code": code,
        "cause": _(diagnosis.cause) if diagnosis else None,
        "look_at": _(diagnosis.look_at) if diagnosis else None,
    }


def _kind(inspection: Inspection) -> str | None:
    if inspection.claims is None:
        return None
    return "private_map_key" if inspection.is_private_map_key else "usersig"


def _claims(claims: UserSigClaims | None) -> dict[str, Any]:
    key = claims if isinstance(claims, PrivateMapKeyClaims) else None
    return {
        "sdkappid": claims and claims.sdkappid,
        "userid": claims and claims.userid,
        "room_id": key.room if key and isinstance(key.room, int) else None,
        "str_room_id": key.room if key and isinstance(key.room, str) else None,
        "privileges": key and int(key.privileges),
        "issued_at": claims and _moment(claims.issued_at),
        "expire": claims and claims.expire,
        "expires_at": claims and _moment(claims.expires_at),
    }


def _moment(seconds: int) -> str | int:
    """As the HTTP answer has it; what no calendar holds, as the number it is."""
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (ValueError, OverflowError, OSError):
        return seconds


def _as_text(value: object) -> str:
    if isinstance(value, bool):
        return pgettext("valid", "yes") if value else pgettext("valid", "no")
    return str(value)
