#!/usr/bin/env python3
"""Serin's own spans as OpenTelemetry's Python messages read them: a rollback with its numbers, the trace of a
caller that goes on, and assignments that do not wait for an endpoint that hangs.
"""

import base64
import gzip
import http.server
import json
import pathlib
import statistics
import subprocess
import sys
import threading
import time

import notify
import scene
import sdk
import server

HERE = pathlib.Path(__file__).resolve().parent / "traces"
POLICY = "order-status-answer"
TRACE, SPAN = "0af7651916cd43dd8448eb211c80319c", "b7ad6b7169203331"
EXPORT_SECONDS_MAX = 20
ASSIGNMENTS = 2_000
# Beside an endpoint that hangs, half of all assignments take no longer than this.
ASSIGNMENT_SECONDS_MAX = 0.02


class Collector(http.server.BaseHTTPRequestHandler):
    """Keeps every export, or never answers."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        if self.server.hangs:
            self.server.released.wait()
            return
        if self.headers.get("content-encoding") == "gzip":
            body = gzip.decompress(body)
        with self.server.lock:
            self.server.got.append((dict(self.headers.items()), body))
        self.send_response(200)
        self.send_header("content-length", "0")
        self.end_headers()

    def log_message(self, *_):
        pass


def collector(hangs=False):
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    serving.daemon_threads = True
    serving.hangs, serving.released = hangs, threading.Event()
    serving.got, serving.lock = [], threading.Lock()
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    return serving


def spans_of(collecting):
    """The spans and the resources of all exports, decoded."""
    bodies = [base64.b64encode(body).decode() for _, body in collecting.got]
    done = subprocess.run(
        sdk.python(HERE, "decode.py"), input=json.dumps(bodies), capture_output=True, text=True, check=True
    )
    resources = [it for export in json.loads(done.stdout) for it in export["resourceSpans"]]
    spans = [span for resource in resources for scope in resource["scopeSpans"] for span in scope["spans"]]
    return spans, [attributes(resource["resource"]) for resource in resources]


def attributes(holder):
    """Attributes as a dictionary; whole numbers come as text in the JSON of Protocol Buffers."""
    read = {"stringValue": str, "doubleValue": float, "intValue": int, "boolValue": bool}
    found = {}
    for pair in holder.get("attributes", []):
        ((kind, value),) = pair["value"].items()
        found[pair["key"]] = read[kind](value)
    return found


def hexed(text):
    return base64.b64decode(text).hex()


def check_rollback(checks, spans, rollout):
    moved = [span for span in spans if span["name"] == "serin.transition"]
    back = [span for span in moved if attributes(span)["serin.phase"] == "rolling_back"]
    if not checks.that(len(back) == 1, f"one transition is the rollback: {[attributes(span) for span in moved]}"):
        return
    (back,) = back
    said = attributes(back)
    checks.that((said["serin.policy"], said["serin.rollout"]) == (POLICY, rollout), f"it says whose: {said}")
    events = [attributes(event) for event in back["events"] if event["name"] == "serin.verdict"]
    verdicts = [event for event in events if event.get("serin.metric") == "helpfulness"]
    if checks.that(len(verdicts) == 1, f"one verdict on the metric: {events}"):
        (verdict,) = verdicts
        checks.that(verdict["serin.verdict"] == "fail", f"it failed: {verdict}")
        checks.that(verdict["serin.log_e.worse"] >= verdict["serin.log_e.threshold"], f"it is proved: {verdict}")
        within = verdict["serin.interval.lower"] <= verdict["serin.difference"] <= verdict["serin.interval.upper"]
        checks.that(within, f"the difference lies in its interval: {verdict}")
    moves = [span for span in spans if span["name"] == "serin.label_move" and span["traceId"] == back["traceId"]]
    parked = [span for span in moves if span["parentSpanId"] == back["spanId"]]
    checks.that(len(parked) == 1, f"one label follows the rollback: {moves}")
    roots = [span for span in spans if span["spanId"] == back["parentSpanId"]]
    checks.that([span["name"] for span in roots] == ["serin.tick"], f"it is part of a tick: {roots}")


def check_requests(checks, spans):
    ours = [span for span in spans if hexed(span["traceId"]) == TRACE]
    names = [span["name"] for span in ours]
    checks.that(names == ["GET /v1/assignments/{policy}"], f"the caller's trace goes on: {names}")
    for span in ours:
        checks.that(hexed(span["parentSpanId"]) == SPAN, f"below the caller's span: {span}")
        checks.that(span["kind"] == "SPAN_KIND_SERVER", f"as a server's: {span['kind']}")
        said = attributes(span)
        expected = {
            "http.request.method": "GET", "http.route": "/v1/assignments/{policy}", "http.response.status_code": 200,
            "url.path": f"/v1/assignments/{POLICY}", "url.scheme": "http",
        }
        checks.that(said == expected, f"with the attributes of the semantic conventions: {said}")
    checks.that("secret-user" not in json.dumps(spans), "no span has the key of a user")


def served(options, collecting, **more):
    environment = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{collecting.server_port}",
        "OTEL_EXPORTER_OTLP_HEADERS": "x-team=rollouts", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        "OTEL_SERVICE_NAME": "serin-under-test", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=ci", **more,
    }
    return server.Server(options.serin, {POLICY: scene.policy(POLICY)}, sdk.SECRET, options.keep, (), environment)


def check_spans(checks, options):
    collecting = collector()
    with served(options, collecting) as running:
        client = server.Client(running)
        rollout = notify.roll_back(client, POLICY, options.seed)
        client.expect(
            "GET", f"/v1/assignments/{POLICY}?user=secret-user", headers={"traceparent": f"00-{TRACE}-{SPAN}-01"}
        )
        checks.that(running.stop() == 0, "the server ends well, and sends what is left")
    spans, resources = spans_of(collecting)
    headers = collecting.got[0][0]
    checks.that(headers.get("x-team") == "rollouts", f"the asked header is sent: {headers}")
    for resource in resources[:1]:
        checks.that(resource.get("service.name") == "serin-under-test", f"the service has its name: {resource}")
        checks.that(resource.get("deployment.environment.name") == "ci", f"and its other attributes: {resource}")
    check_rollback(checks, spans, rollout)
    check_requests(checks, spans)


def own_spans(client):
    """What became of them, as the telemetry says."""
    found = {}
    for line in client.get("/metrics").splitlines():
        if line.startswith("serin_own_spans_total{"):
            found[line.split('"')[1]] = float(line.rsplit(" ", 1)[1])
    return found


def check_hanging(checks, options):
    """An endpoint that never answers costs spans, and no assignment its time."""
    collecting = collector(hangs=True)
    with served(options, collecting) as running:
        client = server.Client(running)
        scene.publish(client, POLICY, "Answer {{question}}.", ["production"])
        times = []
        for number in range(2 * ASSIGNMENTS):
            began = time.monotonic()
            client.expect("GET", f"/v1/assignments/{POLICY}?user=user-{number}")
            times.append(time.monotonic() - began)
        half = statistics.median(times)
        checks.that(half < ASSIGNMENT_SECONDS_MAX, f"half of the assignments take {half * 1e3:.2f} ms")
        counted = own_spans(client)
        checks.that(counted["dropped"] > 0 and counted["exported"] == 0, f"what does not fit is dropped: {counted}")
        began = time.monotonic()
        ended = running.stop()
        checks.that(ended == 0, f"the server ends with {ended} after {time.monotonic() - began:.1f} s")
    collecting.released.set()


def main():
    options = server.arguments(__doc__.splitlines()[0]).parse_args()
    try:
        sdk.python(HERE, "decode.py")
    except sdk.Unavailable as unavailable:
        print(f"skipped: {unavailable}")
        return sdk.SKIPPED
    checks = server.Checks()
    check_spans(checks, options)
    check_hanging(checks, options)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
