"""One signer in a process that holds nothing else: `python -m benchmarks.alone ours|official ROUNDS`. It prints the
microseconds of CPU a call of each round. Nothing is imported but the signer, not even this package's own modules:
what else lies in the heap decides what zlib's allocations cost."""

from __future__ import annotations

import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

CALLS = 100
SDKAPPID, SECRET_KEY, EXPIRE = 1400000000, "0123456789abcdef" * 4, 86_400


def ours() -> Callable[[str], object]:
    from usersig_django.signing import HmacSha256Signer

    signer = HmacSha256Signer(sdkappid=SDKAPPID, secret_key=SECRET_KEY)
    return lambda userid: signer.sign(userid, expire=EXPIRE)


def official() -> Callable[[str], object]:
    from TLSSigAPIv2 import TLSSigAPIv2  # type: ignore[import-untyped]

    signer = TLSSigAPIv2(SDKAPPID, SECRET_KEY)
    return lambda userid: signer.gen_sig(userid, EXPIRE)


def main() -> None:
    sign = {"ours": ours, "official": official}[sys.argv[1]]()
    times = []
    for number in range(int(sys.argv[2]) + 1):
        userids = [f"user_{number}_{call}" for call in range(CALLS)]
        started = time.thread_time()
        for userid in userids:
            sign(userid)
        times.append((time.thread_time() - started) / CALLS * 1e6)
    # The first round warms up.
    print(times[1:])


if __name__ == "__main__":
    main()
