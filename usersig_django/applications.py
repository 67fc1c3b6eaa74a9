"""Which SDKAppID and keys serve an environment: `USERSIG["APPLICATIONS"]` first, then the admin's records. There is
no way from one environment to another."""

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from enum import Enum
from functools import partial
from typing import Final
from weakref import WeakSet

from django.core.exceptions import ImproperlyConfigured
from django.db import Error as DatabaseFault
from django.db import connections, router, transaction
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_variables

from usersig_django.conf import ECDSA_SHA256, ENVIRONMENT, ApplicationSettings, conf
from usersig_django.exceptions import InvalidInput, InvalidKey, SigningUnavailable, gettext_noop
from usersig_django.faults import Misconfigured
from usersig_django.models import Application, SigningKey
from usersig_django.secret import Secret
from usersig_django.signing import EcdsaSha256Signer, HmacSha256Signer

Signer = HmacSha256Signer | EcdsaSha256Signer


@dataclass(frozen=True, slots=True)
class ServedApplication:
    """What an environment signs and verifies with."""

    environment: str
    sdkappid: int
    region: str
    expire: int
    active_signer: Signer | None
    signers: tuple[Signer, ...]
    """Every key that is not retired, the active one first."""
    refusal: Callable[[], SigningUnavailable] = SigningUnavailable
    """Why there is no active signer."""

    @property
    def signer(self) -> Signer:
        """The active key's signer. Raises SigningUnavailable where there is none."""
        if self.active_signer is None:
            raise self.refusal()
        return self.active_signer


def get_application(environment: str | None = None) -> ServedApplication:
    """The application of an environment, by default `USERSIG["ENVIRONMENT"]`, from the cache for `CACHE_SECONDS`.

    Raises InvalidInput (not a str), SigningUnavailable (no application, an inactive one, no readable key),
    ImproperlyConfigured, and the database's own errors.
    """
    if environment is None:
        environment = conf.environment
    elif type(environment) is not str:
        raise InvalidInput(gettext_noop("environment must be a str, not %(type)s."), type=type(environment).__name__)
    cache = _uncommitted() or _cache
    return cache.get(environment) or cache.load(environment)


def get_expire(environment: str | None = None) -> int:
    """The validity in seconds that an environment grants; the project's where its application cannot be had now."""
    try:
        return get_application(environment).expire
    except (SigningUnavailable, ImproperlyConfigured, DatabaseFault):
        return conf.expire


class State(Enum):
    """What an application's record can do now."""

    READY = gettext_noop("ready")
    NO_KEY = gettext_noop("no key")
    UNREADABLE_KEY = gettext_noop("unreadable key")
    DISABLED = gettext_noop("disabled")
    OVERRIDDEN = gettext_noop("overridden by settings")

    @property
    def label(self) -> str:
        return _(self.value)


def get_state(record: Application) -> State:
    """Opens the active key, which therefore should come with the record (`select_related`)."""
    if is_overridden(record.environment):
        return State.OVERRIDDEN
    if not record.is_active:
        return State.DISABLED
    if record.active_key is None:
        return State.NO_KEY
    return State.READY if record.active_key.is_usable else State.UNREADABLE_KEY


def is_overridden(environment: str) -> bool:
    """Whether the settings serve this environment, whatever its record says."""
    try:
        return environment in conf.applications
    except ImproperlyConfigured:
        return False


def get_environments() -> list[str]:
    """Every environment that settings or records name; this project's own first."""
    try:
        own, configured = [conf.environment], sorted(conf.applications)
    except ImproperlyConfigured:
        own, configured = [], []
    recorded = Application.objects.order_by("environment").values_list("environment", flat=True)
    return list(dict.fromkeys([*own, *configured, *recorded]))


def invalidate(**_kwargs: object) -> None:
    """Forget every cached signer: in this process at once, and in this transaction alone until it commits."""
    alias = router.db_for_write(Application)
    if connections[alias].in_atomic_block:
        transaction.on_commit(_UncommittedCache(), using=alias)
    else:
        _cache.clear()


@dataclass(frozen=True, slots=True)
class _Entry:
    application: ServedApplication
    settings: object
    until: float


class _SignerCache:
    """Signers by environment."""

    def __init__(self) -> None:
        self._entries: dict[str, _Entry] = {}
        self._generation = 0
        self._lock = threading.Lock()

    def get(self, environment: str) -> ServedApplication | None:
        entry = self._entries.get(environment)
        if entry is None or entry.settings != conf.state(environment) or time.monotonic() >= entry.until:
            return None
        return entry.application

    def load(self, environment: str) -> ServedApplication:
        generation = self._generation
        settings = conf.state(environment)
        application = _load(environment)
        with self._lock:
            # What was read before a key was activated must not hide the new key.
            if generation == self._generation:
                self._entries[environment] = _Entry(application, settings, time.monotonic() + conf.cache_seconds)
        return application

    def clear(self) -> None:
        with self._lock:
            self._generation += 1
            self._entries.clear()


