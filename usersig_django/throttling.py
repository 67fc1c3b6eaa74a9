"""How often: `THROTTLE_RATE`, per user, in fixed windows (SECURITY 1.9)."""

import hashlib
import logging
from typing import Any, cast

from rest_framework.request import Request
from rest_framework.throttling import SimpleRateThrottle

from usersig_django.conf import conf
from usersig_django.exceptions import gettext_noop
from usersig_django.faults import Misconfigured

logger = logging.getLogger("usersig_django")


class UserSigRateThrottle(SimpleRateThrottle):
    """Counts with the cache's atomic `add` and `incr`: DRF's own reads, changes and writes back, and let 18 to 56
    requests through a limit of 10. The number of the window is in the key, so a count begins anew by itself."""

    retry_after: float

    def __init__(self) -> None:
        """DRF would look up rates here that it froze at import."""

    def allow_request(self, request: Request, view: Any) -> bool:
        limit = self.get_limit()
        if limit is None:
            return True
        requests, seconds = limit
        window, elapsed = divmod(self.timer(), seconds)
        self.retry_after = seconds - elapsed
        user = hashlib.sha256(str(request.user.pk).encode()).hexdigest()[:32]
        key = f"usersig_throttle:{view.kind}:{user}:{seconds}:{int(window)}"
        try:
            # Twice the window, so that no count can expire between the two calls.
            count = 1 if self.cache.add(key, 1, timeout=2 * seconds) else self.cache.incr(key)
        except Exception as error:  # noqa: BLE001  # each cache backend raises its own
            logger.warning("The throttle's cache failed (%s); the request was served.", type(error).__qualname__)
            return True
        return count <= requests

    def wait(self) -> float:
        return self.retry_after

    def get_limit(self) -> tuple[int, int] | None:
        """Requests and seconds of `THROTTLE_RATE`, None where it is off. Raises ImproperlyConfigured."""
        rate = conf.throttle_rate
        if rate is None:
            return None
        try:
            requests, seconds = cast("tuple[int, int]", self.parse_rate(rate))
        except (ValueError, KeyError, IndexError):
            requests = seconds = 0
        if requests < 1:
            raise Misconfigured(gettext_noop('USERSIG["THROTTLE_RATE"] must be like "60/min", or None.'))
        return requests, seconds
