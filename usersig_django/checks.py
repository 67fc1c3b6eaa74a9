"""System checks. What is right is decided in `conf`, `signing` and `sealed`; here their refusals become messages.
Nothing here touches the database or shows a secret."""

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any, Final

from django.core import checks
from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.checks import CheckMessage, Error, Tags, Warning  # noqa: A004  # Django's own names
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from usersig_django.applications import build_signer
from usersig_django.conf import APPLICATION_SETTINGS, DEFAULTS, ApplicationSettings, conf
from usersig_django.exceptions import InvalidKey
from usersig_django.resolvers import opaque
from usersig_django.secret import Secret

USERSIG_NOT_A_DICT: Final = "usersig.E001"
SETTING_INVALID: Final = "usersig.E002"
APPLICATION_INVALID: Final = "usersig.E003"
KEY_INVALID: Final = "usersig.E004"
RESOLVER_INVALID: Final = "usersig.E005"
USERID_SECRET_INVALID: Final = "usersig.E006"  # noqa: S105  # an id
ROOM_POLICY_INVALID: Final = "usersig.E007"
ENCRYPTION_KEYS_INVALID: Final = "usersig.E008"
THROTTLE_RATE_INVALID: Final = "usersig.E009"
UNKNOWN_SETTING: Final = "usersig.W001"
DEMO_APPLICATION: Final = "usersig.W002"
NOTHING_SIGNS: Final = "usersig.W003"
# With `check --deploy` alone.
PLACEHOLDER_KEY: Final = "usersig.W011"
LONG_LIFETIME: Final = "usersig.W012"
INEXACT_CACHE: Final = "usersig.W013"
NOTHING_RESERVED: Final = "usersig.W014"

# The example project's: well-formed, so that everything runs, and known to nobody at Tencent.
DEMO_SECRET_KEY: Final = "demo-key-that-no-application-of-tencent-has-00000"  # noqa: S105  # public by design
# A key from Tencent's console is 64 hex digits, which spell none of these.
PLACEHOLDERS: Final = (
    "change", "demo", "dummy", "example", "fake", "insecure", "key", "placeholder", "replace", "sample", "secret",
    "test", "todo", "xxxx", "your",
)  # fmt: skip
# Tencent's pages advise two months (PROTOCOL 1); the longest two have 62 days.
ADVISED_EXPIRE: Final = 62 * 86400
# Backends whose `add` and `incr` count for one process, or for nobody (SECURITY 1.9).
INEXACT_CACHES: Final = (
    "django.core.cache.backends.locmem.LocMemCache",
    "django.core.cache.backends.dummy.DummyCache",
    "django.core.cache.backends.db.DatabaseCache",
    "django.core.cache.backends.filebased.FileBasedCache",
)


def register() -> None:
    checks.register(check_settings, "usersig")
    checks.register(check_deployment, "usersig", Tags.security, deploy=True)


def check_settings(**_kwargs: Any) -> list[CheckMessage]:
    try:
        conf.usersig  # noqa: B018  # raises
    except ImproperlyConfigured as error:
        return [Error(str(error), hint=_("See the settings reference."), id=USERSIG_NOT_A_DICT)]
    return [
        *_unknown_settings(),
        *_invalid_settings(),
        *_invalid_applications(),
        *_nothing_signs(),
    ]


def check_deployment(**_kwargs: Any) -> list[CheckMessage]:
    return []


def _unknown_settings() -> Iterator[CheckMessage]:
    return iter(())


def _invalid_settings() -> Iterator[CheckMessage]:
    return iter(())


def _invalid_applications() -> Iterator[CheckMessage]:
    return iter(())


def _nothing_signs() -> Iterator[CheckMessage]:
    return iter(())
