"""Dashboard for the shop's owner in the morning: what visitors did yesterday, and day by day before."""

from __future__ import annotations

from .board import Board, Row, Variable
from .panels import Query, Series, lines_panel, stat_panel
from .queries import ALERTS, share

BY_DAY = "business-by-day"
DAY = "1d"
SHOP = Variable("scenario", "vitrina_day_timestamp_seconds", "Which recommender's event log")
EVENTS = 'sum(vitrina_day_events{{scenario=~"$scenario", kind="{}"}})'
RATE = 'avg(vitrina_day_rate{{scenario=~"$scenario", rate="{}"}})'
ANSWERED = 'vitrina_recommendations_total{scenario=~"$scenario"}'
PERSONAL = 'vitrina_recommendations_total{scenario=~"$scenario", source!="popular"}'
COLD = 'vitrina_cold_users_total{scenario=~"$scenario"}'


def day(*facts: str) -> str:
    """Facts by day in Graphite, named by the fact; the sum over the chosen scenarios would mix shops, so each stays."""
    return f"aliasByNode(vitrina.$scenario.day.{{{','.join(facts)}}}, 1, 3)"


def week(fact: str) -> str:
    """The mean of the last seven days, which takes the rhythm of the week out."""
    return f"aliasSub(aliasByNode(movingAverage(vitrina.$scenario.day.{fact}, 7), 1, 3), '$', ', mean of 7 days')"


def week_before(fact: str) -> str:
    """The same fact seven days earlier."""
    return f"aliasSub(aliasByNode(timeShift(vitrina.$scenario.day.{fact}, '7d'), 1, 3), '$', ', a week before')"


YESTERDAY = Row(
    "The last complete day",
    [
        stat_panel(
            "Day",
            Query('max(vitrina_day_timestamp_seconds{scenario=~"$scenario"}) * 1000'),
            "Newest complete day (UTC) of the event log that was prepared. Normal: yesterday. Older: no training has "
            "read newer events; with a sample or an old log, choose a time range that covers it.",
            unit="time:YYYY-MM-DD",
            anchor="nosuccessfultraining",
            base="blue",
            nothing="no day yet",
        ),
        stat_panel(
            "Visitors",
            Query('sum(vitrina_day_visitors{scenario=~"$scenario"})'),
            "Different visitors of that day. Normal: near the same weekday of the week before.",
            unit="short",
            anchor=BY_DAY,
            base="blue",
        ),
        stat_panel(
            "Views",
            Query(EVENTS.format("view")),
            "Product pages looked at. Normal: near the mean of the week; an alert comes below 30 % of it.",
            unit="short",
            anchor="fewevents",
            base="blue",
        ),
        stat_panel(
            "Carts",
            Query(EVENTS.format("addtocart")),
            "Times that a product was put into a cart. Normal: moves with the views; if alone, the pages changed.",
            unit="short",
            anchor=BY_DAY,
            base="blue",
        ),
        stat_panel(
            "Purchases",
            Query(EVENTS.format("transaction")),
            "Lines bought. Normal: near the same weekday of the week before, which lies under it below.",
            unit="short",
            anchor=BY_DAY,
            base="blue",
        ),
        stat_panel(
            "View to cart",
            Query(RATE.format("view_to_cart")),
            "Carts / views. Normal: 2 to 5 % in most shops, steady over weeks.",
            unit="percentunit",
            anchor=BY_DAY,
            decimals=2,
            base="blue",
            nothing="no views",
        ),
        stat_panel(
            "Cart to purchase",
            Query(RATE.format("cart_to_purchase")),
            "Lines bought / lines put into carts; above 100 % when older carts are bought. A fall with steady "
            "carts points to the checkout, not to the products.",
            unit="percentunit",
            anchor=BY_DAY,
            decimals=1,
            base="blue",
            nothing="no carts",
        ),
        stat_panel(
            "Purchase rate",
            Query(RATE.format("purchase")),
            "Share of the visitors with a cart who bought on the same day. Normal: level over weeks.",
            unit="percentunit",
            anchor=BY_DAY,
            decimals=2,
            base="blue",
            nothing="no carts",
        ),
    ],
)

