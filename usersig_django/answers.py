"""What went wrong -> `{"code": …, "detail": …}`: the statuses and sentences of SECURITY 3, in one table. A sentence
is fixed: it never carries input, exception text, an environment or a key. The cause goes to the log."""

import logging
import math
import re
from collections.abc import Mapping
from typing import Any, Final

from django.core.exceptions import ImproperlyConfigured, PermissionDenied, RequestDataTooBig, SuspiciousOperation
from django.db import Error as DatabaseFault
from django.http import Http404, UnreadablePostError
from django.http.multipartparser import MultiPartParserError
from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _
from rest_framework import exceptions as drf
from rest_framework.response import Response
from rest_framework.views import set_rollback

from usersig_django import audit
from usersig_django.exceptions import InvalidInput, IssuingRefused
from usersig_django.parsers import PayloadTooLarge
from usersig_django.serializers import InvalidBody

logger = logging.getLogger("usersig_django")

RETRY_AFTER_SECONDS: Final = 5

ERRORS: Final[Mapping[str, tuple[int, str | Promise]]] = {
    "not_authenticated": (401, _("Sign in first.")),
    "authentication_failed": (401, _("These credentials are not valid.")),
    "permission_denied": (403, _("You may not do this.")),
    "user_inactive": (403, _("This account is deactivated.")),
    "impersonation_forbidden": (403, _("Nothing is issued while somebody else is signed in as this user.")),
    "userid_reserved": (403, _("This account's UserID is reserved for administrators.")),
    "room_forbidden": (403, _("You may not enter this room.")),
    "parse_error": (400, _("The body must be one flat JSON object in UTF-8.")),
    "unknown_field": (400, _("The body holds a field that is not known here.")),
    "invalid": (400, _("A field of the body is not valid.")),
    "method_not_allowed": (405, _("Only POST is answered here.")),
    "length_required": (411, _("Send the body with a Content-Length.")),
    "payload_too_large": (413, _("The body is too large.")),
    "unsupported_media_type": (415, _("Send the body as application/json.")),
    "userid_unmappable": (409, _("This account has no usable UserID.")),
    "throttled": (429, _("Too many requests. Try again later.")),
    "signing_unavailable": (503, _("Nothing can be issued at this moment. Try again later.")),
}
_OTHERWISE: Final = _("This request cannot be answered.")
_CODE: Final = re.compile(r"[A-Za-z0-9_.-]{1,64}")


def answer_error(error: Exception, context: Mapping[str, Any]) -> Response | None:
    """The exception handler of our views, in place of the project's. None for what nobody planned."""
    if isinstance(error, IssuingRefused | InvalidBody):
        status, code = ERRORS[error.code][0], error.code
    elif isinstance(error, ImproperlyConfigured | DatabaseFault | InvalidInput):
        # Of the client's input nothing is left to be invalid: InvalidInput comes from the project's own hooks.
        status, code = 503, "signing_unavailable"
    elif (api_error := _as_api_error(error)) is not None:
        status, code, error = api_error.status_code, _get_code(api_error), api_error
    else:
        return None
    if status == 503:
        logger.error("Nothing can be issued: %s: %s", type(error).__qualname__, error)
    if status == 403 and not isinstance(error, IssuingRefused):
        view = context["view"]
        audit.record_refused(code, view.get_event(), view.get_origin(context["request"]))
    set_rollback()
    body: dict[str, Any] = {"code": code, "detail": str(_get_sentence(code, error))}
    if isinstance(error, InvalidBody):
        body["fields"] = {name: str(sentence) for name, sentence in error.fields.items()}
    return Response(body, status=status, headers=_get_headers(status, error))


def _as_api_error(error: Exception) -> drf.APIException | None:
    """What Django raises for a request, as what DRF raises for the same."""
    match error:
        case drf.APIException():
            return error
        case PermissionDenied():
            return drf.PermissionDenied()
        case Http404():
            return drf.NotFound()
        case RequestDataTooBig():
            return PayloadTooLarge()
        case SuspiciousOperation() | MultiPartParserError() | UnreadablePostError():
            return drf.ParseError()
    return None


def _get_code(error: drf.APIException) -> str:
    """An authenticator's own code, as simplejwt's `token_not_valid`, on which its clients act."""
    detail = error.detail
    code = detail.get("code") if isinstance(detail, dict) else getattr(detail, "code", None)
    return str(code) if isinstance(code, str) and _CODE.fullmatch(code) else str(error.default_code)


def _get_sentence(code: str, error: Exception) -> str | Promise:
    # The class first: an authenticator's own code may be one of ours.
    if isinstance(error, drf.AuthenticationFailed):
        return ERRORS["authentication_failed"][1]
    if isinstance(error, drf.PermissionDenied):
        return ERRORS["permission_denied"][1]
    if code in ERRORS:
        return ERRORS[code][1]
    return _OTHERWISE


def _get_headers(status: int, error: Exception) -> dict[str, str]:
    headers = {}
    if status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_SECONDS)
    if (wait := getattr(error, "wait", None)) is not None:
        headers["Retry-After"] = str(math.ceil(wait))
    if auth_header := getattr(error, "auth_header", None):
        headers["WWW-Authenticate"] = auth_header
    return headers
