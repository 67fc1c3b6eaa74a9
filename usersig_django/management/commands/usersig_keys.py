"""Applications and their keys without the admin (DESIGN 6)."""

import json
import logging
from argparse import ArgumentParser
from collections.abc import Collection
from typing import Any

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.core.management.base import CommandError, CommandParser
from django.db import router, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy, ngettext

from usersig_django.applications import get_state
from usersig_django.conf import ALGORITHMS, REGIONS
from usersig_django.faults import translated
from usersig_django.management.base import FAULT, USAGE, UsersigCommand
from usersig_django.management.options import read_secret
from usersig_django.models import Application, SigningKey
from usersig_django.sealed import key_ring, reseal

ACTOR = "command"

audit_logger = logging.getLogger("usersig_django.audit")


class Command(UsersigCommand):
    help = gettext_lazy("Manage the SDKAppIDs and keys in the database. A secret is read, never given as an argument.")

    def add_arguments(self, parser: CommandParser) -> None:
        super().add_arguments(parser)
        acts = parser.add_subparsers(dest="act", required=True, metavar="list|add|activate|retire|...")
        listing = acts.add_parser("list", help=_("applications, their state, their keys"))
        listing.add_argument("--environment", help=_("the one environment to list; default: all of them"))
        listing.add_argument("--format", choices=("text", "json"), default="text")
        self._add_add_arguments(acts.add_parser("add", help=_("add a key, and its application where it is missing")))
        for act, text in (
            ("activate", _("sign with this key from now on")),
            ("retire", _("never sign or verify with this key again")),
        ):
            rotating = acts.add_parser(act, help=text)
            rotating.add_argument(
                "key", metavar="KEY", help=_("the key's number or fingerprint, as `list` shows them")
            )
            rotating.add_argument("--environment", help=_("the environment that the key must belong to"))
        for act, text in (
            ("enable", _("let an application sign")),
            ("disable", _("stop an application; its keys stay")),
        ):
            switching = acts.add_parser(act, help=text)
            switching.add_argument("environment", metavar="ENVIRONMENT")
        renewing = acts.add_parser("reencrypt", help=_("encrypt every secret with the first of ENCRYPTION_KEYS"))
        renewing.add_argument("--dry-run", action="store_true", help=_("say what would be done"))

    def _add_add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--environment", required=True)
        parser.add_argument(
            "--sdkappid", type=int, help=_("the application's SDKAppID; needed where the application is new")
        )
        parser.add_argument("--name", default="", help=_("a new application's name, for people"))
        parser.add_argument("--region", choices=REGIONS, default=REGIONS[0], help=_("a new application's data centre"))
        parser.add_argument(
            "--expire",
            type=int,
            help=_("seconds for which a new application's UserSigs are valid; default: as configured"),
        )
        parser.add_argument("--algorithm", choices=ALGORITHMS, default=ALGORITHMS[0])
        parser.add_argument("--note", default="", help=_("a note on the key, for people"))
        parser.add_argument("--activate", action="store_true", help=_("sign with the new key at once"))
        source = parser.add_mutually_exclusive_group()
        source.add_argument("--secret-file", metavar="PATH", help=_("read the secret from a file"))
        source.add_argument("--secret-env", metavar="NAME", help=_("read the secret from an environment variable"))

    def handle(self, *args: Any, act: str, **options: Any) -> None:
        getattr(self, f"_{act}")(**options)

    def _list(self, *, environment: str | None, format: str, **_options: Any) -> None:  # noqa: A002  # the option's name
        records = Application.objects.select_related("active_key").prefetch_related("keys")
        found = [record for record in records if environment in (None, record.environment)]
        if environment and not found:
            raise CommandError(_no_application(environment), returncode=USAGE)
        if format == "json":
            self.stdout.write(json.dumps([_as_json(record) for record in found], indent=2))
            return
        for record in found:
            self.stdout.write(f"{record.environment}  {record.sdkappid}  {record.region}  {get_state(record).label}")
            for key in record.keys.all():
                self.stdout.write(
                    f"  {key.pk:>4}  {key.algorithm:<12}  {key.fingerprint or '?':<8}  "
                    f"{key.state:<8}  {key.created_at:%Y-%m-%d}  {_on_one_line(key.note)}".rstrip()
                )

    def _add(self, *, environment: str, sdkappid: int | None, algorithm: str, activate: bool, **options: Any) -> None:
        # Before the secret is asked for.
        key_ring()
        secret = read_secret(options["secret_file"], options["secret_env"], self.stderr)
        with transaction.atomic(using=router.db_for_write(Application)):
            application, created = self._get_or_create(environment, sdkappid, options)
            key = SigningKey(application=application, algorithm=algorithm, note=options["note"], secret=secret)
            # Uncommitted, the application is not there yet for a replica that the form's query would ask.
            _clean(key, exclude={"application"})
            key.save()
        if created:
            self.stdout.write(_("Created the application %(application)s.") % {"application": application})
        self.stdout.write(
            _("Added key %(number)s (%(key)s) to %(application)s.")
            % {"number": key.pk, "key": key, "application": application}
        )
        if activate:
            self._rotate("activate", key)
        else:
            self.stdout.write(_("It does not sign yet: usersig_keys activate %(number)s") % {"number": key.pk})

    def _get_or_create(
        self, environment: str, sdkappid: int | None, options: dict[str, Any]
    ) -> tuple[Application, bool]:
        application = _find(environment)
        created = application is None
        if application is None:
            if sdkappid is None:
                message = _("No application in the database serves %(environment)s. Give --sdkappid to create it.")
                raise CommandError(message % {"environment": environment}, returncode=USAGE)
            application = Application(
                environment=environment,
                sdkappid=sdkappid,
                name=options["name"],
                region=options["region"],
                expire=options["expire"],
            )
            _clean(application)
            application.save()
        elif sdkappid not in (None, application.sdkappid):
            raise CommandError(
                _("%(environment)s has the SDKAppID %(sdkappid)s.")
                % {"environment": environment, "sdkappid": application.sdkappid},
                returncode=USAGE,
            )
        return application, created

    def _activate(self, *, key: str, environment: str | None, **_options: Any) -> None:
        self._rotate("activate", _find_key(key, environment))

    def _retire(self, *, key: str, environment: str | None, **_options: Any) -> None:
        self._rotate("retire", _find_key(key, environment))

    def _rotate(self, act: str, key: SigningKey) -> None:
        if act == "activate":
            changed = key.activate(by=ACTOR)
            done, unchanged = _("%(application)s signs with %(key)s now."), _("%(key)s is the active key already.")
        else:
            changed = key.retire(by=ACTOR)
            done, unchanged = _("%(key)s is retired."), _("%(key)s was retired already.")
        self.stdout.write((done if changed else unchanged) % {"application": key.application, "key": key})
        if key.application.active_key_id is None:
            self.stderr.write(_("%(application)s has no key to sign with now.") % {"application": key.application})

    def _enable(self, *, environment: str, **_options: Any) -> None:
        self._switch(environment, on=True)

    def _disable(self, *, environment: str, **_options: Any) -> None:
        self._switch(environment, on=False)

    def _switch(self, environment: str, *, on: bool) -> None:
        application = _find(environment)
        if application is None:
            raise CommandError(_no_application(environment), returncode=USAGE)
        application.is_active = on
        application.save(update_fields=["is_active", "updated_at"])
        audit_logger.info(
            "application %s actor=%r environment=%r", "enabled" if on else "disabled", ACTOR, environment
        )
        message = _("%(application)s is enabled.") if on else _("%(application)s is disabled.")
        self.stdout.write(message % {"application": application})

    def _reencrypt(self, *, dry_run: bool, **_options: Any) -> None:
        key_ring()
        alias = router.db_for_write(SigningKey)
        renewed = 0
        failures = []
        pks = list(SigningKey.objects.using(alias).values_list("pk", flat=True))
        for pk in pks:
            try:
                renewed += _reencrypt_row(alias, pk, dry_run=dry_run)
            except ImproperlyConfigured as error:
                failures.append(translated(error))
        template = (
            ngettext("%(n)s key would be re-encrypted", "%(n)s keys would be re-encrypted", renewed)
            if dry_run
            else ngettext("%(n)s key re-encrypted", "%(n)s keys re-encrypted", renewed)
        )
        done = template % {"n": renewed}
        self.stdout.write(
            _("%(done)s, %(n)s already under the first of ENCRYPTION_KEYS, %(failed)s unreadable.")
            % {"done": done, "n": len(pks) - renewed - len(failures), "failed": len(failures)}
        )
        if failures:
            raise CommandError("\n".join(failures), returncode=FAULT)


