"""(user, room) -> privileges: asks the project's `ROOM_POLICY` and believes nothing but a `Privilege`."""

import logging
from typing import Any

from django.db import Error as DatabaseFault

from usersig_django.conf import conf
from usersig_django.exceptions import RoomForbidden, gettext_noop
from usersig_django.faults import Misconfigured
from usersig_django.signing import Privilege

logger = logging.getLogger("usersig_django")


def get_privileges(user: Any, room: int | str) -> Privilege:
    """What the policy lets the user do in the room (an int is a numeric room, a str a string room).

    Raises RoomForbidden: no policy, no privilege, or a policy that failed or gave anything but a `Privilege`; the
    failures are logged as errors. A fault of the database passes (SECURITY 1.7, 4).
    """
    policy = conf.room_policy
    if policy is None:
        raise RoomForbidden(gettext_noop("No ROOM_POLICY is set, so nobody may enter a room."))
    try:
        privileges = policy(user, room)
    except (DatabaseFault, Misconfigured):
        raise
    except Exception as error:
        logger.error("ROOM_POLICY raised %s; access to the room was refused.", type(error).__qualname__)
        raise RoomForbidden(gettext_noop("The room policy failed.")) from error
    if type(privileges) is not Privilege or not 0 <= privileges <= Privilege.ALL:
        logger.error(
            "ROOM_POLICY must return a Privilege of known bits, not %s; access was refused.",
            type(privileges).__qualname__ if type(privileges) is not Privilege else int(privileges),
        )
        raise RoomForbidden(gettext_noop("The room policy gave no Privilege."))
    if not privileges:
        raise RoomForbidden(gettext_noop("The room policy grants nothing."))
    return privileges
