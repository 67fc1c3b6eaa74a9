"""What error reports show of a request that carries a key or a token: everything else."""

from collections.abc import Callable, ItemsView
from functools import wraps
from types import FrameType
from typing import Any

from django.core.signals import got_request_exception
from django.http import HttpRequest, HttpResponseBase
from django.urls import Resolver404, resolve
from django.views.debug import SafeExceptionReporterFilter
from django.views.decorators.debug import sensitive_post_parameters


class HidingFilter(SafeExceptionReporterFilter):
    """Hides what is marked sensitive on Django's DEBUG page too, and every local: a widget that renders, or a loop of
    a template, holds what was pasted or issued."""

    def is_active(self, request: HttpRequest | None) -> bool:
        return True

    def get_traceback_frame_variables(self, request: HttpRequest | None, tb_frame: FrameType) -> ItemsView[str, Any]:
        return dict.fromkeys(tb_frame.f_locals, self.cleansed_substitute).items()


def hide_in_reports(parameter: str, view: Callable[..., Any]) -> Callable[..., Any]:
    """The view, whose error reports leave out this POST parameter."""

    @wraps(view)
    def hidden(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        response: HttpResponseBase = sensitive_post_parameters(parameter)(view)(request, *args, **kwargs)
        return response

    hidden.hidden_parameter = parameter  # type: ignore[attr-defined]  # what `_hide` looks for
    return hidden


def connect() -> None:
    got_request_exception.connect(_hide, dispatch_uid="usersig_hide_in_reports")


def _hide(request: HttpRequest | None = None, **_kwargs: object) -> None:
    """Just before the report is made: a middleware can fail before any view could say what is sensitive."""
    if request is None:
        return
    try:
        match = request.resolver_match or resolve(request.path_info, getattr(request, "urlconf", None))
    except Resolver404:
        return
    parameter = getattr(match.func, "hidden_parameter", None)
    if parameter:
        request.sensitive_post_parameters = [parameter]  # type: ignore[attr-defined]  # as the decorator has it
        request.exception_reporter_filter = HidingFilter()
