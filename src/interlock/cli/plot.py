"""Weights and evidence of one walk over time, as an SVG that needs nothing else. Pure."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from html import escape

from interlock.simulation.timeline import Point, Run

WIDTH, LEFT, RIGHT = 900, 70, 150
TOP, PANEL, GAP = 50, 200, 40
HEIGHT = TOP + 2 * PANEL + GAP + 45
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#8C6D1F", "#555555")
"""Okabe & Ito: told apart by everybody."""
FLOOR, CEILING = -6.0, 6.0
"""Of the evidence that is drawn, as powers of ten of the odds."""
_STEPS = (1, 5, 10, 30, 60, 300, 600, 1800, 3600, 7200, 21_600, 43_200, 86_400, 172_800, 604_800)


@dataclass(frozen=True, slots=True)
class _Panel:
    """A part of the drawing with its own scale from `low` to `high`, `top` pixels from above."""

    top: float
    low: float
    high: float
    ends: float

    def x(self, at: float) -> float:
        return LEFT + (WIDTH - LEFT - RIGHT) * at / self.ends

    def y(self, value: float) -> float:
        held = min(max(value, self.low), self.high)
        return self.top + PANEL * (self.high - held) / (self.high - self.low)


def svg(run: Run, title: str) -> str:
    """The drawing. Evidence is drawn as odds, in powers of ten; the dashed line is where it takes back."""
    ends = max(run.ended, 1.0)
    weights = _Panel(TOP, 0, 100, ends)
    odds = _Panel(TOP + PANEL + GAP, *_range(run), ends)
    parts = [
        *_frame(weights, [(p, f"{p} %") for p in (0, 25, 50, 75, 100)], "share of requests"),
        *_moves(run, weights, odds),
        *_weights(run.points, weights),
        *_frame(odds, [(p, _power(p)) for p in _powers(odds)], "odds that it is worse"),
        *_evidence(run, odds),
        *_times(odds),
    ]
    return "\n".join(
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img">',
            f"<title>{escape(title)}</title>",
            f'<rect width="{WIDTH}" height="{HEIGHT}" fill="#ffffff"/>',
            _text(LEFT, 24, _cut(title, 110), size=14),
            *parts,
            "</svg>\n",
        )
    )


def _frame(panel: _Panel, ticks: Iterable[tuple[float, str]], label: str) -> Iterator[str]:
    for value, text in ticks:
        y = panel.y(value)
        yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#dddddd"/>'
        yield _text(LEFT - 6, y + 4, text, anchor="end")
    yield _text(LEFT, panel.top - 8, label, colour="#555555")


def _moves(run: Run, *panels: _Panel) -> Iterator[str]:
    for moment in run.moments:
        x = panels[0].x(moment.at)
        yield f'<path d="M{x:.1f} {TOP}V{panels[-1].top + PANEL}" stroke="#bbbbbb" stroke-dasharray="2 3"/>'


def _weights(points: Sequence[Point], panel: _Panel) -> Iterator[str]:
    lines: tuple[tuple[str, str, Callable[[Point], float]], ...] = (
        ("stable", COLOURS[0], lambda point: point.stable),
        ("candidate", COLOURS[1], lambda point: point.candidate),
        ("shadow", COLOURS[2], lambda point: point.shadow),
    )
    for number, (name, colour, value) in enumerate(lines):
        yield _path(_stairs([(panel.x(p.at), panel.y(value(p))) for p in points]), colour)
        yield _text(WIDTH - RIGHT + 10, panel.top + 12 + 16 * number, name, colour=colour)


def _evidence(run: Run, panel: _Panel) -> Iterator[str]:
    y = panel.y(run.threshold / math.log(10))
    yield f'<path d="M{LEFT} {y:.1f}H{WIDTH - RIGHT}" stroke="#aa0000" stroke-dasharray="6 4"/>'
    yield _text(LEFT + 4, y - 4, f"taken back at {math.exp(run.threshold):.0f} : 1", colour="#aa0000")
    for number, name in enumerate(_names(run)):
        colour = COLOURS[number % len(COLOURS)]
        for stretch in _stretches(run.points, name):
            line = [(panel.x(at), panel.y(log / math.log(10))) for at, log in stretch]
            yield _path(line, colour)
        yield _text(WIDTH - RIGHT + 10, panel.top + 28 + 16 * number, _cut(name, 20), colour=colour)


def _names(run: Run) -> list[str]:
    return list(dict.fromkeys(name for point in run.points for name, _ in point.gates))


def _stretches(points: Sequence[Point], name: str) -> Iterator[list[tuple[float, float]]]:
    """A gate's evidence, in pieces where it was not weighed in between."""
    piece: list[tuple[float, float]] = []
    for point in points:
        log = dict(point.gates).get(name)
        if log is not None:
            piece.append((point.at, log))
        elif piece:
            yield piece
            piece = []
    if piece:
        yield piece


def _range(run: Run) -> tuple[float, float]:
    """Whole powers of ten that hold the threshold and what was weighed, within bounds."""
    logs = [log / math.log(10) for point in run.points for _, log in point.gates]
    top = max([run.threshold / math.log(10) + 0.5, *logs])
    return max(FLOOR, math.floor(min([-1.0, *logs]))), min(CEILING, math.ceil(top))


def _powers(panel: _Panel) -> range:
    return range(int(panel.low), int(panel.high) + 1)


def _power(exponent: int) -> str:
    return f"{10**exponent} : 1" if exponent >= 0 else f"1 : {10**-exponent}"


def _times(panel: _Panel) -> Iterator[str]:
    step = next((step for step in _STEPS if panel.ends / step <= 9), math.ceil(panel.ends / 9))
    unit, size = next((u, s) for u, s in (("d", 86_400), ("h", 3600), ("min", 60), ("s", 1)) if step % s == 0)
    at = 0
    while at <= panel.ends:
        x = panel.x(at)
        yield f'<path d="M{x:.1f} {panel.top + PANEL}v5" stroke="#555555"/>'
        yield _text(x, panel.top + PANEL + 20, f"{at // size} {unit}", anchor="middle")
        at += step


def _stairs(line: Sequence[tuple[float, float]]) -> Iterator[tuple[float, float]]:
    """Weights stay until they are changed."""
    before: float | None = None
    for x, y in line:
        if before is not None and before != y:
            yield x, before
        yield x, y
        before = y


def _path(line: Iterable[tuple[float, float]], colour: str) -> str:
    points = " ".join(f"{x:.1f},{y:.1f}" for x, y in line)
    return f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="1.8"/>'


def _text(
    x: float, y: float, text: str, *, colour: str = "#222222", anchor: str = "start", size: int = 12
) -> str:
    font = f'font-family="sans-serif" font-size="{size}" text-anchor="{anchor}"'
    return f'<text x="{x:.1f}" y="{y:.1f}" fill="{colour}" {font}>{escape(text)}</text>'


def _cut(text: str, length: int) -> str:
    return text if len(text) <= length else text[: length - 1] + "…"