class _UncommittedCache(_SignerCache):
    """What a transaction that changed records reads until it commits: nobody else sees keys that may yet be rolled
    back. It waits among the connection's commit hooks, so Django drops it with a rollback, savepoints included."""

    def __init__(self) -> None:
        super().__init__()
        _uncommitted_caches.add(self)

    def __call__(self) -> None:
        _cache.clear()


_cache: Final = _SignerCache()
# Empty almost always, and then no request has to look its connection up.
_uncommitted_caches: Final[WeakSet["_UncommittedCache"]] = WeakSet()


def _uncommitted() -> _UncommittedCache | None:
    if not _uncommitted_caches:
        return None
    connection = connections[router.db_for_write(Application)]
    if not connection.in_atomic_block:
        return None
    waiting = (function for _, function, *_ in reversed(connection.run_on_commit))
    return next((function for function in waiting if isinstance(function, _UncommittedCache)), None)


def _load(environment: str) -> ServedApplication:
    configured = conf.application(environment)
    return _from_settings(configured) if configured else _from_record(environment)


@sensitive_variables()
def _from_settings(configured: ApplicationSettings) -> ServedApplication:
    try:
        signer = build_signer(configured.algorithm, configured.sdkappid, configured.secret)
    except InvalidKey as error:
        where = f'USERSIG["APPLICATIONS"]["{configured.environment}"]'
        raise Misconfigured(gettext_noop("%(where)s: %(error)s"), where=where, error=error) from None
    return ServedApplication(
        environment=configured.environment,
        sdkappid=configured.sdkappid,
        region=configured.region,
        expire=configured.expire or conf.expire,
        active_signer=signer,
        signers=(signer,),
    )


def _from_record(environment: str) -> ServedApplication:
    record = _find_record(environment)
    keys = sorted(
        SigningKey.objects.filter(application_id=record.pk, retired_at=None).order_by("pk"),
        key=lambda key: key.pk != record.active_key_id,
    )
    signers: list[Signer] = []
    active = None
    message = gettext_noop("Application %(environment)r (row %(row)s) has no active key.")
    refusal = partial(SigningUnavailable, message, environment=environment, row=record.pk)
    for key in keys:
        try:
            signer = build_signer(key.algorithm, record.sdkappid, key.secret)
        except (InvalidKey, ImproperlyConfigured) as error:
            if key.pk == record.active_key_id:
                message = gettext_noop(
                    "The active key of %(environment)r (signing key row %(row)s) cannot be used: %(error)s"
                )
                # It stays in the cache: the frames of its traceback must not.
                cause = error.with_traceback(None)
                refusal = partial(SigningUnavailable, message, environment=environment, row=key.pk, error=cause)
            continue
        signers.append(signer)
        if key.pk == record.active_key_id:
            active = signer
    return ServedApplication(
        environment=record.environment,
        sdkappid=record.sdkappid,
        region=record.region,
        expire=record.expire or conf.expire,
        active_signer=active,
        signers=tuple(signers),
        refusal=refusal,
    )


def _find_record(environment: str) -> Application:
    if not ENVIRONMENT.fullmatch(environment):
        raise SigningUnavailable(
            gettext_noop("No application serves the environment %(environment)r."), environment=environment
        )
    # MariaDB folds case and pads when it compares: what came back is compared again, exactly.
    found = [
        record for record in Application.objects.filter(environment=environment) if record.environment == environment
    ]
    if not found:
        raise SigningUnavailable(
            gettext_noop("No application serves the environment %(environment)r."), environment=environment
        )
    [record] = found
    if not record.is_active:
        raise SigningUnavailable(
            gettext_noop("Application %(environment)r (row %(row)s) is disabled."),
            environment=environment,
            row=record.pk,
        )
    return record


@sensitive_variables()
def build_signer(algorithm: str, sdkappid: int, secret: Secret) -> Signer:
    """A signer with the project's compression and UserID rule. Raises InvalidKey, and what `secret.reveal()` does."""
    if algorithm == ECDSA_SHA256:
        return EcdsaSha256Signer(
            sdkappid=sdkappid,
            private_key=secret.reveal(),
            compression_level=conf.compression_level,
            userid_rule=conf.userid_rule,
        )
    return HmacSha256Signer(
        sdkappid=sdkappid,
        secret_key=secret.reveal(),
        compression_level=conf.compression_level,
        userid_rule=conf.userid_rule,
    )
