"""Take every UserSig of one UserID back (DESIGN 6)."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any, Final

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from usersig_django.audit import Origin
from usersig_django.eligibility import get_userid
from usersig_django.exceptions import RevocationFailed, SigningUnavailable
from usersig_django.faults import translated
from usersig_django.management.base import FAULT, USAGE, UsersigCommand
from usersig_django.management.users import find_user
from usersig_django.models import Revocation
from usersig_django.revocation import refuse_usersigs, tell_tencent
from usersig_django.serializers import as_text

ORIGIN: Final = Origin(channel="command")


class Command(UsersigCommand):
    help = gettext_lazy("Take back every UserSig that one UserID holds. Doing it twice does no harm.")

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("userid", nargs="?", metavar="USERID", help=_("put -- before one that begins with a dash"))
        parser.add_argument("--user", metavar="USERNAME", help=_("a user of this project, through USERID_RESOLVER"))
        parser.add_argument(
            "--pending", action="store_true", help=_("everything that Tencent could not be told until now")
        )
        parser.add_argument("--environment", help=_("default: USERSIG['ENVIRONMENT']"))
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        if [options["userid"] is not None, options["user"] is not None, options["pending"]].count(True) != 1:
            raise CommandError(_("Give exactly one of USERID, --user and --pending."), returncode=USAGE)
        pending: Iterable[Revocation]
        if options["pending"]:
            everywhere = Revocation.objects.filter(is_pending=True).order_by("pk")
            environment = options["environment"]
            pending = everywhere if environment is None else everywhere.filter(environment=environment)
        else:
            # An inactive user's too: those are the ones to take back.
            userid = options["userid"] if options["user"] is None else get_userid(find_user(options["user"]))
            pending = [refuse_usersigs(userid, environment=options["environment"], origin=ORIGIN)]
        failed = sum(not self._tell(revocation, options["format"]) for revocation in pending)
        if failed:
            message = _("Tencent was not told of %(failed)d, which are refused here. Later: revoke_usersig --pending")
            raise CommandError(message % {"failed": failed}, returncode=FAULT)

    def _tell(self, revocation: Revocation, format: str) -> bool:  # noqa: A002  # the option's name
        try:
            tell_tencent(revocation, origin=ORIGIN)
        except (RevocationFailed, SigningUnavailable) as error:
            hint = _(error.hint) if isinstance(error, RevocationFailed) and error.hint else ""
            self.stderr.write(f"{revocation.userid}: {translated(error)} {hint}".rstrip())
            return False
        answer = {
            "environment": revocation.environment,
            "sdkappid": revocation.sdkappid,
            "userid": revocation.userid,
            "revoked_at": as_text(datetime.fromtimestamp(revocation.instant, UTC)),
        }
        if format == "json":
            self.stdout.write(json.dumps(answer))
        else:
            sentence = _("UserSigs of %(userid)s (SDKAppID %(sdkappid)s) from before %(revoked_at)s are refused.")
            self.stdout.write(sentence % answer)
        return True
