"""What dashboards are made of: panels by their kind, queries, variables, annotations."""

# What Grafana 13 writes; older ones read it too.
SCHEMA_VERSION = 42
SOURCE = {"type": "prometheus", "uid": "${datasource}"}
# Columns of a dashboard.
WIDTH = 24
CONTROL, TREATMENT, GOOD, BAD, WARN, QUIET = "blue", "orange", "green", "red", "yellow", "#808080"
PHASES = {
    "idle": QUIET, "pending": "purple", "ramping": "blue", "paused": WARN, "promoting": "blue", "watching": "semi-dark-blue",
    "promoted": GOOD, "rolling_back": BAD, "rolled_back": BAD, "superseded": QUIET,
}
VERDICTS = {"pass": GOOD, "fail": BAD, "inconclusive": "blue", "invalid": WARN}
STATUSES = {"0": ("running", "blue"), "1": ("idle or promoted", GOOD), "2": ("paused or rolled back", BAD)}


class Grid:
    """Places panels from left to right, and below each other when a line is full."""

    def __init__(self):
        self.panels, self.x, self.y, self.line = [], 0, 0, 0

    def add(self, panel, width, height):
        if self.x + width > WIDTH:
            self.break_line()
        panel["id"] = len(self.panels) + 1
        panel["gridPos"] = {"h": height, "w": width, "x": self.x, "y": self.y}
        self.panels.append(panel)
        self.x += width
        self.line = max(self.line, height)

    def break_line(self):
        self.x, self.y, self.line = 0, self.y + self.line, 0

    def row(self, title, repeat=None):
        self.break_line()
        row = {"type": "row", "title": title, "collapsed": False, "panels": []}
        if repeat:
            row["repeat"] = repeat
        self.add(row, WIDTH, 1)
        self.break_line()


def query(expression, legend="", ref="A", instant=False, table=False):
    return {
        "datasource": SOURCE, "editorMode": "code", "expr": expression, "legendFormat": legend or "__auto", "refId": ref,
        "instant": instant, "range": not instant, "format": "table" if table else "time_series",
    }


def queries(*pairs):
    return [query(expression, legend, chr(ord("A") + at)) for at, (expression, legend) in enumerate(pairs)]


def value_map(colors):
    return {
        "type": "value",
        "options": {key: {"text": text, "color": color, "index": at} for at, (key, (text, color)) in enumerate(colors.items())},
    }


def thresholds(*steps):
    return {"mode": "absolute", "steps": [{"color": color, "value": value} for color, value in steps]}


def panel(kind, title, description, targets, defaults, options, overrides=()):
    return {
        "type": kind, "title": title, "description": description, "datasource": SOURCE, "targets": targets,
        "fieldConfig": {"defaults": defaults, "overrides": list(overrides)}, "options": options,
    }


def stat(title, description, target, unit="none", steps=((QUIET, None),), mappings=(), name=False, decimals=None):
    """One figure; with `name` the series' name in its place."""
    defaults = {"unit": unit, "color": {"mode": "thresholds"}, "thresholds": thresholds(*steps), "mappings": list(mappings)}
    if decimals is not None:
        defaults["decimals"] = decimals
    target = {**target, "instant": True, "range": False}
    options = {
        "colorMode": "background" if len(steps) > 1 or mappings else "value", "graphMode": "none", "justifyMode": "center",
        "orientation": "auto", "percentChangeColorMode": "standard",
        "reduceOptions": {"calcs": ["lastNotNull"], "fields": "", "values": False}, "showPercentChange": False,
        "textMode": "name" if name else "auto", "wideLayout": True,
    }
    return panel("stat", title, description, [target], defaults, options)


def word(title, description, target, colors):
    """The name of the one series that there is, in its colour."""
    chosen = stat(title, description, target, name=True)
    chosen["options"]["colorMode"] = "background"
    chosen["fieldConfig"]["overrides"] = [by_name(key, color=color) for key, color in colors.items()]
    return chosen


def by_name(name, **what):
    """An override of the series of this name: color, dashed, fill_to, width, label."""
    properties = []
    if "color" in what:
        properties.append({"id": "color", "value": {"mode": "fixed", "fixedColor": what["color"]}})
    if what.get("dashed"):
        properties.append({"id": "custom.lineStyle", "value": {"fill": "dash", "dash": [8, 6]}})
    if "fill_to" in what:
        properties.append({"id": "custom.fillBelowTo", "value": what["fill_to"]})
    if "width" in what:
        properties.append({"id": "custom.lineWidth", "value": what["width"]})
    return {"matcher": {"id": "byName", "options": name}, "properties": properties}


def by_pattern(pattern, **what):
    return {**by_name(pattern, **what), "matcher": {"id": "byRegexp", "options": f"/{pattern}/"}}


def graph(title, description, targets, unit="short", overrides=(), steps=False, low=None, high=None, stack=False):
    custom = {
        "drawStyle": "line", "lineInterpolation": "stepAfter" if steps else "linear", "lineWidth": 2, "showPoints": "never",
        "fillOpacity": 25 if stack else 0, "spanNulls": False, "stacking": {"mode": "normal" if stack else "none", "group": "A"},
    }
    defaults = {"unit": unit, "color": {"mode": "palette-classic-by-name"}, "custom": custom}
    defaults |= {} if low is None else {"min": low}
    defaults |= {} if high is None else {"max": high}
    options = {
        "legend": {"calcs": ["lastNotNull"], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "multi", "sort": "desc"},
    }
    return panel("timeseries", title, description, targets, defaults, options, overrides)


