"""`python -m monitoring.grafana` writes the dashboards' JSON; `--check` only says what is wrong with the files.

`--draw` draws them from a running Prometheus and Graphite; without `--prometheus`, from a shop that it runs for some
minutes, which is how docs/pictures was made.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .asking import Sources, seconds
from .boards import BOARDS
from .checking import schema_faults

DAY = 86_400


def main() -> None:
    """Reads the command line; ends with 1 when `--check` finds something."""
    options = parser().parse_args()
    if options.draw is not None:
        from .pictures import draw_a_run, draw_all

        if options.prometheus is None:
            say(draw_a_run(options.draw))
            return
        sources = Sources(options.prometheus, options.graphite)
        since = seconds(options.since)
        say(draw_all(sources, options.draw, seconds=since, days=options.days, scrape_seconds=10))
        return
    stale = [board for board in BOARDS if not board.path.is_file() or board.path.read_text() != board.text()]
    if options.check:
        faults = [f"{board.path.name} is out of date" for board in stale]
        faults += [f"{board.path.name}: {fault}" for board in BOARDS for fault in schema_faults(board.text())]
        say(faults)
        raise SystemExit(1 if faults else 0)
    for board in stale:
        board.path.write_text(board.text())
    say([board.path for board in stale])


def parser() -> argparse.ArgumentParser:
    """Every option with its default."""
    made = argparse.ArgumentParser(prog="python -m monitoring.grafana", description=__doc__)
    made.add_argument("--check", action="store_true", help="write nothing")
    made.add_argument("--draw", type=Path, metavar="FOLDER", help="draw the dashboards into a folder")
    made.add_argument("--prometheus", metavar="URL", help="for instance http://localhost:9090")
    made.add_argument("--graphite", metavar="URL", default="http://localhost:8080", help="graphite-web")
    made.add_argument("--since", metavar="TIME", default="3h", help="how far back to draw: 30m, 3h, 7d")
    made.add_argument("--days", type=int, default=90, help="how far back the business is drawn")
    return made


def say(lines: list[Path] | list[str]) -> None:
    for line in lines:
        sys.stdout.write(f"{line}\n")


if __name__ == "__main__":
    main()
