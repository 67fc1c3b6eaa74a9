"""A run as a table: on the terminal, and in the page of the documentation."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

HEAD: Final = ("measured", "value", "10th to 90th percentile", "target", "the two sides, median (best)")
BEGIN: Final = "<!-- python -m benchmarks --page: what follows is written by it -->"
END: Final = "<!-- end of what it writes -->"


def as_text(result: Mapping[str, Any]) -> str:
    rows = [HEAD, *map(_cells, result["rows"])]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    lines = ["  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows]
    return "\n".join([_machine(result), "", *lines])


def as_markdown(result: Mapping[str, Any]) -> str:
    lines = [f"| {' | '.join(row)} |" for row in (HEAD, ("---",) * len(HEAD), *map(_cells, result["rows"]))]
    return "\n".join([*lines, "", _machine(result)])


def write_into(page: Path, result: Mapping[str, Any]) -> None:
    """Replace what stands between the page's two marks."""
    before, _, rest = page.read_text().partition(BEGIN)
    _, _, after = rest.partition(END)
    page.write_text(f"{before}{BEGIN}\n\n{as_markdown(result)}\n\n{END}{after}")


def _cells(row: Mapping[str, Any]) -> tuple[str, ...]:
    spread = "" if row["low"] is None else f"{_number(row['low'])} to {_number(row['high'])}"
    verdict = "" if row["target"] is None else f"{row['target']} {'met' if row['met'] else 'MISSED'}"
    return (
        f"{row['part']}: {row['work']}",
        "" if row["value"] is None else f"{_number(row['value'])} {row['unit']}",
        spread,
        verdict,
        "; ".join(f"{name} {_side(side)}" for name, side in (row["details"] or {}).items()),
    )


def _side(side: Mapping[str, Any]) -> str:
    figures: Sequence[float] = [value for name, value in side.items() if name != "unit"]
    best, *rest = figures
    return f"{_number(rest[0])} ({_number(best)}) {side['unit']}" if rest else f"{_number(best)} {side['unit']}"


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 or value == int(value) else f"{value:.3g}"


def _machine(result: Mapping[str, Any]) -> str:
    machine = result["machine"]
    versions = ", ".join(f"{name} {version or 'absent'}" for name, version in machine["versions"].items())
    return (
        f"{machine['date']}, {machine['cpu']}, {machine['cores']} cores, {machine['system']}, "
        f"load {machine['load']:.1f} at the start; {versions}. Size of the run: {result['size']}."
    )
