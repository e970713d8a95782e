#!/usr/bin/env python3
"""Assignments over HTTP: Serin beside a bare axum, in alternating rounds.

Serin runs as it does in production: tokens, telemetry, a rollout at 25%. `bare` (benches/peers) is an axum
route that answers with a body of the same form. In each round `wrk` (Debian has it) asks bare, Serin, and
bare again; what is printed is Serin's requests per second and its CPU time per request, as ratios to the mean
of bare's two in the same round. Every request names another user.

  cargo build --release
  cargo build --release --manifest-path benches/peers/Cargo.toml
  python3 benches/over_http.py

Any other server that is running joins the rounds with `--beside NAME PID URL`, such as an Unleash Edge with
its URL for one feature; `--header` gives it its token.
"""

import argparse
import os
import pathlib
import re
import statistics
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "real"))
import scene  # noqa: E402
import server  # noqa: E402

POLICY = "answers"
CONNECTIONS = 32
WARM_UP_SECONDS = 1
# Budgets: requests per second and CPU per request, as ratios to bare.
BUDGETS = {"assignment": (0.90, 1.15), "ofrep": (0.80, 1.25)}
LUA = {
    "assignment": """
local count = 0
request = function()
  count = count + 1
  return wrk.format("GET", "/v1/assignments/%s?user=user-" .. count, {["Authorization"] = "Bearer %s"})
end
""",
    "ofrep": """
local count = 0
request = function()
  count = count + 1
  local body = '{"context":{"targetingKey":"user-' .. count .. '"}}'
  local headers = {["Authorization"] = "Bearer %s", ["Content-Type"] = "application/json"}
  return wrk.format("POST", "/ofrep/v1/evaluate/flags/%s", headers, body)
end
""",
}


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def ask(url, pid, script, seconds):
    """Requests per second, CPU microseconds per request, and the 99th percentile of the latency in ms."""

    def wrk(duration, *more):
        command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{duration}s", *more, *script, url]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout

    wrk(WARM_UP_SECONDS)
    before = cpu_seconds(pid)
    text = wrk(seconds, "--latency")
    spent = cpu_seconds(pid) - before
    if refused := re.search(r"Non-2xx.*|Socket errors.*", text):
        raise SystemExit(f"{url}: {refused[0]}")
    requests = int(re.search(r"(\d+) requests in", text)[1])
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    return rate, spent / requests * 1e6, float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit]


def rollout_at_a_quarter(client):
    candidate = [scene.publish(client, POLICY, text, [label]) for text, label in (
        ("Answer {{question}}.", "production"), ("Answer {{question}} briefly.", "canary"),
    )][-1]
    rollout = scene.begin(client, POLICY, candidate)
    scene.command(client, rollout, "step")


def rounds(kind, bare, others, options):
    """The ratios of each of `others`, by name; each is (name, url, pid, script)."""
    found = {name: [] for name, *_ in others}
    for number in range(1, options.rounds + 1):
        before = ask(*bare, options.seconds)
        for name, url, pid, script in others:
            theirs = ask(url, pid, script, options.seconds)
            after = ask(*bare, options.seconds)
            rate, cpu = ((one + other) / 2 for one, other in zip(before[:2], after[:2]))
            ratios = theirs[0] / rate, theirs[1] / cpu
            found[name].append(ratios)
            print(
                f"{kind:10} round {number}: {name} {theirs[0]:8.0f}/s {theirs[1]:6.1f} us p99 {theirs[2]:5.2f} ms, "
                f"bare {rate:8.0f}/s {cpu:5.1f} us: {ratios[0]:.2f} of its requests, {ratios[1]:.2f} of its CPU",
                flush=True,
            )
            before = after
    return found


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serin", default="target/release/serin", help="the program [default: %(default)s]")
    parser.add_argument("--bare", default="benches/peers/target/release/bare", help="the other [default: %(default)s]")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=5, help="of each measurement [default: %(default)s]")
    parser.add_argument("--beside", nargs=3, action="append", default=[], metavar=("NAME", "PID", "URL"))
    parser.add_argument("--header", default="", help="a header for those servers, such as `Authorization: TOKEN`")
    options = parser.parse_args()
    missed = False
    with server.Server(options.serin, {POLICY: scene.policy(POLICY)}) as running, tempfile.TemporaryDirectory() as folder:
        admin = server.Client(running).post("/v1/tokens", {"name": "admin", "scopes": ["admin"]})["token"]
        client = server.Client(running, admin)
        token = client.post("/v1/tokens", {"name": "bench", "scopes": ["assign"]})["token"]
        rollout_at_a_quarter(client)
        address = f"127.0.0.1:{server.free_port()}"
        bare = subprocess.Popen([options.bare, address])
        try:
            time.sleep(1)
            for kind, lua in LUA.items():
                script = pathlib.Path(folder) / f"{kind}.lua"
                script.write_text(lua % ((POLICY, token) if kind == "assignment" else (token, POLICY)))
                lua_script = ["-s", str(script)]
                header = ["-H", options.header] if options.header else []
                others = [("serin", running.url, running.process.pid, lua_script)]
                others += [(name, url, int(pid), header) for name, pid, url in options.beside]
                found = rounds(kind, (f"http://{address}", bare.pid, lua_script), others, options)
                for name, ratios in found.items():
                    rate, cpu = (statistics.median(column) for column in zip(*ratios))
                    budget = ""
                    if name == "serin":
                        least, most = BUDGETS[kind]
                        held = rate >= least and cpu <= most
                        missed |= not held
                        budget = f"; budget {least} and {most}{'' if held else ': MISSED'}"
                    print(f"{kind:10} median: {name} {rate:.2f} of bare's requests, {cpu:.2f} of its CPU{budget}")
        finally:
            bare.kill()
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
