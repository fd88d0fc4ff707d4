"""Kinds of panels: from queries, a unit, limits and a description to Grafana's panel model.

A panel that shows one moment asks for that moment (`instant`): a series that has vanished is then missing, where the
last value of a range would still be shown.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from grafana_foundation_sdk.cog.variants import Dataquery
from grafana_foundation_sdk.models import bargauge, common, prometheus, stat, statetimeline, table, timeseries
from grafana_foundation_sdk.models import dashboard as model

PROMETHEUS = model.DataSourceRef(type_val="prometheus", uid="prometheus")
GRAPHITE = model.DataSourceRef(type_val="graphite", uid="graphite")
DOCS = "/public/vitrina/monitor.txt"
"""docs/monitor.md as Grafana serves it: mounted among its static files, so the link needs no address of ours."""

Limits = Sequence[tuple[float, str]]
"""From which value on a colour holds, the lowest first; below the first one it is green."""


@dataclass(frozen=True)
class Query:
    """A PromQL expression and how its series are called."""

    expr: str
    legend: str = ""


@dataclass(frozen=True)
class Series(Query):
    """A Graphite target; its functions give the names."""


class GraphiteQuery(Dataquery):
    """Grafana's Graphite query, which the SDK has no class for."""

    def __init__(self, ref_id: str, target: str) -> None:
        self.ref_id = ref_id
        self.target = target

    def to_json(self) -> dict[str, object]:
        return {"refId": self.ref_id, "datasource": GRAPHITE, "target": self.target, "textEditor": True}


@dataclass(frozen=True)
class Column:
    """A column of a table: an instant query whose result has the table's keys as labels."""

    title: str
    expr: str
    unit: str = "short"
    limits: Limits = ()
    names: Mapping[str, tuple[str, str]] | None = None
    width: int | None = None


def stat_panel(
    title: str,
    query: Query,
    about: str,
    *,
    unit: str,
    anchor: str,
    width: int = 3,
    height: int = 4,
    limits: Limits = (),
    base: str = "green",
    names: Mapping[str, tuple[str, str]] | None = None,
    show_name: bool = False,
    decimals: int | None = None,
    nothing: str | None = None,
) -> model.Panel:
    """One number. `names` maps values to (text, colour); `show_name` shows the legend instead of the value."""
    options = stat.Options(
        graph_mode=common.BigValueGraphMode.NONE,
        color_mode=common.BigValueColorMode.VALUE,
        text_mode=common.BigValueTextMode.NAME if show_name else common.BigValueTextMode.VALUE,
        reduce_options=common.ReduceDataOptions(calcs=["lastNotNull"]),
    )
    defaults = _field(unit, limits, base=base, names=names, decimals=decimals)
    defaults.no_value = nothing
    return _panel("stat", title, [query], about, anchor, (width, height), options, defaults, instant=True)


