"""What error reports show of a request that carries a key or a token: everything else."""

from collections.abc import Callable
from functools import wraps
from typing import Any

from django.http import HttpRequest, HttpResponseBase
from django.views.debug import SafeExceptionReporterFilter
from django.views.decorators.debug import sensitive_post_parameters


class HidingFilter(SafeExceptionReporterFilter):
    """Hides what is marked sensitive on Django's DEBUG page too."""

    def is_active(self, request: HttpRequest | None) -> bool:
        return True


def hide_in_reports(parameter: str, view: Callable[..., Any]) -> Callable[..., Any]:
    """The view, whose error reports leave out this POST parameter. Around `admin_view`, which can fail already when
    it looks for the session and the user."""

    @wraps(view)
    def hidden(request: HttpRequest, *args: Any, **kwargs: Any) -> HttpResponseBase:
        request.exception_reporter_filter = HidingFilter()
        response: HttpResponseBase = sensitive_post_parameters(parameter)(view)(request, *args, **kwargs)
        return response

    return hidden
