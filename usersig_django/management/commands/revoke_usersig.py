"""Take every UserSig of one UserID back (DESIGN 6)."""

import json
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from usersig_django.audit import Origin
from usersig_django.eligibility import get_userid
from usersig_django.exceptions import RevocationFailed
from usersig_django.faults import translated
from usersig_django.management.base import FAULT, USAGE, UsersigCommand
from usersig_django.management.users import find_user
from usersig_django.revocation import revoke_usersigs_for_userid


class Command(UsersigCommand):
    help = gettext_lazy("Take back every UserSig that one UserID holds. Doing it twice does no harm.")

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("userid", nargs="?", metavar="USERID", help=_("put -- before one that begins with a dash"))
        parser.add_argument("--user", metavar="USERNAME", help=_("a user of this project, through USERID_RESOLVER"))
        parser.add_argument("--environment", help=_("default: USERSIG['ENVIRONMENT']"))
        parser.add_argument("--format", choices=("text", "json"), default="text")

    def handle(self, *args: Any, **options: Any) -> None:
        if (options["userid"] is None) == (options["user"] is None):
            raise CommandError(_("Give either USERID or --user."), returncode=USAGE)
        # An inactive user's too: those are the ones to take back.
        userid = options["userid"] if options["user"] is None else get_userid(find_user(options["user"]))
        try:
            revoked = revoke_usersigs_for_userid(
                userid, environment=options["environment"], origin=Origin(channel="command")
            )
        except RevocationFailed as error:
            message = (
                _("%(fault)s %(hint)s Here they are refused already; run this again for Tencent.")
                if error.hint
                else _("%(fault)s Here they are refused already; run this again for Tencent.")
            )
            text = message % {"fault": translated(error), "hint": _(error.hint)}
            raise CommandError(text, returncode=FAULT) from error
        answer = {
            "environment": revoked.environment,
            "sdkappid": revoked.sdkappid,
            "userid": revoked.userid,
            "revoked_at": revoked.revoked_at.isoformat().replace("+00:00", "Z"),
        }
        if options["format"] == "json":
            self.stdout.write(json.dumps(answer))
        else:
            sentence = _("UserSigs of %(userid)s (SDKAppID %(sdkappid)s) from before %(revoked_at)s are refused.")
            self.stdout.write(sentence % answer)
