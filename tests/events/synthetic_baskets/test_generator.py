"""A generated shop: its companions are in its sales, its chances come true, and without structure there is nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from vitrina.engine import LocalEngine
from vitrina.errors import ConfigError, DataError
from vitrina.events.baskets.baskets import NOBODY, Baskets
from vitrina.events.baskets.reader import read_baskets
from vitrina.events.synthetic_baskets.generator import SALES_FILE, BasketSpec, BasketWorld, generate_baskets


@dataclass(frozen=True)
class Shop:
    """A world, the sales that were read from its file, and each of its products' place in these."""

    folder: Path
    world: BasketWorld
    sales: Baskets

    def share_with(self, given: str, other: str) -> tuple[float, int]:
        """The share of the baskets with one product that have the other as well, and how many these are."""
        matrix = self.sales.matrix().tocsc()
        one, two = (matrix[:, [self.sales.codes.index(code)]].toarray()[:, 0] > 0 for code in (given, other))
        return float(two[one].mean()), int(one.sum())


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory, engine: LocalEngine) -> Shop:
    """No seasons or trends, so that one week is as good as another."""
    folder = tmp_path_factory.mktemp("shop")
    spec = BasketSpec(baskets=8_000, products=120, customers=200, months=6, seed=5, drift=0.0)
    world = generate_baskets(spec, folder / "raw")
    read_baskets(folder / "raw", folder / "validated", engine)
    return Shop(folder, world, Baskets.open(folder / "validated"))


def test_the_sales_are_read_as_they_were_drawn(shop: Shop) -> None:
    report = shop.sales.report
    assert report.baskets == shop.world.spec.baskets
    assert report.items == shop.world.spec.products
    assert 0.10 < report.baskets_of_nobody / report.baskets < 0.14
    assert {"cancellations", "codes that are no products"} <= set(report.dropped)
    assert set(shop.sales.customers) <= set(shop.world.names.customers)
    assert 5 <= np.median(shop.sales.sizes) <= 15
    days = shop.sales.ts // 86_400_000 - shop.world.spec.start
    assert days.min() >= 0 and days.max() < shop.world.spec.days
    name = dict(zip(shop.world.names.codes, shop.world.names.descriptions, strict=True))
    assert [name[code] for code in shop.sales.codes] == list(shop.sales.descriptions)


def test_leaders_bring_their_companions(shop: Shop) -> None:
    pairs = shop.world.companions()
    assert len(pairs) >= 15
    with_leader = [shop.share_with(leader, companion)[0] for leader, companion in pairs]
    matrix = shop.sales.matrix()
    overall = [float(matrix[:, [shop.sales.codes.index(code)]].sum()) / len(shop.sales) for _, code in pairs]
    assert np.mean(with_leader) > np.mean(overall) + 0.35


def test_chances_come_true(shop: Shop) -> None:
    """Of all baskets of people without a number that hold a product, the share that holds another."""
    nobody = shop.sales.customer == NOBODY
    matrix = shop.sales.matrix()[np.flatnonzero(nobody)].tocsc()
    counts = np.diff(matrix.indptr)
    places = [shop.world.names.codes.index(code) for code in shop.sales.codes]
    together = (matrix.T @ matrix).toarray()
    told, found, rows = [], [], []
    for given in np.argsort(-counts)[:20]:
        chances = shop.world.probabilities([shop.sales.codes[given]], int(shop.sales.ts[0]))[places]
        others = np.arange(len(places)) != given
        told.append(chances[others])
        found.append(together[given, others] / counts[given])
        rows.append(np.full(len(chances) - 1, counts[given]))
    chance, share, n = np.concatenate(told), np.concatenate(found), np.concatenate(rows)
    z = (share - chance) / np.sqrt(chance * (1 - chance) / n)
    assert abs(np.mean(share - chance)) < 0.004
    assert 0.85 < np.std(z) < 1.15
    assert np.mean(np.abs(z) > 4) < 0.003


