"""`POST`: a UserSig, or a PrivateMapKey, for the user who is signed in (DESIGN 5)."""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from django.db import connections, transaction
from django.http import HttpRequest, HttpResponseBase, QueryDict
from rest_framework import exceptions as drf
from rest_framework.permissions import IsAuthenticated
from rest_framework.renderers import BaseRenderer
from rest_framework.request import Request
from rest_framework.response import Response
from rest_framework.throttling import BaseThrottle
from rest_framework.utils.encoders import JSONEncoder
from rest_framework.views import APIView

from usersig_django import audit
from usersig_django.answers import answer_error
from usersig_django.applications import get_expire
from usersig_django.audit import Event, Origin
from usersig_django.issuing import issue_private_map_key, issue_usersig
from usersig_django.parsers import StrictJSONParser, read_body
from usersig_django.permissions import MayBeIssued
from usersig_django.serializers import as_private_map_key_answer, as_usersig_answer, read_expire, read_room
from usersig_django.throttling import UserSigRateThrottle


class _PlainJSONRenderer(BaseRenderer):
    """JSON whatever `Accept` says, its `indent` parameter too."""

    media_type = "application/json"
    format = "json"
    charset = None

    def render(
        self, data: Any, accepted_media_type: str | None = None, renderer_context: Mapping[str, Any] | None = None
    ) -> bytes:
        return _encode(data).encode("ascii")


# Made once: json.dumps would make one a request, for more than the encoding itself costs.
_encode: Final = JSONEncoder(separators=(",", ":")).encode


class _Request(Request):
    """A session's CSRF check looks for its token in the header here, and not in a form: DRF and Django would parse the
    body for that, whatever it is, and a form's fields are refused in any case."""

    POST = QueryDict()


class IssuingView(APIView):
    """What both endpoints share. The project says how users authenticate; all else is fixed here, so that its own
    DRF settings change nothing about a credential."""

    kind: ClassVar[str]
    environment: str | None = None

    permission_classes = (IsAuthenticated, MayBeIssued)
    throttle_classes = (UserSigRateThrottle,)
    parser_classes = (StrictJSONParser,)
    renderer_classes = (_PlainJSONRenderer,)
    versioning_class = None
    http_method_names = ("post",)

    def get_environment(self) -> str | None:
        """The environment this request is served from; None is the project's own. For subclasses."""
        return self.environment

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Callable[..., HttpResponseBase]:  # type: ignore[override]  # stubs' own type
        view = super().as_view(**initkwargs)
        # Inside ATOMIC_REQUESTS a database that is down would fail before the view could answer 503.
        for alias in connections:
            view = transaction.non_atomic_requests(alias)(view)
        return view

    def initial(self, request: Request, *args: Any, **kwargs: Any) -> None:
        if request.method != "POST":
            raise drf.MethodNotAllowed(request.method or "")
        super().initial(request, *args, **kwargs)

    def initialize_request(self, request: HttpRequest, *args: Any, **kwargs: Any) -> Request:
        return _Request(request, parsers=self.get_parsers(), authenticators=self.get_authenticators())

    def perform_content_negotiation(self, request: Request, force: bool = False) -> tuple[BaseRenderer, str]:
        renderer = _PlainJSONRenderer()
        return renderer, renderer.media_type

    def get_exception_handler(self) -> Callable[[Exception, Mapping[str, Any]], Response | None]:
        return answer_error

    @property
    def default_response_headers(self) -> dict[str, str]:
        return {"Allow": "POST", "Cache-Control": "no-store", "Pragma": "no-cache"}

    def get_event(self) -> Event:
        """What a refusal knows before the body is read."""
        try:
            environment = self.get_environment()
        except Exception:  # noqa: BLE001  # a subclass's hook may fail, and a refusal must still be answered
            environment = self.environment
        return Event(self.kind, environment or "")

    def get_origin(self, request: Request) -> Origin:
        # `request.user` would authenticate once more, and fail once more, where that is what failed.
        user = vars(request).get("_user")
        # Only for those who read it: DRF parses every header to find it, a fifth of what the request costs.
        address = BaseThrottle().get_ident(request) if audit.is_on() else ""
        return Origin("api", user, address, request._request)


class UserSigView(IssuingView):
    """Issues a UserSig for `request.user`, for at most the configured validity."""

    kind = audit.USERSIG

    def get_expire(self) -> int:
        """The validity in seconds: what an empty request gets, and the most that one may ask for. For subclasses."""
        return get_expire(self.get_environment())

    def post(self, request: Request) -> Response:
        expire = read_expire(read_body(request), self.get_expire())
        issued = issue_usersig(
            request.user, environment=self.get_environment(), expire=expire, origin=self.get_origin(request)
        )
        return Response(as_usersig_answer(issued))


class PrivateMapKeyView(IssuingView):
    """Issues a PrivateMapKey for `request.user` and a room, with what `ROOM_POLICY` grants there."""

    kind = audit.PRIVATE_MAP_KEY

    def post(self, request: Request) -> Response:
        room = read_room(read_body(request))
        issued = issue_private_map_key(
            request.user, room, environment=self.get_environment(), origin=self.get_origin(request)
        )
        return Response(as_private_map_key_answer(issued))
