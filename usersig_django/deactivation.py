"""With `REVOKE_ON_DEACTIVATION`: a user who is deactivated or deleted loses the UserSigs they hold, after the commit.
The user is saved or deleted whatever Tencent says."""

import logging
from collections.abc import Iterable
from functools import partial
from typing import Any

from django.contrib.auth import get_user_model
from django.db import transaction
from django.db.models import Model
from django.db.models.signals import post_delete, post_save, pre_save

from usersig_django.audit import Origin
from usersig_django.conf import conf
from usersig_django.eligibility import get_userid
from usersig_django.revocation import revoke_usersigs_for_userid
from usersig_django.signals import usersig_revocation_failed

logger = logging.getLogger("usersig_django")

_MARK = "_usersig_deactivated"


def connect() -> None:
    user_model = get_user_model()
    pre_save.connect(_mark_deactivated, sender=user_model, dispatch_uid="usersig_user_saving")
    post_save.connect(_revoke_marked, sender=user_model, dispatch_uid="usersig_user_saved")
    post_delete.connect(_revoke_deleted, sender=user_model, dispatch_uid="usersig_user_deleted")


def _mark_deactivated(
    sender: type[Model], instance: Any, using: str, update_fields: Iterable[str] | None = None, **_kwargs: object
) -> None:
    """Is this save the one that deactivates? Asks the database only about inactive users."""
    saves_it = update_fields is None or "is_active" in update_fields
    if not conf.revoke_on_deactivation or not saves_it or getattr(instance, "is_active", True):
        return
    was_active = sender._base_manager.using(using).filter(pk=instance.pk, is_active=True).exists()
    setattr(instance, _MARK, was_active)


def _revoke_marked(sender: type[Model], instance: Any, using: str, **_kwargs: object) -> None:
    if vars(instance).pop(_MARK, False):
        _revoke_after_commit(sender, instance, using)


def _revoke_deleted(sender: type[Model], instance: Any, using: str, **_kwargs: object) -> None:
    # One who was deactivated before has nothing left to take back.
    if conf.revoke_on_deactivation and getattr(instance, "is_active", True):
        _revoke_after_commit(sender, instance, using)


def _revoke_after_commit(sender: type[Model], user: Any, using: str) -> None:
    try:
        # Now: a deleted user has no primary key left at the commit.
        userid = get_userid(user)
    except Exception as error:  # noqa: BLE001  # the user must be saved whatever fails here
        _report(sender, None, error)
    else:
        transaction.on_commit(partial(_revoke, sender, userid, Origin(user=user)), using=using)


def _revoke(sender: type[Model], userid: str, origin: Origin) -> None:
    try:
        revoke_usersigs_for_userid(userid, origin=origin)
    except Exception as error:  # noqa: BLE001  # as above
        _report(sender, userid, error)


def _report(sender: type[Model], userid: str | None, error: Exception) -> None:
    logger.error(
        "The UserSigs of %r were not taken back (%s: %s). Run: manage.py revoke_usersig",
        userid,
        type(error).__qualname__,
        error,
    )
    usersig_revocation_failed.send_robust(sender, userid=userid, environment=conf.environment, error=error)
