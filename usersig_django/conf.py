"""The only reader of `django.conf.settings`. Every value of `USERSIG` is read live, checked when it is read, and
refused with `ImproperlyConfigured` that names the setting and never shows a secret."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal, cast

from django.conf import settings
from django.views.decorators.debug import sensitive_variables

from usersig_django.exceptions import gettext_noop
from usersig_django.faults import Misconfigured
from usersig_django.rules import callable_or_path, integer, mapping, one_of
from usersig_django.secret import Secret

HMAC_SHA256: Final = "HMAC-SHA256"
ECDSA_SHA256: Final = "ECDSA-SHA256"
ALGORITHMS: Final = (HMAC_SHA256, ECDSA_SHA256)
REGIONS: Final = ("china", "singapore", "seoul", "tokyo", "frankfurt", "silicon-valley", "jakarta")
ENVIRONMENT: Final = re.compile(r"[a-z0-9_-]{1,50}")
MIN_EXPIRE: Final = 60
MAX_EXPIRE: Final = 315_360_000

DEFAULTS: Final[Mapping[str, object]] = {
    "ENVIRONMENT": "default",
    "APPLICATIONS": {},
    "EXPIRE": 86400,
    "PRIVATE_MAP_KEY_EXPIRE": 3600,
    "USERID_RESOLVER": "usersig_django.resolvers.primary_key",
    "USERID_RULE": "strict",
    "USERID_SECRET": "",
    "RESERVED_USERIDS": ["administrator", "admin", "root", "system"],
    "ADMIN_USERID": "administrator",
    "ROOM_POLICY": None,
    "ENCRYPTION_KEYS": [],
    "THROTTLE_RATE": "60/min",
    "CACHE_SECONDS": 10,
    "COMPRESSION_LEVEL": 6,
    "AUDIT_TO_DATABASE": False,
    "REVOKE_ON_DEACTIVATION": False,
}

# Where an application's key may stand, and the algorithm each place means.
KEY_SETTINGS: Final[Mapping[str, str]] = {
    "SECRET_KEY": HMAC_SHA256,
    "SECRET_KEY_FILE": HMAC_SHA256,
    "PRIVATE_KEY": ECDSA_SHA256,
    "PRIVATE_KEY_FILE": ECDSA_SHA256,
}
APPLICATION_SETTINGS: Final = ("SDKAPPID", *KEY_SETTINGS, "ALGORITHM", "EXPIRE", "REGION")


@dataclass(frozen=True, slots=True)
class ApplicationSettings:
    """One entry of `USERSIG["APPLICATIONS"]`, checked in form; whether the key is one, its signer decides."""

    environment: str
    sdkappid: int
    algorithm: str
    secret: Secret
    region: str
    expire: int | None


class Conf:
    def state(self, environment: str) -> object:
        """Equal to an earlier one while nothing has changed that a cached signer was built from, in place too. A
        hash, so that it holds no key."""
        usersig = self.usersig
        entry = self.applications.get(environment)
        try:
            return hash(
                (
                    frozenset((*item, type(item[1])) for item in entry.items()) if entry else entry,
                    tuple(usersig.get("ENCRYPTION_KEYS", ())),
                    *(
                        (value := usersig.get(name), type(value))  # 1, 1.0 and True are equal, and not equally good
                        for name in ("EXPIRE", "USERID_RULE", "COMPRESSION_LEVEL", "CACHE_SECONDS")
                    ),
                )
            )
        except (TypeError, AttributeError):
            # What cannot be hashed is no setting of ours; whoever reads it next says so.
            return object()

    @property
    def usersig(self) -> Mapping[str, Any]:
        """`settings.USERSIG` as it stands."""
        usersig = getattr(settings, "USERSIG", {})
        return usersig if type(usersig) is dict else mapping("USERSIG", usersig)

    @property
    def environment(self) -> str:
        environment = self._get("ENVIRONMENT")
        if not _is_environment(environment):
            message = gettext_noop("%(where)s must be 1..50 of a-z, 0-9, _ and -.")
            raise Misconfigured(message, where='USERSIG["ENVIRONMENT"]')
        return cast("str", environment)

    @property
    def applications(self) -> Mapping[str, Any]:
        return mapping('USERSIG["APPLICATIONS"]', self._get("APPLICATIONS"))

    @sensitive_variables()
    def application(self, environment: str) -> ApplicationSettings | None:
        """The environment's entry in `APPLICATIONS`, its key read from its file where it names one."""
        if environment not in self.applications:
            return None
        where = f'USERSIG["APPLICATIONS"]["{environment}"]'
        if not _is_environment(environment):
            message = gettext_noop("%(where)s: an environment's name must be 1..50 of a-z, 0-9, _ and -.")
            raise Misconfigured(message, where=where)
        entry = mapping(where, self.applications[environment])
        algorithm, secret = _application_key(where, entry)
        return ApplicationSettings(
            environment=environment,
            sdkappid=integer(f'{where}["SDKAPPID"]', entry.get("SDKAPPID"), 1, 2**32 - 1),
            algorithm=algorithm,
            secret=secret,
            region=one_of(f'{where}["REGION"]', entry.get("REGION", REGIONS[0]), REGIONS),
            expire=_expire(f'{where}["EXPIRE"]', entry["EXPIRE"]) if "EXPIRE" in entry else None,
        )

    @property
    def expire(self) -> int:
        return _expire('USERSIG["EXPIRE"]', self._get("EXPIRE"))

    @property
    def private_map_key_expire(self) -> int:
        return _expire('USERSIG["PRIVATE_MAP_KEY_EXPIRE"]', self._get("PRIVATE_MAP_KEY_EXPIRE"))

    @property
    def userid_resolver(self) -> Callable[[Any], object]:
        return callable_or_path('USERSIG["USERID_RESOLVER"]', self._get("USERID_RESOLVER"))

    @property
    def userid_rule(self) -> Literal["strict", "printable"]:
        rule = one_of('USERSIG["USERID_RULE"]', self._get("USERID_RULE"), ("strict", "printable"))
        return cast("Literal['strict', 'printable']", rule)

    @property
    @sensitive_variables()
    def userid_secret(self) -> Secret:
        secret = self._get("USERID_SECRET")
        if not isinstance(secret, str) or len(secret.strip()) < 32:
            raise Misconfigured(
                gettext_noop(
                    'USERSIG["USERID_SECRET"] must be text of at least 32 characters: the `opaque` resolver hashes '
                    "with it. Set it once and never change it, or every user gets another UserID."
                )
            )
        return Secret(secret.strip())

    @property
    def reserved_userids(self) -> frozenset[str]:
        """Casefolded, `ADMIN_USERID` among them (SECURITY 1.5)."""
        reserved = self._get("RESERVED_USERIDS")
        if not isinstance(reserved, (list, tuple, set, frozenset)) or not all(
            isinstance(userid, str) for userid in reserved
        ):
            raise Misconfigured(gettext_noop('USERSIG["RESERVED_USERIDS"] must be a list of UserIDs.'))
        return frozenset(userid.casefold() for userid in (*reserved, self.admin_userid))

    @property
    def admin_userid(self) -> str:
        userid = self._get("ADMIN_USERID")
        if not isinstance(userid, str) or not userid:
            raise Misconfigured(gettext_noop('USERSIG["ADMIN_USERID"] must be the UserID of a Chat administrator.'))
        return userid

    @property
    def room_policy(self) -> Callable[[Any, int | str], object] | None:
        policy = self._get("ROOM_POLICY")
        return None if policy is None else callable_or_path('USERSIG["ROOM_POLICY"]', policy)

    @property
    @sensitive_variables()
    def encryption_keys(self) -> tuple[Secret, ...]:
        keys = self._get("ENCRYPTION_KEYS")
        if not isinstance(keys, (list, tuple)) or not all(isinstance(key, (str, bytes)) for key in keys):
            raise Misconfigured(gettext_noop('USERSIG["ENCRYPTION_KEYS"] must be a list of Fernet keys.'))
        try:
            texts = [key if isinstance(key, str) else key.decode("ascii") for key in keys]
        except UnicodeDecodeError:
            raise Misconfigured(gettext_noop('USERSIG["ENCRYPTION_KEYS"] holds a key that is not ASCII.')) from None
        return tuple(Secret(text.strip()) for text in texts)

    @property
    def throttle_rate(self) -> str | None:
        """DRF's notation, as "60/min"; None is off. `throttling` knows whether it parses."""
        rate = self._get("THROTTLE_RATE")
        if rate is not None and not isinstance(rate, str):
            raise Misconfigured(gettext_noop('USERSIG["THROTTLE_RATE"] must be like "60/min", or None.'))
        return rate

    @property
    def cache_seconds(self) -> int | float:
        seconds = self._get("CACHE_SECONDS")
        if type(seconds) not in (int, float) or not 0 <= seconds <= 3600:
            raise Misconfigured(gettext_noop('USERSIG["CACHE_SECONDS"] must be a number of seconds from 0 to 3600.'))
        return cast("int | float", seconds)

    @property
    def compression_level(self) -> int:
        return integer('USERSIG["COMPRESSION_LEVEL"]', self._get("COMPRESSION_LEVEL"), 0, 9)

    @property
    def audit_to_database(self) -> bool:
        return self._flag("AUDIT_TO_DATABASE")

    @property
    def revoke_on_deactivation(self) -> bool:
        return self._flag("REVOKE_ON_DEACTIVATION")

    def _flag(self, name: str) -> bool:
        value = self._get(name)
        if type(value) is not bool:
            raise Misconfigured(gettext_noop("%(where)s must be True or False."), where=f'USERSIG["{name}"]')
        return value

    def _get(self, name: str) -> Any:
        return self.usersig.get(name, DEFAULTS[name])


