#!/usr/bin/env python3
"""Dashboards, rules and alerts against a real Prometheus that scrapes a running demo.

The demo takes one candidate back and promotes another, and one more is taken back; then every query of both dashboards must have data,
every rule must have been evaluated, and the alert for the rollback must have fired. The dashboards are
checked against the types that Grafana publishes, and the rules' own tests are run.
"""

import contextlib
import json
import math
import pathlib
import re
import secrets
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.parse
import urllib.request

import server

HERE = pathlib.Path(__file__).resolve().parent
DASHBOARDS = HERE.parent.parent / "dashboards"
FOLDER = pathlib.Path("target/ci/dashboards").resolve()
SKIPPED = 77
INSTALL_SECONDS_MAX = 400
DEMO_SECONDS_MAX = 180
SEED = "7"
# After the demo's end, so that rates have something to stand on and the last scrape is in.
SETTLE_SECONDS = 12
# Some scrapes, so that a phase is seen.
SCRAPES_SECONDS = 4
# What Grafana puts in the place of its own variables.
GRAFANA = {"$__rate_interval": "20s", "$__interval": "1s", "$__range": "60s"}
POLICY = "order-status-answer"
METRICS = ("faithfulness", "errors")


def ask(url, form=None):
    """The body of an answer with status 2xx."""
    data = urllib.parse.urlencode(form).encode() if form else None
    with urllib.request.urlopen(urllib.request.Request(url, data=data), timeout=30) as answer:
        return answer.read().decode()


class Prometheus:
    """The process, with the example's configuration but for the target and the pace."""

    def __init__(self, folder, target):
        self.port = server.free_port()
        self.folder = folder
        text = (DASHBOARDS / "prometheus.yml").read_text()
        text = text.replace("127.0.0.1:8080", target).replace("_interval: 15s", "_interval: 1s")
        (folder / "prometheus.yml").write_text(text)
        for rules in DASHBOARDS.glob("*_rules.yml"):
            shutil.copy(rules, folder)
        self.log = (folder / "log").open("ab")
        self.process = subprocess.Popen(
            [
                "prometheus", "--config.file=prometheus.yml", "--storage.tsdb.path=data",
                f"--web.listen-address=127.0.0.1:{self.port}",
            ],
            cwd=folder, stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )
        server.wait_until("Prometheus", 30, self.is_ready)

    def is_ready(self):
        if self.process.poll() is not None:
            raise server.Refused(f"Prometheus ended\n{(self.folder / 'log').read_text()[-3000:]}")
        try:
            return "is Ready" in ask(f"http://127.0.0.1:{self.port}/-/ready")
        except (OSError, urllib.error.URLError):
            return False

    def get(self, path, **form):
        return json.loads(ask(f"http://127.0.0.1:{self.port}/api/v1/{path}", form or None))["data"]

    def values(self, expression, since=None):
        """Every number that an expression gives: now, or in each second since then."""
        now = time.time()
        if since is None:
            series = self.get("query", query=expression, time=now)["result"]
            found = [each["value"] for each in series]
        else:
            series = self.get("query_range", query=expression, start=since, end=now, step="1")["result"]
            found = [value for each in series for value in each["values"]]
        return [float(number) for _, number in found if math.isfinite(float(number))]

    def stop(self):
        self.process.terminate()
        self.process.wait(timeout=30)
        self.log.close()


class Demo:
    """`serin demo --keep`, whose crowd goes on after its end."""

    def __init__(self, serin, folder):
        self.lines = folder / "demo"
        self.process = subprocess.Popen(
            [serin, "demo", "--keep", "--plain", "--seed", SEED],
            stdin=subprocess.DEVNULL, stdout=self.lines.open("wb"), stderr=subprocess.STDOUT,
        )
        self.address = server.wait_until("the demo's address", 60, lambda: self.find(r"http://(127\.0\.0\.1:\d+)/"))

    def find(self, pattern):
        found = re.search(pattern, self.lines.read_text())
        if found is None and self.process.poll() is not None:
            raise server.Refused(f"the demo ended\n{self.lines.read_text()[-3000:]}")
        return found and (found.group(1) if found.groups() else found.group(0))

    def stop(self):
        self.process.send_signal(signal.SIGINT)
        self.process.wait(timeout=30)


def traced(address):
    """A call of the stable version, as a tracing system tells of it."""
    attributes = {
        "langfuse.observation.prompt.name": POLICY,
        "langfuse.observation.metadata.prompt_label": "production",
        "user.id": "a traced user",
    }
    now = time.time_ns()
    span = {
        "traceId": secrets.token_hex(16), "spanId": secrets.token_hex(8), "name": "call", "kind": 3,
        "startTimeUnixNano": str(now - 10**9), "endTimeUnixNano": str(now),
        "attributes": [{"key": key, "value": {"stringValue": value}} for key, value in attributes.items()],
    }
    export = {"resourceSpans": [{"scopeSpans": [{"spans": [span]}]}]}
    request = urllib.request.Request(
        f"http://{address}/v1/traces", data=json.dumps(export).encode(), headers={"Content-Type": "application/json"}
    )
    urllib.request.urlopen(request, timeout=30).close()


