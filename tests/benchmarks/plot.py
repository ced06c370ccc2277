"""A bar chart as SVG: one bar a line, a thin line for the spread, a mark for the goal. Pure."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from xml.sax.saxutils import escape

LABEL, WIDE, LINE, TOP = 330, 520, 26, 46
"""Widths of labels and bars, heights of a line and of the title, in pixels."""

BAR, SPREAD, GOAL = "#4477aa", "#222222", "#cc3311"
FONT: Final = 'font-family="sans-serif" font-size="13"'
TICKS: Final = 5


@dataclass(frozen=True)
class Bar:
    """A value from 0 on, with the least and the greatest of its runs, and its goal if it has one."""

    label: str
    value: float
    least: float
    greatest: float
    goal: float | None = None


def bars(title: str, shown: Sequence[Bar]) -> str:
    """The chart as a whole SVG document."""
    most = max([1.0, *(bar.greatest for bar in shown), *(bar.goal or 0 for bar in shown)])
    height = TOP + LINE * (len(shown) + 1)
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{LABEL + WIDE + 70}" height="{height}" {FONT}>',
        '<rect width="100%" height="100%" fill="white"/>',
        f'<text x="10" y="24" font-size="16">{escape(title)}</text>',
    ]
    for tick in range(TICKS + 1):
        value = most * tick / TICKS
        x = _x(value, most)
        parts.append(f'<line x1="{x}" x2="{x}" y1="{TOP - 8}" y2="{height - LINE}" stroke="#dddddd"/>')
        parts.append(f'<text x="{x}" y="{height - 8}" text-anchor="middle">{value:.2f}</text>')
    for number, bar in enumerate(shown):
        parts += _bar(bar, TOP + LINE * number, most)
    return "\n".join([*parts, "</svg>"]) + "\n"


def _x(value: float, most: float) -> float:
    return round(LABEL + WIDE * value / most, 1)


def _bar(bar: Bar, y: int, most: float) -> list[str]:
    zero, end, middle = _x(0, most), _x(bar.value, most), y + 7
    least, greatest = _x(bar.least, most), _x(bar.greatest, most)
    parts = [
        f'<text x="{LABEL - 8}" y="{y + 12}" text-anchor="end">{escape(bar.label)}</text>',
        f'<rect x="{zero}" y="{y}" width="{round(end - zero, 1)}" height="14" fill="{BAR}"/>',
        f'<line x1="{least}" x2="{greatest}" y1="{middle}" y2="{middle}" stroke="{SPREAD}"/>',
        f'<text x="{greatest + 6}" y="{y + 12}">{bar.value:.2f}</text>',
    ]
    if bar.goal is not None:
        x = _x(bar.goal, most)
        parts.append(f'<line x1="{x}" x2="{x}" y1="{y - 4}" y2="{y + 18}" stroke="{GOAL}" stroke-width="2"/>')
    return parts
