"""An application's keys, which operators manage in the admin and with `usersig_keys`."""

import uuid
from collections.abc import Iterable
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured, ValidationError
from django.db import models
from django.utils.translation import gettext, pgettext, pgettext_lazy
from django.utils.translation import gettext_lazy as _
from django.views.decorators.debug import sensitive_variables

from usersig_django.conf import ALGORITHMS, ECDSA_SHA256
from usersig_django.exceptions import InvalidKey, gettext_noop
from usersig_django.faults import translated
from usersig_django.rows import AnnouncedQuerySet, leave_alone
from usersig_django.sealed import SealedElsewhere, SealedQuerySet, SealedSecretField, is_sealed
from usersig_django.signing import EcdsaSha256Signer, HmacSha256Signer

# A key's fingerprint follows from them.
_FINGERPRINTED: Final = frozenset({"secret", "algorithm"})


class SigningKeyQuerySet(SealedQuerySet["SigningKey"], AnnouncedQuerySet["SigningKey"]):  # type: ignore[override]  # as the plugin types as_manager
    def bulk_create(self, objs: Iterable["SigningKey"], *args: Any, **kwargs: Any) -> list["SigningKey"]:
        objs, fields = list(objs), kwargs.get("update_fields")
        for key in objs:
            key.seal()
        if fields and not _FINGERPRINTED.isdisjoint(fields):
            kwargs["update_fields"] = sorted({*fields, "fingerprint"})
        created = super().bulk_create(objs, *args, **kwargs)
        for key in created:
            _secret_field().settle_in(key)
        return created

    def bulk_update(self, objs: Iterable["SigningKey"], fields: Iterable[str], batch_size: int | None = None) -> int:
        objs, fields = list(objs), set(fields)
        if not _FINGERPRINTED.isdisjoint(fields):
            fields.add("fingerprint")
            for key in objs:
                key.seal()
        updated = super().bulk_update(objs, sorted(fields), batch_size)
        for key in objs if "secret" in fields else ():
            _secret_field().settle_in(key)
        return updated

    def delete(self) -> tuple[int, dict[str, int]]:
        for key in self.select_related("application"):
            key.check_deletable()
        return super().delete()

    delete.alters_data = True  # type: ignore[attr-defined]  # Django's mark for templates
    delete.queryset_only = True  # type: ignore[attr-defined]


class SigningKey(models.Model):
    """One key of an application: staged, active, or retired."""

    # Before `secret`, which is sealed with it.
    uid = models.UUIDField(default=uuid.uuid4, editable=False)
    application = models.ForeignKey(
        "usersig_django.Application", on_delete=models.CASCADE, related_name="keys", verbose_name=_("application")
    )
    algorithm = models.CharField(
        _("algorithm"),
        max_length=20,
        choices=list(zip(ALGORITHMS, ("HMAC-SHA256", _("ECDSA-SHA256 (legacy)")), strict=True)),
        default=ALGORITHMS[0],
        help_text=_("HMAC-SHA256, unless the application is from before July 2019 and was never upgraded."),
    )
    secret = SealedSecretField(pgettext_lazy("signing key", "key"))
    fingerprint = models.CharField(_("fingerprint"), max_length=8, blank=True, editable=False)
    note = models.CharField(_("note"), max_length=200, blank=True)
    created_at = models.DateTimeField(pgettext_lazy("date", "created"), auto_now_add=True)
    activated_at = models.DateTimeField(pgettext_lazy("date", "activated"), null=True, editable=False)
    retired_at = models.DateTimeField(pgettext_lazy("date", "retired"), null=True, editable=False)

    objects = SigningKeyQuerySet.as_manager()

    class Meta:
        verbose_name = _("signing key")
        verbose_name_plural = _("signing keys")
        ordering = ("pk",)
        constraints = [models.UniqueConstraint(fields=["uid"], name="usersig_signingkey_uid")]

    def __str__(self) -> str:
        return f"{self.algorithm} {self.fingerprint or '?'}"

    def save(self, *args: Any, **kwargs: Any) -> None:
        """The times of a stored key are written where `update_fields` names them, and by `activate` and `retire`;
        its secret where it was assigned: saving an older instance undoes no re-encryption."""
        fields = kwargs.get("update_fields")
        sealed = fields is None or not _FINGERPRINTED.isdisjoint(fields)
        written, before = _secret_field().is_assigned(self), self.fingerprint
        if sealed:
            self.seal()
            kwargs["update_fields"] = fields and {*fields, "fingerprint"}
        left = {"activated_at", "retired_at"}
        if not written:
            left |= {"secret"} if self.fingerprint != before else {"secret", "fingerprint"}
        super().save(*args, **leave_alone(left, self, kwargs))
        if fields is None or "secret" in fields:
            _secret_field().settle_in(self)

    def delete(self, *args: Any, **kwargs: Any) -> tuple[int, dict[str, int]]:
        """Raises ProtectedError unless the key is retired and not active."""
        self.check_deletable()
        return super().delete(*args, **kwargs)

    def clean(self) -> None:
        try:
            self.signer_fingerprint()
        except InvalidKey as error:
            raise ValidationError({"secret": translated(error)}) from None
        except ImproperlyConfigured:
            # A row that cannot be read must still take another note, or a new key.
            pass

    def check_deletable(self) -> None:
        if not self._state.adding and not self.is_deletable:
            raise models.ProtectedError(gettext("Only a retired key can be deleted."), {self})

    @property
    def is_active(self) -> bool:
        return self.application.active_key_id is not None and self.application.active_key_id == self.pk

    @property
    def state(self) -> str:
        """For people."""
        if self.retired_at:
            return pgettext("key state", "retired")
        return pgettext("key state", "active") if self.is_active else pgettext("key state", "staged")

    @property
    def is_deletable(self) -> bool:
        return self.retired_at is not None and not self.is_active

    def activate(self, *, by: str = "") -> bool:
        """As `Application.activate`."""
        return self.application.activate(self, by=by)

    def retire(self, *, by: str = "") -> bool:
        """As `Application.retire`."""
        return self.application.retire(self, by=by)

    def seal(self) -> None:
        """Encrypt the secret, and tell it from others; before the query, where a fault breaks the transaction. What
        cannot be read keeps the fingerprint it had; what is no key has none. Raises ImproperlyConfigured where the
        secret is to be written and is another row's: a copy with its own uid needs the key once more."""
        try:
            self.fingerprint = self.signer_fingerprint()
        except InvalidKey:
            self.fingerprint = ""
        except SealedElsewhere:
            if _secret_field().is_assigned(self):
                raise
        except ImproperlyConfigured:
            pass
        _secret_field().seal_in(self)

    @property
    def is_usable(self) -> bool:
        """Whether the secret opens, and is a key of the algorithm."""
        try:
            return bool(self.signer_fingerprint())
        except (InvalidKey, ImproperlyConfigured):
            return False

    @sensitive_variables()
    def signer_fingerprint(self) -> str:
        """The fingerprint, from the secret itself. Raises InvalidKey, and ImproperlyConfigured where it cannot
        be read."""
        if is_sealed(self.secret.reveal()):
            raise InvalidKey(gettext_noop("This is the ciphertext of a key, not the key."))
        if self.algorithm == ECDSA_SHA256:
            return EcdsaSha256Signer(sdkappid=1, private_key=self.secret.reveal()).key_fingerprint
        return HmacSha256Signer(sdkappid=1, secret_key=self.secret.reveal()).key_fingerprint


def _secret_field() -> SealedSecretField:
    return SigningKey._meta.get_field("secret")
