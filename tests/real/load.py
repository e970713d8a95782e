"""Threads that keep a server busy and know what it has acknowledged, over restarts."""

import json
import threading
import time

import scene
import server

OBSERVATIONS_MAX = 20
USERS = 20_000
# Of acknowledged requests, how many are sent again.
REPEATED = 0.1
# Of receipts, how many were issued for an earlier request.
OLD_RECEIPTS = 0.9
RETRY_SECONDS = 0.05


class Tally:
    def __init__(self):
        self.count = 0
        self.total = 0.0


class Ledger:
    """What was acknowledged. Values are multiples of 1/64, so that sums are exact."""

    def __init__(self):
        self.lock = threading.Lock()
        self.receipted = {"control": Tally(), "treatment": Tally()}
        self.hashed = Tally()
        self.requests = 0
        self.repeats = 0

    def add(self, counts):
        with self.lock:
            self.requests += 1
            for arm, values in counts.items():
                tally = self.receipted.get(arm, self.hashed)
                tally.count += len(values)
                tally.total += sum(values)

    def repeated(self):
        with self.lock:
            self.repeats += 1


class Gate:
    """Lets threads begin new work; closing waits until each has finished what it had begun."""

    def __init__(self):
        self.opened = threading.Event()
        self.ended = False

    def open(self):
        self.opened.set()

    def close(self, threads):
        self.opened.clear()
        for thread in threads:
            while thread.busy and thread.is_alive():
                time.sleep(0.005)

    def end(self):
        self.ended = True
        self.opened.set()


class Worker(threading.Thread):
    """Works while the gate is open; keeps the first error."""

    def __init__(self, running, gate, rng, name):
        super().__init__(name=name, daemon=True)
        self.running = running
        self.client = server.Client(running)
        self.gate = gate
        self.rng = rng
        self.busy = True
        self.error = None

    def run(self):
        try:
            while True:
                self.busy = False
                self.gate.opened.wait()
                self.busy = True
                if self.gate.ended:
                    return
                # Between the two lines above the gate may have been closed.
                if self.gate.opened.is_set():
                    self.work()
        except Exception as error:  # pylint: disable=broad-exception-caught
            self.error = repr(error)
        finally:
            self.busy = False

    def until_answered(self, method, path, body=None, headers=None):
        """Sends the same request until it is answered; gives status, answer and how often it was lost."""
        lost = 0
        while True:
            try:
                status, answer = self.client.ask(method, path, body, headers)
            except server.Lost:
                lost += 1
                time.sleep(RETRY_SECONDS)
                continue
            if status not in (429, 503):
                return status, answer, lost
            time.sleep(RETRY_SECONDS)


class Sender(Worker):
    """Sends observations: with ids, with an idempotency key, or with both."""

    def __init__(self, running, gate, ledger, policy, rng, number):
        super().__init__(running, gate, rng, f"sender {number}")
        self.ledger = ledger
        self.policy = policy
        self.number = number
        self.serial = 0
        self.receipts = []

    def work(self):
        self.serial += 1
        serial = f"{self.number}-{self.serial}"
        kind = self.rng.choice(["ids", "key", "both"])
        lines, counts = self.observations(serial, with_ids=kind != "key")
        headers = {"Content-Type": "application/json"}
        if kind != "ids":
            headers["Idempotency-Key"] = f"request-{serial}"
        body = json.dumps(lines).encode()
        answer = self.send(body, headers)
        self.expect(answer["accepted"] == len(lines), f"{len(lines)} observations sent, {answer}")
        self.expect(not answer["ignored"] and not answer["refused"], f"{answer}")
        self.ledger.add(counts)
        if self.rng.random() < REPEATED:
            again = self.send(body, headers)
            # A repeated key repeats its answer; repeated ids alone are found one by one.
            expected = answer if kind != "ids" else {**answer, "duplicates": len(lines)}
            self.expect(again == expected, f"sent again: {again}, and {expected} is expected")
            self.ledger.repeated()

    def send(self, body, headers):
        status, answer, lost = self.until_answered("POST", "/v1/observations", body, headers)
        self.expect(status == 200, f"{status} {answer} for observations")
        if lost:
            self.ledger.repeated()
        return answer

    def observations(self, serial, with_ids):
        """The lines of a request, and their values by arm; those without a receipt under `None`."""
        lines, counts = [], {}
        for number in range(self.rng.randint(1, OBSERVATIONS_MAX)):
            user = f"user-{self.rng.randrange(USERS)}"
            value = self.rng.randrange(65) / 64
            line = {"policy": self.policy}
            if self.rng.random() < 0.5:
                arm, line["receipt"] = self.receipt(user)
                line["metrics"] = {"helpfulness": value}
            else:
                arm, line["user"] = None, user
                line["metrics"] = {"clarity": value}
            if with_ids:
                line["id"] = f"{serial}-{number}"
            lines.append(line)
            counts.setdefault(arm, []).append(value)
        return lines, counts

    def receipt(self, user):
        """A new receipt, or one from before, which counts as long as its rollout runs."""
        if self.receipts and self.rng.random() < OLD_RECEIPTS:
            return self.rng.choice(self.receipts)
        path = f"/v1/assignments/{self.policy}?user={user}"
        status, answer, _ = self.until_answered("GET", path)
        self.expect(status == 200 and answer["receipt"], f"{status} {answer} for an assignment")
        self.receipts.append((answer["arm"], answer["receipt"]))
        return self.receipts[-1]

    def expect(self, holds, what):
        if not holds:
            raise server.Refused(what)