HISTORY = Row(
    "Day by day",
    [
        lines_panel(
            "Carts and purchases",
            [Series(day("carts", "purchases"))],
            "Normal: the week's rhythm. One day missing: no training has read it yet, or the shop sent no events.",
            unit="short",
            anchor=BY_DAY,
            width=12,
            height=9,
            draw="bars",
            per=DAY,
        ),
        lines_panel(
            "Visitors and views",
            [Series(day("visitors", "views"))],
            "Normal: both move together. Views without visitors: a robot reads the shop.",
            unit="short",
            anchor=BY_DAY,
            width=12,
            height=9,
            per=DAY,
        ),
        lines_panel(
            "From view to cart",
            [Series(day("view_to_cart")), Series(week("view_to_cart"))],
            "What recommendations are made to raise. Days scatter; judge the mean of seven days, and a change of the "
            "model by its experiment, not by this line.",
            unit="percentunit",
            anchor=BY_DAY,
            bold="mean of 7 days",
            per=DAY,
        ),
        lines_panel(
            "From cart to purchase",
            [Series(day("cart_to_purchase")), Series(week("cart_to_purchase"))],
            "Normal: level. A fall while view to cart holds: price, delivery or payment.",
            unit="percentunit",
            anchor=BY_DAY,
            bold="mean of 7 days",
            per=DAY,
        ),
        lines_panel(
            "Purchase rate by day",
            [Series(day("purchase_rate")), Series(week("purchase_rate"))],
            "Of the visitors with a cart, the share that bought on the same day. Normal: level over weeks.",
            unit="percentunit",
            anchor=BY_DAY,
            bold="mean of 7 days",
            per=DAY,
        ),
        lines_panel(
            "Purchases against the week before",
            [Series(day("purchases")), Series(week_before("purchases"))],
            "The same weekday of the week before lies under each day. Normal: close together, apart around sales.",
            unit="short",
            anchor=BY_DAY,
            width=12,
            dashed="a week before",
            per=DAY,
        ),
        lines_panel(
            "Visitors against the week before",
            [Series(day("visitors")), Series(week_before("visitors"))],
            "More visitors raise everything else; look here before praising or blaming a model.",
            unit="short",
            anchor=BY_DAY,
            width=12,
            dashed="a week before",
            per=DAY,
        ),
    ],
)

WINDOW = Row(
    "What the recommendations did in the last 24 hours",
    [
        stat_panel(
            "Answers",
            Query(f"sum(increase({ANSWERED}[24h]))"),
            "Recommendations that the shop's pages asked for. Normal: moves with the visitors; 0 while visitors come: "
            "the pages do not ask.",
            unit="short",
            anchor="service",
            width=6,
            base="blue",
        ),
        stat_panel(
            "Made for the visitor",
            Query(share(f"increase({PERSONAL}[24h])", f"increase({ANSWERED}[24h])")),
            "Answers that are more than the popular products. Normal: the share of visitors who were here before or "
            "have looked at something; higher is better.",
            unit="percentunit",
            anchor="service",
            width=6,
            base="blue",
            decimals=1,
            nothing="no answers",
        ),
        stat_panel(
            "To strangers",
            Query(share(f"increase({COLD}[24h])", f"increase({ANSWERED}[24h])")),
            "Answers for visitors without any history. Normal: the shop's share of new visitors.",
            unit="percentunit",
            anchor="service",
            width=6,
            base="blue",
            decimals=1,
            nothing="no answers",
        ),
        stat_panel(
            "Age of the model",
            Query('time() - min(vitrina_model_as_of_timestamp_seconds{scenario=~"$scenario"} > 0)'),
            "Time since the newest event that it has seen. Normal: about a day. Older: trainings fail, or are refused.",
            unit="s",
            anchor="modelstale",
            width=6,
            limits=[(1.5 * 86400, "orange"), (3 * 86400, "red")],
            nothing="no model",
        ),
    ],
)

BUSINESS = Board(
    name="business",
    title="Vitrina: business",
    about="Views, carts and purchases of the last complete day, and day by day. Days are UTC, from the event log.",
    variables=[SHOP],
    marks=[ALERTS],
    rows=[YESTERDAY, HISTORY, WINDOW],
    since="now-90d",
    refresh="15m",
)
