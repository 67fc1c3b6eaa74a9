"""A stand-in for Tencent Chat's gateway: it lets in whom our own verifier lets in, and knows no more of Chat.

The web SDK opens `wss://<sdkappid>w4c.my-imcloud.com/binfo` and sends JSON as UTF-8 in binary frames,
`{"head": {"servcmd": ..., "sdkappid": ..., "identifier": ..., "usersig": ..., "seq": ...}, "body": {...}}`.
The answer carries the same head, and `ActionStatus`, `ErrorCode` and `ErrorInfo` in its body.
"""

import base64
import datetime as dt
import hashlib
import json
import ssl
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID
from websockets.exceptions import ConnectionClosed
from websockets.sync.server import ServerConnection, serve

from usersig_django.exceptions import InvalidUserSig, UserSigExpired

LOGIN = "im_open_status.wslogin"
UNKNOWN_SDKAPPID = 70020
# The SDK's first choice and its fallback in mainland China; the first label is `<sdkappid>w4c`.
HOSTS = ("*.my-imcloud.com", "wss.im.qcloud.com")


class Verifier(Protocol):
    def verify(self, usersig: str, *, userid: str) -> object: ...


class Gateway:
    """Listens on a free port of 127.0.0.1 while the context is open.

    `logins` holds each attempt's (sdkappid, userid, Tencent code). While `session_expired`, whatever else is
    asked is answered as Tencent does when the UserSig has run out since; the next login ends that.
    """

    def __init__(self, verifiers: Mapping[int, Verifier], folder: Path) -> None:
        self.logins: list[tuple[int, str, int]] = []
        self.session_expired = False
        self._verifiers = verifiers
        certificate, self._public_key = _self_signed_certificate(folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
        self._server = serve(self._converse, "127.0.0.1", 0, ssl=context)
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()

    @property
    def chromium_flags(self) -> list[str]:
        """Tencent's hosts are this gateway, loopback is itself, and nothing else exists; of all certificates
        that no authority vouches for, this gateway's alone is accepted."""
        port = self._server.socket.getsockname()[1]
        rules = [f"MAP {host} 127.0.0.1:{port}" for host in HOSTS]
        rules += ["MAP * ~NOTFOUND", "EXCLUDE localhost", "EXCLUDE 127.0.0.1"]
        return [
            f"--host-resolver-rules={', '.join(rules)}",
            f"--ignore-certificate-errors-spki-list={self._public_key}",
        ]

    def _converse(self, connection: ServerConnection) -> None:
        try:
            for frame in connection:
                connection.send(json.dumps(self._answer(json.loads(frame))).encode())
        except ConnectionClosed:
            pass  # a browser that is shut takes no leave

    def _answer(self, request: dict[str, Any]) -> dict[str, Any]:
        head = request["head"]
        if head["servcmd"] == LOGIN:
            code = self._log_in(head)
        else:
            code = UserSigExpired.tencent_code if self.session_expired else 0
        body: dict[str, Any] = {
            "ActionStatus": "FAIL" if code else "OK",
            "ErrorCode": code,
            "ErrorInfo": "refused by the stand-in gateway" if code else "",
            "CompleteFlag": 1,  # the conversation list ends here; without it the SDK asks for ever
        }
        if head["servcmd"] == LOGIN and not code:
            body |= {
                "TinyId": "144115000000000000",
                "A2Key": "a2",
                "HelloInterval": 120,
                "InstID": 1,
                "TimeStamp": int(time.time()),
            }
        return {"head": head, "body": body}

    def _log_in(self, head: dict[str, Any]) -> int:
        """Tencent's code for this attempt; 0 lets in."""
        sdkappid, userid = int(head["sdkappid"]), head["identifier"]
        try:
            self._verifiers[sdkappid].verify(head["usersig"], userid=userid)
        except KeyError:
            code = UNKNOWN_SDKAPPID
        except InvalidUserSig as error:
            if not error.tencent_code:
                raise  # ends the conversation: this fault has no answer of Tencent's, and no test provokes it
            code = error.tencent_code
        else:
            code = 0
            self.session_expired = False
        self.logins.append((sdkappid, userid, code))
        return code


def _self_signed_certificate(folder: Path) -> tuple[Path, str]:
    """A PEM file with key and certificate, and its public key as Chromium's flag wants it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "stand-in gateway")])
    now = dt.datetime.now(dt.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(host) for host in HOSTS]), critical=False)
        .sign(key, hashes.SHA256())
    )
    path = folder / "gateway.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    public_key = key.public_key().public_bytes(
        serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return path, base64.b64encode(hashlib.sha256(public_key).digest()).decode()
