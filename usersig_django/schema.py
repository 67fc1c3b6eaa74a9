"""OpenAPI of both endpoints for drf-spectacular, which `apps` loads this for where it is installed. Written out, as
the shapes in `serializers` are."""

from collections.abc import Callable
from typing import Any, Final

from drf_spectacular.extensions import OpenApiViewExtension
from drf_spectacular.utils import OpenApiExample, OpenApiResponse, extend_schema

from usersig_django.answers import ERRORS
from usersig_django.applications import get_expire
from usersig_django.conf import MAX_EXPIRE, MIN_EXPIRE
from usersig_django.signing import Privilege

_SDKAPPID: Final = {"type": "integer", "minimum": 1, "maximum": 2**32 - 1}
_USERID: Final = {"type": "string", "minLength": 1, "maxLength": 32}
_TOKEN: Final = {"type": "string", "pattern": "^[A-Za-z0-9*_-]+$", "maxLength": 8192}
_ROOM_ID: Final = {"type": "integer", "minimum": 1, "maximum": 2**32 - 2}
_STR_ROOM_ID: Final = {
    "type": "string",
    "minLength": 1,
    "maxLength": 64,
    "pattern": r"^[A-Za-z0-9 !#$%&()+\-:;<=.>?@\[\]^_{}|~,]+$",
}
_TIMES: Final[dict[str, dict[str, Any]]] = {
    "expire": {"type": "integer", "minimum": MIN_EXPIRE, "maximum": MAX_EXPIRE, "description": "Seconds."},
    "issued_at": {"type": "string", "format": "date-time"},
    "expires_at": {"type": "string", "format": "date-time"},
}
_FAKE_TIMES: Final = {"expire": 3600, "issued_at": "2026-11-20T20:00:00Z", "expires_at": "2026-11-20T21:00:00Z"}

# Which of the errors carry one sentence a field.
_WITH_FIELDS: Final = ("unknown_field", "invalid")


def _object(properties: dict[str, Any], *, optional: tuple[str, ...] = (), **more: Any) -> dict[str, Any]:
    required = [name for name in properties if name not in optional]
    schema = {"type": "object", "properties": properties, "additionalProperties": False, **more}
    return {**schema, "required": required} if required else schema


def _one_of(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    return {"oneOf": [_object(properties, title=title) for title, properties in objects.items()]}


def _request_body(complete: Callable[[Any, dict[str, Any]], None]) -> Callable[[Any], Any]:
    """`complete(view, body)` adds what drf-spectacular does not know of a body whose schema is written out."""

    def decorate(post: Any) -> Any:
        class Completed(post.kwargs["schema"]):  # type: ignore[name-defined,misc]  # the class that `extend_schema` made
            def get_operation(self, *args: Any) -> Any:
                operation = super().get_operation(*args)
                if operation:
                    complete(self.view, operation["requestBody"])
                return operation

        post.kwargs["schema"] = Completed
        return post

    return decorate


def _with_maximum(view: Any, body: dict[str, Any]) -> None:
    """Of the view and not of its class: `as_view(environment=…)` and the hooks make it another's."""
    try:
        maximum = view.get_expire()
    except Exception:  # noqa: BLE001  # a project's hook may need a request, and here is none
        maximum = get_expire(view.environment)
    body["content"]["application/json"]["schema"]["properties"]["expire"]["maximum"] = maximum


def _required(view: Any, body: dict[str, Any]) -> None:
    body["required"] = True


def _errors(*left_out: str) -> dict[int, OpenApiResponse]:
    codes: dict[int, list[str]] = {}
    for code, (status, _) in ERRORS.items():
        if code not in left_out:
            codes.setdefault(status, []).append(code)
    # Without a WWW-Authenticate of the authenticator's, DRF turns 401 into 403.
    codes[403] = [*codes[401], *codes[403]]
    return {status: _error(status, names) for status, names in sorted(codes.items())}


def _error(status: int, codes: list[str]) -> OpenApiResponse:
    # An authenticator may answer with a code of its own.
    code = {"type": "string"} if status in (401, 403) else {"type": "string", "enum": codes}
    fields = {"type": "object", "additionalProperties": {"type": "string"}}
    properties = {"code": code, "detail": {"type": "string"}, "fields": fields}
    if not set(codes) & set(_WITH_FIELDS):
        del properties["fields"]
    return OpenApiResponse(_object(properties, optional=("fields",)), description=", ".join(codes))


class UserSigViewExtension(OpenApiViewExtension):  # type: ignore[no-untyped-call]  # its __init_subclass__
    target_class = "usersig_django.views.UserSigView"
    match_subclasses = True

    def view_replacement(self) -> type:
        expire = dict(_TIMES["expire"])

        class Documented(self.target):  # type: ignore[name-defined,misc]  # known when the schema is made
            @_request_body(_with_maximum)
            @extend_schema(
                request={"application/json": _object({"expire": expire}, optional=("expire",))},
                responses={
                    200: OpenApiResponse(
                        _object({"sdkappid": _SDKAPPID, "userid": _USERID, "usersig": _TOKEN, **_TIMES}),
                        description="A UserSig for the user who is signed in.",
                    ),
                    **_errors("room_forbidden"),
                },
                examples=[
                    OpenApiExample("An hour", value={"expire": 3600}, request_only=True),
                    OpenApiExample(
                        "A UserSig",
                        value={
                            "sdkappid": 1400000000,
                            "userid": "42",
                            "usersig": "eJexample-not-a-real-usersig_",
                            **_FAKE_TIMES,
                        },
                        response_only=True,
                        status_codes=["200"],
                    ),
                ],
            )
            def post(self, request: Any) -> Any:
                return super().post(request)

        return Documented


class PrivateMapKeyViewExtension(OpenApiViewExtension):  # type: ignore[no-untyped-call]  # its __init_subclass__
    target_class = "usersig_django.views.PrivateMapKeyView"
    match_subclasses = True

    def view_replacement(self) -> type:
        rooms = {"room_id": _ROOM_ID, "str_room_id": _STR_ROOM_ID}
        privileges = {"type": "integer", "minimum": 1, "maximum": int(Privilege.ALL)}
        members = {"sdkappid": _SDKAPPID, "userid": _USERID, "private_map_key": _TOKEN}
        more = {"privileges": privileges, **_TIMES}

        class Documented(self.target):  # type: ignore[name-defined,misc]  # known when the schema is made
            @_request_body(_required)
            @extend_schema(
                request={"application/json": _one_of({name: {name: room} for name, room in rooms.items()})},
                responses={
                    200: OpenApiResponse(
                        _one_of({name: {**members, name: room, **more} for name, room in rooms.items()}),
                        description="A PrivateMapKey for the user who is signed in, and this room.",
                    ),
                    **_errors(),
                },
                examples=[
                    OpenApiExample("A numeric room", value={"room_id": 10000}, request_only=True),
                    OpenApiExample("A string room", value={"str_room_id": "lobby"}, request_only=True),
                    OpenApiExample(
                        "A PrivateMapKey",
                        value={
                            "sdkappid": 1400000000,
                            "userid": "42",
                            "private_map_key": "eJexample-not-a-real-key_",
                            "str_room_id": "lobby",
                            "privileges": 42,
                            **_FAKE_TIMES,
                        },
                        response_only=True,
                        status_codes=["200"],
                    ),
                ],
            )
            def post(self, request: Any) -> Any:
                return super().post(request)

        return Documented
