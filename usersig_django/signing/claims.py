"""What a token says, once read."""

from dataclasses import dataclass
from enum import IntFlag


class Privilege(IntFlag):
    """What a PrivateMapKey lets its holder do in the room (PROTOCOL 2)."""

    CREATE_ROOM = 1
    ENTER_ROOM = 2
    SEND_AUDIO = 4
    RECEIVE_AUDIO = 8
    SEND_VIDEO = 16
    RECEIVE_VIDEO = 32
    SEND_SUBSTREAM = 64
    RECEIVE_SUBSTREAM = 128
    ALL = 255
    AUDIENCE = 42


@dataclass(frozen=True, slots=True)
class UserSigClaims:
    """The contents of a UserSig: `issued_at` in unix seconds, `expire` in seconds from then."""

    sdkappid: int
    userid: str
    issued_at: int
    expire: int
    userbuf: bytes | None

    @property
    def expires_at(self) -> int:
        """The last unix second at which the token is valid."""
        return self.issued_at + self.expire


@dataclass(frozen=True, slots=True)
class PrivateMapKeyClaims(UserSigClaims):
    """The contents of a PrivateMapKey: its token's, `room` (an int or a str: two kinds of room that never meet),
    `privileges`, and the userbuf's own expiry in unix seconds."""

    room: int | str
    privileges: Privilege
    userbuf_expires_at: int

    @property
    def expires_at(self) -> int:
        """The last unix second at which both the token and its userbuf are valid."""
        return min(self.issued_at + self.expire, self.userbuf_expires_at)
