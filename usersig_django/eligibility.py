"""Who may be issued anything, and under which UserID (SECURITY 1)."""

import logging
from typing import Any

from django.db import Error as DatabaseFault

from usersig_django.conf import conf
from usersig_django.exceptions import (
    ImpersonationForbidden,
    InvalidInput,
    UserIDReserved,
    UserIDUnmappable,
    UserInactive,
    gettext_noop,
)
from usersig_django.faults import Misconfigured
from usersig_django.signing.userid import check_userid

logger = logging.getLogger("usersig_django")


def check_user(user: Any) -> None:
    """Raises UserInactive, or ImpersonationForbidden where django-hijack or django-impersonate marked the user."""
    if not getattr(user, "is_active", False):
        raise UserInactive(gettext_noop("This account is deactivated, or nobody is signed in."))
    if getattr(user, "is_hijacked", False) or getattr(user, "is_impersonate", False):
        raise ImpersonationForbidden(gettext_noop("Somebody else is signed in as this user."))


def get_userid(user: Any) -> str:
    """What the configured resolver maps the user to.

    Raises UserIDUnmappable where it fails or gives no UserID; the failure is logged as an error, by its type alone.
    """
    resolver = conf.userid_resolver
    rule = conf.userid_rule
    try:
        userid = resolver(user)
    except (DatabaseFault, Misconfigured):
        raise
    except Exception as error:
        logger.error("USERID_RESOLVER raised %s; nothing was issued.", type(error).__qualname__)
        raise UserIDUnmappable(gettext_noop("The resolver failed.")) from error
    try:
        check_userid(userid, rule)
    except InvalidInput as error:
        logger.error("USERID_RESOLVER gave no UserID (rule %s): %s", rule, error)
        raise UserIDUnmappable(gettext_noop("The resolver gave no UserID: %(error)s"), error=error) from error
    return userid  # type: ignore[return-value]  # check_userid has just held it to an exact str


def check_not_reserved(userid: str) -> None:
    if userid.casefold() in conf.reserved_userids:
        raise UserIDReserved(
            gettext_noop("%(userid)r is reserved: its UserSig is an administrator's credential."), userid=userid
        )