def table(title, description, targets, overrides=(), transformations=(), sort_by=None):
    options = {"showHeader": True, "cellHeight": "sm", "frameIndex": 0}
    if sort_by:
        options["sortBy"] = [{"displayName": sort_by, "desc": True}]
    chosen = panel("table", title, description, targets, {"custom": {"align": "auto", "filterable": True}}, options, overrides)
    chosen["transformations"] = list(transformations)
    return chosen


def column(name, unit=None, mappings=None, link=None, width=None):
    properties = []
    if unit:
        properties.append({"id": "unit", "value": unit})
    if mappings:
        properties.append({"id": "mappings", "value": [value_map(mappings)]})
        properties.append({"id": "custom.cellOptions", "value": {"type": "color-text"}})
    if link:
        properties.append({"id": "links", "value": [{"title": "Open the rollout", "url": link}]})
    if width:
        properties.append({"id": "custom.width", "value": width})
    return {"matcher": {"id": "byName", "options": name}, "properties": properties}


def timeline(title, description, target, mappings):
    defaults = {
        "color": {"mode": "thresholds"}, "mappings": [value_map(mappings)], "thresholds": thresholds((QUIET, None)),
        "custom": {"fillOpacity": 80, "lineWidth": 0},
    }
    options = {
        "mergeValues": True, "rowHeight": 0.8, "showValue": "never", "alignValue": "left",
        "legend": {"calcs": [], "displayMode": "list", "placement": "bottom", "showLegend": True},
        "tooltip": {"mode": "single", "sort": "none"},
    }
    return panel("state-timeline", title, description, [target], defaults, options)


def data_source():
    return {
        "type": "datasource", "name": "datasource", "label": "Data source", "query": "prometheus", "refresh": 1, "regex": "",
        "description": "The Prometheus that scrapes Serin", "hide": 0, "includeAll": False, "multi": False, "options": [],
        "skipUrlSync": False,
    }


def variable(name, label, description, expression, many):
    chosen = {
        "type": "query", "name": name, "label": label, "description": description, "datasource": SOURCE, "refresh": 2, "sort": 1,
        "query": {"query": expression, "refId": "StandardVariableQuery", "qryType": 1}, "regex": "", "hide": 0,
        "includeAll": many, "multi": many, "options": [], "skipUrlSync": False,
    }
    if many:
        chosen["current"] = {"selected": True, "text": ["All"], "value": ["$__all"]}
    return chosen


def transitions(policy):
    """Each change of phase or step, at the moment at which it was made."""
    expression = (
        f"1000 * serin_rollout_changed_timestamp_seconds{{policy=~\"{policy}\"}} "
        f"* on (instance, policy) group_left (phase) (serin_rollout_phase{{policy=~\"{policy}\"}} == 1)"
    )
    return {
        "name": "Transitions", "datasource": SOURCE, "enable": True, "hide": False, "iconColor": "purple",
        "target": query(expression, ref="Transitions"), "titleFormat": "{{policy}}: {{phase}}", "textFormat": "",
        "tagKeys": "policy,phase", "useValueForTime": "on",
    }


def rollbacks(policy):
    """Rollouts that were taken back, also where the next one began before anybody looked."""
    expression = f"increase(serin_rollouts_ended_total{{policy=~\"{policy}\", outcome=\"rolled_back\"}}[$__rate_interval]) > 0"
    return {
        "name": "Rollbacks", "datasource": SOURCE, "enable": True, "hide": False, "iconColor": "red",
        "target": query(expression, ref="Rollbacks"), "titleFormat": "{{policy}}: rolled back", "textFormat": "",
        "tagKeys": "policy",
    }


def dashboard(uid, title, description, variables, grid, annotations, link):
    built_in = {
        "builtIn": 1, "datasource": {"type": "grafana", "uid": "-- Grafana --"}, "enable": True, "hide": True,
        "iconColor": "rgba(0, 211, 255, 1)", "name": "Annotations & Alerts", "type": "dashboard",
    }
    return {
        "uid": uid, "title": title, "description": description, "tags": ["serin"], "schemaVersion": SCHEMA_VERSION, "version": 1,
        "editable": True, "graphTooltip": 1, "fiscalYearStartMonth": 0, "preload": False, "refresh": "10s",
        "time": {"from": "now-6h", "to": "now"}, "timepicker": {}, "timezone": "browser", "weekStart": "",
        "templating": {"list": [data_source(), *variables]}, "annotations": {"list": [built_in, *annotations]}, "links": [link],
        "panels": grid.panels,
    }


def link_to(title, uid):
    return {
        "type": "link", "title": title, "url": f"/d/{uid}", "icon": "external link", "tooltip": "", "tags": [], "asDropdown": False,
        "includeVars": False, "keepTime": True, "targetBlank": False,
    }
