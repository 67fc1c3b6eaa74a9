"""System checks: what `conf`, `signing`, `sealed` and `throttling` refuse, as messages at start; the rules are theirs.
Nothing here touches the database or shows a secret."""

from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import suppress
from difflib import get_close_matches
from typing import Any, Final

from django.core import checks
from django.core.cache import DEFAULT_CACHE_ALIAS, caches
from django.core.checks import CheckMessage, Error, Tags, Warning  # noqa: A004  # Django's own names
from django.core.exceptions import ImproperlyConfigured
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop
from django.views.decorators.debug import sensitive_variables

from usersig_django.applications import build_signer
from usersig_django.conf import (
    APPLICATION_SETTINGS,
    DEFAULTS,
    HMAC_SHA256,
    KEY_SETTINGS,
    ApplicationSettings,
    conf,
)
from usersig_django.exceptions import InvalidKey
from usersig_django.faults import translated
from usersig_django.resolvers import opaque
from usersig_django.sealed import key_ring
from usersig_django.secret import Secret
from usersig_django.throttling import UserSigRateThrottle

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
ADMIN_NOT_RESERVED: Final = "usersig.W014"

# The example project's: well-formed, so that everything runs, and no key of any application.
DEMO_SECRET_KEY: Final = "demo-key-that-no-application-of-tencent-has-00000"  # noqa: S105  # public by design
# A key from Tencent's console is 64 hex digits, which spell none of these.
PLACEHOLDERS: Final = (
    "change", "demo", "dummy", "example", "fake", "insecure", "placeholder", "replace", "sample", "secret",
    "test", "todo", "xxxx", "your",
)  # fmt: skip
# Tencent's pages advise two months (PROTOCOL 1); the longest two have 62 days.
ADVISED_EXPIRE: Final = 62 * 86400
# Backends whose `add` and `incr` count within one process, or not exactly (SECURITY 1.9).
INEXACT_CACHES: Final = (
    "django.core.cache.backends.locmem.LocMemCache",
    "django.core.cache.backends.dummy.DummyCache",
    "django.core.cache.backends.db.DatabaseCache",
    "django.core.cache.backends.filebased.FileBasedCache",
)

# The settings that have an id of their own; the others share SETTING_INVALID.
_OWN_ID: Final[Mapping[str, tuple[str, str]]] = {
    "APPLICATIONS": (
        APPLICATION_INVALID,
        gettext_noop("Make it a dict of environments, each with its own dict."),
    ),
    "USERID_RESOLVER": (
        RESOLVER_INVALID,
        gettext_noop("Name a callable(user) -> str, such as usersig_django.resolvers.primary_key."),
    ),
    "USERID_SECRET": (
        USERID_SECRET_INVALID,
        gettext_noop("Set it once to 32 random characters or more, or name another USERID_RESOLVER."),
    ),
    "ROOM_POLICY": (ROOM_POLICY_INVALID, gettext_noop("Name a callable(user, room) -> Privilege, or None.")),
    "ENCRYPTION_KEYS": (
        ENCRYPTION_KEYS_INVALID,
        gettext_noop("Make each with cryptography.fernet.Fernet.generate_key()."),
    ),
    "THROTTLE_RATE": (THROTTLE_RATE_INVALID, gettext_noop('Write it like "60/min", or None for no limit.')),
}


def register() -> None:
    checks.register(check_settings, "usersig")
    checks.register(check_deployment, "usersig", Tags.security, deploy=True)


def check_settings(**_kwargs: Any) -> list[CheckMessage]:
    """What is wrong wherever the project runs."""
    if fault := _fault(getattr, conf, "usersig"):
        return [Error(fault, hint=_("Make it a dict, as the settings reference shows."), id=USERSIG_NOT_A_DICT)]
    return [
        *_unknown_settings(conf.usersig, "USERSIG", DEFAULTS),
        *_invalid_settings(),
        *_invalid_applications(),
        *_invalid_keys(),
        *_demo_application(),
        *_nothing_signs(),
    ]


def check_deployment(**_kwargs: Any) -> list[CheckMessage]:
    """What is right at a desk and wrong in production."""
    if _fault(getattr, conf, "usersig"):
        return []
    return [*_placeholder_keys(), *_long_lifetimes(), *_inexact_cache(), *_admin_not_reserved()]


def _unknown_settings(given: Mapping[Any, Any], where: str, known: Collection[str]) -> Iterator[CheckMessage]:
    for name in given:
        if name not in known:
            [nearest] = get_close_matches(str(name).upper(), known, n=1, cutoff=0)
            yield Warning(
                _("%(where)s has an unknown setting, %(name)r, which does nothing.") % {"where": where, "name": name},
                hint=_("The nearest known setting is %(nearest)s.") % {"nearest": nearest},
                id=UNKNOWN_SETTING,
            )


def _invalid_settings() -> Iterator[CheckMessage]:
    rules: dict[str, Callable[[], object]] = {
        "USERID_SECRET": _check_userid_secret,
        "ENCRYPTION_KEYS": _check_encryption_keys,
        "THROTTLE_RATE": UserSigRateThrottle().get_limit,
    }
    told = set()
    for name in DEFAULTS:
        fault = _fault(rules[name]) if name in rules else _fault(getattr, conf, name.lower())
        # RESERVED_USERIDS holds ADMIN_USERID, and fails with it.
        if fault and fault not in told:
            told.add(fault)
            id_, hint = _OWN_ID.get(name, (SETTING_INVALID, gettext_noop("See the settings reference.")))
            yield Error(fault, hint=_(hint), id=id_)