def test_knowing_the_cart_and_the_customer_beats_popularity(shop: Shop) -> None:
    sales, rng = shop.sales.of_size(3), np.random.default_rng(0)
    codes = list(shop.world.names.codes)
    popular = np.bincount(sales.items, minlength=len(sales.codes))
    hits = np.zeros(3)
    known = np.flatnonzero(sales.customer != NOBODY)
    for basket in rng.choice(known, 250, replace=False):
        items = sales.items[sales.starts[basket] : sales.starts[basket + 1]]
        hidden = int(rng.integers(len(items)))
        cart = [sales.codes[item] for item in np.delete(items, hidden)]
        place, ts = codes.index(sales.codes[items[hidden]]), int(sales.ts[basket])
        for way, customer in enumerate((sales.customers[sales.customer[basket]], None)):
            chances = shop.world.probabilities(cart, ts, customer)
            hits[way] += (chances > chances[place]).sum() < 5
        others = np.delete(popular, np.delete(items, hidden))
        hits[2] += (others > popular[items[hidden]]).sum() < 5
    assert hits[0] > hits[1] > hits[2] + 40


def test_without_structure_a_cart_tells_nothing(tmp_path: Path) -> None:
    world = generate_baskets(BasketSpec(baskets=50, products=60, customers=9, seed=1, structure=0.0), tmp_path / "raw")
    ts = world.spec.start * 86_400_000
    codes = world.names.codes
    alone = world.probabilities([codes[0]], ts)
    named = world.probabilities([codes[0]], ts, world.names.customers[3])
    np.testing.assert_allclose(named, alone, atol=1e-12)
    other = world.probabilities([codes[0], codes[1]], ts)
    assert np.argsort(-alone)[:20].tolist() == np.argsort(-other)[:20].tolist()


def test_the_seasons_and_the_catalogue_move(tmp_path: Path) -> None:
    world = generate_baskets(BasketSpec(baskets=50, products=200, customers=9, seed=1, months=12), tmp_path / "raw")
    weeks = [world.laws.of_week(week, 52) for week in (0, 26)]
    assert np.abs(weeks[0].shares - weeks[1].shares).max() > 0.02
    assert 0 < (weeks[0].sold != weeks[1].sold).sum() < 100
    gone = int(np.flatnonzero(~weeks[0].sold)[0])
    with pytest.raises(ConfigError, match="not sold in that week"):
        world.probabilities([world.names.codes[gone]], world.spec.start * 86_400_000)


def test_a_world_is_loaded_as_it_was_and_made_again_to_the_byte(shop: Shop, tmp_path: Path) -> None:
    loaded = BasketWorld.load(shop.folder / "raw")
    cart, ts, customer = list(shop.sales.codes[:3]), int(shop.sales.ts[9]), shop.sales.customers[0]
    np.testing.assert_array_equal(
        loaded.probabilities(cart, ts, customer), shop.world.probabilities(cart, ts, customer)
    )
    assert loaded.probabilities(cart, ts)[[loaded.names.codes.index(code) for code in cart]].tolist() == [0.0] * 3
    told: list[int] = []
    small = BasketSpec(baskets=300, products=50, customers=20, months=2, seed=9)
    generate_baskets(small, tmp_path / "one", told.append)
    generate_baskets(small, tmp_path / "two")
    assert (tmp_path / "one" / SALES_FILE).read_bytes() == (tmp_path / "two" / SALES_FILE).read_bytes()
    assert told == sorted(told) and told[-1] == 300


def test_what_makes_no_sense_is_refused(shop: Shop, tmp_path: Path) -> None:
    ts = int(shop.sales.ts[0])
    code = shop.sales.codes[0]
    for arguments, words in (
        ((["x"], ts), "x is not sold"),
        (([code], 0), "outside the 180 days"),
        (([code], ts, "7"), "customer 7 is not of this world"),
    ):
        with pytest.raises(ConfigError, match=words):
            shop.world.probabilities(*arguments)
    with pytest.raises(ConfigError, match="products=5"):
        BasketSpec(products=5)
    with pytest.raises(ConfigError, match="whole number"):
        BasketSpec(baskets=1.5)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="no oracle"):
        BasketWorld.load(tmp_path)
