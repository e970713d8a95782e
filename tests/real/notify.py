#!/usr/bin/env python3
"""People are told of a rollback: a real Alertmanager shows the alert and lets it go, the library of Standard
Webhooks takes the webhook and refuses a changed one, and a receiver that fails twice gets it the third time.
"""

import base64
import datetime
import http.server
import json
import os
import pathlib
import random
import shutil
import subprocess
import sys
import threading
import time
import urllib.parse
import urllib.request

import scene
import sdk
import server

HERE = pathlib.Path(__file__).resolve().parent / "notify"
POLICY = "order-status-answer"
SECRET = "whsec_" + base64.b64encode(b"a secret of thirty-two bytes, it").decode()
OTHER_SECRET = "whsec_" + base64.b64encode(b"another secret of the same bytes").decode()
TOLD_SECONDS_MAX = 60
ROLLBACK_SECONDS_MAX = 60
# How long an alert stands, and how much of that is left when the clock of the server is so far behind.
STANDS_SECONDS = 3600
LEFT_SECONDS = 15
USERS = 400

NOTIFY = """\
  notify:
    - {{webhook: "{alertmanager}", format: alertmanager, on: [rolledBack]}}
    - {{webhook: "{webhook}", secret: hooks, on: [started, rolledBack]}}
"""


class Hook(http.server.BaseHTTPRequestHandler):
    """Keeps what it gets; fails twice before it takes anything."""

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        with self.server.lock:
            self.server.got.append((dict(self.headers.items()), body))
            status = 500 if len(self.server.got) <= 2 else 204
        self.send_response(status)
        self.end_headers()

    def log_message(self, *_):
        pass


def hook():
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hook)
    serving.daemon_threads = True
    serving.got, serving.lock = [], threading.Lock()
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    return serving


