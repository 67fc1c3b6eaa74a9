"""The ratios that have a target, as an SVG that is readable on light and on dark pages."""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

WIDTH: Final = 760
LINE: Final = 46
LEFT, RIGHT, TOP, BOTTOM = 20, 60, 66, 20

# Grey tones and two colours that keep their contrast on white and on black alike.
_STYLE: Final = """
  text { font: 13px system-ui, sans-serif; fill: #24292f }
  .quiet { fill: #6e7781 }
  .value { font-weight: 600 }
  .track { fill: #d0d7de }
  .met { fill: #2da44e }
  .missed { fill: #cf222e }
  .target { stroke: #24292f; stroke-width: 2 }
  .spread { stroke: #24292f; stroke-width: 1 }
  @media (prefers-color-scheme: dark) {
    text { fill: #e6edf3 } .quiet { fill: #8b949e } .track { fill: #30363d }
    .target, .spread { stroke: #e6edf3 }
  }
"""


def draw(rows: Sequence[Mapping[str, Any]]) -> str:
    """A bar for each ratio, to a scale on which every target stands at one place: the middle."""
    shown = [row for row in rows if row["target"] and row["unit"] == "x" and row["low"] is not None]
    height = TOP + LINE * len(shown) + BOTTOM
    bars = "\n".join(_bar(row, TOP + LINE * number) for number, row in enumerate(shown))
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}" role="img"\n'
        '     aria-label="Measured ratios against their targets">\n'
        f"<style>{_STYLE}</style>\n"
        f'<text x="{LEFT}" y="24" class="value">Measured ratios against their targets</text>\n'
        f'<text x="{LEFT}" y="44" class="quiet">The bar is the ratio, the thin line its 10th to 90th percentile, '
        "the tall line the target.</text>\n"
        f"{bars}\n</svg>\n"
    )


def _bar(row: Mapping[str, Any], top: int) -> str:
    limit = float(row["target"].split()[1])
    side = "at least" if row["target"].startswith(">=") else "at most"

    def position(value: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * min(value / (2 * limit), 1)

    value, low, high, target = map(position, (row["value"], row["low"], row["high"], limit))
    verdict = "met" if row["met"] else "missed"
    return (
        f'<text x="{LEFT}" y="{top + 12}">{escape(row["part"])}: {escape(row["work"])}'
        f'<tspan class="quiet"> ({side} {limit:g})</tspan></text>\n'
        f'<rect x="{LEFT}" y="{top + 20}" width="{WIDTH - LEFT - RIGHT}" height="10" rx="2" class="track"/>\n'
        f'<rect x="{LEFT}" y="{top + 20}" width="{value - LEFT:.1f}" height="10" rx="2" class="{verdict}"/>\n'
        f'<line x1="{low:.1f}" x2="{high:.1f}" y1="{top + 25}" y2="{top + 25}" class="spread"/>\n'
        f'<line x1="{target:.1f}" x2="{target:.1f}" y1="{top + 16}" y2="{top + 34}" class="target"/>\n'
        f'<text x="{WIDTH - RIGHT + 8}" y="{top + 30}" class="value">{row["value"]:.2f}x</text>'
    )
