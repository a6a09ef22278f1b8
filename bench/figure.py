"""A figure of ratios: a row a case, a dot a peer, on a logarithmic axis."""
import math

COLOURS = ["#c0392b", "#2874a6", "#7d8a2e"]
LEFT, WIDTH, ROW, TOP = 150, 520, 20, 40
TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100, 200)


def x_of(ratio):
    low, high = math.log(TICKS[0]), math.log(TICKS[-1])
    return LEFT + WIDTH * (min(max(math.log(ratio), low), high) - low) / (high - low)


def text(x, y, words, more=""):
    return f'<text x="{x:.1f}" y="{y}" {more}>{words}</text>'


def axis(bottom):
    parts = []
    for t in TICKS:
        x, dark = x_of(t), "#555" if t == 1 else "#ddd"
        parts.append(f'<line x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 4}" y2="{bottom}" stroke="{dark}"/>')
        parts.append(text(x, bottom + 14, f"{t:g}x", 'text-anchor="middle"'))
    return parts


def key(peers):
    parts = []
    for i, words in enumerate(peers.values()):
        x = LEFT + 130 * i
        parts += [f'<circle cx="{x}" cy="16" r="4.5" fill="{COLOURS[i]}"/>', text(x + 9, 20, words)]
    return parts


def ratios(rows, peers):
    """SVG: how many times longer each peer's step takes."""
    bottom = TOP + ROW * len(rows)
    parts = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{LEFT + WIDTH + 30}" height="{bottom + 24}" '
             'font-family="sans-serif" font-size="12">', '<rect width="100%" height="100%" fill="white"/>']
    parts += axis(bottom) + key(peers)
    for i, r in enumerate(rows):
        y = TOP + ROW * i + 8
        parts.append(text(LEFT - 10, y + 4, r["case"], 'text-anchor="end"'))
        for colour, side in zip(COLOURS, peers):
            if side in r["ratio"]:
                parts.append(f'<circle cx="{x_of(r["ratio"][side]):.1f}" cy="{y}" r="4.5" fill="{colour}"/>')
    return "\n".join([*parts, "</svg>", ""])
