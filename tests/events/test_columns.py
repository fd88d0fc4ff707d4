"""--columns in, the same map from YAML, and every mistake named."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from vitrina.errors import ConfigError
from vitrina.events.columns import ColumnMap
from vitrina.events.schema import BUY, CART, DEFAULT_WEIGHTS, KIND_NAMES, VIEW

NAMES = st.text(
    alphabet=st.characters(categories=["L", "N", "Pd", "Pc"], exclude_characters=",="), min_size=1, max_size=12
).filter(lambda name: name == name.strip() and not name.endswith((".yaml", ".yml")))


@given(
    columns=st.lists(NAMES, min_size=4, max_size=4, unique=True),
    names=st.dictionaries(NAMES, st.sampled_from([VIEW, CART, BUY]), max_size=6),
    weights=st.tuples(*[st.floats(min_value=0, max_value=1e6)] * 3),
    with_event=st.booleans(),
)
def test_a_map_survives_its_own_description(
    columns: list[str], names: dict[str, int], weights: tuple[float, float, float], with_event: bool
) -> None:
    user, item, event, timestamp = columns
    parts = [f"user={user}", f"item={item}", f"timestamp={timestamp}"]
    if with_event:
        parts += [f"event={event}", *(f"event.{KIND_NAMES[kind]}={name}" for name, kind in names.items())]
    parts += [f"weight.{name}={weight!r}" for name, weight in zip(KIND_NAMES, weights, strict=True)]
    mapped = ColumnMap.parse(",".join(parts))
    assert (mapped.user, mapped.item, mapped.timestamp) == (user, item, timestamp)
    assert mapped.weights == weights
    assert mapped.event == (event if with_event else None)
    if with_event:
        assert mapped.names.items() >= names.items()
    assert ColumnMap.parse(mapped.describe()) == mapped


def test_a_kind_that_is_not_mapped_keeps_its_own_name() -> None:
    mapped = ColumnMap.parse("user=u,item=i,event=e,timestamp=t,event.view=click,event.view=open,event.ignore=logout")
    assert mapped.names == {"click": VIEW, "open": VIEW, "addtocart": CART, "transaction": BUY}
    assert mapped.ignored == {"logout"}
    assert mapped.weights == DEFAULT_WEIGHTS


def test_weights_alone_keep_the_columns_of_retailrocket() -> None:
    assert ColumnMap.parse("weight.view=0.5") == ColumnMap(weights=(0.5, *DEFAULT_WEIGHTS[1:]))


def test_yaml_and_text_say_the_same(tmp_path: Path) -> None:
    content = {
        "user": "customer",
        "item": "sku",
        "event": "type",
        "timestamp": "ts",
        "events": {"view": ["click", "open"], "addtocart": "basket", "ignore": "logout"},
        "weights": {"view": 1, "transaction": 7.5},
    }
    path = tmp_path / "columns.yaml"
    path.write_text(yaml.safe_dump(content), encoding="utf-8")
    text = (
        "user=customer, item=sku, event=type, timestamp=ts, event.view=click, event.view=open, event.addtocart=basket,"
        "event.ignore=logout, weight.view=1, weight.transaction=7.5"
    )
    assert ColumnMap.load(str(path)) == ColumnMap.load(text)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("customer", "no name=value pair"),
        ("user=a,item=b", "timestamp is not mapped"),
        ("user=,item=b,timestamp=c", "user is not mapped"),
        ("user=a,user=b,item=c,timestamp=t", "given twice"),
        ("user=a,item=a,timestamp=t", "two roles"),
        ("visitor=a", "'visitor' is not one of user"),
        ("event.like=a", "'event.like' is not one of"),
        ("user=a,item=b,timestamp=t,event.view=click", "no event column"),
        ("user=a,item=b,timestamp=t,event=e,event.view=x,event.addtocart=x", "two kinds"),
        ("event.view=x,event.ignore=x", "both mapped and ignored"),
        ("event.view=", "no event name"),
        ("weight.view=heavy", "no weight"),
        ("weight.view=nan", "no weight"),
        ("weight.view=-1", "no weight"),
    ],
)
def test_a_mistake_is_named(text: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        ColumnMap.parse(text)


@pytest.mark.parametrize("content", ["- a\n- b\n", "user: [a, b]\n", "events: click\n", "a: b: c\n", "\x00"])
def test_a_broken_yaml_file_is_named(tmp_path: Path, content: str) -> None:
    path = tmp_path / "columns.yml"
    path.write_text(content, encoding="utf-8")
    with pytest.raises(ConfigError, match=r"columns\.yml"):
        ColumnMap.load(str(path))
    with pytest.raises(ConfigError, match=r"absent\.yaml"):
        ColumnMap.load(str(tmp_path / "absent.yaml"))
