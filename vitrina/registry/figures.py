"""Pictures of a training, as PNG files for the registry."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

COLOUR = "#2f6f8f"
ACCENT = "#d1603d"
MOST_FEATURES = 30


def recall(by_source: Mapping[str, float], union: float, path: Path) -> Path:
    """Bars: the share of wanted items that each candidate source finds alone, and the union of all."""
    names = sorted(by_source, key=lambda name: by_source[name])
    figure, axes = _figure(0.35 * len(names) + 1.6)
    axes.barh(names, [by_source[name] for name in names], color=COLOUR)
    axes.axvline(union, color=ACCENT, label=f"all sources together: {union:.3f}")
    axes.set_xlabel("share of wanted items among the candidates")
    axes.legend(loc="lower right", frameon=False)
    return _saved(figure, path)


def learning_curve(values: npt.NDArray[np.float64], loss: str, path: Path) -> Path:
    """NDCG@10 on the held-out groups by number of trees; the model's own, the last, is marked."""
    figure, axes = _figure(3.2)
    trees = np.arange(1, len(values) + 1)
    best = len(values) - 1
    axes.plot(trees, values, color=COLOUR)
    axes.plot(best + 1, values[best], "o", color=ACCENT, label=f"{best + 1} trees: {values[best]:.4f}")
    axes.set(xlabel="trees", ylabel="NDCG@10 of the candidates", title=f"{loss}, held-out groups")
    axes.legend(loc="lower right", frameon=False)
    return _saved(figure, path)


def importance(by_feature: Mapping[str, float], path: Path) -> Path:
    """Bars: how much the ranker's predictions change with each of the MOST_FEATURES that change them most, in percent
    of all change."""
    names = sorted(by_feature, key=lambda name: by_feature[name])[-MOST_FEATURES:]
    return bars({name: by_feature[name] for name in names}, "prediction values change, %", path)


def reliability(bins: Sequence[Mapping[str, float]], path: Path) -> Path:
    """What probabilities said against what share came true, a point for each bin (`said`, `happened`); both scales are
    logarithmic, and bins where nothing happened are left out."""
    shown = [one for one in bins if one["said"] > 0 and one["happened"] > 0]
    figure, axes = _figure(4.5)
    said, happened = [one["said"] for one in shown], [one["happened"] for one in shown]
    ends = [min([*said, *happened, 1.0]), max([*said, *happened, 1e-6])]
    axes.plot(ends, ends, color=ACCENT, linewidth=1, label="as said")
    axes.plot(said, happened, "o-", color=COLOUR, label="bins of equally many cases")
    axes.set(xscale="log", yscale="log", xlabel="probability said", ylabel="share that happened")
    axes.legend(loc="lower right", frameon=False)
    return _saved(figure, path)


def bars(values: Mapping[str, float], label: str, path: Path) -> Path:
    """A bar for each name, the highest value on top."""
    names = sorted(values, key=lambda name: values[name])
    figure, axes = _figure(0.25 * len(names) + 1)
    axes.barh(names, [values[name] for name in names], color=COLOUR)
    axes.set_xlabel(label)
    return _saved(figure, path)


def _figure(height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(7.5, height), layout="constrained")
    axes = figure.subplots()
    axes.spines[["top", "right"]].set_visible(False)
    return figure, axes


def _saved(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=110)
    return path
