"""Many clients at once, and a reader of what they got that shares nothing with the package."""

import base64
import hashlib
import hmac
import json
import struct
import threading
import time
import zlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http.client import HTTPConnection, HTTPException
from itertools import count
from typing import Any, Self

from tests.load.services import HOST, wait_for

CONCURRENCY = 64
URL = "/api/usersig/"
ROOM_URL = "/api/usersig/private-map-key/"
# Requests over one connection: without an end the worker that was first would keep them all.
KEPT_ALIVE = 20
# The connection broke before there was an answer.
BROKEN = 0


@dataclass(frozen=True, slots=True)
class Answer:
    caller: str
    url: str
    started: float
    ended: float
    status: int
    worker: str | None = None
    cache_control: str | None = None
    body: Mapping[str, Any] = field(default_factory=dict)


class Traffic:
    """Clients that ask, each over its own connection, until `limit` requests were sent or the block ends. Each
    request is the next caller's, and in turn for a UserSig and for a PrivateMapKey."""

    def __init__(
        self, port: int, callers: Mapping[str, Mapping[str, str]], *, limit: int, urls: Sequence[str] = (URL, ROOM_URL)
    ) -> None:
        self.answers: list[Answer] = []
        self._port = port
        self._callers = list(callers.items())
        self._urls = urls
        self._limit = limit
        self._turns = count()
        self._stopped = threading.Event()
        self._threads = [threading.Thread(target=self._ask, daemon=True) for _ in range(CONCURRENCY)]

    def __enter__(self) -> Self:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *_error: object) -> None:
        self._stopped.set()
        self.join()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(timeout=120)
        assert not any(thread.is_alive() for thread in self._threads), "a request is still without its answer"

    def wait_for_answers(self, number: int = 200) -> None:
        """So many more, for a request that was sent before now to be of no account."""
        enough = len(self.answers) + number
        wait_for(lambda: len(self.answers) >= enough, f"{number} answers")

    def _ask(self) -> None:
        connection = HTTPConnection(HOST, self._port, timeout=60)
        sent = count(1)
        while not self._stopped.is_set() and (turn := next(self._turns)) < self._limit:
            round_, place = divmod(turn, len(self._callers))
            caller, credentials = self._callers[place]
            url = self._urls[(round_ + place) % len(self._urls)]
            body = b'{"room_id": 10000}' if url == ROOM_URL else b""
            started = time.monotonic()
            try:
                connection.request("POST", url, body, {"Content-Type": "application/json", **credentials})
                response = connection.getresponse()
                content = response.read()
            except (OSError, HTTPException):
                connection.close()
                self.answers.append(Answer(caller, url, started, time.monotonic(), BROKEN))
                time.sleep(0.01)
            else:
                ended = time.monotonic()
                worker, cache_control = response.getheader("X-Worker"), response.getheader("Cache-Control")
                # A page is no answer of ours: its status tells.
                document = json.loads(content) if response.getheader("Content-Type") == "application/json" else {}
                self.answers.append(
                    Answer(caller, url, started, ended, response.status, worker, cache_control, document)
                )
            if next(sent) % KEPT_ALIVE == 0:
                connection.close()
        connection.close()


def count_statuses(answers: Sequence[Answer], *, after: float = 0, before: float = float("inf")) -> Counter[int]:
    """Of the requests that were sent and answered between two moments."""
    return Counter(answer.status for answer in answers if answer.started >= after and answer.ended <= before)


def read_token(token: str, find_secret: Callable[[Callable[[str], bool]], str]) -> dict[str, Any]:
    """The document of a UserSig or PrivateMapKey (PROTOCOL 1, 2), its signature checked; `key` is whose it is."""
    text = token.translate(str.maketrans("*-_", "+/="))
    document = json.loads(zlib.decompress(base64.b64decode(text, validate=True)))
    names = ["identifier", "sdkappid", "time", "expire", *(["userbuf"] if "TLS.userbuf" in document else [])]
    signed = "".join(f"TLS.{name}:{document[f'TLS.{name}']}\n" for name in names).encode()

    def is_signed_with(secret: str) -> bool:
        signature = hmac.digest(secret.encode(), signed, hashlib.sha256)
        return base64.b64encode(signature).decode() == document["TLS.sig"]

    return {**document, "key": find_secret(is_signed_with)}


def read_userbuf(userbuf: str) -> dict[str, Any]:
    """A numeric room's (PROTOCOL 2)."""
    raw = base64.b64decode(userbuf, validate=True)
    version, length = struct.unpack_from(">BH", raw)
    account = raw[3 : 3 + length].decode()
    names = ("sdkappid", "room", "expires_at", "privileges", "account_type")
    return {
        "version": version,
        "account": account,
        **dict(zip(names, struct.unpack(">5I", raw[3 + length :]), strict=True)),
    }
