"""The doctor: looks at everything that signing needs, as it stands in this deployment (DESIGN 6)."""

import time
from collections.abc import Iterable, Iterator
from datetime import UTC, datetime
from typing import Any, NamedTuple

from django.core import checks
from django.core.cache import cache
from django.core.exceptions import ImproperlyConfigured
from django.core.management.base import CommandError, CommandParser
from django.db import Error as DatabaseFault
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from usersig_django.applications import get_application, get_environments, is_overridden
from usersig_django.conf import conf
from usersig_django.exceptions import InvalidKey, UserSigError
from usersig_django.faults import translated
from usersig_django.issuing import EARLIEST_NOW
from usersig_django.management.base import FAULT, UsersigCommand
from usersig_django.models import SigningKey

USERID = "check_usersig"
PROBE = "usersig_check"


class Finding(NamedTuple):
    """`good`: True, False, or None for what only somebody who knows the deployment can judge."""

    good: bool | None
    subject: str
    text: str


class Command(UsersigCommand):
    help = gettext_lazy("Look at settings, keys, clock and cache, and sign and verify with every environment.")
    # Their findings are among those below, and a fault in one must not hide the others.
    requires_system_checks = ()

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        parser.add_argument("--environment", help=_("the one environment to look at; default: all of them"))

    def handle(self, *args: Any, environment: str | None, **options: Any) -> None:
        findings = [*_settings(), *_clock(), *_cache(), *_keys(environment), *_signing(environment)]
        marks = {
            True: self.style.SUCCESS(_("ok  ")),
            False: self.style.ERROR(_("FAIL")),
            None: self.style.WARNING(_("look")),
        }
        for good, subject, text in findings:
            self.stdout.write(f"{marks[good]}  {subject}: {text}")
        failed = sum(good is False for good, _subject, _text in findings)
        if failed:
            raise CommandError(_("%(n)s of %(all)s failed.") % {"n": failed, "all": len(findings)}, returncode=FAULT)


def _settings() -> Iterator[Finding]:
    messages = [message for message in checks.run_checks() if str(message.id).startswith("usersig.")]
    for message in messages:
        yield Finding(None if message.level < checks.ERROR else False, _("settings"), f"{message.id} {message.msg}")
    if not messages:
        yield Finding(True, _("settings"), _("no objections"))


def _clock() -> Iterator[Finding]:
    now = int(time.time())
    moment = f"{datetime.fromtimestamp(now, UTC):%Y-%m-%d %H:%M:%S} UTC"
    yield Finding(now >= EARLIEST_NOW, _("clock"), moment)


def _cache() -> Iterator[Finding]:
    try:
        cache.delete(PROBE)
        cache.add(PROBE, 1, timeout=10)
        good = cache.incr(PROBE) == 2
    except Exception as error:  # noqa: BLE001  # each cache backend raises its own
        yield Finding(
            False, _("cache"), _("failed (%(type)s): nobody is throttled.") % {"type": type(error).__qualname__}
        )
    else:
        yield Finding(good, _("cache"), _("counts") if good else _("does not count: nobody is throttled."))


def _keys(environment: str | None) -> Iterator[Finding]:
    """Every key in the database: it opens, it is a key, and the fingerprint beside it is its own."""
    try:
        keys = list(SigningKey.objects.select_related("application"))
    except DatabaseFault as error:
        yield Finding(False, _("database"), translated(error).strip())
        return
    for key in keys:
        if environment not in (None, key.application.environment):
            continue
        subject = _("key %(number)s of %(application)s") % {"number": key.pk, "application": key.application}
        try:
            good = key.signer_fingerprint() == key.fingerprint
        except (InvalidKey, ImproperlyConfigured) as error:
            yield Finding(None if key.retired_at else False, subject, translated(error))
        else:
            text = f"{key} ({key.state})" if good else _("the fingerprint beside it is another key's")
            yield Finding(good, subject, text)


def _signing(only: str | None) -> Iterator[Finding]:
    try:
        environments: Iterable[str] = [only] if only else get_environments()
        own = conf.environment
    except (ImproperlyConfigured, DatabaseFault) as error:
        yield Finding(False, _("environments"), translated(error).strip())
        return
    for environment in environments:
        subject = _("environment %(environment)s") % {"environment": environment}
        try:
            application = get_application(environment)
            signer = application.signer
            signer.verify(signer.sign(USERID, expire=60), userid=USERID)
        except (UserSigError, ImproperlyConfigured, DatabaseFault) as error:
            # An application that is still being set up is no fault, unless this deployment is to sign for it.
            yield Finding(False if environment in (own, only) else None, subject, translated(error).strip())
        else:
            source = _("settings") if is_overridden(environment) else _("database")
            yield Finding(
                True,
                subject,
                _("SDKAppID %(sdkappid)s, %(algorithm)s key %(fingerprint)s from %(source)s signs and verifies")
                % {
                    "sdkappid": application.sdkappid,
                    "algorithm": signer.algorithm,
                    "fingerprint": signer.key_fingerprint,
                    "source": source,
                },
            )
