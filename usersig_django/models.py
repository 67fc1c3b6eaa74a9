"""Applications, which operators manage in the admin and with `usersig_keys`, and every other model of this app."""

import logging
from typing import Any, Literal

from django.core.exceptions import ImproperlyConfigured
from django.core.validators import MaxValueValidator, MinValueValidator, RegexValidator
from django.db import models, router, transaction
from django.utils import timezone
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from usersig_django.conf import MAX_EXPIRE, MIN_EXPIRE, REGIONS
from usersig_django.exceptions import InvalidInput, UserSigError, gettext_noop
from usersig_django.keys import SigningKey
from usersig_django.records import IssuedRecord, Revocation
from usersig_django.rows import AnnouncedQuerySet, leave_alone

__all__ = ["Application", "IssuedRecord", "Revocation", "SigningKey"]

audit_logger = logging.getLogger("usersig_django.audit")

_PLACES = (_("China"), _("Singapore"), _("Seoul"), _("Tokyo"), _("Frankfurt"), _("Silicon Valley"), _("Jakarta"))


class ApplicationQuerySet(AnnouncedQuerySet["Application"]):
    pass


class Application(models.Model):
    """The SDKAppID that an environment of this project signs for."""

    environment = models.CharField(
        _("environment"),
        max_length=50,
        validators=[RegexValidator(r"\A[a-z0-9_-]{1,50}\Z", _("Use only a-z, 0-9, _ and -."))],
        help_text=_('What USERSIG["ENVIRONMENT"] or a view names, as "production".'),
    )
    sdkappid = models.BigIntegerField(
        _("SDKAppID"),
        validators=[MinValueValidator(1), MaxValueValidator(2**32 - 1)],
        help_text=_("From the application's page in Tencent Cloud's console."),
    )
    name = models.CharField(_("name"), max_length=100, blank=True, help_text=_("For people; signs nothing."))
    region = models.CharField(
        _("region"),
        max_length=20,
        choices=list(zip(REGIONS, _PLACES, strict=True)),
        default=REGIONS[0],
        help_text=_("The data centre that was chosen when the application was created."),
    )
    expire = models.PositiveIntegerField(
        _("validity"),
        null=True,
        blank=True,
        validators=[MinValueValidator(MIN_EXPIRE), MaxValueValidator(MAX_EXPIRE)],
        help_text=_('Seconds for which a UserSig is valid; empty: as USERSIG["EXPIRE"].'),
    )
    is_active = models.BooleanField(
        _("enabled"), default=True, help_text=_("Without it nothing is issued, and the API answers 503.")
    )
    active_key = models.ForeignKey(
        "SigningKey",
        on_delete=models.SET_NULL,
        null=True,
        blank=True,
        editable=False,
        related_name="+",
        verbose_name=_("active key"),
    )
    created_at = models.DateTimeField(pgettext_lazy("date", "created"), auto_now_add=True)
    updated_at = models.DateTimeField(pgettext_lazy("date", "changed"), auto_now=True)

    objects = ApplicationQuerySet.as_manager()

    class Meta:
        verbose_name = _("application")
        verbose_name_plural = _("applications")
        ordering = ("environment",)
        permissions = [("issue_usersig", _("Can issue UserSigs for any UserID"))]
        constraints = [
            models.UniqueConstraint(
                fields=["environment"],
                name="usersig_application_environment",
                violation_error_message=_("This environment has an application already."),
            ),
            models.CheckConstraint(
                condition=models.Q(sdkappid__gte=1, sdkappid__lt=2**32),
                name="usersig_application_sdkappid",
                violation_error_message=_("The SDKAppID is out of range."),
            ),
        ]

    def __str__(self) -> str:
        return f"{self.environment} ({self.sdkappid})"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """A stored application's active key is written where `update_fields` names it, and by `activate` and
        `retire`: saving an older instance undoes no rotation."""
        super().save(*args, **leave_alone({"active_key"}, self, kwargs))

    def activate(self, key: SigningKey, *, by: str = "") -> bool:
        """Sign with this key from now on. Gives False where it was the active one already.

        `by`: who asks, for the audit line. Raises InvalidInput for another application's key and for a retired
        one, InvalidKey and ImproperlyConfigured for one that cannot sign.
        """
        return self._rotate("activate", key, by)

    def retire(self, key: SigningKey, *, by: str = "") -> bool:
        """Never sign or verify with this key again; an active one leaves the application without a key. Gives
        False where it was retired already. Raises InvalidInput for another application's key."""
        return self._rotate("retire", key, by)

    def _rotate(self, act: Literal["activate", "retire"], key: SigningKey, by: str) -> bool:
        """One act, alone: who else rotates this application waits. Every attempt is audited."""
        alias = router.db_for_write(Application, instance=self)
        outcome = "failed"
        try:
            with transaction.atomic(using=alias):
                applications = Application.objects.using(alias).filter(pk=self.pk)
                # A write first: it locks the row everywhere, and unlike SELECT FOR UPDATE on SQLite too.
                applications.update(active_key=models.F("active_key"))
                application = applications.select_for_update().first()
                keys = SigningKey.objects.using(alias).filter(pk=key.pk, application_id=self.pk)
                locked = keys.select_for_update().first()
                if application is None or locked is None:
                    raise InvalidInput(gettext_noop("This application has no such key."))
                changed = application._activate(locked) if act == "activate" else application._retire(locked)
                if changed:
                    # Saved and not updated: the signal makes the signers forget the old key.
                    application.save(using=alias, update_fields=["active_key", "updated_at"])
                    locked.save(using=alias, update_fields=["activated_at", "retired_at"])
            outcome = "done" if changed else "unchanged"
        except (UserSigError, ImproperlyConfigured):
            outcome = "refused"
            raise
        finally:
            line = "key %s %s actor=%r environment=%r key=%s fingerprint=%r"
            audit_logger.info(line, act, outcome, by, self.environment, key.pk, key.fingerprint)
        self.active_key, key.application = application.active_key, self
        key.activated_at, key.retired_at = locked.activated_at, locked.retired_at
        return changed

    def _activate(self, key: SigningKey) -> bool:
        if key.retired_at:
            raise InvalidInput(gettext_noop("A retired key cannot be activated: add it again if it must sign."))
        key.signer_fingerprint()
        if self.active_key_id == key.pk:
            return False
        self.active_key = key
        key.activated_at = timezone.now()
        return True

    def _retire(self, key: SigningKey) -> bool:
        if self.active_key_id == key.pk:
            self.active_key = None
        elif key.retired_at:
            return False
        key.retired_at = key.retired_at or timezone.now()
        return True
