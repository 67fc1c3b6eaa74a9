"""A UserSig or a PrivateMapKey for one UserID, or UserSigs for a file of them (DESIGN 6)."""

import json
import shlex
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, ExitStack, closing, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any, BinaryIO, Final, TypeVar

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from usersig_django import audit
from usersig_django.audit import Event, Origin
from usersig_django.batch import issue_batch
from usersig_django.eligibility import check_user, get_userid
from usersig_django.issuing import (
    issue_private_map_key_for_userid,
    issue_usersig_for_userid,
)
from usersig_django.management.base import SOME_FAILED, USAGE, UsersigCommand
from usersig_django.management.batch import BATCH_FORMATS, Report, UserIDRows, whole_file, write_rows
from usersig_django.management.options import is_decimal, read_number, read_room, standard_input
from usersig_django.management.users import find_user
from usersig_django.serializers import as_private_map_key_answer, as_usersig_answer
from usersig_django.signing import Privilege

ORIGIN: Final = Origin(channel="command")
ONLY_WITH_BATCH: Final = ("column", "output", "overwrite")
ONLY_WITHOUT_BATCH: Final = ("room_id", "str_room_id", "privileges")

Found = TypeVar("Found")


def as_text(answer: Mapping[str, Any]) -> str:
    return str(answer["usersig"] if "usersig" in answer else answer["private_map_key"])


def as_env(answer: Mapping[str, Any]) -> str:
    """Lines for a shell's `eval`."""
    return "\n".join(
        f"{'USERSIG' if name == 'usersig' else 'USERSIG_' + name.upper()}={shlex.quote(str(value))}"
        for name, value in answer.items()
        if name != "issued_at"
    )


FORMATS: Final[dict[str, Callable[[Mapping[str, Any]], str]]] = {
    "text": as_text,
    "json": json.dumps,
    "env": as_env,
}


