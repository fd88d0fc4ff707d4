"""The champion on the command line: the model from the registry, with the histories that its lists carry."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from vitrina.errors import ConfigError, DataError, NoChampionError
from vitrina.evaluation.holdout import read_holdout, score_holdout
from vitrina.evaluation.id_files import id_reader, read_users
from vitrina.features.history import Histories, History, Moments
from vitrina.recommend.recommender import Recommender
from vitrina.scenarios.offers_file import offers_file
from vitrina.scenarios.publication import champion_model
from vitrina.scenarios.scenario import Run
from vitrina.serving.lists import Lists, find_lists
from vitrina.serving.state import items_fingerprint

LONGEST = 100


def recommend(run: Run, user_id: str | None, *, k: int, session: list[str]) -> dict[str, Any]:
    """See `Champion.recommend`. `ConfigError` for nobody."""
    if user_id is None:
        raise ConfigError("it is not said whom to recommend to. Name a user: --user-id ID")
    return Champion.open(run).recommend(user_id, k=k, session=session)


def batch(run: Run, users: Path, out: Path, *, k: int | None, new_only: bool) -> dict[str, Any]:
    """See `Champion.batch`; without a `k`, 100."""
    return Champion.open(run).batch(users, out, k=k or LONGEST, new_only=new_only, progress=run.progress)


def score(run: Run, holdout: Path, *, k: int, new_only: bool) -> dict[str, Any]:
    """See `Champion.score`."""
    return Champion.open(run).score(holdout, k=k, new_only=new_only)


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
        version, recommender = champion_model(run, Recommender.load)
        root = run.key("lists")
        found = find_lists(
            run.objects,
            root,
            model_version=version,
            items_fingerprint=items_fingerprint(recommender.items),
        )
        if found is None:
            remedy = f"Publish them: vitrina step {run.scenario} publish"
            raise NoChampionError(f"no lists fit version {version}. {remedy}")
        folder = run.objects.local(f"{root}/{found.version}")
        return cls(version=version, recommender=recommender, lists=Lists.open(folder))

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
        wanted = read_users(users, self.lists.users)
        rows = self.lists.users.rows(np.array(wanted) if self.lists.users.kind == "int" else wanted)
        items, scores = self._lists_of(rows, k=k, new_only=new_only)
        with offers_file(out, ("user", "item", "rank", "score")) as write:
            for place, user in enumerate(wanted):
                found = self.recommender.items.ids_of(items[place][items[place] >= 0])
                ranked = enumerate(zip(found, scores[place], strict=False), 1)
                write((user, item, rank, f"{score:.6g}") for rank, (item, score) in ranked)
                if place % 1000 == 0:
                    progress("users", place, len(wanted))
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
