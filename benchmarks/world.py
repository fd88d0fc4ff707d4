"""The trained home that the serving benchmark asks: made from a generated world, from the caller's log, or given."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from vitrina.recommend.recommender import Recommender
from vitrina.registry.model_format import read_model
from vitrina.registry.reader import reader_for
from vitrina.serving.lists import Lists, find_lists
from vitrina.serving.state import items_fingerprint
from vitrina.storage.objects import FolderObjects

MODEL_NAME = "ranking_model"
ROOT = Path(__file__).resolve().parents[1]
Ids = npt.NDArray[np.generic]


@dataclass(frozen=True, kw_only=True)
class World:
    """The champion and its lists, opened beside the servers; `home` is their state folder."""

    home: Path
    told: str
    recommender: Recommender
    lists: Lists

    def known_users(self, count: int, rng: np.random.Generator, *, with_list: bool) -> Ids:
        """Random distinct users (all of them when there are fewer than `count`), as the shop names them."""
        rows = np.flatnonzero(self.lists.list_row >= 0) if with_list else np.arange(len(self.lists.users))
        return np.asarray(self.lists.users.ids_of(rng.permutation(rows)[:count]))

    def sessions(self, count: int, length: int, rng: np.random.Generator) -> Ids:
        """Item ids (count, length) drawn by how often the log names them."""
        events = self.lists.histories.items
        drawn = np.asarray(events[rng.integers(len(events), size=count * length)])
        return np.asarray(self.recommender.items.ids_of(drawn)).reshape(count, length)

    def facts(self) -> dict[str, int | str]:
        """The sizes that the figures depend on."""
        return {
            "world": self.told,
            "users": len(self.lists.users),
            "users_with_list": len(self.lists.list_items),
            "items": len(self.recommender.items),
            "events_in_histories": len(self.lists.histories.items),
            "trees": len(self.recommender.trees.split_start) - 1,
        }


def environment(home: Path) -> dict[str, str]:
    """The environment of every child process: its state folder, quiet third parties, one BLAS thread."""
    set_here = {
        "VITRINA_HOME": str(home.absolute()),
        "OPENBLAS_NUM_THREADS": "1",
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "MPLBACKEND": "agg",
    }
    return {name: value for name, value in os.environ.items() if not name.startswith("VITRINA_")} | set_here


def generated(events: int, folder: Path, seed: int = 1) -> Path:
    """A generated world of this many events under `folder`, made once."""
    from vitrina.events.synthetic_shop.generator import WorldSpec, generate_world

    out = folder / f"world-{events}"
    if not (out / "oracle.json").exists():
        generate_world(WorldSpec(events=events, seed=seed), out)
    return out


def train(data: Path, home: Path) -> None:
    """`vitrina train storefront` into `home`; its messages go to this process's standard error."""
    command = [*VITRINA, "train", "storefront", "--data", str(data), "--json"]
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, env=environment(home), cwd=ROOT)


VITRINA = (sys.executable, "-c", "from vitrina.cli import main; main()")
"""The command line of this very environment."""


def open_world(home: Path, scratch: Path) -> World:
    """Opens the champion of a trained home; the model is fetched into `scratch`. `VitrinaError` without a champion or
    lists.
    """
    from vitrina.errors import ModelFormatError, NoChampionError

    reader = reader_for(f"sqlite:///{(home / 'mlflow.db').absolute()}", MODEL_NAME)
    champion = reader.champion()
    if champion is None:
        raise NoChampionError(
            f"{home} has no champion. Train one: vitrina train storefront --home {home} --data FOLDER"
        )
    reader.fetch(champion.version, scratch / "model")
    stored = read_model(scratch / "model")
    recommender = Recommender.load(stored)
    objects, root = FolderObjects(home / "objects"), "storefront/lists"
    found = find_lists(
        objects, root, model_version=champion.version, items_fingerprint=items_fingerprint(recommender.items)
    )
    if found is None:
        raise ModelFormatError(
            f"{home} holds no lists of version {champion.version}. Make them: vitrina step storefront publish"
        )
    told = home / "benchmark.json"
    source = json.loads(told.read_text())["world"] if told.exists() else f"a home trained before ({home.name})"
    return World(
        home=home, told=source, recommender=recommender, lists=Lists.open(objects.local(f"{root}/{found.version}"))
    )