def lines_panel(
    title: str,
    queries: Sequence[Query],
    about: str,
    *,
    unit: str,
    anchor: str,
    width: int = 8,
    height: int = 8,
    limits: Limits = (),
    stack: Literal["none", "normal", "percent"] = "none",
    draw: Literal["line", "step", "bars"] = "line",
    least: float | None = 0,
    most: float | None = None,
    colors: Mapping[str, str] | None = None,
    bold: str | None = None,
    dashed: str | None = None,
    per: str | None = None,
) -> model.Panel:
    """Values over time. `limits` are drawn as dashed lines; `per` is the least step of the queries.

    `bold` and `dashed` are regular expressions for the names of series.
    """
    custom = common.GraphFieldConfig(
        draw_style=common.GraphDrawStyle.BARS if draw == "bars" else common.GraphDrawStyle.LINE,
        line_interpolation=common.LineInterpolation.STEP_AFTER if draw == "step" else common.LineInterpolation.LINEAR,
        line_width=1,
        fill_opacity=70 if draw == "bars" else 30 if stack != "none" else 8,
        show_points=common.VisibilityMode.AUTO,
        stacking=common.StackingConfig(mode=common.StackingMode(stack), group="A"),
        thresholds_style=common.GraphThresholdsStyleConfig(
            mode=common.GraphThresholdsStyleMode.DASHED if limits else common.GraphThresholdsStyleMode.OFF
        ),
    )
    options = timeseries.Options(
        legend=common.VizLegendOptions(show_legend=True, placement=common.LegendPlacement.BOTTOM),
        tooltip=common.VizTooltipOptions(mode=common.TooltipDisplayMode.MULTI, sort=common.SortOrder.DESCENDING),
    )
    defaults = _field(unit, limits, color=model.FieldColorModeId.PALETTE_CLASSIC)
    defaults.min_val, defaults.max_val, defaults.custom = least, most, custom
    panel = _panel("timeseries", title, queries, about, anchor, (width, height), options, defaults)
    panel.interval = per
    overrides = [_override(name, "color", {"mode": "fixed", "fixedColor": color}) for name, color in _sorted(colors)]
    if bold:
        overrides.append(_override(f"/{bold}/", "custom.lineWidth", 3, by="byRegexp"))
    if dashed:
        overrides.append(_override(f"/{dashed}/", "custom.lineStyle", {"fill": "dash", "dash": [6, 4]}, by="byRegexp"))
    assert panel.field_config is not None
    panel.field_config.overrides = overrides
    return panel


def bars_panel(
    title: str,
    query: Query,
    about: str,
    *,
    unit: str,
    anchor: str,
    width: int = 8,
    height: int = 8,
    limits: Limits = (),
    base: str = "green",
    least: float = 0,
    most: float | None = None,
    decimals: int | None = None,
) -> model.Panel:
    """The values of this moment as horizontal bars, one for each series."""
    options = bargauge.Options(
        display_mode=common.BarGaugeDisplayMode.BASIC,
        orientation=common.VizOrientation.HORIZONTAL,
        reduce_options=common.ReduceDataOptions(calcs=["lastNotNull"]),
    )
    defaults = _field(unit, limits, base=base, decimals=decimals)
    defaults.min_val, defaults.max_val = least, most
    return _panel("bargauge", title, [query], about, anchor, (width, height), options, defaults, instant=True)


def states_panel(
    title: str,
    queries: Sequence[Query],
    about: str,
    *,
    names: Mapping[str, tuple[str, str]],
    anchor: str,
    width: int = 8,
    height: int = 8,
) -> model.Panel:
    """States over time, one row for each series; `names` maps each value to (text, colour)."""
    options = statetimeline.Options(
        show_value=common.VisibilityMode.NEVER,
        legend=common.VizLegendOptions(show_legend=True, placement=common.LegendPlacement.BOTTOM),
    )
    defaults = _field("short", (), names=names)
    defaults.custom = statetimeline.FieldConfig(line_width=0, fill_opacity=80)
    return _panel("state-timeline", title, queries, about, anchor, (width, height), options, defaults)


def table_panel(
    title: str,
    keys: Mapping[str, str],
    columns: Sequence[Column],
    about: str,
    *,
    anchor: str,
    width: int = 24,
    height: int = 9,
    first: str | None = None,
) -> model.Panel:
    """A row for each combination of the labels `keys` (label -> heading), a column for each query.

    The rows with the greatest value in the column `first` come first.
    """
    queries = [Query(column.expr) for column in columns]
    options = table.Options()
    if first:
        options.sort_by = [common.TableSortByFieldState(display_name=first, desc=True)]
    panel = _panel("table", title, queries, about, anchor, (width, height), options, _field("short", ()), instant=True)
    names = {f"Value #{chr(65 + n)}": column.title for n, column in enumerate(columns)}
    order = [*keys, *names]
    panel.transformations = [
        model.DataTransformerConfig(id_val="merge", options={}),
        model.DataTransformerConfig(
            id_val="organize",
            options={
                "excludeByName": {"Time": True},
                "indexByName": {name: n for n, name in enumerate(order)},
                "renameByName": {**keys, **names},
            },
        ),
    ]
    assert panel.field_config is not None
    panel.field_config.overrides = [_column_override(column) for column in columns]
    return panel


