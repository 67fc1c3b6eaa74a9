"""Who may be issued anything at all."""

from typing import Any

from rest_framework.permissions import BasePermission
from rest_framework.request import Request

from usersig_django import audit
from usersig_django.eligibility import check_user
from usersig_django.exceptions import IssuingRefused


class MayBeIssued(BasePermission):
    """An active account, with its owner behind it."""

    def has_permission(self, request: Request, view: Any) -> bool:
        try:
            check_user(request.user)
        except IssuingRefused as refused:
            audit.record_refused(refused.code, view.get_event(), view.get_origin(request))
            raise
        return True
