"""What the servers under load run with: applications and keys as records, every fault that is met in a log."""

import os

from tests.settings import *  # noqa: F403
from usersig_django.signing import Privilege

DEBUG = False
ALLOWED_HOSTS = ["127.0.0.1"]
ROOT_URLCONF = "tests.load.urls"
# Persistent connections are what a restart of the database breaks; ASGI has none that last.
DATABASES["default"]["CONN_MAX_AGE"] = int(os.environ["CONN_MAX_AGE"])  # noqa: F405

CACHE_SECONDS = 1
SDKAPPID = 1400000007


def room_policy(user, room):
    """Each user's own bits, so that a mixture would show."""
    return Privilege(1 + user.pk % 255)


USERSIG = {
    "ENVIRONMENT": "load",
    "ENCRYPTION_KEYS": [os.environ["ENCRYPTION_KEY"]],
    "CACHE_SECONDS": CACHE_SECONDS,
    "THROTTLE_RATE": "1000000/day",
    "AUDIT_TO_DATABASE": True,
    "ROOM_POLICY": room_policy,
}
