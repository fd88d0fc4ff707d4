"""The scenarios that the service serves, a row each: the one place that joins what is told and done of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from app import bank_documentation, bank_products, basket, basket_documentation, recommendations, shop_documentation
from app.following import object_store
from app.schemas import CompanionsInfo, ListsInfo, PropensityInfo, RecommenderInfo
from app.service import ServedScenario
from app.settings import Settings
from vitrina.events.panels.columns import PRODUCTS, month_text
from vitrina.serving.companions_state import CompanionsMaker, CompanionsState
from vitrina.serving.copies import Copies
from vitrina.serving.lists_follower import ListsFollower
from vitrina.serving.loading import RecommenderMaker, load_model
from vitrina.serving.propensity_state import PropensityMaker, PropensityState
from vitrina.serving.state import LoadedModel, ServingState
from vitrina.telemetry.metrics import CompanionMetrics, ProductMetrics, ScenarioMetrics


def _recommender(state: ServingState) -> RecommenderInfo:
    lists = state.lists
    return RecommenderInfo(
        scenario="storefront",
        model_version=state.version,
        as_of=state.model.as_of,
        loaded_at=state.loaded_at,
        items=len(state.items),
        item_ids=state.items.kind,
        user_ids=state.user_kind,
        lists=None
        if lists is None
        else ListsInfo(
            version=lists.version,
            model_version=lists.model_version,
            as_of=lists.as_of,
            users=len(lists.users),
            used=state.lists_fit,
        ),
    )


def _propensity(state: PropensityState) -> PropensityInfo:
    return PropensityInfo(
        scenario="bank_products",
        model_version=state.version,
        as_of=state.as_of,
        loaded_at=state.loaded_at,
        kind=state.model.kind,
        month=month_text(state.model.as_of_month),
    )


def _companions(state: CompanionsState) -> CompanionsInfo:
    return CompanionsInfo(
        scenario="basket",
        model_version=state.version,
        as_of=state.as_of,
        loaded_at=state.loaded_at,
        kind=state.model.kind,
        products=len(state.model.codes),
        customers=len(state.model.customers),
    )


def storefront(load: Callable[[Path], LoadedModel] = load_model) -> ServedScenario[ServingState, ScenarioMetrics]:
    """Recommendations with precomputed lists; `load` reads a model folder."""

    def maker(settings: Settings, metrics: ScenarioMetrics) -> RecommenderMaker:
        lists = ListsFollower(
            objects=object_store(settings),
            key="storefront/lists",
            copies=Copies(settings.copies_root, "lists"),
            metrics=metrics,
        )
        return RecommenderMaker(lists=lists, metrics=metrics, load=load)

    return ServedScenario(
        name="storefront",
        train="vitrina train storefront --data FOLDER",
        model=lambda settings: settings.registered_model,
        copies="",
        metrics=lambda metrics: metrics.of("storefront"),
        maker=maker,
        endpoints=recommendations.endpoints,
        text=shop_documentation.text,
        info=_recommender,
    )


BANK_PRODUCTS: ServedScenario[PropensityState, ProductMetrics] = ServedScenario(
    name="bank_products",
    train="vitrina train bank_products --data FOLDER",
    model=lambda settings: settings.bank_registered_model,
    copies="bank_products",
    metrics=lambda metrics: metrics.products("bank_products", [product.column for product in PRODUCTS]),
    maker=lambda settings, metrics: PropensityMaker(),
    endpoints=bank_products.endpoints,
    text=bank_documentation.text,
    info=_propensity,
)

BASKET: ServedScenario[CompanionsState, CompanionMetrics] = ServedScenario(
    name="basket",
    train="vitrina train basket --data FILE",
    model=lambda settings: settings.basket_registered_model,
    copies="basket",
    metrics=lambda metrics: metrics.companions("basket"),
    maker=lambda settings, metrics: CompanionsMaker(),
    endpoints=basket.endpoints,
    text=basket_documentation.text,
    info=_companions,
    always=True,
)


def served_scenarios() -> tuple[ServedScenario[Any, Any], ...]:
    """All of them, the main one first."""
    return (storefront(), BANK_PRODUCTS, BASKET)
