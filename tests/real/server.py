"""A real `serin serve` on a free loopback port, and a client that holds its connection."""

import argparse
import http.client
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import tempfile
import time
import urllib.parse

READY_SECONDS_MAX = 30
ANSWER_SECONDS_MAX = 30
STOP_SECONDS_MAX = 20
LOG_LINES_SHOWN = 40


class Lost(Exception):
    """The connection broke: the request may have been served or not."""


class Refused(Exception):
    """The server answered with a status that was not expected."""


def arguments(about):
    """The command line that every script here has."""
    parser = argparse.ArgumentParser(description=about)
    parser.add_argument("--serin", default="target/release/serin", help="the program [default: %(default)s]")
    parser.add_argument("--seed", type=int, default=20250607, help="seed of everything random [default: %(default)s]")
    parser.add_argument("--keep", action="store_true", help="keep the server's folder and say where it is")
    return parser


def free_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


class Server:
    """The process with its folders; it can be killed and started again on the same data."""

    def __init__(self, serin, policies, secret=None, keep=False, prefix=(), more=None):
        """`prefix` is a program that runs it, `more` are variables that it gets besides."""
        self.serin = str(pathlib.Path(serin).resolve())
        self.folder = pathlib.Path(tempfile.mkdtemp(prefix="serin-real-"))
        self.keep = keep
        self.port = free_port()
        self.process = None
        self.secret = secret
        self.prefix = list(prefix)
        self.more = dict(more or {})
        (self.folder / "policies").mkdir()
        for name, text in policies.items():
            (self.folder / "policies" / f"{name}.yaml").write_text(text)
        self.log = (self.folder / "log").open("ab")

    @property
    def url(self):
        return f"http://127.0.0.1:{self.port}"

    def environment(self):
        """The caller's, without what would change the settings."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("SERIN_", "OTEL_"))}
        kept.update(self.more)
        if self.secret is not None:
            kept["SERIN_SECRET"] = self.secret
        return kept

    def run(self, *verb):
        """Runs another verb of the program on the server's data; gives what it prints."""
        done = subprocess.run(
            [self.serin, *verb], cwd=self.folder, env=self.environment(), capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            raise Refused(f"serin {' '.join(verb)}: exit code {done.returncode}\n{done.stdout}{done.stderr}")
        return done.stdout

    def start(self):
        self.process = subprocess.Popen(
            [
                *self.prefix, self.serin, "serve", "--policies", "policies", "--data", "data",
                "--listen", f"127.0.0.1:{self.port}",
            ],
            cwd=self.folder, env=self.environment(), stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log,
        )
        began = time.monotonic()
        while time.monotonic() - began < READY_SECONDS_MAX:
            if self.process.poll() is not None:
                raise Refused(f"the server ended with exit code {self.process.returncode}\n{self.last_words()}")
            try:
                status, _ = Client(self).ask("GET", "/readyz")
                if status == 200:
                    return
            except Lost:
                pass
            time.sleep(0.02)
        raise Refused(f"the server was not ready after {READY_SECONDS_MAX} s\n{self.last_words()}")

    def kill(self):
        self.process.send_signal(signal.SIGKILL)
        self.process.wait()

    def stop(self):
        """Asks the server to end, as a service manager does; gives its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(timeout=STOP_SECONDS_MAX)

    def last_words(self):
        lines = (self.folder / "log").read_text(errors="replace").splitlines()
        return "\n".join(lines[-LOG_LINES_SHOWN:])

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *_):
        if self.process is not None and self.process.poll() is None:
            self.kill()
        self.log.close()
        if self.keep:
            print(f"kept: {self.folder}")
        else:
            shutil.rmtree(self.folder)


class Client:
    """One keep-alive connection."""

    def __init__(self, server, token=None):
        self.server = server
        self.token = token
        self.connection = None

    def ask(self, method, path, body=None, headers=None):
        """The status and the decoded body; `Lost` when the connection breaks before the answer."""
        try:
            if self.connection is None:
                self.connection = http.client.HTTPConnection(
                    "127.0.0.1", self.server.port, timeout=ANSWER_SECONDS_MAX
                )
            headers = dict(headers or {})
            if self.token:
                headers["Authorization"] = f"Bearer {self.token}"
            if body is not None and not isinstance(body, bytes):
                body = json.dumps(body).encode()
                headers.setdefault("Content-Type", "application/json")
            self.connection.request(method, path, body, headers)
            answer = self.connection.getresponse()
            text = answer.read()
        except (OSError, http.client.HTTPException) as broken:
            self.connection = None
            raise Lost(repr(broken)) from broken
        is_json = "json" in (answer.getheader("content-type") or "")
        return answer.status, json.loads(text) if is_json and text else text.decode(errors="replace")

    def expect(self, method, path, body=None, headers=None, status=(200, 201)):
        """The body of an answer with one of these statuses."""
        found, answer = self.ask(method, path, body, headers)
        if found not in status:
            raise Refused(f"{method} {path}: {found} {answer}")
        return answer

    def get(self, path, **query):
        return self.expect("GET", f"{path}?{urllib.parse.urlencode(query)}" if query else path)

    def post(self, path, body, headers=None):
        return self.expect("POST", path, body, headers)

    def put(self, path, body):
        return self.expect("PUT", path, body)


class Checks:
    """Counts what held and what did not, and ends the script."""

    def __init__(self):
        self.passed = 0
        self.failed = 0
        self.skipped = 0

    def that(self, holds, what):
        """Counts one check; says what failed. Gives whether it held."""
        if holds:
            self.passed += 1
        else:
            self.failed += 1
            print(f"FAILED: {what}", flush=True)
        return holds

    def finish(self):
        """Prints the summary and gives the exit code."""
        print(f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped")
        return 1 if self.failed or not self.passed else 0


def wait_until(what, seconds, ask):
    """Asks until the answer is true, and gives it; fails after so many seconds."""
    began = time.monotonic()
    while True:
        answer = ask()
        if answer:
            return answer
        if time.monotonic() - began > seconds:
            raise Refused(f"{what} did not happen within {seconds} s")
        time.sleep(0.05)