class Command(UsersigCommand):
    help = gettext_lazy("Print a UserSig or a PrivateMapKey for one UserID, or UserSigs for a file of them.")

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("userid", nargs="?", metavar="USERID", help=_("put -- before one that begins with a dash"))
        parser.add_argument("--user", metavar="USERNAME", help=_("a user of this project, through USERID_RESOLVER"))
        parser.add_argument(
            "--batch", metavar="FILE", help=_("a UserID on each line, or CSV with --column; - is standard input")
        )
        parser.add_argument("--environment", help=_("default: USERSIG['ENVIRONMENT']"))
        parser.add_argument(
            "--expire", metavar="SECONDS", help=_("seconds of validity, 60..315360000; default: as configured")
        )
        parser.add_argument(
            "--format",
            choices=(*FORMATS, *BATCH_FORMATS),
            help=_("text (default), json or env; with --batch csv (default) or jsonl"),
        )
        parser.add_argument(
            "--allow-reserved", action="store_true", help=_("sign for an administrator's UserID as well")
        )
        room = parser.add_mutually_exclusive_group()
        room.add_argument("--room-id", metavar="N", help=_("a PrivateMapKey for this numeric room"))
        room.add_argument("--str-room-id", metavar="S", help=_("a PrivateMapKey for this string room"))
        parser.add_argument(
            "--privileges",
            metavar="audience|all|NAMES|INT",
            help=_(
                "what its holder may do in that room; names with commas between, as enter_room,receive_audio; "
                "default: audience"
            ),
        )
        parser.add_argument("--column", metavar="NAME", help=_("with --batch: the UserIDs' column of a CSV file"))
        parser.add_argument("--output", metavar="FILE", help=_("with --batch: a new file, readable by you alone"))
        parser.add_argument("--overwrite", action="store_true", help=_("let --output replace a file"))

    def handle(self, *args: Any, **options: Any) -> None:
        if sum(options[name] is not None for name in ("userid", "user", "batch")) != 1:
            raise CommandError(_("Give exactly one of USERID, --user and --batch."), returncode=USAGE)
        expire = options["expire"]
        options["expire"] = None if expire is None else read_number("--expire", expire)
        if options["batch"] is None:
            refuse(options, ONLY_WITH_BATCH, _("%(option)s needs --batch."))
            self._issue_one(options)
        else:
            refuse(options, ONLY_WITHOUT_BATCH, _("%(option)s does not go with --batch."))
            if options["output"] is None:
                refuse(options, ("overwrite",), _("%(option)s needs --output."))
            elif not options["output"]:
                raise CommandError(_("--output names no file."), returncode=USAGE)
            self._issue_batch(options)

    def _issue_one(self, options: Mapping[str, Any]) -> None:
        write = find_format(FORMATS, options["format"] or "text")
        common = {name: options[name] for name in ("environment", "expire", "allow_reserved")}
        room = read_room(options)
        if room is None:
            refuse(options, ("privileges",), _("%(option)s needs --room-id or --str-room-id."))
            userid = find_userid(options, Event(audit.USERSIG))
            answer = as_usersig_answer(issue_usersig_for_userid(userid, origin=ORIGIN, **common))
        else:
            privileges = read_privileges("audience" if options["privileges"] is None else str(options["privileges"]))
            userid = find_userid(options, Event(audit.PRIVATE_MAP_KEY, room=room, privileges=privileges))
            issued = issue_private_map_key_for_userid(
                userid, room=room, privileges=privileges, origin=ORIGIN, **common
            )
            answer = as_private_map_key_answer(issued)
        self.stdout.write(write(answer))

    def _issue_batch(self, options: Mapping[str, Any]) -> None:
        start = find_format(BATCH_FORMATS, options["format"] or "csv")
        output = options["output"]
        with ExitStack() as stack:
            source = stack.enter_context(open_source(options["batch"]))
            # A bar between the rows of one terminal would be no bar.
            shown = bool(output) or not self.stdout.isatty()
            report = stack.enter_context(closing(Report(source, self.stderr, shown=shown)))
            rows = UserIDRows(source, options["column"], report)
            common = {name: options[name] for name in ("environment", "expire", "allow_reserved")}
            results = stack.enter_context(closing(issue_batch(rows, origin=ORIGIN, **common)))
            target = whole_file(Path(output), overwrite=options["overwrite"]) if output else nullcontext(self.stdout)
            write_rows(results, rows, start(stack.enter_context(target)), report)
        self.stdout.flush()
        if report.failed:
            raise CommandError(
                _("%(failed)d of %(count)d rows gave no UserSig.") % {"failed": report.failed, "count": report.count},
                returncode=SOME_FAILED,
            )


def refuse(options: Mapping[str, Any], names: tuple[str, ...], sentence: str) -> None:
    for name in names:
        # `is`: an empty value, as of a variable that is not set, was given all the same.
        if options[name] is not None and options[name] is not False:
            raise CommandError(sentence % {"option": f"--{name.replace('_', '-')}"}, returncode=USAGE)


def find_format(formats: Mapping[str, Found], name: str) -> Found:
    if name not in formats:
        message = _("--format must be one of %(names)s here.") % {"names": ", ".join(formats)}
        raise CommandError(message, returncode=USAGE)
    return formats[name]


def read_privileges(text: str) -> int:
    if is_decimal(text):
        return int(text)
    privileges = Privilege(0)
    for name in text.split(","):
        known = Privilege.__members__.get(name.strip().upper().replace("-", "_"))
        if known is None:
            names = ", ".join(name.lower() for name in Privilege.__members__)
            message = _("--privileges takes a number of 1..255 or some of: %(names)s.") % {"names": names}
            raise CommandError(message, returncode=USAGE)
        privileges |= known
    return privileges


def find_userid(options: Mapping[str, Any], asked: Event) -> str:
    """The UserID given, or what the resolver maps the user given to; a refusal of that is audited."""
    if options["userid"] is not None:
        return str(options["userid"])
    user = find_user(options["user"])
    asked = replace(asked, environment=options["environment"] or "", expire=options["expire"])
    with audit.refusals_recorded(asked, ORIGIN):
        check_user(user)
        return get_userid(user)


def open_source(batch: str) -> AbstractContextManager[BinaryIO]:
    if batch == "-":
        return nullcontext(standard_input().buffer)
    try:
        return Path(batch).open("rb")
    except OSError as error:
        raise CommandError(str(error), returncode=USAGE) from error
