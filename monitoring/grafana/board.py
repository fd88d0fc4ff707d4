"""From rows of panels to one dashboard: layout, variables, alert marks, links to the other dashboards."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from grafana_foundation_sdk.cog.encoder import JSONEncoder
from grafana_foundation_sdk.models import dashboard as model

from .panels import PROMETHEUS

WIDTH = 24
FOLDER = Path(__file__).parent / "dashboards"
TAG = "vitrina"


@dataclass(frozen=True)
class Row:
    """A titled row of panels; panels flow from left to right, and a full line starts the next one."""

    title: str
    panels: Sequence[model.Panel]


@dataclass(frozen=True)
class Variable:
    """A choice at the top, filled by `label_values(selector, label)`; several at once, or all, unless `one` is named.

    `whole` is what All stands for; without it All is the list of the values.
    """

    label: str
    selector: str
    about: str
    name: str = ""
    whole: str | None = None
    one: str | None = None

    def as_model(self) -> model.VariableModel:
        name = self.name or self.label
        asked = f"label_values({self.selector}, {self.label})"
        single = self.one is not None
        chosen = model.VariableOption(text=self.one or "", value=self.one or "", selected=True)
        everything = model.VariableOption(text=["All"], value=["$__all"], selected=True)
        return model.VariableModel(
            type_val=model.VariableType.QUERY,
            name=name,
            label=name.capitalize(),
            description=self.about,
            datasource=PROMETHEUS,
            query={"query": asked, "refId": name, "qryType": 5},
            refresh=model.VariableRefresh.ON_TIME_RANGE_CHANGED,
            sort=model.VariableSort.NATURAL_ASC,
            multi=not single,
            include_all=not single,
            all_value=self.whole,
            current=chosen if single else everything,
        )


@dataclass(frozen=True)
class Text:
    """A choice at the top that is written by hand, empty at first; queries have it as `${name}`."""

    name: str
    about: str

    def as_model(self) -> model.VariableModel:
        return model.VariableModel(
            type_val=model.VariableType.TEXTBOX,
            name=self.name,
            label=self.name.capitalize(),
            description=self.about,
            query="",
            current=model.VariableOption(text="", value="", selected=True),
        )


@dataclass(frozen=True)
class Mark:
    """An annotation: a vertical mark where the expression begins to have a value; with `of_value`, at the times
    (milliseconds) that its values are."""

    name: str
    expr: str
    title: str
    text: str
    color: str
    of_value: bool = False

    def as_model(self) -> model.AnnotationQuery:
        return _PrometheusMark(self)


class _PrometheusMark(model.AnnotationQuery):
    """Adds what the Prometheus datasource reads of an annotation and the SDK's class does not have."""

    def __init__(self, mark: Mark) -> None:
        super().__init__(name=mark.name, datasource=PROMETHEUS, enable=True, icon_color=mark.color, expr=mark.expr)
        self._mark = mark

    def to_json(self) -> dict[str, object]:
        more = {"titleFormat": self._mark.title, "textFormat": self._mark.text, "step": "60s"}
        return super().to_json() | more | {"useValueForTime": self._mark.of_value}


@dataclass(frozen=True)
class Board:
    """A dashboard; `name` is its file and, with a prefix, its uid."""

    name: str
    title: str
    about: str
    variables: Sequence[Variable | Text]
    marks: Sequence[Mark]
    rows: Sequence[Row]
    since: str
    refresh: str

    @property
    def path(self) -> Path:
        return FOLDER / f"{self.name}.json"

    def text(self) -> str:
        """The JSON that Grafana is provisioned with."""
        built = model.Dashboard(
            uid=f"vitrina-{self.name}",
            title=self.title,
            description=self.about,
            tags=[TAG],
            timezone="utc",
            editable=True,
            graph_tooltip=model.DashboardCursorSync.CROSSHAIR,
            time=model.DashboardDashboardTime(from_val=self.since, to="now"),
            refresh=self.refresh,
            panels=_placed(self.rows),
            templating=model.DashboardDashboardTemplating(list_val=[one.as_model() for one in self.variables]),
            annotations=model.AnnotationContainer(list_val=[one.as_model() for one in self.marks]),
            links=[
                model.DashboardLink(
                    title="Vitrina",
                    type_val=model.DashboardLinkType.DASHBOARDS,
                    icon="dashboard",
                    tags=[TAG],
                    include_vars=True,
                    keep_time=False,
                )
            ],
        )
        return json.dumps(built, cls=JSONEncoder, indent=1, sort_keys=True) + "\n"


def _placed(rows: Sequence[Row]) -> list[model.Panel | model.RowPanel]:
    """Panels with their ids and places; a row's title is a line of its own above its panels."""
    placed: list[model.Panel | model.RowPanel] = []
    y = 0
    for row in rows:
        head = model.RowPanel(title=row.title, collapsed=False, id_val=len(placed) + 1)
        head.grid_pos = model.GridPos(x=0, y=y, w=WIDTH, h=1)
        placed.append(head)
        x, y, height = 0, y + 1, 0
        for panel in row.panels:
            assert panel.grid_pos is not None
            if x + panel.grid_pos.w > WIDTH:
                x, y, height = 0, y + height, 0
            panel.id_val, panel.grid_pos.x, panel.grid_pos.y = len(placed) + 1, x, y
            x, height = x + panel.grid_pos.w, max(height, panel.grid_pos.h)
            placed.append(panel)
        y += height
    return placed
