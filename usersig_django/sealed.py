"""A model field for key text: encrypted in the row, opened only by `reveal()` (DESIGN 7, SECURITY 5).

The sealed payload begins with the row's `uid`: a ciphertext that was moved to another row does not open there."""

import re
from typing import TYPE_CHECKING, Any, Final, TypeVar
from uuid import UUID

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.core.exceptions import ValidationError
from django.db import models, transaction
from django.db.models.functions import Cast
from django.db.models.lookups import Exact, IsNull
from django.db.models.query_utils import DeferredAttribute
from django.views.decorators.debug import sensitive_variables

from usersig_django.conf import conf
from usersig_django.exceptions import gettext_noop
from usersig_django.faults import Misconfigured
from usersig_django.secret import Secret

# The mark tells a ciphertext from a plain text that happens to look like one of Fernet.
MARK: Final = "sealed1:"
is_sealed = re.compile(re.escape(MARK) + r"gAAAA[A-Za-z0-9_-]+={0,2}").fullmatch
_UID_LENGTH: Final = 16
_Row_co = TypeVar("_Row_co", bound=models.Model, covariant=True)
# An encoder's own exception would carry the text: what is no key is for the signer to refuse.
_ERRORS: Final = "surrogatepass"


class Ciphertext(str):
    """What stands in the column, whether or not it opens."""

    __slots__ = ()


class Unwritten(Ciphertext):
    """What was assigned and sealed, and is not in the row for good yet: a transaction may still be rolled back."""

    __slots__ = ()


class SealedElsewhere(Misconfigured):
    """The ciphertext of another row."""


class SealedSecret(Secret):
    """The secret of a row. Decrypts at every `reveal()`, and raises ImproperlyConfigured, which names the
    row and nothing of its contents, where the text does not open with `ENCRYPTION_KEYS` or is another row's."""

    __slots__ = ("ciphertext", "row")

    ciphertext: Ciphertext
    row: Any

    def __init__(self, ciphertext: Ciphertext, row: models.Model) -> None:
        self.ciphertext = ciphertext
        self.row = row
        self._reveal = lambda: unseal(ciphertext, row)

    def __bool__(self) -> bool:
        return bool(self.ciphertext)


class RefusedText(Secret):
    """Plain text where only ciphertext is taken, wrapped so that the refusal cannot show it."""

    __slots__ = ()


@sensitive_variables()
def seal(secret: Secret, row: Any) -> Ciphertext:
    """The secret, encrypted with the first of `ENCRYPTION_KEYS` for this row alone."""
    ring = key_ring()
    return Ciphertext(MARK + ring.encrypt(_uid(row) + secret.reveal().encode(errors=_ERRORS)).decode())


@sensitive_variables()
def unseal(ciphertext: str, row: Any, ring: MultiFernet | None = None) -> str:
    """The text in a row's ciphertext. Raises ImproperlyConfigured as `SealedSecret.reveal`."""
    if not ciphertext:
        raise Misconfigured(gettext_noop("signing key row %(row)s holds no secret."), row=row.pk)
    payload = _open(ring or key_ring(), ciphertext)
    if payload is None:
        raise Misconfigured(
            gettext_noop('signing key row %(row)s: the secret opens with none of USERSIG["ENCRYPTION_KEYS"].'),
            row=row.pk,
        )
    if payload[:_UID_LENGTH] != _uid(row):
        # Error trackers collect the locals of a traceback's frames.
        del payload
        raise SealedElsewhere(
            gettext_noop("signing key row %(row)s: the secret was sealed for another row."), row=row.pk
        )
    return payload[_UID_LENGTH:].decode(errors=_ERRORS)


def reseal(ciphertext: str, row: Any) -> Ciphertext | None:
    """The ciphertext under the first of `ENCRYPTION_KEYS`, opened once more to be sure; None where it is under
    that one already. Raises ImproperlyConfigured where the row cannot be read."""
    ring, primary = key_ring(), key_ring(primary_only=True)
    unseal(ciphertext, row, ring)
    if _open(primary, ciphertext) is not None:
        return None
    renewed = Ciphertext(MARK + ring.rotate(ciphertext.removeprefix(MARK).encode()).decode())
    unseal(renewed, row, primary)
    return renewed


def key_ring(*, primary_only: bool = False) -> MultiFernet:
    """`ENCRYPTION_KEYS`: the first encrypts, all decrypt. Raises ImproperlyConfigured where there is none or one
    of them is no Fernet key; there is never a key derived from anything else."""
    secrets = conf.encryption_keys
    if not secrets:
        raise Misconfigured(
            gettext_noop(
                'USERSIG["ENCRYPTION_KEYS"] is empty: keys in the database need one. Make it with: python -c '
                '"from cryptography.fernet import Fernet; print(Fernet.generate_key().decode())"'
            )
        )
    fernets = [_fernet(position, secret) for position, secret in enumerate(secrets)]
    return MultiFernet(fernets[:1] if primary_only else fernets)


@sensitive_variables()
def _fernet(position: int, secret: Secret) -> Fernet:
    try:
        return Fernet(secret.reveal())
    except ValueError:
        message = gettext_noop(
            'USERSIG["ENCRYPTION_KEYS"][%(position)s] is no Fernet key (44 characters of url-safe base64).'
        )
    raise Misconfigured(message, position=position)


@sensitive_variables()
def _open(ring: MultiFernet, ciphertext: str) -> bytes | None:
    if not is_sealed(ciphertext):
        return None
    try:
        return ring.decrypt(ciphertext.removeprefix(MARK))
    except InvalidToken:
        return None


def _uid(row: Any) -> bytes:
    uid: UUID = row.uid
    return uid.bytes


