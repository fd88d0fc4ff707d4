"""RecTools' two-stage model as a recipe: its environment, the exchange of files with it, and its light tuning.

Users and log go out as files, lists come back as files; `benchmarks/rectools_peer/recommend.py` is what runs on the
other side.
"""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from benchmarks.quality_protocol import judge_cut
from vitrina.evaluation.backtest import TASKS, window_truth
from vitrina.evaluation.truth import EventArrays, Int32s
from vitrina.events.splits import Window
from vitrina.features.shop import Shop

HERE: Final = Path(__file__).parent / "rectools_peer"
SETTINGS: Final = HERE / "settings.json"
VALUES: Final[dict[str, tuple[Any, ...]]] = {
    "reranker": ("classifier", "ranker"),
    "target_days": (14, 28),
    "negatives": (10, 30, 100),
    "b": (0.2, 0.75),
    "neighbours": (50, 200),
}


def environment(folder: Path, note: Callable[[str], None]) -> Path:
    """The Python of an environment with RecTools, made by pip when it is not there yet.

    `FileNotFoundError` without a Python 3.11, `CalledProcessError` when pip cannot install it.
    """
    requirements = HERE / "requirements.txt"
    stamp, python = folder / "installed", folder / "bin" / "python"
    wanted = hashlib.sha256(requirements.read_bytes()).hexdigest()
    if not stamp.is_file() or stamp.read_text() != wanted:
        maker = sys.executable if sys.version_info[:2] == (3, 11) else shutil.which("python3.11")
        if maker is None:
            raise FileNotFoundError("RecTools' environment needs python3.11")
        note(f"installing RecTools into {folder.name}")
        subprocess.run([maker, "-m", "venv", "--clear", str(folder)], check=True)
        subprocess.run([str(python), "-m", "pip", "install", "-qq", "-r", str(requirements)], check=True)
        stamp.write_text(wanted)
    return python


@dataclass(frozen=True)
class StoredLists:
    """A `Recipe` that answers from files, for exactly the users that they were made for."""

    folder: Path

    def recommend(self, window: Window, users: Int32s, k: int, *, new_only: bool) -> Int32s:
        """`ValueError` for other users or more than the stored k."""
        name = _name(window, new_only)
        lists: Int32s = np.load(self.folder / f"lists-{name}")
        if not np.array_equal(np.load(self.folder / f"users-{name}"), users) or lists.shape[1] < k:
            raise ValueError(f"the lists of {name} were made for other users or fewer places")
        return lists[:, :k]


def made_by_rectools(
    python: Path,
    folder: Path,
    shop: Shop,
    windows: Sequence[Window],
    settings: dict[str, Any],
    note: Callable[[str], None],
) -> StoredLists:
    """Lets RecTools answer both tasks of these windows; `CalledProcessError` when it fails."""
    folder.mkdir(parents=True, exist_ok=True)
    np.savez(folder / "events.npz", **shop.log._asdict())
    events = EventArrays(**shop.log._asdict())
    requests = []
    for window in windows:
        for task in TASKS:
            name = _name(window, task == "new")
            np.save(folder / f"users-{name}", window_truth(events, window, task).row_ids)
            requests.append(
                {"start": window.start, "new_only": task == "new", "users": f"users-{name}", "lists": f"lists-{name}"}
            )
    (folder / "requests.json").write_text(json.dumps(requests))
    (folder / "settings.json").write_text(json.dumps(settings))
    command = [str(python), str(HERE / "recommend.py"), str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        for line in child.stdout:
            note(line.rstrip())
    if child.returncode:
        raise subprocess.CalledProcessError(child.returncode, command)
    return StoredLists(folder)


def tune(
    python: Path, folder: Path, shop: Shop, windows: Sequence[Window], note: Callable[[str], None]
) -> dict[str, Any]:
    """One pass of the baselines' coordinate search over RecTools' settings; returns them."""

    def aim(settings: dict[str, Any]) -> float:
        recipe = made_by_rectools(python, folder, shop, windows, settings, lambda _: None)
        judged = judge_cut({"it": recipe}, windows, shop, lambda _: None)
        ndcg = [judged[f"cut/{task}"]["it"].mean("ndcg@10") for task in TASKS]
        return float((ndcg[0] * ndcg[1]) ** 0.5)

    best = json.loads(SETTINGS.read_text())
    reached, tried = aim(best), 1
    for parameter, values in VALUES.items():
        for value in values:
            if value != best[parameter]:
                rival = {**best, parameter: value}
                found, tried = aim(rival), tried + 1
                if found > reached:
                    best, reached = rival, found
        note(f"RecTools: {parameter} {best[parameter]}, aim {reached:.4f}")
    return {**best, "settings_tried": tried}


def _name(window: Window, new_only: bool) -> str:
    return f"{window.start}-{'new' if new_only else 'repeats'}.npy"