@sensitive_variables()
def _application_key(where: str, entry: Mapping[str, Any]) -> tuple[str, Secret]:
    given = [name for name in KEY_SETTINGS if entry.get(name) not in (None, "")]
    if len(given) != 1:
        message = (
            gettext_noop("%(where)s needs exactly one of %(names)s; found %(found)s.")
            if given
            else gettext_noop("%(where)s needs exactly one of %(names)s; found none, or an empty one.")
        )
        raise Misconfigured(message, where=where, names=", ".join(KEY_SETTINGS), found=", ".join(given))
    [name] = given
    algorithm = one_of(f'{where}["ALGORITHM"]', entry.get("ALGORITHM", KEY_SETTINGS[name]), ALGORITHMS)
    if algorithm != KEY_SETTINGS[name]:
        raise Misconfigured(
            gettext_noop("%(where)s: %(name)s holds no key for %(algorithm)s."),
            where=where,
            name=name,
            algorithm=algorithm,
        )
    text = entry[name]
    if name.endswith("_FILE"):
        text = _read_key_file(f'{where}["{name}"]', text)
    if not isinstance(text, str):
        raise Misconfigured(
            gettext_noop("%(where)s must be text, not %(type)s."), where=f'{where}["{name}"]', type=type(text).__name__
        )
    return algorithm, Secret(text.strip())


@sensitive_variables()
def _read_key_file(where: str, path: object) -> str:
    if not isinstance(path, (str, Path)):
        raise Misconfigured(
            gettext_noop("%(where)s must be a path, not %(type)s."), where=where, type=type(path).__name__
        )
    try:
        return Path(path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        # The decoder's own exception carries the file's bytes.
        raise Misconfigured(gettext_noop("%(where)s names a file that is not UTF-8 text."), where=where) from None
    except (OSError, ValueError) as error:
        raise Misconfigured(
            gettext_noop("%(where)s names a file that cannot be read: %(error)s"), where=where, error=error
        ) from error


def _is_environment(value: object) -> bool:
    return isinstance(value, str) and ENVIRONMENT.fullmatch(value) is not None


def _expire(where: str, value: object) -> int:
    return integer(where, value, MIN_EXPIRE, MAX_EXPIRE)


conf: Final = Conf()
