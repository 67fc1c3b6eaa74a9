"""Who may be issued anything at all."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from usersig_django import audit
from usersig_django.issuing import check_user


class MayBeIssued(BasePermission):
    """An active account, with its owner behind it."""

    def has_permission(self, request: Request, view: Any) -> bool:
        with audit.refusals_recorded(view.get_event(), view.get_origin(request)):
            check_user(request.user)
        return True
