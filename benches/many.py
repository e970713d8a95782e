#!/usr/bin/env python3
"""10,000 policies: start, memory, tick, and the slowest assignments while all of them are read again.

Makes a folder with that many policies, serves it with the real program, and prints each figure beside its
budget. Assignments are asked for by `wrk` (Debian has it), over 32 connections, at a rate that leaves the
machine room, before and while every file of the folder is replaced.

  cargo build --release && python3 benches/many.py
"""

import argparse
import concurrent.futures
import os
import pathlib
import re
import subprocess
import sys
import tempfile
import threading
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "tests" / "real"))
import scene  # noqa: E402
import server  # noqa: E402

# Budgets.
START_SECONDS_MAX = 1.0
MEMORY_MB_MAX = 150
TICK_SECONDS_MAX = 0.1
RELOAD_RATIO_MAX = 2.0
# How long assignments are asked for in each phase; a reload must fit.
PHASE_SECONDS = 15
PHASES = 3
# Clients that make prompts at the same time.
MAKERS = 16
CONNECTIONS = 4
LUA = """
local count = 0
request = function()
  count = count + 1
  return wrk.format("GET", "/v1/assignments/policy-" .. (count * 7919 %% %d) .. "?user=user-" .. count)
end
"""


def name(number):
    return f"policy-{number}"


def write(folder, policies, bake):
    """Every policy anew; each file is replaced as a whole, as a checkout does."""
    for number in range(policies):
        path = folder / f"{name(number)}.yaml"
        beside = path.with_suffix(".new")
        beside.write_text(scene.policy(name(number), bake=bake, every="1s"))
        beside.replace(path)


def publish(running, policies):
    """A prompt with a stable version for each policy."""

    def some(first):
        client = server.Client(running)
        for number in range(first, policies, MAKERS):
            scene.publish(client, name(number), "Answer {{question}}.", ["production"])

    with concurrent.futures.ThreadPoolExecutor(MAKERS) as makers:
        list(makers.map(some, range(MAKERS)))


def cpu_seconds(process):
    fields = pathlib.Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def memory_mb(process):
    status = pathlib.Path(f"/proc/{process.pid}/status").read_text()
    return {key: int(re.search(rf"{key}:\s+(\d+) kB", status)[1]) / 1024 for key in ("VmRSS", "VmHWM")}


def ticks(client):
    """How many ticks there were, and how long they took in all, in seconds."""
    text = client.get("/metrics")
    value = lambda series: float(re.search(rf"^{series} (\S+)$", text, re.M)[1])  # noqa: E731
    return value("serin_tick_duration_seconds_count"), value("serin_tick_duration_seconds_sum")


def p99_ms(url, script, seconds):
    """The 99th percentile of the latency, and the requests per second."""
    command = ["wrk", "-t1", f"-c{CONNECTIONS}", f"-d{seconds}s", "--latency", "-s", script, url]
    text = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    value, unit = re.search(r"99%\s+([\d.]+)(us|ms|s)", text).groups()
    failed = re.search(r"Non-2xx.*", text)
    if failed:
        raise SystemExit(f"assignments were refused: {failed[0]}")
    rate = float(re.search(r"Requests/sec:\s+([\d.]+)", text)[1])
    return float(value) * {"us": 1e-3, "ms": 1, "s": 1e3}[unit], rate


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--serin", default="target/release/serin", help="the program [default: %(default)s]")
    parser.add_argument("--policies", type=int, default=10_000, help="how many [default: %(default)s]")
    options = parser.parse_args()
    missed = []

    def tell(what, value, unit, budget):
        held = value <= budget
        print(f"{what:44} {value:10.3f} {unit:5} budget {budget:g} {'' if held else 'MISSED'}", flush=True)
        if not held:
            missed.append(what)

    with tempfile.TemporaryDirectory() as folder:
        script = pathlib.Path(folder) / "users.lua"
        script.write_text(LUA % options.policies)
        running = server.Server(options.serin, {})
        running.start()
        publish(running, options.policies)
        running.stop()
        write(running.folder / "policies", options.policies, "24h")
        began = time.monotonic()
        with running:
            client = server.Client(running)
            server.wait_until("every policy", 60, lambda: is_served(client, options.policies))
            tell("start, until policies are assigned by", time.monotonic() - began, "s", START_SECONDS_MAX)
            print(f"CPU until then {cpu_seconds(running.process):.2f} s")
            if len(client.get("/v1/snapshot")["routes"]) != options.policies:
                raise SystemExit("some policies are not in force")
            time.sleep(5)
            before = ticks(client), cpu_seconds(running.process)
            time.sleep(10)
            after = ticks(client), cpu_seconds(running.process)
            count = max(after[0][0] - before[0][0], 1)
            print(f"CPU for each tick, two scrapes among {count:.0f}: {(after[1] - before[1]) / count:.3f} s")
            before, after = before[0], after[0]
            tell("tick, mean", (after[1] - before[1]) / max(after[0] - before[0], 1), "s", TICK_SECONDS_MAX)
            tell("memory", memory_mb(running.process)["VmRSS"], "MB", MEMORY_MB_MAX)
            normal, reloading = phases(running, script, options.policies)
            tell("p99 while policies are read again, x normal", reloading / normal, "", RELOAD_RATIO_MAX)
            peak = memory_mb(running.process)
            print(f"memory after the reloads {peak['VmRSS']:.0f} MB, peak {peak['VmHWM']:.0f} MB")
    return 1 if missed else 0


def is_served(client, policies):
    """Whether an assignment of the last policy is answered, after the server says that it is ready."""
    status, _ = client.ask("GET", f"/v1/assignments/{name(policies - 1)}?user=anna")
    return status == 200


def phases(running, script, policies):
    """The medians of the 99th percentiles, in milliseconds, of alternating phases."""
    quiet, busy = [], []
    for phase in range(PHASES):
        p99, rate = p99_ms(running.url, script, PHASE_SECONDS)
        print(f"p99 {p99:.3f} ms at {rate:.0f}/s", flush=True)
        quiet.append(p99)
        bake = f"{25 + phase}h"
        rewriting = threading.Timer(1, write, (running.folder / "policies", policies, bake))
        rewriting.start()
        p99, rate = p99_ms(running.url, script, PHASE_SECONDS)
        rewriting.join()
        print(f"p99 {p99:.3f} ms at {rate:.0f}/s, every policy replaced", flush=True)
        busy.append(p99)
    return sorted(quiet)[PHASES // 2], sorted(busy)[PHASES // 2]


if __name__ == "__main__":
    sys.exit(main())
