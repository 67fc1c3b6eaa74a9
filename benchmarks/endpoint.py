"""A request to our view against one to a view that does nothing, in the same process. Both are called as Django's
handler calls them, without middleware and with an authenticator that costs nothing: whatever else a project has in
its way makes the ratio smaller."""

import logging
import os
from collections.abc import Callable
from io import BytesIO
from typing import Any, Final

from django.contrib.auth.models import User
from django.core.handlers.wsgi import WSGIRequest
from django.core.management import call_command
from django.db import connection
from django.test.client import RequestFactory
from django.test.utils import CaptureQueriesContext
from rest_framework.authentication import BaseAuthentication, TokenAuthentication
from rest_framework.authtoken.models import Token
from rest_framework.request import Request
from rest_framework.views import APIView

from benchmarks.measuring import Row, Target, Work, compare, interleave
from benchmarks.sizes import Size
from benchmarks.views import EmptyView, HandWrittenView
from usersig_django.views import UserSigView

PART: Final = "server process"
CALLS: Final = 20
EMPTY: Final = "empty view"
OURS: Final = "POST /api/usersig/"
THROTTLED: Final = "POST /api/usersig/ with the throttle"
AUDITED: Final = "POST /api/usersig/ with throttle and audit line"
HAND_WRITTEN: Final = "hand-written view"

Call = Callable[[Any], Any]


def measure(size: Size) -> list[Row]:
    call_command("migrate", verbosity=0)
    user = User.objects.create_user("alice")

    class Authentication(BaseAuthentication):
        def authenticate(self, request: Request) -> tuple[User, None]:
            return user, None

    free = {"authentication_classes": (Authentication,)}
    times = _time(
        size,
        {
            EMPTY: _caller(EmptyView, **free),
            OURS: _caller(UserSigView, **free, throttle_classes=()),
            THROTTLED: _caller(UserSigView, **free),
            HAND_WRITTEN: _caller(HandWrittenView, **free),
        },
    )
    with _AuditLine():
        audited = _time(size, {EMPTY: _caller(EmptyView, **free), AUDITED: _caller(UserSigView, **free)})
    return [
        compare(PART, f"{OURS} / an empty view", times, OURS, EMPTY, Target(1.3)),
        compare(PART, f"{THROTTLED} / an empty view", times, THROTTLED, EMPTY, Target(1.6)),
        compare(PART, f"{AUDITED} / an empty view", audited, AUDITED, EMPTY),
        compare(PART, f"{HAND_WRITTEN} / an empty view", times, HAND_WRITTEN, EMPTY),
        Row(
            PART,
            f"{OURS}: SQL queries beyond authentication",
            _count_queries(UserSigView, user) - _count_queries(EmptyView, user),
            "queries",
            target=Target(0),
        ),
    ]


def _time(size: Size, calls: dict[str, Call]) -> dict[str, list[float]]:
    return interleave({name: Work(call, [{}]) for name, call in calls.items()}, size.rounds, CALLS)


def _caller(view_class: type[APIView], **initkwargs: Any) -> Call:
    view = view_class.as_view(**initkwargs)
    environ = RequestFactory().post("/api/usersig/", b"{}", content_type="application/json").environ

    def call(headers: dict[str, str]) -> None:
        response = view(WSGIRequest(environ | headers | {"wsgi.input": BytesIO(b"{}")}))
        response.render()
        if response.status_code != 200:
            raise RuntimeError(response.content)

    return call


def _count_queries(view_class: type[APIView], user: User) -> int:
    token, _ = Token.objects.get_or_create(user=user)
    call = _caller(view_class, authentication_classes=(TokenAuthentication,))
    headers = {"HTTP_AUTHORIZATION": f"Token {token.key}"}
    call(headers)
    with CaptureQueriesContext(connection) as queries:
        call(headers)
    return len(queries)


class _AuditLine:
    """The audit line is written, to nowhere."""

    def __init__(self) -> None:
        self._logger = logging.getLogger("usersig_django.audit")
        self._handler = logging.FileHandler(os.devnull)

    def __enter__(self) -> None:
        self._logger.setLevel(logging.INFO)
        self._logger.addHandler(self._handler)

    def __exit__(self, *_: object) -> None:
        self._logger.setLevel(logging.NOTSET)
        self._logger.removeHandler(self._handler)
        self._handler.close()
