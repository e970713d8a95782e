#!/usr/bin/env python3
"""The real nginx and HAProxy with the configurations of docs/gateways, in front of two applications.

Each request of 300 users goes where `GET /v1/assignments` says, on every step and after a rollback; the
user comes by cookie or by header; a request without one, a forged label and an absent Serin lead to
production. No log of the gateway has a user's key.
"""

import http.client
import http.server
import os
import pathlib
import shutil
import signal
import subprocess
import sys
import threading

import scene
import sdk
import server

DOCS = pathlib.Path("docs/gateways").resolve()
POLICY = "order-status-answer"
USERS = [f"person-{number}" for number in range(300)]
# An answer of the gateway without Serin must not wait longer.
ABSENT_SECONDS_MAX = 5


class Backend(http.server.BaseHTTPRequestHandler):
    """An application that tells its name, and what the gateway forwarded."""

    protocol_version = "HTTP/1.1"

    def do_GET(self):
        sent = [self.server.name, self.headers.get("x-serin-label", ""), self.headers.get("x-serin-receipt", "")]
        body = "\n".join(sent).encode()
        self.send_response(200)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def backend(name):
    serving = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Backend)
    serving.name = name
    serving.daemon_threads = True
    threading.Thread(target=serving.serve_forever, daemon=True).start()
    return serving


class Gateway:
    """A gateway's process with its configuration, adapted to the ports of this run."""

    def __init__(self, name, running, token, backends):
        self.name = name
        self.port = server.free_port()
        self.folder = running.folder / name
        self.folder.mkdir()
        self.log = self.folder / "log"
        places = {
            "127.0.0.1:8080": f"127.0.0.1:{running.port}", "127.0.0.1:8000": f"127.0.0.1:{self.port}",
            "127.0.0.1:9001": f"127.0.0.1:{backends['production'].server_port}",
            "127.0.0.1:9002": f"127.0.0.1:{backends['canary'].server_port}",
            "SERIN_TOKEN TOKEN": f"SERIN_TOKEN {token}", "Bearer TOKEN": f"Bearer {token}", "/tmp/nginx.pid": str(self.folder / "pid"),
        }
        for file in (f for f in DOCS.iterdir() if f.suffix in (".conf", ".cfg", ".lua")):
            text = file.read_text()
            for written, here in places.items():
                text = text.replace(written, here)
            (self.folder / file.name).write_text(text)
        command = {
            "nginx": ["nginx", "-p", str(self.folder), "-c", "nginx.conf", "-g", "daemon off;"],
            "haproxy": ["haproxy", "-db", "-f", "haproxy.cfg"],
        }[name]
        path = os.environ["PATH"] + ":/usr/sbin"
        self.process = subprocess.Popen(
            [shutil.which(command[0], path=path), *command[1:]], cwd=self.folder,
            stdin=subprocess.DEVNULL, stdout=self.log.open("ab"), stderr=subprocess.STDOUT,
        )
        self.connection = None
        server.wait_until(f"{name} answers\n", 20, self.is_up)

    def is_up(self):
        if self.process.poll() is not None:
            raise server.Refused(f"{self.name} ended\n{self.log.read_text()[-3000:]}")
        try:
            return self.ask() is not None
        except OSError:
            return False

    def ask(self, **headers):
        """The backend's name, and what was forwarded to it."""
        if self.connection is None:
            self.connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=20)
        try:
            names = {key.replace("_", "-"): value for key, value in headers.items()}
            self.connection.request("GET", "/orders/7?x=1", headers=names)
            answer = self.connection.getresponse()
            text = answer.read().decode()
        except (OSError, http.client.HTTPException) as broken:
            self.connection = None
            raise OSError(repr(broken)) from broken
        if answer.status != 200:
            return f"{answer.status}", "", text
        return tuple(text.split("\n"))

    def close(self):
        self.process.send_signal(signal.SIGTERM)
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()


def gateways(running, token, backends, checks):
    for name in ("nginx", "haproxy"):
        if shutil.which(name, path=os.environ["PATH"] + ":/usr/sbin") is None:
            print(f"skipped: there is no {name}", flush=True)
            checks.skipped += 1
            continue
        yield Gateway(name, running, token, backends)