def _check_userid_secret() -> None:
    if _value("userid_resolver") is opaque:
        conf.userid_secret  # noqa: B018  # raises


def _check_encryption_keys() -> None:
    if conf.encryption_keys:
        key_ring()


def _invalid_applications() -> Iterator[CheckMessage]:
    for environment, entry in (_value("applications") or {}).items():
        if isinstance(entry, Mapping):
            yield from _unknown_settings(entry, _where(environment), APPLICATION_SETTINGS)
        if fault := _fault(conf.application, environment):
            hint = _("An entry holds an SDKAPPID and exactly one of %(keys)s.") % {"keys": ", ".join(KEY_SETTINGS)}
            yield Error(fault, hint=hint, id=APPLICATION_INVALID)


def _invalid_keys() -> Iterator[CheckMessage]:
    if _fault(getattr, conf, "compression_level") or _fault(getattr, conf, "userid_rule"):
        return
    for application in _applications():
        try:
            build_signer(application.algorithm, application.sdkappid, application.secret)
        except InvalidKey as error:
            yield Error(
                _("%(where)s: %(error)s") % {"where": _where(application.environment), "error": translated(error)},
                hint=_("Copy the key from Tencent's console as it stands; a PEM belongs in PRIVATE_KEY."),
                id=KEY_INVALID,
            )


def _demo_application() -> Iterator[CheckMessage]:
    for application in _applications():
        if application.environment == _value("environment") and _is_demo(application.secret):
            yield Warning(
                _("The environment %(environment)r signs with the demo key: its UserSigs log in nowhere.")
                % {"environment": application.environment},
                hint=_("Give it the SDKAppID and key of an application of yours in Tencent's console."),
                id=DEMO_APPLICATION,
            )


def _nothing_signs() -> Iterator[CheckMessage]:
    environment, applications = _value("environment"), _value("applications")
    if environment is None or applications is None or environment in applications:
        return
    if _value("encryption_keys") == ():
        yield Warning(
            _("Nothing can sign for the environment %(environment)r yet.") % {"environment": environment},
            hint=_("Add it to APPLICATIONS, or set ENCRYPTION_KEYS and add the application in the admin."),
            id=NOTHING_SIGNS,
        )


def _placeholder_keys() -> Iterator[CheckMessage]:
    for application in _applications():
        if application.algorithm == HMAC_SHA256 and _is_placeholder(application.secret):
            yield Warning(
                _("%(where)s: the key looks like a placeholder.") % {"where": _where(application.environment)},
                hint=_("Copy the key from Tencent's console; whoever guesses it signs in as any user."),
                id=PLACEHOLDER_KEY,
            )


def _long_lifetimes() -> Iterator[CheckMessage]:
    lifetimes = {f'USERSIG["{name}"]': _value(name.lower()) for name in ("EXPIRE", "PRIVATE_MAP_KEY_EXPIRE")}
    lifetimes |= {f'{_where(found.environment)}["EXPIRE"]': found.expire for found in _applications()}
    for where, expire in lifetimes.items():
        if expire is not None and expire > ADVISED_EXPIRE:
            yield Warning(
                _("%(where)s is %(expire)d seconds, longer than the two months that Tencent advises.")
                % {"where": where, "expire": expire},
                hint=_("Clients renew by themselves: a day is enough, and a leaked UserSig dies with it."),
                id=LONG_LIFETIME,
            )


def _inexact_cache() -> Iterator[CheckMessage]:
    backend = caches.settings.get(DEFAULT_CACHE_ALIAS, {}).get("BACKEND")
    if _value("throttle_rate") is not None and backend in INEXACT_CACHES:
        yield Warning(
            _("THROTTLE_RATE counts in %(backend)s, which is not exact across processes.") % {"backend": backend},
            hint=_("Use Redis or Memcached as the default cache, or silence this where one process serves all."),
            id=INEXACT_CACHE,
        )


def _admin_not_reserved() -> Iterator[CheckMessage]:
    reserved = _value("reserved_userids")
    if reserved is None:
        return
    if "administrator" not in reserved or not conf.usersig.get("RESERVED_USERIDS", True):
        yield Warning(
            _("RESERVED_USERIDS is empty, or lacks %(userid)r, Tencent's own administrator.")
            % {"userid": "administrator"},
            hint=_("Reserve every administrator's UserID: its UserSig is the credential of Tencent's REST API."),
            id=ADMIN_NOT_RESERVED,
        )


def _applications() -> Iterator[ApplicationSettings]:
    """The entries that have the right form."""
    for environment in _value("applications") or ():
        with suppress(ImproperlyConfigured):
            if application := conf.application(environment):
                yield application


def _where(environment: object) -> str:
    return f'USERSIG["APPLICATIONS"]["{environment}"]'


def _fault(read: Callable[..., object], *args: object) -> str:
    """Why the settings are refused, in a sentence; empty where they are not."""
    try:
        read(*args)
    except ImproperlyConfigured as error:
        return translated(error)
    return ""


def _value(name: str) -> Any:
    """What `conf` gives; None where it refuses."""
    try:
        return getattr(conf, name)
    except ImproperlyConfigured:
        return None


def _is_demo(secret: Secret) -> bool:
    return secret.reveal() == DEMO_SECRET_KEY


@sensitive_variables()
def _is_placeholder(secret: Secret) -> bool:
    text = secret.reveal().lower()
    if text == DEMO_SECRET_KEY:
        return False  # which has a message of its own
    repeated = text in (text + text)[1:-1]
    return repeated or len(set(text)) < 8 or any(word in text for word in PLACEHOLDERS)
