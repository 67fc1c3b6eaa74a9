"""The UserSig tool: issue for any UserID and look into a token, as Tencent's console does, and take tokens back
(DESIGN 7)."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, TypeVar

from django.contrib.admin import ModelAdmin
from django.contrib.admin.helpers import AdminForm
from django.core.exceptions import ImproperlyConfigured, PermissionDenied
from django.db import Error as DatabaseFault
from django.forms import Form
from django.http import HttpRequest, HttpResponse
from django.template.response import TemplateResponse
from django.utils import timezone
from django.utils.formats import date_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.debug import sensitive_variables

from usersig_django.admin_forms import PRIVILEGES, GenerateForm, RevokeForm, VerifyForm
from usersig_django.applications import get_environments
from usersig_django.audit import Origin
from usersig_django.diagnosis import diagnose
from usersig_django.exceptions import RevocationFailed, UserIDReserved, UserSigError
from usersig_django.faults import translated
from usersig_django.inspection import inspect
from usersig_django.issuing import issue_private_map_key_for_userid, issue_usersig_for_userid
from usersig_django.models import Application
from usersig_django.revocation import revoke_usersigs_for_userid
from usersig_django.signing import PrivateMapKeyClaims, UserSigClaims
from usersig_django.throttling import UserSigRateThrottle

GENERATE, VERIFY, REVOKE = "generate", "verify", "revoke"
SENSITIVE_PARAMETER = f"{VERIFY}-token"
F = TypeVar("F", GenerateForm, VerifyForm, RevokeForm)


@dataclass(frozen=True, slots=True)
class Answer:
    """A panel of the page: a verdict, what it is about line by line, and the token where one was issued."""

    good: bool
    title: str
    lines: list[tuple[str, str]]
    reason: str = ""
    token: str = field(default="", repr=False)


@sensitive_variables()
def tool_view(request: HttpRequest, model_admin: "ModelAdmin[Application]") -> HttpResponse:
    """Needs `usersig_django.issue_usersig`. Tokens come and go in bodies alone."""
    if not request.user.has_perm("usersig_django.issue_usersig"):
        raise PermissionDenied
    act = request.POST.get("act")
    environments = get_environments()
    initial = {"environment": request.GET.get("environment", next(iter(environments), ""))}

    def make(form: type[F], name: str) -> F:
        return form(request.POST if act == name else None, prefix=name, initial=initial, environments=environments)

    generate, verify, revoke = make(GenerateForm, GENERATE), make(VerifyForm, VERIFY), make(RevokeForm, REVOKE)
    answer = None
    if act == GENERATE:
        answer = _submit(generate, lambda data: _generate(data, request))
    elif act == VERIFY:
        answer = _submit(verify, _verify)
    elif act == REVOKE:
        answer = _submit(revoke, lambda data: _revoke(data, request))
    context: dict[str, Any] = {
        **model_admin.admin_site.each_context(request),
        "title": _("UserSig tool"),
        "opts": Application._meta,
        "act": act,
        "answer": answer,
        "sections": [
            (GENERATE, _("Generate"), _in_admin_style(generate, model_admin, _generate_fieldsets(generate))),
            (VERIFY, _("Verify"), _in_admin_style(verify, model_admin, [(None, {"fields": list(verify.fields)})])),
            (REVOKE, _("Revoke"), _in_admin_style(revoke, model_admin, [(None, {"fields": list(revoke.fields)})])),
        ],
    }
    request.current_app = model_admin.admin_site.name
    return TemplateResponse(request, "admin/usersig_django/application/tool.html", context)


@sensitive_variables()
def _submit(form: Form, act: Callable[[dict[str, Any]], Answer]) -> Answer | None:
    """What `act` makes of a valid form; a fault of anything below stands in the form."""
    try:
        return act(form.cleaned_data) if form.is_valid() else None
    except UserIDReserved:
        # Refused there, so that it is audited.
        form.add_error("confirm_reserved", _("Confirm that you want this."))
    except RevocationFailed as error:
        form.add_error(None, translated(error))
        if error.hint:
            form.add_error(None, _(error.hint))
        form.add_error(None, _("Here the tokens are refused already. Try again for Tencent."))
    except (UserSigError, ImproperlyConfigured) as error:
        form.add_error(None, translated(error))
    except DatabaseFault:
        form.add_error(None, _("The database failed. Try again in a moment."))
    return None


@sensitive_variables()
def _generate(data: dict[str, Any], request: HttpRequest) -> Answer:
    arguments = {
        "environment": data["environment"],
        "expire": data["expire"],
        "allow_reserved": data["confirm_reserved"],
        "origin": _origin(request),
    }
    lines: list[tuple[str, str]] = []
    issued: Any
    if data["kind"] == "private_map_key":
        issued = issue_private_map_key_for_userid(
            data["userid"], room=data["room"], privileges=data["privileges"], **arguments
        )
        title, token = _("PrivateMapKey"), issued.private_map_key
        lines = _room_lines(issued.room, int(issued.privileges))
    else:
        issued = issue_usersig_for_userid(data["userid"], **arguments)
        title, token = _("UserSig"), issued.usersig
    lines = [
        (_("SDKAppID"), str(issued.sdkappid)),
        (_("UserID"), issued.userid),
        *lines,
        (_("Validity"), _seconds(issued.expire)),
        (_("Valid until"), _moment(int(issued.expires_at.timestamp()))),
        (_("Key fingerprint"), issued.key_fingerprint),
    ]
    return Answer(good=True, title=title, lines=lines, token=token)


@sensitive_variables()
def _verify(data: dict[str, Any]) -> Answer:
    inspection = inspect(
        data["token"], userid=data["userid"] or None, room=data["room"], environment=data["environment"]
    )
    lines = _claim_lines(inspection.claims) if inspection.claims else []
    if inspection.fault is None:
        return Answer(good=True, title=_("Valid"), lines=lines)
    code = inspection.fault.tencent_code
    if code is not None and (diagnosis := diagnose(code)):
        answers = (_("Tencent answers"), f"{code}: {_(diagnosis.cause)}")
        lines = [answers, (_("Look at"), _(diagnosis.look_at)), *lines]
    return Answer(good=False, title=_("Not valid"), lines=lines, reason=translated(inspection.fault))


def _revoke(data: dict[str, Any], request: HttpRequest) -> Answer:
    revoked = revoke_usersigs_for_userid(data["userid"], environment=data["environment"], origin=_origin(request))
    lines = [
        (_("SDKAppID"), str(revoked.sdkappid)),
        (_("UserID"), revoked.userid),
        (_("Refused if issued before"), _moment(int(revoked.revoked_at.timestamp()))),
    ]
    return Answer(good=True, title=_("Taken back"), lines=lines)


def _origin(request: HttpRequest) -> Origin:
    return Origin("admin", request.user, UserSigRateThrottle().get_ident(request), request)  # type: ignore[arg-type]  # it reads META alone


def _claim_lines(claims: UserSigClaims) -> list[tuple[str, str]]:
    is_key = isinstance(claims, PrivateMapKeyClaims)
    return [
        (_("Kind"), _("PrivateMapKey") if is_key else _("UserSig")),
        (_("SDKAppID"), str(claims.sdkappid)),
        (_("UserID"), claims.userid),
        *(_room_lines(claims.room, int(claims.privileges)) if isinstance(claims, PrivateMapKeyClaims) else []),
        (_("Issued"), _moment(claims.issued_at)),
        (_("Validity"), _seconds(claims.expire)),
        (_("Valid until"), _moment(claims.expires_at)),
    ]


def _room_lines(room: int | str, privileges: int) -> list[tuple[str, str]]:
    kind = _("Room (number)") if isinstance(room, int) else _("Room (text)")
    names = [str(name) for bit, name in PRIVILEGES if privileges & bit]
    return [(kind, str(room)), (_("Privileges"), f"{privileges}: {', '.join(names)}")]


def _seconds(expire: int) -> str:
    return ngettext("%(n)s second", "%(n)s seconds", expire) % {"n": expire}


def _moment(seconds: int) -> str:
    """In the reader's zone and language; what no calendar holds, as the number it is."""
    try:
        moment = timezone.localtime(datetime.fromtimestamp(seconds, UTC))
    except (ValueError, OverflowError, OSError):
        return str(seconds)
    return f"{date_format(moment, 'DATETIME_FORMAT')} {moment:%Z}"


def _generate_fieldsets(form: GenerateForm) -> list[tuple[Any, dict[str, Any]]]:
    first = ["environment", "kind", "userid", "expire"]
    if "confirm_reserved" in form.errors or form.data.get(form.add_prefix("confirm_reserved")):
        first.insert(3, "confirm_reserved")
    return [
        (None, {"fields": first}),
        (
            _("Only for a PrivateMapKey"),
            {"fields": ["room_kind", "room", "privileges"], "classes": ["usersig-room"]},
        ),
    ]


def _in_admin_style(form: Form, model_admin: "ModelAdmin[Application]", fieldsets: Any) -> AdminForm:
    # It asks nothing of the form that a form without a model would not know.
    return AdminForm(form, fieldsets, {}, model_admin=model_admin)  # type: ignore[arg-type]
