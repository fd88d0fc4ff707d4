"""From a verdict to the champion: what reigns, what was judged, a version for the winner, and the champion's alias."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from vitrina.errors import ModelFormatError, NoChampionError
from vitrina.registry.registry import RunRecord
from vitrina.scenarios.prepared import MADE_OF, Origin
from vitrina.scenarios.scenario import Run

if TYPE_CHECKING:
    from vitrina.evaluation.gate import Verdict
    from vitrina.evaluation.report import Scores
    from vitrina.registry.model_format import StoredModel
    from vitrina.scenarios.winner import Winner

Recipe = TypeVar("Recipe")
Model = TypeVar("Model")

REGISTERED = "registered.json"
LONGEST_TAG = 4_000
"""Characters of the reasons that are kept as a tag."""


def champion_model(run: Run, load: Callable[[StoredModel], Model]) -> tuple[str, Model]:
    """Version and model of the champion, mapped from a copy that is unlinked at once; `NoChampionError` before the
    first promotion."""
    from vitrina.registry.model_format import read_model

    champion = run.registry.champion()
    if champion is None:
        raise NoChampionError(f"no champion yet. Make one: vitrina train {run.scenario} --data PATH")
    with tempfile.TemporaryDirectory(prefix="vitrina-champion-") as copy:
        run.registry.fetch(champion.version, Path(copy) / "model")
        return champion.version, load(read_model(Path(copy) / "model", verify=False))


@dataclass(frozen=True, kw_only=True)
class Reigning(Generic[Recipe]):
    """The champion's version, the recipe that made it, and the name that this won under."""

    version: str
    name: str
    recipe: Recipe


def reigning_champion(run: Run, read: Callable[[dict[str, Any]], Recipe]) -> Reigning[Recipe] | None:
    """The champion, whose recipe `read` takes from the meta of its model; None before the first.

    `ModelFormatError` for a recipe that this release cannot train again; with `force` it is passed over.
    """
    champion = run.registry.champion()
    return None if champion is None else reigning_as(run, champion.version, read)


def reigning_as(run: Run, version: str, read: Callable[[dict[str, Any]], Recipe]) -> Reigning[Recipe] | None:
    """As `reigning_champion`, of a version that is or was the champion."""
    try:
        meta = _meta_of(run, version)
        return Reigning(version=version, name=meta.get("winner") or meta["ranker"], recipe=read(meta["recipe"]))
    except ModelFormatError as error:
        unlike = f"champion {version} cannot be compared with: {error}"
        if not run.force:
            raise ModelFormatError(f"{unlike}. To replace it without a comparison: --force") from error
        run.note(unlike)
        return None


def _meta_of(run: Run, version: str) -> dict[str, Any]:
    from vitrina.registry.model_format import read_model

    with tempfile.TemporaryDirectory() as scratch:
        run.registry.fetch(version, Path(scratch) / "model")
        return read_model(Path(scratch) / "model", verify=False).meta


@dataclass(frozen=True, kw_only=True)
class Subject:
    """What a verdict is about: the candidate's recipe as JSON (None: nothing could be judged), the data, and the
    version that was the champion (None: there was none)."""

    candidate: dict[str, Any] | None
    origin: Origin
    champion: str | None

    def as_json(self) -> dict[str, Any]:
        """What verdict.json tells beside the verdict."""
        return {"candidate": self.candidate, MADE_OF: self.origin.as_json(), "champion": self.champion}


def write_verdict(
    run: Run, folder: Path, verdict: Verdict, scores: Mapping[str, Scores], subject: Subject
) -> dict[str, Any]:
    """Notes the verdict, writes it and the scores of each model into the folder of an evaluation, and returns what the
    step tells of it."""
    from vitrina.evaluation.gate import CHAMPION

    for reason in verdict.reasons:
        run.note(reason)
    (folder / "verdict.json").write_text(json.dumps(verdict.as_json() | subject.as_json()))
    for name, found in scores.items():
        found.save(folder / f"{name}.npz")
    reasons = list(verdict.reasons)
    outcome = "refused" if verdict.winner == CHAMPION else "promoted"
    return {
        "winner": verdict.winner,
        "promote": verdict.promote,
        "reasons": reasons,
        "gate": {"outcome": outcome, "reasons": reasons},
    }


def read_verdict(run: Run) -> dict[str, Any]:
    """What the last evaluation wrote."""
    found: dict[str, Any] = json.loads((run.local("evaluation") / "verdict.json").read_text())
    return found


def nothing_judged(
    run: Run,
    why: str,
    baseline: str,
    table: Mapping[str, Any],
    *,
    origin: Origin,
    recipe: Recipe,
    read: Callable[[Any], Recipe],
) -> dict[str, Any]:
    """The evaluation of a log that is too small for one: `baseline`, fitted anew, is published before the first
    champion and after one of the same `recipe`, since nothing is to be decided then; any other champion stays.
    `table` is table.json beside the line that says so; for `read`, and for errors, see `reigning_champion`."""
    from vitrina.evaluation.gate import CHAMPION, Verdict

    reigning = reigning_champion(run, read)
    winner = baseline if reigning is None or reigning.recipe == recipe else CHAMPION
    outcome = "the champion stays" if winner == CHAMPION else f"{winner} is published"
    reason = f"nothing can be judged ({why}): {outcome}"
    verdict = Verdict(promote=False, winner=winner, reasons=(reason,), comparisons=())
    subject = Subject(candidate=None, origin=origin, champion=None if reigning is None else reigning.version)
    with run.objects.writing(run.key("evaluation")) as folder:
        (folder / "table.md").write_text(f"{reason}\n")
        (folder / "table.json").write_text(json.dumps({"about": reason, **table}))
        return {"rows_out": 0, "quality": {}, **write_verdict(run, folder, verdict, {}, subject)}


