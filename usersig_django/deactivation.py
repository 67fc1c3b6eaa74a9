"""With `REVOKE_ON_DEACTIVATION`: a user who is deactivated or deleted loses the UserSigs they hold. Here they are
refused in the transaction that does it, Tencent is told after its commit, and what it could not be told stays pending
in the database. The user is saved or deleted whatever Tencent says."""

import logging
from collections.abc import Iterable
from functools import partial
from typing import Any

from django.apps import apps
from django.contrib.auth import get_user_model
from django.core.exceptions import ImproperlyConfigured
from django.db import router, transaction
from django.db.models import Model
from django.db.models.signals import post_save, pre_delete, pre_save

from usersig_django.audit import Origin
from usersig_django.conf import conf
from usersig_django.eligibility import get_userid
from usersig_django.faults import Misconfigured
from usersig_django.models import Revocation
from usersig_django.revocation import refuse_usersigs, tell_tencent
from usersig_django.signals import usersig_revocation_failed

logger = logging.getLogger("usersig_django")

_MARK = "_usersig_deactivated"


def connect() -> None:
    """To the user model, its proxies and its children by inheritance, each by name: a receiver for every sender
    would slow down every model's deletion."""
    try:
        user_model = get_user_model()
    except ImproperlyConfigured:
        # A project without users has none to deactivate.
        return
    for model in apps.get_models():
        if issubclass(model, user_model):
            name = model._meta.label
            pre_save.connect(_mark_deactivated, sender=model, dispatch_uid=f"usersig_saving_{name}")
            post_save.connect(_revoke_marked, sender=model, dispatch_uid=f"usersig_saved_{name}")
            # A child's deletion is its parent's too, and sends both signals.
            if model._meta.concrete_model is user_model:
                pre_delete.connect(_revoke_deleted, sender=model, dispatch_uid=f"usersig_deleting_{name}")


def _mark_deactivated(
    sender: type[Model], instance: Any, using: str, update_fields: Iterable[str] | None = None, **_kwargs: object
) -> None:
    """Is this save the one that deactivates? Asks the database only about inactive users."""
    vars(instance).pop(_MARK, None)
    saves_it = update_fields is None or "is_active" in update_fields
    if _is_on() and saves_it and not getattr(instance, "is_active", True):
        setattr(instance, _MARK, _is_active_in_database(instance, using))


def _revoke_marked(sender: type[Model], instance: Any, using: str, **_kwargs: object) -> None:
    if vars(instance).pop(_MARK, False):
        _revoke(sender, instance, using)


def _revoke_deleted(sender: type[Model], instance: Any, using: str, **_kwargs: object) -> None:
    """Before the rows go, so that a resolver still finds the user's profile. One who was deactivated before has
    nothing left to take back."""
    if _is_on() and _is_active_in_database(instance, using):
        _revoke(sender, instance, using)


def _is_on() -> bool:
    try:
        return conf.revoke_on_deactivation
    except Misconfigured as error:
        logger.error("No UserSigs were taken back: %s", error)
        return False


def _is_active_in_database(user: Any, using: str) -> bool:
    found = get_user_model()._base_manager.using(using).filter(pk=user.pk).first()
    return found is not None and bool(getattr(found, "is_active", True))


def _revoke(sender: type[Model], user: Any, using: str) -> None:
    origin = Origin(user=user)
    userid = None
    try:
        # Savepoints: what fails in them leaves the user's own transaction whole.
        with transaction.atomic(using=using), transaction.atomic(using=router.db_for_write(Revocation)):
            userid = get_userid(user)
            revocation = refuse_usersigs(userid, origin=origin)
    except Exception as error:  # noqa: BLE001  # the user must be saved whatever fails here
        _report(sender, userid, error)
    else:
        transaction.on_commit(partial(_tell_tencent, sender, revocation, origin), using=using)


def _tell_tencent(sender: type[Model], revocation: Revocation, origin: Origin) -> None:
    try:
        tell_tencent(revocation, origin=origin)
    except Exception as error:  # noqa: BLE001  # as above
        _report(sender, revocation.userid, error)


def _report(sender: type[Model], userid: str | None, error: Exception) -> None:
    logger.error(
        "Tencent was not told to refuse the UserSigs of %r (%s: %s). Run: manage.py revoke_usersig --pending",
        userid,
        type(error).__qualname__,
        error,
    )
    usersig_revocation_failed.send_robust(sender, userid=userid, environment=_environment(), error=error)


def _environment() -> str | None:
    try:
        return conf.environment
    except Misconfigured:
        return None
