"""The commit that a model was made at."""

from __future__ import annotations

import subprocess


def git_commit() -> str | None:
    """The commit that the working directory stands at; None outside a repository, or without a git that answers."""
    try:
        asked = subprocess.run(["git", "rev-parse", "HEAD"], capture_output=True, text=True, timeout=10, check=False)
    except (FileNotFoundError, subprocess.TimeoutExpired):
        return None
    return asked.stdout.strip() or None
