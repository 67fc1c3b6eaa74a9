"""The applications that gunicorn and uvicorn serve. Their clock is in 2017 while the file WRONG_CLOCK is there."""

import os
import time
from pathlib import Path

WRONG_CLOCK = Path(os.environ["WRONG_CLOCK"])
read_clock = time.time


# Before anything is imported that keeps `time.time` as its own, DRF's throttle as a method.
time.time = lambda *_self: 1_500_000_000.0 if WRONG_CLOCK.exists() else read_clock()

from django.core.asgi import get_asgi_application  # noqa: E402
from django.core.wsgi import get_wsgi_application  # noqa: E402

_wsgi, _asgi = get_wsgi_application(), get_asgi_application()


def wsgi(environ, start_response):
    """Says which worker answered."""

    def start(status, headers, *error):
        return start_response(status, [*headers, ("X-Worker", str(os.getpid()))], *error)

    return _wsgi(environ, start)


async def asgi(scope, receive, send):
    """Says which worker answered."""

    async def send_named(message):
        if message["type"] == "http.response.start":
            message["headers"].append((b"X-Worker", str(os.getpid()).encode()))
        await send(message)

    if scope["type"] == "http":
        await _asgi(scope, receive, send_named)