def routes(gateway, when):
    """Where each user's request went; by cookie and by header in turns."""

    def ask(at, user):
        asked = {"cookie": f"theme=dark; uid={user}"} if at % 2 == 0 else {"x_user_id": user}
        return gateway.ask(**asked)

    found = [ask(at, user) for at, user in enumerate(USERS)]
    wrong = [(user, went) for user, went in zip(USERS, found) if went[0] != went[1]]
    if wrong:
        raise server.Refused(f"{when}: a request went elsewhere than its label says: {wrong[:3]}")
    return [went[0] for went in found]


def try_strangers(gateway, client, checks):
    """Requests that say too little, or too much."""

    def goes(what, where, **headers):
        went = gateway.ask(**headers)
        checks.that(went[0] == where, f"{gateway.name}: {what} went to {went}")
        return went

    goes("a request without a user", "production")
    goes("an empty cookie", "production", cookie="uid=")
    goes("a key that is too long", "production", x_user_id="x" * 300)
    treated = next(u for u, label in zip(USERS, sdk.assigned(client, POLICY, USERS)) if label == "canary")
    kept = next(u for u, label in zip(USERS, sdk.assigned(client, POLICY, USERS)) if label == "production")
    goes("a forged label", "production", cookie=f"uid={kept}", x_serin_label="canary")
    goes("a forged arm", "production", x_serin_label="canary", x_serin_receipt="forged")
    goes("the client's own token", "canary", cookie=f"uid={treated}", authorization="Bearer nonsense")
    went = goes("a treated user", "canary", cookie=f"uid={treated}")
    receipt = client.get(f"/v1/assignments/{POLICY}", user=treated)["receipt"]
    checks.that(went[2] == receipt, f"{gateway.name}: the receipt was not forwarded: {went}")


def try_absence(running_gateways, running, checks):
    """With Serin away, everything goes to production."""
    running.kill()
    for gateway in running_gateways:
        asked = server.time.monotonic()
        went = gateway.ask(cookie=f"uid={USERS[0]}")
        took = server.time.monotonic() - asked
        checks.that(went[0] == "production", f"{gateway.name}: without Serin a request went to {went}")
        checks.that(took < ABSENT_SECONDS_MAX, f"{gateway.name}: without Serin a request took {took:.1f} s")
    running.start()
    for gateway in running_gateways:
        def back(gateway=gateway):
            return gateway.ask(cookie=f"uid={USERS[0]}")[1] != ""
        server.wait_until(f"{gateway.name} asks Serin again", 20, back)


def main():
    options = server.arguments(__doc__.splitlines()[0]).parse_args()
    checks = server.Checks()
    backends = {name: backend(name) for name in ("production", "canary")}
    with server.Server(options.serin, {POLICY: scene.policy(POLICY)}, sdk.SECRET, options.keep) as running:
        admin = server.Client(running).post("/v1/tokens", {"name": "admin", "scopes": ["admin"]})["token"]
        token = server.Client(running, admin).post("/v1/tokens", {"name": "gateway", "scopes": ["assign"]})["token"]
        running_gateways = []
        try:
            for gateway in gateways(running, token, backends, checks):
                running_gateways.append(gateway)
            if not running_gateways:
                print("skipped: neither nginx nor HAProxy is here")
                return sdk.SKIPPED
            play(running_gateways, running, admin, checks)
        finally:
            for gateway in running_gateways:
                gateway.close()
        for gateway in running_gateways:
            logged = gateway.log.read_text(errors="replace")
            checks.that("person-" not in logged, f"{gateway.name}: a user's key is in the log")
        checks.that("person-" not in running.last_words(), "a user's key is in Serin's log")
    return checks.finish()


def play(running_gateways, running, admin, checks):
    client = server.Client(running, admin)
    for gateway in running_gateways:
        went = gateway.ask(cookie=f"uid={USERS[0]}")
        checks.that(went[0] == "production", f"{gateway.name}: before the rollout a request went to {went}")
    ladder = sdk.Climb(client, POLICY, USERS, checks)
    ladder.run(running_gateways, lambda gateway: routes(gateway, "a user"), lambda when: step(when, running_gateways, client, running, checks))


def step(when, running_gateways, client, running, checks):
    if when == "25%":
        for gateway in running_gateways:
            try_strangers(gateway, client, checks)
    if when == "50%":
        try_absence(running_gateways, running, checks)
        client.connection = None


if __name__ == "__main__":
    sys.exit(main())
