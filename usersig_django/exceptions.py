"""What this package raises on purpose. Faults of configuration are Django's `ImproperlyConfigured`, outside
this tree, so that a broad `except UserSigError` cannot hide a broken deployment."""


def gettext_noop(message: str) -> str:
    """Mark a sentence for extraction; Django's own would import Django, which the signing core stands below."""
    return message


class Explained(Exception):
    """An error in a sentence that can be translated: `str()` gives it in English, `message` and `params` are what
    the translation is made of."""

    def __init__(self, message: str = "", **params: object) -> None:
        super().__init__(message % params if params else message)
        self.message = message
        self.params = params


class UserSigError(Explained):
    """Base of every error below."""


class InvalidInput(UserSigError, ValueError):
    """An argument breaks a rule of the protocol: wrong type, range, length or character (PROTOCOL 4)."""


class InvalidKey(UserSigError, ValueError):
    """The text is not a key of this algorithm. The message never holds any of it."""


class InvalidUserSig(UserSigError):
    """A token that must not be trusted."""

    tencent_code: int | None = None
    """The code Tencent's server gives the same fault (PROTOCOL 5); None where it has none."""


class MalformedUserSig(InvalidUserSig):
    """Not a token of this kind and algorithm at all."""

    tencent_code = 70003


class BadSignature(InvalidUserSig):
    """Well-formed, but signed with another key or altered."""

    tencent_code = 70009


class UserSigExpired(InvalidUserSig):
    """Genuine, and past its time."""

    tencent_code = 70001


class UserSigNotYetValid(InvalidUserSig):
    """Genuine, and issued further in the future than the leeway allows."""


class UserSigRevoked(InvalidUserSig):
    """Genuine, and issued before the instant from which tokens are accepted."""

    tencent_code = 70052


class UserIDMismatch(InvalidUserSig):
    """Genuine, for another UserID."""

    tencent_code = 70013


class SDKAppIDMismatch(InvalidUserSig):
    """Genuine, for another SDKAppID."""

    tencent_code = 70014


class RoomMismatch(InvalidUserSig):
    """A genuine PrivateMapKey, for another room."""


class IssuingRefused(UserSigError):
    """Nothing was issued; `code` is the slug that the HTTP answer carries."""

    code = "permission_denied"


class UserInactive(IssuingRefused):
    """The user's account is deactivated."""

    code = "user_inactive"


class ImpersonationForbidden(IssuingRefused):
    """Somebody else is signed in as this user."""

    code = "impersonation_forbidden"


class UserIDReserved(IssuingRefused):
    """The UserID is an administrator's: its UserSig is the credential of Tencent's REST API."""

    code = "userid_reserved"


class UserIDUnmappable(IssuingRefused):
    """The resolver failed, or gave something that is no UserID."""

    code = "userid_unmappable"


class RoomForbidden(IssuingRefused):
    """The room policy grants this user nothing in this room."""

    code = "room_forbidden"


class SigningUnavailable(IssuingRefused):
    """No usable application or key at this moment; the cause is in the message and the log."""

    code = "signing_unavailable"


class RevocationFailed(UserSigError):
    """Tencent did not take the UserSigs back: it refused, or could not be reached. It may be tried again."""

    def __init__(
        self,
        message: str,
        *,
        error_code: int | None = None,
        hint: str = "",
        retryable: bool = False,
        **params: object,
    ) -> None:
        super().__init__(message, **params)
        self.error_code = error_code
        """Tencent's `ErrorCode`; None where no answer of Tencent's arrived."""
        self.hint = hint
        """What to look at, where Tencent documents the code."""
        self.retryable = retryable
        """The fault may pass by itself."""
