"""Vectors at the boundary, from the real SDKs: does `<` or `<=` decide?

Random users almost never lie on a boundary, so that random vectors pass with either comparison. This
mines user keys that do, by a reference of its own, and asks the SDK itself what they get on both sides:
with a share that ends exactly at the user's cell, and with one that ends just behind it.

Run it with these versions; the output is `boundaries.json` beside it:

    pip install openfeature-flagd-core==2.0.0 launchdarkly-server-sdk==9.18.2 eppo-server-sdk==4.4.1 \
        optimizely-sdk==5.7.0 statsig==0.72.1
    python tests/conformance/assignment/make_boundaries.py
"""

import hashlib
import json
import pathlib
from importlib.metadata import version

import mmh3

ROWS_PER_SHARE = 3


def mined(cells, cell_of, want):
    """Users whose cell is `want`."""
    found, number = [], 0
    while len(found) < ROWS_PER_SHARE and number < 60 * cells:
        user = f"b-{number}"
        if cell_of(user) == want:
            found.append(user)
        number += 1
    assert found, want
    return found


def source(package):
    return f"mined; {package} {version(package)}"


def flagd_v3():
    from openfeature.contrib.tools.flagd.core.flagd_core import FlagdCore
    from openfeature.evaluation_context import EvaluationContext
    import cbor2

    core, rows = FlagdCore(), []
    for flag, total in [("checkout-canary", 100), ("my.feature", 10_000), ("sälz", 1_000)]:
        def cell(user):
            return (mmh3.hash(cbor2.dumps([flag, user], canonical=True), signed=False) * total) >> 32
        for weight in [total // 20, total // 4, total // 2]:
            for want in [weight - 1, weight]:
                for user in mined(total, cell, want):
                    dist = [["treatment", weight], ["control", total - weight]]
                    core.set_flags({"flags": {flag: {
                        "state": "ENABLED", "defaultVariant": "none",
                        "variants": {"treatment": "treatment", "control": "control", "none": "none"},
                        "targeting": {"fractional": dist}}}})
                    got = core.resolve_string_value(flag, "none", EvaluationContext(user)).value
                    rows.append({"scheme": "flagd-v3", "kind": "shorthand", "flag": flag, "id": user,
                                 "dist": dist, "expect_variant": got, "boundary": True,
                                 "source": source("openfeature-flagd-core")})
    return rows


def launchdarkly():
    from ldclient import Context
    from ldclient.impl.evaluator import Evaluator
    from ldclient.impl.evaluator_common import _bucket_context
    from ldclient.impl.events.types import EventFactory
    from ldclient.impl.model import FeatureFlag

    evaluator = Evaluator(lambda key: None, lambda key: None, lambda key: (None, ""))
    rows = []
    for key, salt, seed in [("checkout-canary", "8c1b", None), ("flag", "é", None), ("flag", "salty", 61)]:
        prefix = f"{key}.{salt}" if seed is None else str(seed)

        def cell(user):
            digest = hashlib.sha1(f"{prefix}.{user}".encode()).hexdigest()[:15]
            return int(int(digest, 16) / 0xFFFFFFFFFFFFFFF * 100_000)
        for number in range(6):
            # The cell of a user is as near to a boundary as LaunchDarkly's weights can be.
            user = f"b-{number}"
            for weight in [cell(user), cell(user) + 1]:
                weights = [[1, weight], [0, 100_000 - weight]]
                rollout = {"variations": [{"variation": v, "weight": w} for v, w in weights]}
                if seed is not None:
                    rollout["seed"] = seed
                flag = FeatureFlag({"key": key, "version": 1, "on": True, "salt": salt, "variations": [False, True],
                                    "fallthrough": {"rollout": rollout}})
                context = Context.create(user)
                detail = evaluator.evaluate(flag, context, EventFactory(False)).detail
                rows.append({"scheme": "launchdarkly", "kind": "bucket", "key": key, "salt": salt, "seed": seed,
                             "id": user, "expect_bucket": _bucket_context(seed, context, "user", key, salt, None),
                             "weights": weights, "expect_variation": detail.variation_index, "boundary": True,
                             "source": source("launchdarkly-server-sdk")})
    return rows


def eppo():
    from eppo_client import AssignmentLogger, ClientConfig, Configuration, init

    rows = []
    for salt, total in [("checkout-canary", 100), ("my.feature", 1_000), ("sälz", 10_000)]:
        def cell(user):
            return int.from_bytes(hashlib.md5(f"{salt}-{user}".encode()).digest()[:4], "big") % total
        wanted = [total // 20, total // 4, total // 2]
        flags = {}
        for end in wanted:
            split = {"variationKey": "in", "shards": [{"salt": salt, "ranges": [{"start": 0, "end": end}]}]}
            rest = {"variationKey": "out", "shards": []}
            flags[f"to-{end}"] = {
                "key": f"to-{end}", "enabled": True, "variationType": "STRING", "totalShards": total,
                "variations": {name: {"key": name, "value": name} for name in ["in", "out"]},
                "allocations": [{"key": "a", "rules": [], "splits": [split, rest], "doLog": False}]}
        ufc = {"createdAt": "2026-01-01T00:00:00.000Z", "format": "SERVER",
               "environment": {"name": "Test"}, "flags": flags}
        client = init(ClientConfig(
            api_key="none", base_url="http://127.0.0.1:9", assignment_logger=AssignmentLogger(),
            poll_interval_seconds=None,
            initial_configuration=Configuration(flags_configuration=json.dumps(ufc).encode())))
        for end in wanted:
            for want in [end - 1, end]:
                for user in mined(total, cell, want):
                    got = client.get_string_assignment(f"to-{end}", user, {}, "none")
                    assert got in ("in", "out"), got
                    rows.append({"scheme": "eppo", "kind": "shard", "salt": salt, "id": user, "total": total,
                                 "expect_shard": want, "end": end, "is_in": got == "in", "boundary": True,
                                 "source": source("eppo-server-sdk")})
        client.shutdown()
    return rows


def optimizely():
    from optimizely.bucketer import Bucketer

    class Project:
        class logger:
            @staticmethod
            def debug(_):
                pass

    bucketer, rows = Bucketer(), []
    for parent in ["checkout-canary", "20912930", "sälz"]:
        def cell(user):
            return (mmh3.hash(f"{user}{parent}", 1, signed=False) * 10_000) >> 32
        for end in [500, 2_500, 5_000]:
            ranges = [{"entityId": "in", "endOfRange": end}]
            for want in [end - 1, end]:
                for user in mined(10_000, cell, want):
                    got = bucketer.find_bucket(Project, user, parent, ranges)
                    rows.append({"scheme": "optimizely", "kind": "bucket", "parent": parent, "id": user,
                                 "expect_bucket": bucketer._generate_bucket_value(f"{user}{parent}"),
                                 "end": end, "is_in": got == "in", "boundary": True,
                                 "source": source("optimizely-sdk")})
    return rows


def statsig():
    from statsig.evaluator import _Evaluator
    from statsig.statsig_user import StatsigUser

    passes = _Evaluator(None, None)._Evaluator__eval_pass_percentage
    rows = []
    for spec_salt, rule_salt in [("checkout-canary", "3ITZ"), ("my.feature", "é"), ("sälz", "r")]:
        def cell(user):
            digest = hashlib.sha256(f"{spec_salt}.{rule_salt}.{user}".encode()).digest()
            return int.from_bytes(digest[:8], "big") % 10_000
        # 1.1 and 0.29 are more and less than themselves when they are multiplied by 100.
        for pct in [0.29, 1.1, 5, 25, 99.99]:
            edge = round(pct * 100)
            for want in [edge - 1, edge]:
                for user in mined(10_000, cell, want):
                    got = passes(StatsigUser(user), {"passPercentage": pct, "salt": rule_salt}, {"salt": spec_salt})
                    rows.append({"scheme": "statsig", "kind": "pass", "spec_salt": spec_salt,
                                 "rule_salt": rule_salt, "id": user, "pct": pct, "expect_in": got,
                                 "boundary": True, "source": source("statsig")})
    return rows


if __name__ == "__main__":
    rows = [row for make in [flagd_v3, launchdarkly, eppo, optimizely, statsig] for row in make()]
    lines = ",\n".join(json.dumps(row, ensure_ascii=False) for row in rows)
    path = pathlib.Path(__file__).with_name("boundaries.json")
    path.write_text(f"[\n{lines}\n]\n", encoding="utf-8")
    print(f"{len(rows)} rows in {path.name}")
