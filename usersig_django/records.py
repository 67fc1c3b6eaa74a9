"""What was issued, and what was taken back."""

import hashlib
import time

from django.db import connections, models, router
from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy


class IssuedRecord(models.Model):
    """One UserSig or PrivateMapKey that was issued; never the token."""

    KINDS = [("usersig", _("UserSig")), ("private_map_key", _("PrivateMapKey"))]
    ROOM_KINDS = [("room_id", _("numeric room")), ("str_room_id", _("string room"))]
    CHANNELS = [("api", _("API")), ("command", _("command")), ("admin", _("admin")), ("python", _("Python"))]

    # Text and no foreign key: the user may live in another database, and the record outlives the user.
    user = models.CharField(_("user"), max_length=255, blank=True, help_text=_("Primary key of who asked."))
    userid = models.CharField(_("UserID"), max_length=32)
    sdkappid = models.BigIntegerField(_("SDKAppID"))
    environment = models.CharField(_("environment"), max_length=50)
    kind = models.CharField(_("kind"), max_length=20, choices=KINDS)
    room_kind = models.CharField(_("kind of room"), max_length=20, choices=ROOM_KINDS, blank=True)
    room = models.CharField(pgettext_lazy("TRTC", "room"), max_length=64, blank=True)
    privileges = models.PositiveSmallIntegerField(_("privileges"), null=True, blank=True)
    expire = models.PositiveIntegerField(_("validity"), help_text=_("Seconds."))
    channel = models.CharField(_("channel"), max_length=20, choices=CHANNELS)
    address = models.CharField(pgettext_lazy("network", "address"), max_length=200, blank=True)
    issued_at = models.DateTimeField(pgettext_lazy("date", "issued"), db_index=True)
    key_fingerprint = models.CharField(_("key fingerprint"), max_length=8)

    class Meta:
        verbose_name = _("issued record")
        verbose_name_plural = _("issued records")
        ordering = ("-issued_at", "-pk")
        default_permissions = ("view",)
        indexes = [
            models.Index(fields=["user"], name="usersig_record_user"),
            models.Index(fields=["userid"], name="usersig_record_userid"),
        ]

    def __str__(self) -> str:
        return f"{self.get_kind_display()} {self.userid}"


class RevocationQuerySet(models.QuerySet["Revocation"]):
    def revoke(self, environment: str, sdkappid: int, userid: str) -> "Revocation":
        """Refuse from now on what was issued for this UserID until now, this second included; pending until Tencent
        has been told. The instant never goes back."""
        rows = self.using(router.db_for_write(self.model))
        instant = int(time.time()) + 1
        asked = {"environment": environment, "userid": userid, "is_pending": True}
        found, created = rows.get_or_create(
            sdkappid=sdkappid, userid_sha256=_sha256(userid), defaults={"instant": instant, **asked}
        )
        if not created:
            rows.filter(pk=found.pk).update(**asked)
            rows.filter(pk=found.pk, instant__lt=instant).update(instant=instant)
            found.environment, found.instant, found.is_pending = environment, max(found.instant, instant), True
        return found

    def settle(self, revocation: "Revocation") -> None:
        """Tencent has been told: nothing is pending, unless it was asked for again since."""
        alias = router.db_for_write(self.model)
        self.using(alias).filter(pk=revocation.pk, instant=revocation.instant).update(is_pending=False)
        revocation.is_pending = False

    def get_instant(self, sdkappid: int, userid: str) -> int | None:
        """Unix seconds before which this UserID's tokens are refused; None where nothing was taken back."""
        if connections[router.db_for_read(self.model)].settings_dict["ENGINE"] == "django.db.backends.dummy":
            # A project without a database has nowhere to take anything back.
            return None
        found = self.filter(sdkappid=sdkappid, userid_sha256=_sha256(userid))
        return found.values_list("instant", flat=True).first()


class Revocation(models.Model):
    """The instant from which a UserID's tokens are accepted again. Found by a hash: MariaDB folds case and pads."""

    environment = models.CharField(max_length=50)
    sdkappid = models.BigIntegerField()
    userid = models.CharField(max_length=32)
    userid_sha256 = models.CharField(max_length=64)
    instant = models.BigIntegerField(help_text=_("Unix seconds."))
    is_pending = models.BooleanField(help_text=_("Tencent has not been told yet."))

    objects = RevocationQuerySet.as_manager()

    class Meta:
        verbose_name = _("revocation")
        verbose_name_plural = _("revocations")
        constraints = [
            models.UniqueConstraint(fields=["sdkappid", "userid_sha256"], name="usersig_revocation_userid"),
        ]

    def __str__(self) -> str:
        return f"{self.sdkappid} {self.userid_sha256}"


def _sha256(userid: str) -> str:
    return hashlib.sha256(userid.encode()).hexdigest()
