#!/usr/bin/env python3
"""Draws a screenshot of the shell: runs it in tmux, types queries, and turns the screen into an SVG.

    scripts/screenshot.py [FILE]        FILE: diagrams/shell.svg

Uses the lake of `make duckdb`: run `make start` first, and wait a minute. Needs tmux. Draws exactly what is on the
screen, cell by cell. Exit codes: 0 done; 1 the shell did not answer.
"""

import html
import os
import re
import subprocess
import sys
import time
import unicodedata
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COLUMNS, ROWS, PATIENCE_SECONDS = 116, 60, 60
TYPED = [
    "SELECT event_type, count(*) AS events, count(DISTINCT user_id) AS users FROM bronze.events GROUP BY ALL;",
    ".dead events",
]
CELL_WIDTH, LINE_HEIGHT, FONT_SIZE, MARGIN = 7.83, 17, 13, 14
BACKGROUND, FOREGROUND = "#1b1f27", "#d7dae0"
COLORS = ["#5c6370", "#e06c75", "#98c379", "#e5c07b", "#61afef", "#c678dd", "#56b6c2", "#d7dae0"]
# A separate tmux server, so that the user's sessions and settings are not touched.
TMUX = ["tmux", "-L", f"sluice-screenshot-{os.getpid()}", "-f", "/dev/null"]


def tmux(*arguments):
    done = subprocess.run([*TMUX, *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"the shell exited: does the lake exist? ({done.stderr.strip()})")
    return done.stdout


def await_prompts(count):
    """Waits until the shell has shown `count` prompts and the last one is empty."""
    deadline = time.monotonic() + PATIENCE_SECONDS
    while time.monotonic() < deadline:
        lines = tmux("capture-pane", "-p").rstrip().split("\n")
        if lines[-1].rstrip() == "lake>" and sum(line.startswith("lake>") for line in lines) >= count:
            return
        time.sleep(0.1)
    sys.exit("the shell did not answer:\n" + tmux("capture-pane", "-p"))


def captured():
    try:
        shell = f"cd {ROOT} && exec scripts/run.sh duckdb"
        tmux("new-session", "-d", "-x", str(COLUMNS), "-y", str(ROWS), f"env TERM=xterm-256color sh -c '{shell}'")
        await_prompts(1)
        for count, text in enumerate(TYPED, start=2):
            # tmux would take a semicolon at the end as its own.
            tmux("send-keys", "-l", re.sub(";$", r"\\;", text))
            tmux("send-keys", "Enter")
            await_prompts(count)
        return tmux("capture-pane", "-p", "-e").rstrip().split("\n")
    finally:
        subprocess.run([*TMUX, "kill-server"], capture_output=True, check=False)


def cells(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def spans(line, style):
    """Yields the line's texts, each with one style and its first cell; `style` carries over to the next line."""
    column = 0
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        if not piece.startswith("\x1b["):
            # Each word and border gets its own position, so that they stay aligned even if the font is not monospaced.
            for word in re.finditer(r"│|[^│ ]+(?: [^│ ]+)*", piece):
                yield column + cells(piece[: word.start()]), word.group(), dict(style)
            column += cells(piece)
            continue
        for code in map(int, piece[2:-1].split(";") if piece[2:-1] else [0]):
            if code == 0:
                style.clear()
            elif code in (1, 2, 3):
                style[{1: "bold", 2: "dim", 3: "italic"}[code]] = True
            elif 30 <= code <= 37 or 90 <= code <= 97:
                style["color"] = COLORS[code % 10]
            elif code == 39:
                style.pop("color", None)


def drawn(lines):
    width, height = COLUMNS * CELL_WIDTH + 2 * MARGIN, len(lines) * LINE_HEIGHT + 2 * MARGIN
    yield f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:.0f} {height}" role="img">'
    yield "<title>The shell: its greeting, a query over rows, and a summary of dead letters</title>"
    yield f'<rect width="100%" height="100%" rx="8" fill="{BACKGROUND}"/>'
    yield f'<g font-family="ui-monospace, Menlo, Consolas, \'DejaVu Sans Mono\', monospace" font-size="{FONT_SIZE}"'
    yield f'   fill="{FOREGROUND}">'
    style = {}
    for number, line in enumerate(lines):
        baseline = MARGIN + (number + 0.75) * LINE_HEIGHT
        for column, text, look in spans(line, style):
            attributes = f' fill="{look["color"]}"' if "color" in look else ""
            attributes += ' font-weight="bold"' if "bold" in look else ""
            attributes += ' opacity="0.6"' if "dim" in look else ""
            # Each text fills its cells, whatever the font.
            length = f'textLength="{cells(text) * CELL_WIDTH:.1f}" lengthAdjust="spacingAndGlyphs"'
            x = MARGIN + column * CELL_WIDTH
            yield f'<text x="{x:.1f}" y="{baseline:.1f}" {length}{attributes}>{html.escape(text)}</text>'
    yield "</g>\n</svg>"


if __name__ == "__main__":
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "diagrams/shell.svg"
    file.write_text("\n".join(drawn(captured())) + "\n", encoding="utf-8")
