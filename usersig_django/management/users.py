"""Users as commands name them."""

from typing import Any

from django.contrib.auth import get_user_model
from django.core.exceptions import MultipleObjectsReturned, ObjectDoesNotExist, ValidationError
from django.core.management.base import CommandError
from django.utils.translation import gettext as _

from usersig_django.management.base import USAGE


def find_user(username: str) -> Any:
    """The user whom this project's model knows by that name."""
    try:
        return get_user_model()._default_manager.get_by_natural_key(username)
    except (ObjectDoesNotExist, MultipleObjectsReturned, ValueError, ValidationError):
        raise CommandError(_("There is no user %(username)r.") % {"username": username}, returncode=USAGE) from None
