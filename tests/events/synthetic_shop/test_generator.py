"""Generated worlds: format, determinism, RetailRocket's marginals, seasons and sizes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest

from vitrina.errors import ConfigError
from vitrina.events.synthetic_shop import generator
from vitrina.events.synthetic_shop.generator import WorldSpec, generate_world
from vitrina.events.synthetic_shop.marginals import REAL, comparison, marginals

DAY = 86_400_000
FILES = ("events.csv", "item_properties_part1.csv", "item_properties_part2.csv", "category_tree.csv")


@pytest.fixture(scope="module")
def measured(world: Any) -> dict[str, float]:
    return marginals(world.folder)


# Format


def test_headers_and_columns_are_retailrockets(world: Any) -> None:
    heads = [(world.folder / name).read_text(encoding="ascii").partition("\n")[0] for name in FILES]
    assert heads == [
        "timestamp,visitorid,event,itemid,transactionid",
        "timestamp,itemid,property,value",
        "timestamp,itemid,property,value",
        "categoryid,parentid",
    ]
    assert [str(t) for t in world.events.dtypes[["timestamp", "visitorid", "itemid"]]] == ["int64"] * 3
    assert set(world.events["event"]) == {"view", "addtocart", "transaction"}
    assert (world.folder / "events.csv").read_bytes().count(b'"') == 0


def test_only_transactions_have_a_transaction_id_and_each_is_one_purchase(world: Any) -> None:
    bought = world.of("transaction")
    assert bought["transactionid"].notna().all()
    assert world.events.loc[world.events["event"] != "transaction", "transactionid"].isna().all()
    assert sorted(bought["transactionid"].unique()) == list(range(bought["transactionid"].nunique()))
    assert (bought.groupby("transactionid")[["visitorid", "timestamp"]].nunique() == 1).all(axis=None)


def test_a_cart_follows_a_view_and_a_purchase_a_cart(world: Any) -> None:
    first = world.events.groupby(["visitorid", "itemid", "event"])["timestamp"].min().unstack()
    carted, bought = first[first["addtocart"].notna()], first[first["transaction"].notna()]
    assert (carted["view"] <= carted["addtocart"]).all()
    assert (bought["addtocart"] <= bought["transaction"]).all()


def test_counts_are_exact_and_times_are_inside_the_world(world: Any) -> None:
    assert len(world.events) == world.spec.events == world.progress[-1]
    assert world.progress == sorted(world.progress)
    assert world.events["visitorid"].nunique() == world.spec.n_users
    assert world.events["timestamp"].between(world.spec.start, world.spec.end - 1).all()


def test_new_items_appear_over_time_and_not_before_their_birth(world: Any) -> None:
    birth = world.oracle.shop.birth[np.argsort(world.oracle.shop.item_id)]
    assert (birth[world.events["itemid"]] <= world.events["timestamp"]).all()
    assert 0.12 < (birth > world.spec.start).mean() < 0.2


def test_blocks_of_visitors_are_sorted_by_time(tmp_path: Path, generated: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(generator, "_USERS_AT_ONCE", 300)
    events = generated(tmp_path, WorldSpec(events=2_000)).events
    for _, block in events.groupby(events["visitorid"] // 300, sort=False):
        assert block["timestamp"].is_monotonic_increasing
    assert (events["visitorid"] // 300).is_monotonic_increasing


# Determinism


def test_a_seed_decides_every_byte(tmp_path: Path) -> None:
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        generate_world(WorldSpec(events=5_000, seed=seed), tmp_path / name)
    for name in FILES:
        once, again, other = ((tmp_path / world / name).read_bytes() for world in "abc")
        assert once == again
        assert once != other


def test_the_block_size_does_not_change_a_visitor(
    tmp_path: Path, generated: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = WorldSpec(events=5_000)
    whole = generated(tmp_path / "whole", spec).events
    monkeypatch.setattr(generator, "_USERS_AT_ONCE", 97)
    blocks = generated(tmp_path / "blocks", spec).events
    keys = ["visitorid", "timestamp", "event", "itemid"]
    pd.testing.assert_frame_equal(
        whole.sort_values(keys, ignore_index=True)[keys], blocks.sort_values(keys, ignore_index=True)[keys]
    )
    assert whole["transactionid"].nunique() == blocks["transactionid"].nunique()


# Marginals: how far a world of this size may be from RetailRocket


@pytest.mark.parametrize(
    ("name", "tolerance"),
    [
        ("share of view", 0.004),
        ("share of addtocart", 0.003),
        ("share of transaction", 0.0015),
        ("visitors per event", 1e-5),
        ("items per event", 0.006),
        ("median events of a visitor", 0),
        ("visitors that cart", 0.003),
        ("visitors that buy", 0.0015),
        ("carted pairs that are bought", 0.035),
        ("items with one event", 0.03),
        ("days", 0),
        ("categories", 0),
        ("depth of the tree", 0),
        ("items that change category", 0.01),
        ("items that change availability", 0.02),
    ],
)
def test_marginals(measured: dict[str, float], name: str, tolerance: float) -> None:
    assert measured[name] == pytest.approx(REAL[name], abs=tolerance)


def test_marginals_of_a_log_that_can_be_counted_by_hand(tmp_path: Path) -> None:
    (tmp_path / "events.csv").write_text(
        "timestamp,visitorid,event,itemid,transactionid\n"
        f"0,1,view,7,\n1,1,addtocart,7,\n2,1,transaction,7,0\n3,2,view,8,\n4,2,addtocart,8,\n{DAY},3,view,9,\n",
        encoding="utf-8",
    )
    (tmp_path / "item_properties.csv").write_text(
        "timestamp,itemid,property,value\n0,7,categoryid,2\n5,7,categoryid,1\n0,8,categoryid,1\n0,7,available,1\n",
        encoding="utf-8",
    )
    (tmp_path / "category_tree.csv").write_text("categoryid,parentid\n0,\n1,0\n2,1\n", encoding="utf-8")
    assert list(marginals(tmp_path).values()) == pytest.approx(
        [3 / 6, 2 / 6, 1 / 6, 3 / 6, 3 / 6, 2, 2 / 3, 1 / 3, 1 / 2, 1 / 3, 1, 3, 3, 1 / 2, 0]
    )
    assert "| depth of the tree | 6 | 3 |" in comparison(tmp_path)


# Properties


def test_the_last_category_of_an_item_is_its_true_one(world: Any) -> None:
    listed = world.properties[world.properties["property"] == "categoryid"].sort_values("timestamp", kind="stable")
    last = listed.groupby("itemid")["value"].last().astype(int)
    assert last.index.tolist() == list(range(world.oracle.items))
    assert (last.to_numpy() == world.oracle.item_categories()).mean() > 0.97  # the rest moves after the last snapshot
    assert not set(last) & set(world.tree["parentid"].dropna().astype(int))


def test_popularity_has_a_long_tail(world: Any) -> None:
    per_item = np.sort(world.events.groupby("itemid").size().to_numpy())[::-1]
    assert 0.15 < per_item[: len(per_item) // 100].sum() / world.spec.events < 0.5
    assert per_item[:10].sum() < 0.05 * world.spec.events


# Time


def test_traffic_follows_the_oracles_hours_and_weekdays(world: Any) -> None:
    when = world.events["timestamp"] // 3_600_000
    table = np.zeros((7, 24))
    np.add.at(table, ((when // 24 + 3) % 7, when % 24), 1 / len(when))
    curve = world.oracle.seasonality()
    assert np.corrcoef(table.ravel(), curve.ravel())[0, 1] > 0.95
    assert table[:, 9:12].mean() < 0.2 * table[:, 17:22].mean()
    assert table[5:].mean() < 0.75 * table[:5].mean()


def test_category_popularity_drifts_as_the_oracle_says(world: Any, plain: Any) -> None:
    assert change_of_categories(world)[0] > 0.6
    assert (plain.oracle.category_drift() == 1).all()
    assert change_of_categories(world)[1] > 2 * change_of_categories(plain)[1]


def change_of_categories(world: Any) -> tuple[float, float]:
    """Correlation with the oracle, and spread, of the log change of big categories from the first to the last month."""
    category = pd.Series(world.oracle.item_categories()[world.events["itemid"]])
    since = world.events["timestamp"] - world.spec.start
    early = category[since < 28 * DAY].value_counts(normalize=True)
    late = category[since >= (world.spec.days - 28) * DAY].value_counts(normalize=True)
    big = category.value_counts().index[:100]
    seen = np.log(late.reindex(big, fill_value=1e-5)) - np.log(early.reindex(big, fill_value=1e-5))
    drift = pd.DataFrame(np.log(world.oracle.category_drift()), columns=world.oracle.shop.leaf_id)[big]
    told = drift.iloc[-4:].mean() - drift.iloc[:4].mean()
    return float(np.corrcoef(seen, told)[0, 1]) if told.any() else 0.0, float(seen.std())


# Sizes


@pytest.mark.parametrize(
    "spec",
    [
        WorldSpec(events=100),
        WorldSpec(events=1_000),
        WorldSpec(events=1_000, days=1),
        WorldSpec(events=1_000, users=1),
        WorldSpec(events=1_000, users=1_000),
        WorldSpec(events=1_000, users=999, items=1),
        WorldSpec(events=1_000, users=20, items=500, days=8, drift=5.0, structure=0.5),
    ],
)
def test_tiny_worlds_are_whole(tmp_path: Path, generated: Any, spec: WorldSpec) -> None:
    world = generated(tmp_path, spec)
    assert len(world.events) == spec.events
    assert world.events["visitorid"].nunique() == spec.n_users
    assert world.events["timestamp"].between(spec.start, spec.end - 1).all()
    assert world.events["itemid"].between(0, world.oracle.items - 1).all()
    assert world.properties["timestamp"].between(spec.start, spec.end - 1).all()
    assert marginals(tmp_path)["depth of the tree"] <= 6
    assert len(world.oracle.top(0, spec.end, 5)) == 5


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ({"events": 0}, "events=0"),
        ({"events": 1e6}, "whole number"),
        ({"events": 1_000, "users": 1_001}, "users=1001"),
        ({"events": 1_000, "items": 0}, "items=0"),
        ({"days": 0}, "days=0"),
        ({"seed": -1}, "seed=-1"),
        ({"structure": 1.5}, "structure=1.5"),
        ({"drift": float("nan")}, "drift=nan"),
        ({"start": True}, "start=True"),
    ],
)
def test_a_wrong_spec_says_what_to_give(wrong: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigError, match=named):
        WorldSpec(**wrong)


def test_an_interrupted_world_has_no_events_and_no_oracle(tmp_path: Path) -> None:
    def stop(_: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        generate_world(WorldSpec(events=1_000), tmp_path, stop)
    assert not (tmp_path / "events.csv").exists()
    assert not (tmp_path / "oracle.json").exists()
    (tmp_path / "file").write_text("", encoding="utf-8")
    with pytest.raises(ConfigError, match="is a file"):
        generate_world(WorldSpec(events=1_000), tmp_path / "file")