def _panel(
    kind: str,
    title: str,
    queries: Sequence[Query],
    about: str,
    anchor: str,
    size: tuple[int, int],
    options: Any,
    defaults: model.FieldConfig,
    *,
    instant: bool = False,
) -> model.Panel:
    targets: list[Dataquery] = []
    for n, query in enumerate(queries):
        if isinstance(query, Series):
            targets.append(GraphiteQuery(chr(65 + n), query.expr))
            continue
        one = prometheus.Dataquery(expr=query.expr, ref_id=chr(65 + n), datasource=PROMETHEUS)
        one.legend_format = query.legend or None
        one.instant, one.range_val = (True, False) if instant else (None, True)
        one.format_val = prometheus.PromQueryFormat.TABLE if kind == "table" else None
        one.editor_mode = prometheus.QueryEditorMode.CODE
        targets.append(one)
    return model.Panel(
        type_val=kind,
        title=title,
        description=about,
        datasource=GRAPHITE if isinstance(queries[0], Series) else PROMETHEUS,
        targets=targets,
        grid_pos=model.GridPos(w=size[0], h=size[1]),
        options=options,
        field_config=model.FieldConfigSource(defaults=defaults),
        links=[model.DashboardLink(title=f"docs/monitor.md#{anchor}", url=f"{DOCS}#{anchor}", target_blank=True)],
    )


def _field(
    unit: str,
    limits: Limits,
    *,
    base: str = "green",
    names: Mapping[str, tuple[str, str]] | None = None,
    decimals: int | None = None,
    color: model.FieldColorModeId = model.FieldColorModeId.THRESHOLDS,
) -> model.FieldConfig:
    steps = [model.Threshold(color=base), *(model.Threshold(value=value, color=name) for value, name in limits)]
    config = model.FieldConfig(
        unit=unit,
        decimals=decimals,
        color=model.FieldColor(mode=color),
        thresholds=model.ThresholdsConfig(mode=model.ThresholdsMode.ABSOLUTE, steps=steps),
    )
    if names:
        config.mappings = [_value_map(names)]
    return config


def _value_map(names: Mapping[str, tuple[str, str]]) -> model.ValueMap:
    return model.ValueMap(
        options={
            value: model.ValueMappingResult(text=text, color=color, index=n)
            for n, (value, (text, color)) in enumerate(names.items())
        }
    )


def _column_override(column: Column) -> model.DashboardFieldConfigSourceOverrides:
    override = _override(column.title, "unit", column.unit)
    if column.limits:
        steps = [
            model.Threshold(color="green"),
            *(model.Threshold(value=value, color=name) for value, name in column.limits),
        ]
        override.properties.append(
            model.DynamicConfigValue(
                id_val="thresholds", value=model.ThresholdsConfig(model.ThresholdsMode.ABSOLUTE, steps)
            )
        )
    if column.names:
        override.properties.append(model.DynamicConfigValue(id_val="mappings", value=[_value_map(column.names)]))
    if column.limits or column.names:
        override.properties.append(
            model.DynamicConfigValue(id_val="custom.cellOptions", value={"type": "color-text"}),
        )
    if column.width:
        override.properties.append(model.DynamicConfigValue(id_val="custom.width", value=column.width))
    return override


def _override(name: str, what: str, value: object, *, by: str = "byName") -> model.DashboardFieldConfigSourceOverrides:
    return model.DashboardFieldConfigSourceOverrides(
        matcher=model.MatcherConfig(id_val=by, options=name),
        properties=[model.DynamicConfigValue(id_val=what, value=value)],
    )


def _sorted(colors: Mapping[str, str] | None) -> list[tuple[str, str]]:
    return sorted((colors or {}).items())
