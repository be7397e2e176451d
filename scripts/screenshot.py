#!/usr/bin/env python3
"""Draws what the shell shows: runs it in a terminal of tmux's, types, and turns the screen into an SVG.

    scripts/screenshot.py [FILE]        FILE: diagrams/shell.svg

The lake is that of `make duckdb`: make start first, and give it a minute. Needs tmux. Nothing is made up: what is drawn
is the screen, cell by cell. Exit codes: 0 done; 1 the shell did not answer.
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
# A server of its own, so that nobody's sessions and settings are touched.
TMUX = ["tmux", "-L", f"sluice-screenshot-{os.getpid()}", "-f", "/dev/null"]


def tmux(*arguments):
    done = subprocess.run([*TMUX, *arguments], check=False, capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"the shell has left: is the lake there? ({done.stderr.strip()})")
    return done.stdout


def await_prompts(count):
    """Waits until the shell has asked `count` times and stands at an empty prompt."""
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
            # A semicolon at the end would end tmux's command instead.
            tmux("send-keys", "-l", re.sub(";$", r"\\;", text))
            tmux("send-keys", "Enter")
            await_prompts(count)
        return tmux("capture-pane", "-p", "-e").rstrip().split("\n")
    finally:
        subprocess.run([*TMUX, "kill-server"], capture_output=True, check=False)


def cells(text):
    return sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def spans(line, style):
    """The line's texts of one style each, with their first cell; `style` goes on to the next line."""
    column = 0
    for piece in re.split(r"(\x1b\[[0-9;]*m)", line):
        if not piece.startswith("\x1b["):
            # Each word and border at its own place: where a font is not of one width, they still stand where they stood.
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
            # Whatever the font, each text fills its cells.
            length = f'textLength="{cells(text) * CELL_WIDTH:.1f}" lengthAdjust="spacingAndGlyphs"'
            x = MARGIN + column * CELL_WIDTH
            yield f'<text x="{x:.1f}" y="{baseline:.1f}" {length}{attributes}>{html.escape(text)}</text>'
    yield "</g>\n</svg>"


if __name__ == "__main__":
    file = Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "diagrams/shell.svg"
    file.write_text("\n".join(drawn(captured())) + "\n", encoding="utf-8")
