"""How long a run takes: enough for figures to publish, for a look, or to see that everything still works."""

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Size:
    rounds: int
    """Repetitions of each comparison inside a process."""
    processes: int
    """Repetitions in new processes, where one process cannot hold both sides."""
    batch: int
    """UserIDs in a batch."""
    batch_runs: int
    issues: int
    """UserSigs that one worker gives."""
    records: int
    """Audit records in the database."""
    applications: int
    windows: int
    """Half seconds of requests to each view of a server."""


SIZES: Final = {
    "full": Size(
        rounds=400,
        processes=7,
        batch=1_000_000,
        batch_runs=3,
        issues=1_000_000,
        records=1_000_000,
        applications=1_000,
        windows=60,
    ),
    "quick": Size(
        rounds=60,
        processes=3,
        batch=50_000,
        batch_runs=3,
        issues=50_000,
        records=50_000,
        applications=100,
        windows=8,
    ),
    "smoke": Size(rounds=2, processes=1, batch=200, batch_runs=1, issues=200, records=200, applications=5, windows=1),
}
