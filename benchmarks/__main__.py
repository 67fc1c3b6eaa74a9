"""Measures usersig_django against its peers, in one run: `python -m benchmarks --help`.

This process stays small and loads neither Django nor a signer; each part runs in a process of its own."""

import argparse
import json
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from benchmarks import chart, machine, server, table
from benchmarks.measuring import Target, compare
from benchmarks.sizes import SIZES, Size

ROOT: Final = Path(__file__).parent.parent
POSTGRES: Final = "postgres://postgres@127.0.0.1:5432/postgres"


def main() -> int:
    options = _parse()
    result = json.loads(options.read.read_text()) if options.read else _measure(options)
    if options.output:
        options.output.write_text(json.dumps(result, indent=1, ensure_ascii=False) + "\n")
    if options.chart:
        options.chart.write_text(chart.draw(result["rows"]))
    if options.page:
        table.write_into(options.page, result)
    print(json.dumps(result, indent=1) if options.json else table.as_text(result))
    return 1 if any(row["met"] is False for row in result["rows"]) and options.strict else 0


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    size = parser.add_mutually_exclusive_group()
    size.add_argument("--quick", dest="size", action="store_const", const="quick", help="a minute instead of many")
    size.add_argument(
        "--smoke", dest="size", action="store_const", const="smoke", help="seconds; its figures mean nothing"
    )
    parser.add_argument("--growth", action="store_true", help="also what must not grow")
    parser.add_argument(
        "--server",
        nargs="?",
        const=POSTGRES,
        metavar="POSTGRES_URL",
        help=f"also requests a second, in a database that it creates and drops (default {POSTGRES})",
    )
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--output", type=Path, metavar="FILE", help="write the JSON here too")
    parser.add_argument("--read", type=Path, metavar="FILE", help="measure nothing: show what --output has written")
    parser.add_argument("--chart", type=Path, metavar="FILE", help="draw the ratios as SVG")
    parser.add_argument("--page", type=Path, metavar="FILE", help="put the table into this page, between its marks")
    parser.add_argument("--strict", action="store_true", help="exit with 1 where a target is missed")
    parser.set_defaults(size="full")
    return parser.parse_args()


def _measure(options: argparse.Namespace) -> dict[str, Any]:
    size = SIZES[options.size]
    described = machine.describe()
    rows = [row.as_dict() for row in _bare(size)]
    for part in ("signatures", "endpoint", "batches", *(("growth",) if options.growth else ())):
        rows += _run("part", part, options.size)
    if options.server:
        rows += [row.as_dict() for row in server.measure(size, options.server)]
    return {"size": options.size, "machine": described, "rows": rows}


def _bare(size: Size) -> list[Any]:
    """Each signer in new processes that hold nothing else, by turns."""
    times: dict[str, list[float]] = {"official": [], "ours": []}
    for _ in range(size.processes):
        for name in times:
            times[name] += _run("alone", name, str(size.rounds // 4 + 1))
    row = compare("bare process", "", times, "official", "ours", Target(3, least=True))
    return [replace(row, work="official Python signer / sign, level 6")]


def _run(module: str, *arguments: str) -> list[Any]:
    print(f"{' '.join((module, *arguments))} ...", file=sys.stderr)
    answer = subprocess.run(
        [sys.executable, "-m", f"benchmarks.{module}", *arguments], cwd=ROOT, check=True, stdout=subprocess.PIPE
    )
    found: list[Any] = json.loads(answer.stdout)
    return found


if __name__ == "__main__":
    sys.exit(main())
