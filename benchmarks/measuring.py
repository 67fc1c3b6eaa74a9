"""Interleaved repetitions, and what they come to. What runs on the machine besides changes from one moment to the
next: two things are compared within a round, a few milliseconds apart, and each round gives one ratio."""

import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from itertools import cycle, islice
from statistics import median, quantiles
from typing import Any, Generic, TypeVar

Input = TypeVar("Input")

MICROSECONDS = 1e6


@dataclass(frozen=True)
class Target:
    """`limit` is the most, or with `least` the least, that the ratio or value may be."""

    limit: float
    least: bool = False

    def __str__(self) -> str:
        return f"{'>=' if self.least else '<='} {self.limit:g}"

    def is_met_by(self, value: float) -> bool:
        return value >= self.limit if self.least else value <= self.limit


@dataclass(frozen=True)
class Row:
    """One line of the table: `value` in `unit`, which is x for a ratio; then `low` and `high` are its 10th and 90th
    percentiles, and `details` the two sides it is the ratio of. No value: not measured."""

    part: str
    work: str
    value: float | None
    unit: str
    low: float | None = None
    high: float | None = None
    target: Target | None = None
    details: Mapping[str, Any] | None = None

    def as_dict(self) -> dict[str, Any]:
        target = self.target
        return asdict(self) | {
            "target": str(target) if target else None,
            "met": target.is_met_by(self.value) if target and self.value is not None else None,
        }


@dataclass(frozen=True)
class Work(Generic[Input]):
    """A call to time, over inputs that differ: the same one again would be predicted and cached."""

    call: Callable[[Input], object]
    inputs: list[Input]


def interleave(works: Mapping[str, Work[Any]], rounds: int, calls: int) -> dict[str, list[float]]:
    """Microseconds of CPU a call, by name, of each round; what other programs do meanwhile is not counted. Every other
    round goes backwards, so that no work always has the same one before it. The first round warms up."""
    sources: dict[str, Iterator[Any]] = {name: cycle(work.inputs) for name, work in works.items()}
    times: dict[str, list[float]] = {name: [] for name in works}
    order = list(works)
    for _ in range(rounds + 1):
        order.reverse()
        for name in order:
            call, inputs = works[name].call, list(islice(sources[name], calls))
            started = time.thread_time()
            for given in inputs:
                call(given)
            times[name].append((time.thread_time() - started) / calls * MICROSECONDS)
    return {name: found[1:] for name, found in times.items()}


def compare(
    part: str, work: str, times: Mapping[str, list[float]], over: str, under: str, target: Target | None = None
) -> Row:
    """The ratio of two of these times, round by round; its median is what counts."""
    ratios = [first / second for first, second in zip(times[over], times[under], strict=True)]
    low, high = percentiles(ratios)
    return Row(
        part,
        work,
        median(ratios),
        "x",
        low,
        high,
        target,
        {name: {"min": min(times[name]), "median": median(times[name]), "unit": "µs"} for name in (over, under)},
    )


def percentiles(values: list[float]) -> tuple[float, float]:
    """The 10th and the 90th."""
    if len(values) < 2:
        return values[0], values[0]
    tenths = quantiles(values, n=10, method="inclusive")
    return tenths[0], tenths[-1]
