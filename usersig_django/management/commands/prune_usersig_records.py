"""Old IssuedRecords go, a batch at a time, so that the table is never locked for long."""

from datetime import timedelta
from typing import Any

from django.core.management.base import CommandError, CommandParser
from django.db import router
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from usersig_django.management.base import USAGE, UsersigCommand
from usersig_django.models import IssuedRecord

MAX_DAYS = 36_500


class Command(UsersigCommand):
    help = gettext_lazy("Delete the records of what was issued more than so many days ago.")

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--older-than", type=int, required=True, metavar="DAYS")
        parser.add_argument(
            "--batch-size", type=int, default=1000, metavar="N", help=_("how many records each transaction deletes")
        )
        parser.add_argument("--dry-run", action="store_true", help=_("count the records and delete none"))

    def handle(self, *args: Any, older_than: int, batch_size: int, dry_run: bool, **options: Any) -> None:
        if not 0 <= older_than <= MAX_DAYS:
            message = _("--older-than must be from 0 to %(days)s days.") % {"days": MAX_DAYS}
            raise CommandError(message, returncode=USAGE)
        if batch_size < 1:
            raise CommandError(_("--batch-size must be at least 1."), returncode=USAGE)
        records = IssuedRecord.objects.using(router.db_for_write(IssuedRecord))
        old = records.filter(issued_at__lt=timezone.now() - timedelta(days=older_than))
        if dry_run:
            count = old.count()
            self.stdout.write(ngettext("%(n)s record is older.", "%(n)s records are older.", count) % {"n": count})
            return
        deleted = 0
        # Numbers first: neither SQLite nor PostgreSQL deletes with a LIMIT.
        while pks := list(old.order_by("issued_at").values_list("pk", flat=True)[:batch_size]):
            deleted += records.filter(pk__in=pks).delete()[0]
        self.stdout.write(ngettext("%(n)s record deleted.", "%(n)s records deleted.", deleted) % {"n": deleted})
