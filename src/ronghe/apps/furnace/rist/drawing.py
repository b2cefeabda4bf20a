"""The operating line as a picture: SVG, no more than it takes."""

from __future__ import annotations

from html import escape

from ronghe.apps.furnace.rist.line import X_TITLE, Y_TITLE, OperatingLine

_W, _H, _LEFT, _BOTTOM, _TOP, _RIGHT = 640, 480, 64, 48, 20, 24


def svg(line: OperatingLine) -> str:
    """The drawing, in the language of this process."""
    low = min(-1.5, min(p.y for p in line.points) - 0.1)
    high = 1.6

    def x(value: float) -> float:
        return _LEFT + value / 2 * (_W - _LEFT - _RIGHT)

    def y(value: float) -> float:
        return _TOP + (high - value) / (high - low) * (_H - _TOP - _BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_W} {_H}" font-family="sans-serif" font-size="13">',
        f"<title>{escape(str(Y_TITLE))} / {escape(str(X_TITLE))}</title>",
        f'<rect width="{_W}" height="{_H}" fill="#fff"/>',
    ]
    for tick in (0, 0.5, 1, 1.5, 2):
        parts.append(f'<line x1="{x(tick):.1f}" y1="{y(high):.1f}" x2="{x(tick):.1f}" y2="{y(low):.1f}" stroke="#ddd"/>')
        parts.append(f'<text x="{x(tick):.1f}" y="{_H - 28}" text-anchor="middle" fill="#555">{tick:g}</text>')
    for step in range(round(low * 2), 4):
        tick = step / 2
        if tick >= low:
            parts.append(
                f'<line x1="{x(0):.1f}" y1="{y(tick):.1f}" x2="{x(2):.1f}" y2="{y(tick):.1f}" stroke="{"#888" if step == 0 else "#ddd"}"/>'
            )
            parts.append(f'<text x="{_LEFT - 8}" y="{y(tick) + 4:.1f}" text-anchor="end" fill="#555">{tick:g}</text>')
    parts.append(f'<text x="{(_LEFT + _W - _RIGHT) / 2:.0f}" y="{_H - 8}" text-anchor="middle">{escape(str(X_TITLE))}</text>')
    middle = (_H - _BOTTOM + _TOP) / 2
    parts.append(f'<text transform="translate(16 {middle:.0f}) rotate(-90)" text-anchor="middle">{escape(str(Y_TITLE))}</text>')
    (x0, y0), (x1, y1) = line.line
    parts.append(f'<line x1="{x(x0):.1f}" y1="{y(y0):.1f}" x2="{x(x1):.1f}" y2="{y(y1):.1f}" stroke="#1f4e79" stroke-width="2"/>')
    for p in line.points:
        parts.append(f"<g><title>{escape(p.name)}: {escape(str(p.title))} ({p.x:.3f}, {p.y:.3f})</title>")
        parts.append(f'<circle cx="{x(p.x):.1f}" cy="{y(p.y):.1f}" r="4" fill="#1f4e79"/>')
        parts.append(f'<text x="{x(p.x) + 8:.1f}" y="{y(p.y) + 14:.1f}" font-weight="bold">{escape(p.name)}</text></g>')
    return "\n".join([*parts, "</svg>", ""])
