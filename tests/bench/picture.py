"""Draw picture.svg, speed against quality, from the newest table of vectors in LOG.md.

    python tests/bench/picture.py

Each model is a point: training time to the right (log scale), mean score upwards.
"""

from math import log2
from pathlib import Path
from statistics import mean
from typing import NamedTuple

HERE = Path(__file__).parent
HEADING = "## Vectors of every kind"
SCORES = ("wordsim", "simlex", "all add")  # their mean is the quality

WIDTH, HEIGHT = 760, 380  # pixels
LEFT, RIGHT, TOP, BOTTOM = 70, 30, 50, 60  # margins, pixels
MIN_SECONDS, MAX_SECONDS = 10, 500
MIN_SCORE, MAX_SCORE = 41, 51
LABELS = {  # row of LOG.md: label, its place beside the point, color
    "gensim skip-gram": ("gensim skip-gram", "end", "#c0504d"),
    "gensim CBOW": ("gensim CBOW", "start", "#c0504d"),
    "skip-gram": ("nlpseq skip-gram", "start", "#1f6fb4"),
    "skip-gram, preset quality": ("nlpseq skip-gram, --preset quality", "end", "#1f6fb4"),
    "CBOW, legacy update": ("nlpseq CBOW", "start", "#1f6fb4"),
}


class Point(NamedTuple):
    """Training time (s) and mean score (x 100) of a model."""

    seconds: float
    score: float


def main() -> None:
    points = read_points((HERE / "LOG.md").read_text("utf-8"))
    (HERE / "picture.svg").write_text(draw(points), "utf-8")


def read_points(log: str) -> dict[str, Point]:
    """Return a point for each row of the newest table of vectors; raise ValueError if there is none."""
    _, found, section = log.rpartition(HEADING)
    if not found:
        raise ValueError(f"LOG.md: no table of vectors. Run: python {HERE}/run.py vectors")
    lines = [line for line in section.partition("\n## ")[0].splitlines() if line.startswith("|")]
    columns, *rows = ([cell.strip() for cell in line.strip("|").split("|")] for line in lines)
    points = {}
    for row in rows[1:]:  # because the first one is the rule under the header
        cells = dict(zip(columns, row, strict=True))
        points[row[0]] = Point(float(cells["seconds"]), mean(float(cells[name]) for name in SCORES))
    return points


def draw(points: dict[str, Point]) -> str:
    """Return an SVG picture with axes, points and labels."""
    parts = [
        (
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" width="{WIDTH}" '
            f'height="{HEIGHT}" font-family="sans-serif" font-size="15">'
        ),
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        text(WIDTH / 2, 28, "Word vectors of 17 million words, trained on two cores", size=18),
        text((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 14, "training time in seconds (less is better)"),
        (
            f'<g transform="translate(20,{(TOP + HEIGHT - BOTTOM) / 2}) rotate(-90)">'
            f"{text(0, 0, 'mean score (more is better)')}</g>"
        ),
    ]
    for seconds in (10, 20, 50, 100, 200, 500):
        x = x_of(seconds)
        parts += [line(x, TOP, x, HEIGHT - BOTTOM), text(x, HEIGHT - BOTTOM + 20, str(seconds))]
    for score in range(MIN_SCORE + 1, MAX_SCORE, 2):
        y = y_of(score)
        parts += [line(LEFT, y, WIDTH - RIGHT, y), text(LEFT - 8, y + 5, str(score), anchor="end")]
    for name, (label, side, color) in LABELS.items():
        x, y = x_of(points[name].seconds), y_of(points[name].score)
        parts.append(f'<circle cx="{x:.0f}" cy="{y:.0f}" r="7" fill="{color}"/>')
        parts.append(text(x + (12 if side == "start" else -12), y + 5, label, anchor=side, color=color))
    return "\n".join([*parts, "</svg>\n"])


def x_of(seconds: float) -> float:
    share = log2(seconds / MIN_SECONDS) / log2(MAX_SECONDS / MIN_SECONDS)
    return LEFT + share * (WIDTH - LEFT - RIGHT)


def y_of(score: float) -> float:
    share = (score - MIN_SCORE) / (MAX_SCORE - MIN_SCORE)
    return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)


def line(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.0f}" y1="{y1:.0f}" x2="{x2:.0f}" y2="{y2:.0f}" stroke="#ddd"/>'


def text(x: float, y: float, label: str, anchor: str = "middle", color: str = "#222", size: int = 15) -> str:
    place = f'x="{x:.0f}" y="{y:.0f}" text-anchor="{anchor}" fill="{color}" font-size="{size}"'
    return f"<text {place}>{label}</text>"


if __name__ == "__main__":
    main()
