"""What Tencent's codes mean and what to look at (PROTOCOL 5): one table for the command, the admin tool and the docs.

The sentences are English, marked for makemessages; whoever shows one translates it."""

from dataclasses import dataclass

from usersig_django.exceptions import gettext_noop


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """A code, what it means, and what to look at."""

    code: int
    origin: str
    """Who answers with it: `server` (Chat), `REST API`, `Chat SDK` or `TRTC SDK`."""
    cause: str
    look_at: str


_SERVER, _REST, _CHAT_SDK, _TRTC_SDK = "server", "REST API", "Chat SDK", "TRTC SDK"

DIAGNOSES = (
    Diagnosis(
        70001,
        _SERVER,
        gettext_noop("The UserSig has expired."),
        gettext_noop("The expire that was signed, and the server's clock."),
    ),
    Diagnosis(
        70002,
        _SERVER,
        gettext_noop("The UserSig is empty."),
        gettext_noop("Which member of the response body the client reads."),
    ),
    Diagnosis(
        70003,
        _SERVER,
        gettext_noop("The UserSig is malformed or cut short."),
        gettext_noop("A column or header that is too short; the characters * - _ altered by URL decoding."),
    ),
    Diagnosis(
        70009,
        _SERVER,
        gettext_noop("The signature does not match the key."),
        gettext_noop("The key of another environment; an old ECDSA key used as an HMAC key."),
    ),
    Diagnosis(
        70013,
        _SERVER,
        gettext_noop("The UserID in the UserSig is not the one that logs in."),
        gettext_noop("Log in with the userid of the response that brought the UserSig."),
    ),
    Diagnosis(
        70014,
        _SERVER,
        gettext_noop("The SDKAppID in the UserSig is not the one that logs in."),
        gettext_noop("Two environments mixed: use the sdkappid of the response."),
    ),
    Diagnosis(
        70016,
        _SERVER,
        gettext_noop("The key or the SDKAppID was not found."),
        gettext_noop("The wrong data centre, or a deleted application."),
    ),
    Diagnosis(
        70020,
        _SERVER,
        gettext_noop("The key or the SDKAppID was not found."),
        gettext_noop("The wrong data centre, or a deleted application."),
    ),
    Diagnosis(
        70050,
        _SERVER,
        gettext_noop("Too many UserSigs failed their check."),
        gettext_noop("Stop retrying for a minute, then look at the code of the first failure."),
    ),
    Diagnosis(
        70052,
        _SERVER,
        gettext_noop("The UserSig was revoked."),
        gettext_noop("Issue a new one: the user was kicked, or tokens issued before an instant are refused."),
    ),
    Diagnosis(
        60007,
        _REST,
        gettext_noop("The REST API is called too often."),
        gettext_noop("Call it less often; it passes by itself."),
    ),
    Diagnosis(
        60008,
        _REST,
        gettext_noop("The REST API's request timed out, or its form is wrong."),
        gettext_noop("Try again; then the network between this server and Tencent."),
    ),
    Diagnosis(
        70107,
        _REST,
        gettext_noop("The account does not exist."),
        gettext_noop(
            "The UserID: Tencent knows it from its first login or import on; until then it holds nothing to revoke."
        ),
    ),
    Diagnosis(
        70169,
        _REST,
        gettext_noop("Tencent's server timed out."),
        gettext_noop("Try again."),
    ),
    Diagnosis(
        70202,
        _REST,
        gettext_noop("Tencent's server timed out."),
        gettext_noop("Try again."),
    ),
    Diagnosis(
        70402,
        _REST,
        gettext_noop("A parameter of the REST API's request is invalid."),
        gettext_noop("The UserID, and the region of the application."),
    ),
    Diagnosis(
        70403,
        _REST,
        gettext_noop("The REST API wants an administrator."),
        gettext_noop("ADMIN_USERID: it must be an administrator of this application in the console."),
    ),
    Diagnosis(
        70500,
        _REST,
        gettext_noop("Tencent's server has an internal error."),
        gettext_noop("Try again."),
    ),
    Diagnosis(
        91000,
        _REST,
        gettext_noop("Tencent's service has an internal error."),
        gettext_noop("Try again."),
    ),
    Diagnosis(
        6206,
        _CHAT_SDK,
        gettext_noop("The UserSig has expired."),
        gettext_noop("Fetch a new one and log in again."),
    ),
    Diagnosis(
        -3320,
        _TRTC_SDK,
        gettext_noop("The userSig parameter is invalid or empty."),
        gettext_noop("What the client passes at enterRoom."),
    ),
    Diagnosis(
        -100018,
        _TRTC_SDK,
        gettext_noop("The server found the UserSig wrong or expired."),
        gettext_noop("Verify the token with the command or the admin tool; the key, the expire, the clock."),
    ),
    Diagnosis(
        -100006,
        _TRTC_SDK,
        gettext_noop("The PrivateMapKey is missing or wrong."),
        gettext_noop("The room's kind (number or string), the UserID, the expiry."),
    ),
    Diagnosis(
        -102010,
        _TRTC_SDK,
        gettext_noop("There is no privilege to create the room."),
        gettext_noop("Bit 1 (create the room) for whoever enters first."),
    ),
)

_by_code = {diagnosis.code: diagnosis for diagnosis in DIAGNOSES}


def diagnose(code: int) -> Diagnosis | None:
    """What this code of Tencent's server or SDKs means; None for a code that is not in the table."""
    return _by_code.get(code)
