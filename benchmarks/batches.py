"""`gen_usersig --batch` against as many bare sign() calls: `python -m benchmarks.part batches SIZE`."""

import logging
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Final

from django.core.management import call_command

from benchmarks.measuring import MICROSECONDS, Row, Target, compare
from benchmarks.peers import EXPIRE, our_signer
from benchmarks.sizes import Size
from usersig_django.signals import usersig_issued

PART: Final = "batch"
FORMATS: Final = ("csv", "jsonl")
BARE: Final = "bare sign()"


def measure(size: Size) -> list[Row]:
    lines = _Lines()
    signals: list[Any] = []

    def receive(**kwargs: Any) -> None:
        signals.append(kwargs["issued"])

    usersig_issued.connect(receive)
    with tempfile.TemporaryDirectory() as directory:
        source = Path(directory, "userids")
        with source.open("w") as file:
            file.writelines(f"user_{number}\n" for number in range(size.batch))
        works: dict[str, Callable[[], None]] = {BARE: lambda: _sign_all(size.batch)}
        works |= {name: partial(_run_batch, source, name) for name in FORMATS}
        times: dict[str, list[float]] = {name: [] for name in works}
        for _ in range(size.batch_runs):
            for name, work in works.items():
                started = time.process_time()
                work()
                times[name].append((time.process_time() - started) / size.batch * MICROSECONDS)
    usersig_issued.disconnect(receive)
    runs = len(FORMATS) * size.batch_runs
    count = f"{size.batch:,} UserIDs"
    return [
        *(compare(PART, f"{count}, {name} / bare sign() calls", times, name, BARE, Target(2.2)) for name in FORMATS),
        Row(PART, f"{count}: peak memory of the process", peak_memory(), "MB", target=Target(100)),
        Row(PART, f"{count}: audit lines a run", lines.count / runs, "lines", target=Target(1)),
        Row(PART, f"{count}: signals a run", len(signals) / runs, "signals", target=Target(1)),
    ]


def peak_memory() -> float:
    """Megabytes that this process had in memory at the most. (getrusage would count those of its parent as well.)"""
    return memory("VmHWM")


def memory(field: str = "VmRSS") -> float:
    """Megabytes (10^6 bytes) that the kernel counts for this process."""
    [kilobytes] = [
        line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if line.startswith(f"{field}:")
    ]
    return int(kilobytes) * 1024 / 1e6


def _sign_all(count: int) -> None:
    sign = our_signer()
    for number in range(count):
        sign(f"user_{number}")


def _run_batch(source: Path, name: str) -> None:
    target = source.with_suffix(f".{name}")
    call_command("gen_usersig", batch=str(source), format=name, output=str(target), expire=str(EXPIRE))
    target.unlink()


class _Lines(logging.Handler):
    """Counts audit lines."""

    def __init__(self) -> None:
        super().__init__()
        self.count = 0
        logger = logging.getLogger("usersig_django.audit")
        logger.setLevel(logging.INFO)
        logger.addHandler(self)

    def emit(self, record: logging.LogRecord) -> None:
        self.count += 1