def tags_of(run: Run, winner: str, verdict: Mapping[str, Any]) -> dict[str, str]:
    """Where a registered model is from, and why it won, by the names of MLflow's tags."""
    return {
        "vitrina.scenario": run.scenario,
        "vitrina.winner": winner,
        "vitrina.reasons": " | ".join(verdict["reasons"])[:LONGEST_TAG],
        **({} if run.run_id is None else {"vitrina.run_id": run.run_id}),
    }


def register_fitted(
    run: Run,
    winner: Winner[Any],
    verdict: Mapping[str, Any],
    *,
    record: Callable[..., RunRecord],
    write: Callable[..., None],
) -> dict[str, Any]:
    """As `register_once`, of a model that lies in no folder yet: `record(scratch=...)` gives what is kept of its
    training, with files in that folder, and `write(folder, meta=...)` makes the model folder."""
    with tempfile.TemporaryDirectory() as scratch:
        kept = record(scratch=Path(scratch))
        meta = {
            "scenario": run.scenario,
            "winner": winner.name,
            "fingerprint": kept.fingerprint,
            "metrics": kept.metrics,
        }
        folder = Path(scratch) / "model"
        write(folder, meta=meta)
        return register_once(run, folder, kept, winner, verdict)


def register_once(
    run: Run, folder: Path, record: RunRecord, winner: Winner[Any], verdict: Mapping[str, Any]
) -> dict[str, Any]:
    """Registers the model folder and writes down what `promote` needs; the same model as the last time keeps its
    version. What is not to be promoted is nobody's challenger."""
    from vitrina.registry.model_format import content_digest, read_model

    digest = content_digest(folder, without=("metrics",))  # whom it was compared with is no part of it
    version = _registered_before(run, digest, record)
    if version is None:
        version = run.registry.register(folder, record).version
        run.note(f"Registered version {version}: {winner.name}")
    else:
        run.note(f"Version {version} is this very model")
    if not winner.promote:
        run.registry.challenge(None)
    told = {"winner": winner.name, "judged": winner.judged, "promote": winner.promote}
    found = {"version": version, **told, "content": digest}
    beside = {"against": verdict["champion"], "end": _end_of(read_model(folder, verify=False).meta)}
    run.objects.put_bytes(run.key(REGISTERED), json.dumps(found | beside).encode())
    return found


def _registered_before(run: Run, digest: str, record: RunRecord) -> str | None:
    """The version that holds this content already: what the last `register` made, or the newest of all, whose
    `register` may have been killed before it wrote that down."""
    from vitrina.registry.model_format import content_digest

    versions = run.registry.versions()
    if run.objects.exists(run.key(REGISTERED)):
        last = json.loads(run.objects.get_bytes(run.key(REGISTERED)))
        if last.get("content") == digest and any(one.version == last["version"] for one in versions):
            return str(last["version"])
    if not versions or versions[0].metrics != record.written_metrics():
        return None
    with tempfile.TemporaryDirectory() as scratch:
        run.registry.fetch(versions[0].version, Path(scratch) / "model")
        same = content_digest(Path(scratch) / "model", without=("metrics",)) == digest
    return versions[0].version if same else None


def _end_of(meta: Mapping[str, Any]) -> int | None:
    """Where the data end that a model learned from, as its scenario counts; None where they are not dated."""
    return meta.get("as_of_month", meta.get("as_of")) if meta.get("dated", True) else None


def promote(run: Run) -> dict[str, Any]:
    """Makes the registered version the champion when the gate (or `force`) says so. It waits as the challenger in a run
    for a `challenger`, and without `force` where another champion reigns than it was judged against, or a newer one."""
    registered = json.loads(run.objects.get_bytes(run.key(REGISTERED)))
    version = registered["version"]
    before = run.registry.champion()
    stays = {"promoted": False, "champion": before.version if before else None}
    if not registered["promote"] and not run.force:
        run.note(f"Version {version} is not promoted; champion stays {before.version if before else 'none'}")
        return stays
    why = None if before is None or run.force else _why_it_waits(run, registered, before.version)
    if run.challenger or why:
        run.registry.challenge(version)
        if why:
            run.note(f"Version {version} is not promoted: {why}")
        run.note(f"Version {version} is the challenger. Promote it: vitrina promote {run.scenario}")
        return {**stays, "challenger": version}
    champion = run.registry.promote(version)
    run.note(f"Version {champion.version} ({registered['winner']}) is the champion")
    return {"promoted": True, "champion": champion.version, "before": before.version if before else None}


def _why_it_waits(run: Run, registered: Mapping[str, Any], champion: str) -> str | None:
    """Why a version that passed the gate does not replace this champion by itself; None: it does."""
    if champion == registered["version"]:
        return None
    if champion != registered["against"]:
        judged = f"version {registered['against']}" if registered["against"] else "no champion"
        return f"version {champion} is the champion, and it was judged against {judged}"
    end, reached = registered["end"], _end_of(_meta_of(run, champion))
    if end is not None and reached is not None and end < reached:
        return f"the champion, version {champion}, has learned from newer data"
    return None
