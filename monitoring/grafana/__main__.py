"""`python -m monitoring.grafana` writes the dashboards' JSON; `--check` only says which files are out of date."""

from __future__ import annotations

import argparse
import sys

from .boards import BOARDS


def main() -> None:
    """Writes every file that differs from its Python; ends with 1 when `--check` finds one."""
    parser = argparse.ArgumentParser(prog="python -m monitoring.grafana", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing")
    check = parser.parse_args().check
    stale = [board for board in BOARDS if not board.path.is_file() or board.path.read_text() != board.text()]
    for board in stale:
        if not check:
            board.path.write_text(board.text())
        sys.stdout.write(f"{board.path.name} {'is out of date' if check else 'was written'}\n")
    if check and stale:
        raise SystemExit(1)


if __name__ == "__main__":
    main()