class Alertmanager:
    """Debian's, on a port of its own."""

    def __init__(self, program, folder):
        self.port = server.free_port()
        folder.mkdir()
        (folder / "alertmanager.yml").write_text("route: {receiver: nobody}\nreceivers: [{name: nobody}]\n")
        self.log = (folder / "log").open("ab")
        self.process = subprocess.Popen(
            [
                program, f"--config.file={folder / 'alertmanager.yml'}", f"--storage.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{self.port}", "--cluster.listen-address=",
            ],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def alerts(self, rollout_of):
        """The alerts about a policy that stand; none while it is not ready."""
        query = urllib.parse.urlencode({"filter": f'policy="{rollout_of}"'})
        try:
            with urllib.request.urlopen(f"{self.url}/api/v2/alerts?{query}", timeout=10) as answer:
                return json.load(answer)
        except OSError:
            return None

    def __enter__(self):
        server.wait_until("Alertmanager", 30, lambda: self.alerts("none") is not None)
        return self

    def __exit__(self, *_):
        self.process.terminate()
        self.process.wait(timeout=20)
        self.log.close()


def policy(name, alertmanager, webhook):
    notify = NOTIFY.format(alertmanager=alertmanager.url, webhook=f"http://127.0.0.1:{webhook.server_port}/hook")
    return scene.policy(name) + notify


def roll_back(client, name, seed):
    """A rollout whose candidate is so bad that it is taken back; its id."""
    scene.publish(client, name, "Answer {{question}}.", ["production"])
    candidate = scene.publish(client, name, "Answer {{question}} briefly.", ["canary"])
    rollout = scene.begin(client, name, candidate)
    drawn = random.Random(seed)

    def is_back():
        lines = [
            {
                "policy": name, "user": f"person-{drawn.random()}", "version": version,
                "metrics": {"helpfulness": min(1.0, max(0.0, drawn.gauss(mean, 0.05)))},
            }
            for version, mean in ((candidate - 1, 0.85), (candidate, 0.4)) for _ in range(USERS)
        ]
        client.post("/v1/observations", lines)
        return client.get(f"/v1/rollouts/{rollout}")["phase"]["code"] == "rolled_back"

    server.wait_until(f"the rollback of {name}", ROLLBACK_SECONDS_MAX, is_back)
    return rollout


def moment(text):
    return datetime.datetime.fromisoformat(text.replace("Z", "+00:00")).timestamp()


def check_alert(checks, alertmanager, rollout):
    def one():
        return alertmanager.alerts(POLICY)

    (alert, *others) = server.wait_until("the alert", TOLD_SECONDS_MAX, one)
    checks.that(not others, f"one alert, and not {others} besides")
    labels = alert["labels"]
    expected = {
        "alertname": "SerinRollout", "policy": POLICY, "rollout": rollout, "severity": "warning", "candidate": "2",
    }
    found = {name: labels.get(name) for name in expected}
    checks.that(found == expected, f"the alert's labels are {labels}")
    checks.that(alert["status"]["state"] == "active", f"the alert is {alert['status']}")
    checks.that("helpfulness" in alert["annotations"]["description"], f"it says why: {alert['annotations']}")
    stands = moment(alert["endsAt"]) - moment(alert["updatedAt"])
    near = abs(stands - STANDS_SECONDS) < 10
    checks.that(near, f"it stands for {stands:.0f} s after it was told")
    checks.that(moment(alert["startsAt"]) <= moment(alert["updatedAt"]), f"it began before it was told: {alert}")


def check_hooks(checks, webhook, rollout):
    server.wait_until("both webhooks", TOLD_SECONDS_MAX, lambda: len(webhook.got) >= 4)
    got = list(webhook.got)
    ids = [headers["webhook-id"] for headers, _ in got]
    checks.that(len(got) == 4, f"four requests for two webhooks of which one failed twice, not {len(got)}")
    checks.that(len(set(ids[:3])) == 1, f"the same webhook is sent until it is taken: {ids}")
    checks.that(ids[3] != ids[0], f"the next one has another id: {ids}")
    checks.that(got[0][1] == got[2][1], "the body stays the same")
    kinds = [json.loads(body)["type"] for _, body in (got[0], got[3])]
    checks.that(kinds == ["rollout.started", "rollout.rolledBack"], f"they come in order: {kinds}")

    def asked(headers, body, secret=SECRET):
        named = {name: value for name, value in headers.items() if name.startswith("webhook-")}
        return {"headers": named, "body": base64.b64encode(body).decode(), "secret": secret}

    headers, body = got[3]
    at = body.index(rollout.encode())
    changed = body[:at] + b"x" + body[at + 1:]
    old = {**headers, "webhook-timestamp": str(int(headers["webhook-timestamp"]) - 3600)}
    cases = [asked(*it) for it in got]
    cases += [asked(headers, changed), asked(headers, body, OTHER_SECRET), asked(old, body)]
    done = subprocess.run(
        sdk.python(HERE, "verify.py"), input=json.dumps(cases), capture_output=True, text=True, check=True
    )
    verdicts = json.loads(done.stdout)
    for number, verdict in enumerate(verdicts[:4]):
        checks.that("payload" in verdict, f"webhook {number} verifies: {verdict}")
    data = verdicts[3].get("payload", {}).get("data", {})
    checks.that(data.get("rollout") == rollout and data.get("cause") == "verdict", f"it says what happened: {data}")
    for what, verdict in zip(("a changed byte", "another secret", "another time"), verdicts[4:]):
        checks.that("refused" in verdict, f"{what} is refused: {verdict}")


def check_history(checks, client, rollout):
    records = scene.pages(client, f"/v1/rollouts/{rollout}/audit", "records", "after")
    told = [record["text"] for record in records if record["event"]["code"] == "notice"]
    for outcome, least in (("failed, and is tried again", 1), ("delivered", 3)):
        found = sum(outcome in text for text in told)
        checks.that(found >= least, f"the history has {least} or more that {outcome}: {told}")


def check_resolved(checks, options, alertmanager, webhook):
    """The clock of the server is nearly as far behind as an alert stands: soon after it was told, it is over."""
    if shutil.which("faketime") is None:
        checks.skipped += 1
        print("skipped: there is no faketime, so no alert is seen to end", flush=True)
        return
    name = "greeting-tone"
    behind = ("faketime", "-f", f"-{STANDS_SECONDS - LEFT_SECONDS}s")
    running = prepared(options, {name: policy(name, alertmanager, webhook)}, behind)
    with running:
        roll_back(server.Client(running), name, options.seed)
        alerts = server.wait_until("the second alert", TOLD_SECONDS_MAX, lambda: alertmanager.alerts(name))
        left = moment(alerts[0]["endsAt"]) - time.time()
        checks.that(left < LEFT_SECONDS, f"the alert has {left:.0f} s left")
        gone = server.wait_until("the end of the alert", 4 * LEFT_SECONDS, lambda: alertmanager.alerts(name) == [])
        checks.that(gone, "the alert is over")


def prepared(options, policies, prefix=()):
    environment = {"FAKETIME_DONT_FAKE_MONOTONIC": "1", "HOOKS_SECRET": SECRET}
    running = server.Server(options.serin, policies, sdk.SECRET, options.keep, prefix, environment)
    (running.folder / "serin.yaml").write_text("notify: {secrets: {hooks: {env: HOOKS_SECRET}}}\n")
    return running


def main():
    options = server.arguments(__doc__.splitlines()[0]).parse_args()
    program = shutil.which("prometheus-alertmanager") or shutil.which("alertmanager")
    if program is None:
        print("skipped: there is no Alertmanager")
        return sdk.SKIPPED
    try:
        sdk.python(HERE, "verify.py")
    except sdk.Unavailable as unavailable:
        print(f"skipped: {unavailable}")
        return sdk.SKIPPED
    checks = server.Checks()
    webhook = hook()
    folder = pathlib.Path(os.path.realpath(sdk.FOLDER)) / f"alertmanager-{os.getpid()}"
    try:
        with Alertmanager(program, folder) as alertmanager:
            running = prepared(options, {POLICY: policy(POLICY, alertmanager, webhook)})
            with running:
                client = server.Client(running)
                rollout = roll_back(client, POLICY, options.seed)
                check_alert(checks, alertmanager, rollout)
                check_hooks(checks, webhook, rollout)
                check_history(checks, client, rollout)
            check_resolved(checks, options, alertmanager, hook())
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return checks.finish()


if __name__ == "__main__":
    sys.exit(main())
