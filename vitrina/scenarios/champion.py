"""The champion on the command line: the model from the registry, with the histories that its lists carry."""

from __future__ import annotations

import csv
import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vitrina.errors import DataError, NoChampionError
from vitrina.evaluation.holdout import read_holdout, score_holdout
from vitrina.evaluation.id_files import id_reader, read_users
from vitrina.features.history import Histories, History, Moments
from vitrina.recommend.recommender import Recommender
from vitrina.registry.model_format import read_model
from vitrina.scenarios.scenario import Run
from vitrina.serving.lists import Lists, find_lists
from vitrina.serving.state import items_fingerprint


@dataclass(frozen=True, kw_only=True)
class Champion:
    """A loaded champion and the users that it knows."""

    version: str
    recommender: Recommender
    lists: Lists

    @classmethod
    def open(cls, run: Run) -> Champion:
        """The champion, mapped from a copy that is unlinked at once. `NoChampionError` when nothing is promoted, or no
        lists are published for its items."""
        version = run.registry.champion()
        if version is None:
            raise NoChampionError(f"no champion yet. Make one: vitrina train {run.scenario} --data PATH")
        with tempfile.TemporaryDirectory(prefix="vitrina-champion-") as copy:
            run.registry.fetch(version.version, Path(copy) / "model")
            recommender = Recommender.load(read_model(Path(copy) / "model", verify=False))
        root = run.key("lists")
        found = find_lists(
            run.objects,
            root,
            model_version=version.version,
            items_fingerprint=items_fingerprint(recommender.items),
        )
        if found is None:
            remedy = f"Publish them: vitrina step {run.scenario} publish"
            raise NoChampionError(f"no lists fit version {version.version}. {remedy}")
        folder = run.objects.local(f"{root}/{found.version}")
        return cls(version=version.version, recommender=recommender, lists=Lists.open(folder))

    def recommend(self, user_id: str, *, k: int, session: list[str]) -> dict[str, Any]:
        """The answer for one user, as the service gives it without lists. `DataError` for an unknown item or an id of
        another type."""
        items = self.recommender.items
        unknown = [item for item in session if items.index_of(item) < 0]
        if unknown:
            raise DataError(f"the catalogue has no item {unknown[0]!r}", where="--session", remedy="Leave it out.")
        row = self.lists.row_of(id_reader(self.lists.users, "user")(user_id, "--user-id"))
        history = self.lists.history(row) if row >= 0 else History.empty()
        as_of = self.recommender.as_of
        ranked = self.recommender.recommend(history, session=items.rows(session), k=k, as_of=as_of)
        answer: dict[str, Any] = {
            "user_id": user_id,
            "known": row >= 0,
            "recs": items.ids_of(ranked.items),
            "scores": [round(float(score), 6) for score in ranked.scores],
            "sources": [self.recommender.source_names[source] for source in ranked.sources],
            "model_version": self.version,
        }
        titles = self.recommender.catalogue.titles
        if titles is not None:
            answer["titles"] = [titles[item].decode() for item in ranked.items]
        return answer

    def batch(
        self, users: Path, out: Path, *, k: int, new_only: bool, progress: Callable[[str, int, int], None]
    ) -> dict[str, Any]:
        """Writes user,item,rank,score for every user of the file, through a temporary name; strangers get popular
        items. `DataError` when the file cannot be read or `out` cannot be written."""
        if out.is_dir():
            raise DataError("this is a folder", where=str(out), remedy="Name a file to write: --out FILE.csv")
        wanted = read_users(users, self.lists.users)
        rows = self.lists.users.rows(np.array(wanted) if self.lists.users.kind == "int" else wanted)
        items, scores = self._lists_of(rows, k=k, new_only=new_only)
        staged = out.with_name(f".{out.name}.tmp")
        try:
            out.parent.mkdir(parents=True, exist_ok=True)
            with staged.open("w", newline="", encoding="utf-8") as file:
                writer = csv.writer(file)
                writer.writerow(["user", "item", "rank", "score"])
                for place, user in enumerate(wanted):
                    found = self.recommender.items.ids_of(items[place][items[place] >= 0])
                    for rank, (item, score) in enumerate(zip(found, scores[place], strict=False), 1):
                        writer.writerow([user, item, rank, f"{score:.6g}"])
                    if place % 1000 == 0:
                        progress("users", place, len(wanted))
            staged.replace(out)
        except OSError as error:
            raise DataError(
                f"cannot be written ({error.strerror})", where=str(out), remedy="Name another file: --out FILE.csv"
            ) from error
        return {"users": len(wanted), "unknown": int((rows < 0).sum()), "out": str(out), "model_version": self.version}

    def score(self, holdout: Path, *, k: int, new_only: bool) -> dict[str, Any]:
        """Metrics of the champion on the caller's (user,item) file."""
        read = read_holdout(holdout, users=self.lists.users, items=self.recommender.items)

        def lists_of(users: npt.NDArray[np.int32], depth: int) -> npt.NDArray[np.int32]:
            return self._lists_of(users, k=depth, new_only=new_only)[0]

        return {"model_version": self.version, **score_holdout(read, lists_of, ks=(k,)).as_json()}

    def _lists_of(
        self, rows: npt.NDArray[np.int32], *, k: int, new_only: bool
    ) -> tuple[npt.NDArray[np.int32], npt.NDArray[np.float32]]:
        """Lists of user rows; -1 is somebody without a history."""
        histories: Histories = self.lists.histories
        as_of = self.recommender.as_of
        known = histories.at(np.maximum(rows, 0), as_of)
        empty = rows < 0
        moments = Moments(
            users=known.users,
            begin=np.where(empty, 0, known.begin),
            end=np.where(empty, 0, known.end),
            as_of=known.as_of,
        )
        return self.recommender.recommend_batch(histories, moments, k=k, new_only=new_only)