class _SealedAttribute(DeferredAttribute):
    """Holds the ciphertext, or until the row is saved the wrapped plain text: `vars()` never shows a key."""

    field: "SealedSecretField"

    def __get__(self, instance: Any, cls: type[models.Model] | None = None) -> Any:
        value = super().__get__(instance, cls)
        return SealedSecret(value, instance) if isinstance(value, Ciphertext) else value

    def __set__(self, instance: models.Model, value: object) -> None:
        instance.__dict__[self.field.attname] = self.field.wrap(value, instance)


if TYPE_CHECKING:
    _TextField = models.TextField[Secret | str, Secret]
else:
    _TextField = models.TextField


class SealedSecretField(_TextField):
    """Takes plain text as `str` or `Secret`, gives a `Secret`, stores ciphertext. The model needs a `uid`
    (UUIDField) that is declared before it and never changes."""

    descriptor_class = _SealedAttribute

    def wrap(self, value: object, row: Any) -> Ciphertext | Secret:
        """What a value assigned to the row is held as. Plain text is stripped: secret files end in a newline. The
        secret of another row is that row's until it is sealed for this one."""
        if isinstance(value, RefusedText):
            raise ValueError(  # noqa: TRY004  # what is wrong is the text
                f"{self} takes no plain text here: only the ciphertext that dumpdata writes."
            )
        if isinstance(value, SealedSecret) and value.row.uid == row.uid:
            return value.ciphertext
        if isinstance(value, Secret) or (isinstance(value, Ciphertext) and row._state.adding):
            # A model that is read from the database is filled before it is told that it is stored.
            return value
        if value is None:
            return Unwritten()
        if not isinstance(value, str):
            raise TypeError(f"{self} takes text, not {type(value).__name__}.")
        return Unwritten(value) if not value or is_sealed(value) else Secret(value.strip())

    def from_db_value(self, value: str | None, *_args: object) -> Ciphertext | None:
        return None if value is None else Ciphertext(value)

    def pre_save(self, model_instance: models.Model, add: bool) -> Any:
        self.seal_in(model_instance)
        return super().pre_save(model_instance, add)

    def seal_in(self, row: models.Model) -> None:
        """Seal what was assigned to the row and not saved yet."""
        getattr(row, self.attname)
        value = row.__dict__[self.attname]
        if isinstance(value, Secret):
            row.__dict__[self.attname] = Unwritten(seal(value, row))

    def is_assigned(self, row: models.Model) -> bool:
        """Whether the row holds what its stored row may not."""
        is_new = row._state.adding or row.pk is None
        return is_new or isinstance(row.__dict__.get(self.attname), (Secret, Unwritten))

    def settle_in(self, row: models.Model) -> None:
        """What was written now is what is stored, as soon as it is committed."""
        value = row.__dict__.get(self.attname)

        def settle() -> None:
            if row.__dict__.get(self.attname) is value:
                row.__dict__[self.attname] = Ciphertext(value)

        if isinstance(value, Unwritten):
            transaction.on_commit(settle, using=row._state.db)

    def get_prep_value(self, value: Any) -> Any:
        if isinstance(value, SealedSecret):
            value = value.ciphertext
        if isinstance(value, Ciphertext) or (isinstance(value, str) and (not value or is_sealed(value))):
            return str(value)
        if value is None:
            # The column's own refusal.
            return None
        del value
        raise ValueError(f"{self} writes and compares ciphertext only: assign plain text to an instance and save it.")

    def get_lookup(self, lookup_name: str) -> Any:
        # Others look into the text, or take plain text to the database and its log.
        return {"exact": _SealedExact, "isnull": IsNull}.get(lookup_name)

    def get_transform(self, lookup_name: str) -> None:
        return None

    def to_python(self, value: Any) -> Any:
        """Reads fixtures. Django prints the value with every error raised here, so plain text is only marked, and
        refused when the row is made of it."""
        return RefusedText(value) if isinstance(value, str) and not is_sealed(value) and value else value

    def value_to_string(self, obj: models.Model) -> str:
        self.seal_in(obj)
        return str(obj.__dict__[self.attname])

    def validate(self, value: Any, model_instance: Any) -> None:
        if not value and not self.blank:
            raise ValidationError(self.error_messages["blank"], code="blank")

    def save_form_data(self, instance: models.Model, data: Any) -> None:
        # As FileField does: an empty box keeps what is stored, since the form never shows it.
        if data:
            super().save_form_data(instance, data)


class SealedQuerySet(models.QuerySet[_Row_co]):
    """Refuses plain text before the transaction breaks, and also what goes past the field inside an expression."""

    @sensitive_variables()
    def update(self, **kwargs: Any) -> int:
        for name, value in kwargs.items():
            field = self.model._meta.get_field(name)
            if isinstance(field, SealedSecretField):
                for part in value.flatten() if isinstance(value, models.Expression) else [models.Value(value)]:
                    _refuse_plain_text(field, part)
        return super().update(**kwargs)


class _SealedExact(Exact):
    def get_prep_lookup(self) -> Any:
        _refuse_plain_text(self.lhs.output_field, self.rhs)
        return super().get_prep_lookup()


@sensitive_variables()
def _refuse_plain_text(field: SealedSecretField, part: Any) -> None:
    """Of an expression; the database makes no ciphertext of anything. `bulk_update` picks values by primary key."""
    if isinstance(part, models.Value):
        part = part.value
    if isinstance(part, (str, Secret)) or (
        hasattr(part, "resolve_expression") and not isinstance(part, (models.Case, models.When, models.Q, Cast))
    ):
        field.get_prep_value(part)