def one_more(address):
    """The candidate that is worse once more: the first time may have been before the first scrape."""
    body = json.dumps({"policy": POLICY, "candidate": 2, "reason": "a real run"}).encode()
    request = urllib.request.Request(f"http://{address}/v1/rollouts", data=body, headers={"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        rollout = json.load(answer)["id"]

    def rolled_back():
        # It counts while the rollout exposes its candidate, which begins a moment after it was asked for.
        traced(address)
        return json.loads(ask(f"http://{address}/v1/rollouts/{rollout}"))["phase"]["code"] == "rolled_back"

    server.wait_until("the rollback", DEMO_SECONDS_MAX, rolled_back)


def strangers(address):
    """What others send besides the crowd: a line that is refused, one that is ignored, a score, an export."""

    def send(path, body, kind="application/json"):
        request = urllib.request.Request(f"http://{address}{path}", data=body, headers={"Content-Type": kind})
        with contextlib.suppress(urllib.error.HTTPError):
            urllib.request.urlopen(request, timeout=30).close()

    lines = [
        {"policy": POLICY, "user": "stranger", "metrics": {"no_such_metric": 1}},
        {"policy": POLICY, "user": "stranger", "at": "2001-01-01T00:00:00Z", "metrics": {"faithfulness": 0.5}},
    ]
    for line in lines:
        send("/v1/observations", json.dumps({"observations": [line]}).encode())
    score = {"traceId": "0" * 32, "name": "faithfulness", "value": 0.5, "dataType": "NUMERIC"}
    send("/api/public/scores", json.dumps(score).encode())
    send("/api/public/otel/v1/traces", b"", "application/x-protobuf")
    for prompt in (POLICY, "nobody-has-it"):
        with contextlib.suppress(urllib.error.HTTPError):
            ask(f"http://{address}/v1/prompts/{prompt}?label=production")


def replaced(text, metric):
    for name, value in {**GRAFANA, "$policy": POLICY, "$metric": metric}.items():
        text = text.replace(name, value)
    return text


def queries(dashboard):
    """Where each query is, its text, and whether it is asked at one moment."""
    for panel in dashboard["panels"]:
        for target in panel.get("targets", []):
            yield f"{panel['title']}, {target['refId']}", target["expr"], target["instant"]


def check_queries(checks, prometheus, dashboard, since):
    name = dashboard["uid"]
    for place, expression, instant in queries(dashboard):
        # A metric need not have everything, such as a limit; one of them must.
        asked = [replaced(expression, metric) for metric in METRICS] if "$metric" in expression else [replaced(expression, "")]
        if not checks.that(not any("$" in text for text in asked), f"{name}: {place}: a variable is left in {asked[0]}"):
            continue
        found = any(prometheus.values(text, None if instant else since) for text in asked)
        checks.that(found, f"{name}: {place}: no data for {asked[0]}")


def check_variables(checks, prometheus, dashboard):
    for variable in dashboard["templating"]["list"]:
        if variable["type"] == "datasource":
            continue
        series, label = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"]).groups()
        path = f"label/{label}/values?{urllib.parse.urlencode({'match[]': replaced(series, '')})}"
        found = prometheus.get(path)
        expected = {POLICY} if variable["name"] == "policy" else set(METRICS)
        checks.that(set(found) == expected, f"{dashboard['uid']}: variable {variable['name']} has {found}")


def check_annotations(checks, prometheus, dashboard, since):
    """The moments are in the demo, and the rollout's phases and the rollback are told."""
    for annotation in dashboard["annotations"]["list"]:
        if annotation.get("builtIn"):
            continue
        expression = replaced(annotation["target"]["expr"], "")
        series = prometheus.get("query_range", query=expression, start=since, end=time.time(), step="1")["result"]
        if annotation.get("useValueForTime") != "on":
            checks.that(bool(series), f"{dashboard['uid']}: no annotation {annotation['name']}")
            continue
        phases = {each["metric"]["phase"] for each in series}
        expected = {"ramping", "watching", "promoted", "rolled_back"}
        checks.that(expected <= phases, f"{dashboard['uid']}: annotations tell of {sorted(phases)}")
        moments = [float(value) / 1000 for each in series for _, value in each["values"]]
        near = all(since - 5 <= moment <= time.time() + 1 for moment in moments)
        checks.that(bool(moments) and near, f"{dashboard['uid']}: annotations are not in the time of the demo")


def check_rules(checks, prometheus, since):
    rules = [rule for group in prometheus.get("rules")["groups"] for rule in group["rules"]]
    for rule in rules:
        sound = rule["health"] == "ok"
        checks.that(sound, f"rule {rule['name']}: {rule['health']} {rule.get('lastError', '')}")
        if rule["type"] == "recording" and "refused" not in rule["name"]:
            checks.that(bool(prometheus.values(rule["name"], since)), f"rule {rule['name']} has recorded nothing")
    fired = {
        name for name in (rule["name"] for rule in rules if rule["type"] == "alerting")
        if prometheus.values(f'ALERTS{{alertname="{name}", alertstate="firing"}}', since)
    }
    checks.that(fired == {"SerinRolledBack"}, f"the demo fires {sorted(fired)}, and not SerinRolledBack alone")


def check_tools(checks):
    """What `promtool` says, and that each alert is tested where it fires and where it must not."""
    rules = sorted(str(rules) for rules in DASHBOARDS.glob("*_rules.yml"))
    tests = DASHBOARDS / "tests" / "alert_rules_test.yml"
    for verb in (["check", "rules", *rules], ["check", "config", str(DASHBOARDS / "prometheus.yml")], ["test", "rules", str(tests)]):
        done = subprocess.run(["promtool", *verb], capture_output=True, text=True, check=False)
        checks.that(done.returncode == 0, f"promtool {' '.join(verb[:2])}:\n{done.stdout}{done.stderr}")
    text = tests.read_text()
    for alert in re.findall(r"- alert: (\w+)", (DASHBOARDS / "alert_rules.yml").read_text()):
        fires = re.search(rf"alertname: {alert}\n\s+exp_alerts:\n\s+- ", text)
        absent = re.search(rf"alertname: {alert}, exp_alerts: \[\]", text)
        checks.that(bool(fires), f"{alert} has no test in which it fires")
        checks.that(bool(absent), f"{alert} has no test in which it must not fire")
    done = subprocess.run([sys.executable, str(DASHBOARDS / "generate.py"), "--check"], capture_output=True, text=True, check=False)
    checks.that(done.returncode == 0, f"generate.py --check: {done.stdout}{done.stderr}")


def type_check(modules, dashboards):
    """What the compiler says about these dashboards; nothing when they are of Grafana's types."""
    for dashboard in dashboards:
        text = json.dumps(dashboard, indent=1)
        file = modules / f"{dashboard['uid']}.ts"
        file.write_text(f"import type {{ Model }} from './model';\nexport const dashboard: Model = {text};\n")
    done = subprocess.run(["node_modules/.bin/tsc", "-p", "."], cwd=modules, capture_output=True, text=True, check=False)
    return done.stdout + done.stderr if done.returncode else ""


def check_types(checks, dashboards):
    modules = FOLDER / "node"
    modules.mkdir(parents=True, exist_ok=True)
    for file in (HERE / "dashboards").iterdir():
        shutil.copy(file, modules)
    try:
        done = subprocess.run(
            ["npm", "install", "--no-audit", "--no-fund"], cwd=modules, capture_output=True, text=True, check=False,
            timeout=INSTALL_SECONDS_MAX,
        )
        problem = done.stderr if done.returncode else ""
    except (OSError, subprocess.TimeoutExpired) as failed:
        problem = str(failed)
    if problem:
        checks.skipped += 1
        print(f"skipped: the types of Grafana cannot be had: {problem.strip().splitlines()[-1]}")
        return
    said = type_check(modules, dashboards)
    checks.that(not said, f"the dashboards are not of Grafana's types:\n{said}")
    # The check itself: it must not let everything pass.
    misspelt = json.loads(json.dumps(dashboards[0]).replace('"colorMode"', '"colourMode"'))
    checks.that("colourMode" in type_check(modules, [misspelt, *dashboards[1:]]), "a misspelt option is not noticed")


def main():
    options = server.arguments(__doc__.splitlines()[0]).parse_args()
    for program in ("prometheus", "promtool"):
        if shutil.which(program) is None:
            print(f"skipped: there is no {program}")
            return SKIPPED
    checks = server.Checks()
    dashboards = [json.loads(file.read_text()) for file in sorted(DASHBOARDS.glob("serin-*.json"))]
    check_tools(checks)
    check_types(checks, dashboards)
    folder = pathlib.Path(tempfile.mkdtemp(prefix="serin-dashboards-"))
    with contextlib.ExitStack() as stack:
        since = time.time()
        demo = Demo(str(pathlib.Path(options.serin).resolve()), folder)
        stack.callback(demo.stop)
        prometheus = Prometheus(folder, demo.address)
        stack.callback(prometheus.stop)
        strangers(demo.address)
        server.wait_until("the end of the demo", DEMO_SECONDS_MAX, lambda: demo.find("The server goes on"))
        time.sleep(SCRAPES_SECONDS)
        one_more(demo.address)
        time.sleep(SETTLE_SECONDS)
        for dashboard in dashboards:
            check_queries(checks, prometheus, dashboard, since)
            check_variables(checks, prometheus, dashboard)
            check_annotations(checks, prometheus, dashboard, since)
        check_rules(checks, prometheus, since)
    if options.keep:
        print(f"kept: {folder}")
    else:
        shutil.rmtree(folder)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