def _reencrypt_row(alias: str, pk: int, *, dry_run: bool) -> bool:
    """Each row in its own transaction, so that a run that was killed is simply run again."""
    with transaction.atomic(using=alias):
        key = SigningKey.objects.using(alias).select_for_update().filter(pk=pk).first()
        if key is None:
            return False
        sealed = str(vars(key)["secret"])
        renewed = reseal(sealed, key)
        if renewed is None or dry_run:
            return renewed is not None
        # Only what was read is replaced: on SQLite, which locks no row, somebody may have pasted a new secret.
        if SigningKey.objects.using(alias).filter(pk=pk, secret=sealed).update(secret=renewed):
            return True
    return _reencrypt_row(alias, pk, dry_run=dry_run)


def _find(environment: str) -> Application | None:
    # MariaDB folds case and pads when it compares.
    records = Application.objects.select_related("active_key").filter(environment=environment)
    return next((record for record in records if record.environment == environment), None)


def _find_key(text: str, environment: str | None) -> SigningKey:
    keys = SigningKey.objects.select_related("application__active_key")
    found = list(keys.filter(pk=int(text))) if text.isdecimal() and len(text) < 19 else []
    found = found or list(keys.filter(fingerprint=text.lower()))
    found = [key for key in found if environment in (None, key.application.environment)]
    if len(found) != 1:
        message = _("No such key: see usersig_keys list.") if not found else _("Several keys have this fingerprint.")
        raise CommandError(message, returncode=USAGE)
    return found[0]


def _no_application(environment: str) -> str:
    return _("No application in the database serves %(environment)s.") % {"environment": environment}


def _on_one_line(text: str) -> str:
    """What could move the cursor, or fake a row, comes escaped."""
    return "".join(letter if letter.isprintable() else repr(letter)[1:-1] for letter in text)


def _clean(record: Application | SigningKey, exclude: Collection[str] = ()) -> None:
    try:
        record.full_clean(exclude=exclude)
    except ValidationError as error:
        faults = [f"{field}: {' '.join(messages)}" for field, messages in error.message_dict.items()]
        raise CommandError("\n".join(faults), returncode=USAGE) from None


def _as_json(record: Application) -> dict[str, Any]:
    return {
        "environment": record.environment,
        "sdkappid": record.sdkappid,
        "region": record.region,
        "expire": record.expire,
        "state": get_state(record).name.lower(),
        "keys": [
            {
                "number": key.pk,
                "algorithm": key.algorithm,
                "fingerprint": key.fingerprint,
                "active": key.pk == record.active_key_id,
                "created_at": key.created_at.isoformat(),
                "retired_at": key.retired_at and key.retired_at.isoformat(),
                "note": key.note,
            }
            for key in record.keys.all()
        ],
    }