class Operator(Worker):
    """Asks for things; knows for each rollout the generation of the last acknowledged command."""

    def __init__(self, running, gate, rng, name):
        super().__init__(running, gate, rng, name)
        self.acknowledged = {}

    def command(self, rollout, verb):
        """Whether the command was acknowledged; one whose answer was lost is not asked again."""
        try:
            status, answer = self.client.ask(
                "POST", f"/v1/rollouts/{rollout}/{verb}", {"reason": f"{self.name} says so"}
            )
        except server.Lost:
            return False
        if status == 200:
            self.acknowledged[rollout] = max(self.acknowledged.get(rollout, 0), answer["generation"])
        elif status not in (409, 429, 503):
            raise server.Refused(f"{verb} of {rollout}: {status} {answer}")
        return status == 200

    def get(self, path):
        status, answer, _ = self.until_answered("GET", path)
        if status != 200:
            raise server.Refused(f"{path}: {status} {answer}")
        return answer


class Stepper(Operator):
    """Pauses and resumes one rollout, and takes it to 50% in the end, but never further."""

    def __init__(self, running, gate, rollout, rng):
        super().__init__(running, gate, rng, "stepper")
        self.rollout = rollout

    def work(self):
        phase = self.get(f"/v1/rollouts/{self.rollout}")["phase"]
        if phase["code"] == "paused":
            self.command(self.rollout, "resume")
        elif phase["step"] < 3 and self.rng.random() < 0.1:
            self.command(self.rollout, "step")
        else:
            self.command(self.rollout, "pause")
        time.sleep(self.rng.uniform(0, 0.2))


class Publisher(Operator):
    """Publishes one candidate after the other, and promotes it or takes it back."""

    def __init__(self, running, gate, policy, rng):
        super().__init__(running, gate, rng, "publisher")
        self.policy = policy
        self.published = 0
        self.rollouts = 0

    def work(self):
        last = self.get(f"/v1/rollouts?policy={self.policy}&limit=1")["rollouts"]
        code = last[0]["phase"]["code"] if last else "none"
        if code in ("none", "promoted", "rolled_back", "superseded"):
            # The controller finds the label of the last one at its next look.
            if not last or last[0]["candidate"] >= self.published or self.rng.random() < 0.05:
                self.publish()
        elif code == "paused":
            self.command(last[0]["id"], "rollback")
        elif code == "watching":
            self.command(last[0]["id"], self.rng.choice(["rollback", "promote"]))
        elif code == "ramping":
            verb = self.rng.choice(["step", "step", "promote", "rollback"])
            if self.command(last[0]["id"], verb) and verb != "step":
                self.rollouts += 1
        time.sleep(self.rng.uniform(0, 0.1))

    def publish(self):
        text = f"Answer {{{{question}}}}. {self.rng.random()}"
        try:
            self.published = scene.publish(self.client, self.policy, text, ["canary"])
        except server.Lost:
            # It may have been published or not; another one comes when there is no rollout of it.
            self.published = 0
