"""Activates one key after the other, every 100 ms, until its input ends. Says when each activation began, when it
was done, and the key's fingerprint: `python -m tests.load.rotate`."""

import select
import sys
import time
from itertools import cycle

import django

SECONDS = 0.1


def rotate(output):
    from usersig_django.models import SigningKey

    started = time.monotonic()
    for turn, key in enumerate(cycle(SigningKey.objects.select_related("application")), start=1):
        before = time.monotonic()
        key.activate(by="load")
        print(before, time.monotonic(), key.fingerprint, file=output, flush=True)
        until_next = max(0, started + turn * SECONDS - time.monotonic())
        if select.select([sys.stdin], [], [], until_next)[0]:
            return


if __name__ == "__main__":
    django.setup()
    rotate(sys.stdout)
