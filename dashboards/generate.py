#!/usr/bin/env python3
"""Writes both Grafana dashboards; with --check says whether they are what it would write.

The panels of a dashboard have much in common and are tedious to edit as JSON: what is common is a function
here, and what is said once cannot differ. Change this file, run it, and commit the JSON with it.
"""

import argparse
import json
import pathlib
import sys

from panels import (
    BAD, CONTROL, GOOD, PHASES, QUIET, STATUSES, TREATMENT, VERDICTS, WARN, WIDTH, Grid, by_name, by_pattern, column, dashboard, graph,
    link_to, queries, query, rollbacks, stat, table, timeline, transitions, variable, word,
)

HERE = pathlib.Path(__file__).resolve().parent


def overview():
    grid = Grid()
    chosen = 'policy=~"$policy"'
    of_phase = lambda phases: query(f'count(serin_rollout_phase{{{chosen}, phase=~"{phases}"}} == 1) or vector(0)')
    grid.row("Now")
    grid.add(stat("Rolled back", "Policies whose last rollout was taken back, or is being taken back.",
                  of_phase("rolling_back|rolled_back"), steps=((GOOD, None), (BAD, 1))), 4, 4)
    grid.add(stat("Paused", "Rollouts that wait for a person.", of_phase("paused"), steps=((GOOD, None), (WARN, 1))), 4, 4)
    grid.add(stat("Under way", "Rollouts on their way, with users in treatment or about to have some.",
                  of_phase("pending|ramping|promoting|watching"), steps=(("blue", None),)), 4, 4)
    grid.add(stat("Leaders", "Processes that run the rollouts; assignments go on without one, nothing else does.",
                  query("sum(serin_leader)"), steps=((BAD, None), (GOOD, 1), (BAD, 2))), 4, 4)
    grid.add(stat("Last tick", "How long ago the controller looked at everything; it does every second.",
                  query("time() - max(serin_last_tick_timestamp_seconds)"), unit="s", decimals=0,
                  steps=((GOOD, None), (WARN, 15), (BAD, 60))), 4, 4)
    grid.add(stat("Policy problems", "Errors in the files of the policy folder; the last good text stays in force.",
                  query('sum(serin_policy_problems{severity="error"})'), steps=((GOOD, None), (BAD, 1))), 4, 4)
    policies(grid, chosen)
    flow(grid, chosen)
    machinery(grid)
    policy = variable("policy", "Policy", "Which policies are shown", "label_values(serin_rollout_status, policy)", many=True)
    about = "Every policy of Serin, failing ones first; what comes in, and whether the machinery works."
    return dashboard("serin-overview", "Serin: overview", about, [policy], grid, [transitions("$policy"), rollbacks("$policy")],
                     link_to("Rollout", "serin-rollout"))


def policies(grid, chosen):
    grid.row("Policies")
    parts = [
        (f"serin_rollout_status{{{chosen}}}", "A"),
        (f"serin_rollout_phase{{{chosen}}} == 1", "B"),
        (f"serin_rollout_exposure_ratio{{{chosen}}}", "C"),
        (f"serin_rollout_step{{{chosen}}}", "D"),
        (f"serin_rollout_waiting{{{chosen}}} == 1", "E"),
        (f"time() - serin_rollout_changed_timestamp_seconds{{{chosen}}}", "F"),
        (f'serin_rollout_version{{{chosen}, arm="treatment"}}', "G"),
        (f"serin_rollout_verdict{{{chosen}}} == 1", "H"),
    ]
    names = {
        "policy": "Policy", "Value #A": "Status", "phase": "Phase", "Value #C": "Exposure", "Value #D": "Step", "reason": "Waits for",
        "Value #F": "In phase for", "Value #G": "Candidate", "verdict": "Verdict",
    }
    transformations = [
        {"id": "joinByField", "options": {"byField": "policy", "mode": "outer"}},
        {"id": "filterFieldsByName", "options": {"include": {"names": list(names)}}},
        {"id": "organize", "options": {
            "excludeByName": {}, "indexByName": {name: at for at, name in enumerate(names)}, "renameByName": names,
        }},
    ]
    overrides = [
        column("Policy", link="/d/serin-rollout?var-policy=${__value.text}"), column("Status", mappings=STATUSES),
        column("Phase", mappings={phase: (phase.replace("_", " "), color) for phase, color in PHASES.items()}),
        column("Exposure", unit="percentunit"), column("In phase for", unit="s"),
        column("Verdict", mappings={verdict: (verdict, color) for verdict, color in VERDICTS.items()}),
    ]
    grid.add(table("Rollouts", "One line for each policy: where its rollout stands, and what it waits for.",
                   [query(expression, ref=ref, instant=True, table=True) for expression, ref in parts], overrides, transformations,
                   sort_by="Status"), WIDTH, 9)
    grid.add(graph("Exposure", "Share of users in treatment.",
                   [query(f"serin_rollout_exposure_ratio{{{chosen}}}", "{{policy}}")], unit="percentunit", steps=True, low=0, high=1), 12, 8)
    grid.add(timeline("Status", "Running, at rest, or in need of a look.",
                      query(f"serin_rollout_status{{{chosen}}}", "{{policy}}"), STATUSES), 12, 8)
    grid.add(graph("Evidence against the candidate",
                   "How far all metrics together are on their way to proof that the candidate is worse: at 100% it is taken back.",
                   [query(f"serin_rollout_log_e_value{{{chosen}}} / on (instance, policy) serin_log_e_value_threshold{{{chosen}, test=\"worse\"}}",
                          "{{policy}}")], unit="percentunit"), 12, 8)
    grid.add(table("Transitions", "Moves since the process started, by what caused them.",
                   [query(f"sum by (policy, from, to, cause) (serin_rollout_transitions_total{{{chosen}}})", instant=True, table=True)],
                   transformations=[{"id": "organize", "options": {
                       "excludeByName": {"Time": True}, "indexByName": {}, "renameByName": {"Value": "Count"}}}]), 12, 8)


def flow(grid, chosen):
    grid.row("What comes in")
    grid.add(graph("Assignments", "Answers to the question which version a user gets.",
                   [query(f"sum by (arm) (rate(serin_assignments_total{{{chosen}}}[$__rate_interval]))", "{{arm}}")], unit="reqps",
                   overrides=arms(), stack=True), 8, 8)
    grid.add(graph("Observations", "Values that were counted for a rollout, each once.",
                   [query(f"sum by (arm) (rate(serin_observations_total{{{chosen}}}[$__rate_interval]))", "{{arm}}")], unit="ops",
                   overrides=arms(), stack=True), 8, 8)
    grid.add(graph("Not counted", "Lines of observations that were refused, or belong to no running comparison, by the reason.",
                   queries(("sum by (reason) (rate(serin_observations_refused_total[$__rate_interval]))", "refused: {{reason}}"),
                           ("sum by (reason) (rate(serin_observations_ignored_total[$__rate_interval]))", "ignored: {{reason}}")),
                   unit="ops"), 8, 8)
    grid.add(table("Tracing clients", "Scores, events and exports since the process started, by what became of them.",
                   [query("sum by (outcome) (serin_scores_total)", ref="A", instant=True, table=True),
                    query("sum by (source) (serin_trace_events_total)", ref="B", instant=True, table=True)],
                   transformations=[{"id": "merge", "options": {}}, {"id": "organize", "options": {
                       "excludeByName": {"Time": True}, "indexByName": {},
                       "renameByName": {"Value #A": "Scores", "Value #B": "Events and exports"}}}]), 8, 8)
    grid.add(graph("Requests", "HTTP requests answered, by status.",
                   [query("sum by (status) (rate(serin_http_requests_total[$__rate_interval]))", "{{status}}")], unit="reqps", stack=True), 8, 8)
    grid.add(graph("Time to answer", "99 of 100 requests are answered within this time, by route.",
                   [query("histogram_quantile(0.99, sum by (le, route) (rate(serin_http_request_duration_seconds_bucket[$__rate_interval])))",
                          "{{route}}")], unit="s"), 8, 8)
    grid.add(graph("Prompts", "Prompts given to applications, by where they were read: in the registry, or from the cache, fresh or stale.",
                   [query("sum by (registry, source) (rate(serin_prompt_reads_total[$__rate_interval]))", "{{registry}}: {{source}}")],
                   unit="ops", stack=True), 12, 7)
    grid.add(graph("Prompts refused", "Prompts that applications asked for and did not get, and why.",
                   [query("sum by (registry, reason) (rate(serin_prompt_refusals_total[$__rate_interval]))", "{{registry}}: {{reason}}")],
                   unit="ops"), 12, 7)
    grid.add(graph("Spans", "Spans of OpenTelemetry, by what became of them.",
                   [query("sum by (outcome) (rate(serin_spans_total[$__rate_interval]))", "{{outcome}}")], unit="ops", stack=True), 8, 7)
    grid.add(graph("Values from spans", "Values that were counted for a rollout and that spans say; they are among the observations.",
                   [query(f"sum by (metric) (rate(serin_span_values_total{{{chosen}}}[$__rate_interval]))", "{{metric}}")], unit="ops",
                   stack=True), 8, 7)
    grid.add(graph("Calls that wait", "Calls of models that wait in memory for the first span of their trace, which knows the user.",
                   queries(("sum(serin_span_calls_held)", "calls"))), 8, 7)


def machinery(grid):
    grid.row("Machinery")
    up = {"0": ("away", BAD), "1": ("there", GOOD)}
    grid.add(timeline("Registries, store and sources", "Whether each answered last, and whether what a source sent last could be counted; nothing advances without its registry, or the store.",
                      query('label_replace(serin_store_up, "registry", "the store", "", "") or serin_registry_up '
                            'or label_join(serin_source_up, "registry", "", "source")', "{{registry}}"), up), 12, 7)
    grid.add(graph("Label moves under way", "Label moves that are committed and not confirmed by read-back.",
                   [query("sum by (policy) (serin_rollout_label_moves_unconfirmed)", "{{policy}}")], steps=True, low=0), 12, 7)
    grid.add(table("Label moves", "Label moves that were tried since the process started, by what came of them.",
                   [query("sum by (registry, label, outcome) (serin_label_moves_total)", instant=True, table=True)],
                   transformations=[{"id": "organize", "options": {
                       "excludeByName": {"Time": True}, "indexByName": {}, "renameByName": {"Value": "Count"}}}]), 8, 7)
    grid.add(graph("Time of a label move", "From asking to reading back, since the process started.",
                   queries(("histogram_quantile(0.5, sum by (le) (serin_label_move_duration_seconds_bucket))", "half of them"),
                           ("histogram_quantile(0.99, sum by (le) (serin_label_move_duration_seconds_bucket))", "99 of 100")), unit="s"), 8, 7)
    grid.add(graph("Time of a tick", "One pass of the controller; one begins every second.",
                   queries(("histogram_quantile(0.5, sum by (le) (rate(serin_tick_duration_seconds_bucket[$__rate_interval])))", "half of them"),
                           ("histogram_quantile(0.99, sum by (le) (rate(serin_tick_duration_seconds_bucket[$__rate_interval])))", "99 of 100")),
                   unit="s"), 8, 7)
    grid.add(graph("Caches behind", "Time since the first of the label moves that a cache of applications has not followed.",
                   queries(("max by (cache) (serin_cache_behind_seconds) or on () vector(0)", "{{cache}}")), unit="s", low=0), 8, 7)
    grid.add(graph("Labels to clear", "Labels that moved, and whose keys were not cleared in a cache of applications since.",
                   queries(("sum by (cache) (serin_cache_uncleared) or on () vector(0)", "{{cache}}")), steps=True, low=0), 8, 7)
    grid.add(graph("Keys cleared", "Keys of labels that had moved, each time that they were cleared in a cache or were to be.",
                   queries(("sum by (cache, outcome) (rate(serin_cache_clearings_total[$__rate_interval])) or on () vector(0)",
                            "{{cache}}: {{outcome}}")), unit="ops"), 8, 7)
    grid.add(graph("Notifications", "Attempts to tell people what their policies say, by what came of them.",
                   [query("sum by (outcome) (rate(serin_notices_total[$__rate_interval]))", "{{outcome}}")], unit="ops", stack=True), 8, 7)
    grid.add(graph("Notifications that wait", "Notifications that wait because they, or one before them, were not taken.",
                   [query("sum by (policy) (serin_notices_waiting)", "{{policy}}")], steps=True, low=0), 8, 7)
    grid.add(graph("Spans of Serin's own", "Spans that Serin tells of itself, where an endpoint takes them, by what became of them.",
                   [query("sum by (outcome) (rate(serin_own_spans_total[$__rate_interval]))", "{{outcome}}")], unit="ops", stack=True), 8, 7)
    grid.add(table("Length of rollouts", "From start to end, on average, since the process started.",
                   [query("sum by (policy, outcome) (serin_rollout_duration_seconds_sum) / sum by (policy, outcome) (serin_rollout_duration_seconds_count)",
                          instant=True, table=True)],
                   overrides=[column("Length", unit="s")],
                   transformations=[{"id": "organize", "options": {
                       "excludeByName": {"Time": True}, "indexByName": {}, "renameByName": {"Value": "Length"}}}]), 12, 7)
    grid.add(table("Versions", "The version of Serin that runs, by process.",
                   [query("serin_build_info", instant=True, table=True)],
                   transformations=[{"id": "organize", "options": {
                       "excludeByName": {"Time": True, "Value": True, "__name__": True}, "indexByName": {}, "renameByName": {}}}]), 12, 7)


def arms():
    return [by_name("control", color=CONTROL), by_name("treatment", color=TREATMENT)]


def rollout():
    grid = Grid()
    chosen = 'policy="$policy"'
    standing(grid, chosen)
    metric(grid, 'policy="$policy", metric="$metric"')
    data(grid, chosen)
    variables = [
        variable("policy", "Policy", "The policy whose rollout is shown", "label_values(serin_rollout_status, policy)", many=False),
        variable("metric", "Metric", "Which metrics are shown", 'label_values(serin_metric_samples{policy="$policy"}, metric)', many=True),
    ]
    about = "One rollout: where it stands, each metric in both arms, the difference with its bounds, and the evidence."
    return dashboard("serin-rollout", "Serin: rollout", about, variables, grid, [transitions("$policy"), rollbacks("$policy")],
                     link_to("Overview", "serin-overview"))


def standing(grid, chosen):
    grid.row("Where it stands")
    grid.add(word("Phase", "Where the rollout is between pending and promoted, or rolled back.",
                  query(f"serin_rollout_phase{{{chosen}}} == 1", "{{phase}}"), PHASES), 4, 4)
    grid.add(word("Verdict", "What all metrics say together.",
                  query(f"serin_rollout_verdict{{{chosen}}} == 1", "{{verdict}}"), VERDICTS), 4, 4)
    grid.add(word("Waits for", "Why the rollout does not move.", query(f"serin_rollout_waiting{{{chosen}}} == 1", "{{reason}}"), {}), 4, 4)
    grid.add(stat("Control", "The prompt version that users had before.",
                  query(f'serin_rollout_version{{{chosen}, arm="control"}}'), steps=((CONTROL, None),)), 3, 4)
    grid.add(stat("Treatment", "The prompt version on trial.",
                  query(f'serin_rollout_version{{{chosen}, arm="treatment"}}'), steps=((TREATMENT, None),)), 3, 4)
    grid.add(stat("Step", "Step of the ladder, from 1; 0 outside of it.", query(f"serin_rollout_step{{{chosen}}}")), 2, 4)
    grid.add(stat("In phase for", "Time since the last transition, pauses included.",
                  query(f"time() - serin_rollout_changed_timestamp_seconds{{{chosen}}}"), unit="s", decimals=0), 4, 4)
    ladder = [
        by_name("exposure", color=TREATMENT, width=3), by_pattern("^step ", color=QUIET, dashed=True, width=1),
    ]
    grid.add(graph("Exposure ladder", "Share of users in treatment, and the steps that the policy allows.",
                   queries((f"serin_rollout_exposure_ratio{{{chosen}}}", "exposure"),
                           (f"serin_rollout_step_exposure_ratio{{{chosen}}}", "step {{step}}")),
                   unit="percentunit", overrides=ladder, steps=True, low=0, high=1), 12, 8)
    proof = [by_name("proof", color=BAD, dashed=True), by_name("evidence", color=TREATMENT, width=3)]
    grid.add(graph("Evidence of all metrics against the candidate",
                   "Log e-value of all metrics together; at the threshold the candidate is proved to be worse, and is taken back.",
                   queries((f"serin_rollout_log_e_value{{{chosen}}}", "evidence"),
                           (f'serin_log_e_value_threshold{{{chosen}, test="worse"}}', "proof")), overrides=proof), 12, 8)
    grid.add(graph("Time in the step", "Time in the present step without pauses, and the least that it must be; the step is left later "
                   "where samples or evidence are missing.",
                   queries((f"time() - serin_rollout_entered_timestamp_seconds{{{chosen}}}", "in the step"),
                           (f"serin_rollout_bake_seconds{{{chosen}}}", "bake")),
                   unit="s", overrides=[by_name("bake", color=QUIET, dashed=True)], steps=True), 12, 7)
    grid.add(graph("Label moves under way", "Label moves that are committed and not confirmed by read-back.",
                   [query(f"serin_rollout_label_moves_unconfirmed{{{chosen}}}", "unconfirmed")], steps=True, low=0), 6, 7)
    grid.add(stat("Since the start", "Time since this rollout began.",
                  query(f"time() - serin_rollout_started_timestamp_seconds{{{chosen}}}"), unit="s", decimals=0), 6, 7)


def metric(grid, chosen):
    grid.row("$metric: control | treatment", repeat="metric")
    for arm, color, limit in [("control", CONTROL, False), ("treatment", TREATMENT, True)]:
        targets = [(f'serin_metric_value{{{chosen}, arm="{arm}"}}', arm)]
        if limit:
            targets.append((f"serin_metric_limit{{{chosen}}}", "limit"))
        grid.add(graph(f"$metric in {arm}", "Mean of the observations; of a latency with quantiles, the highest of them."
                       + (" The limit is the policy's floor or ceiling." if limit else ""),
                       queries(*targets), overrides=[by_name(arm, color=color), by_name("limit", color=BAD, dashed=True)]), 12, 7)
    band = [
        by_name("upper", color=QUIET, fill_to="lower", width=1), by_name("lower", color=QUIET, width=1),
        by_name("estimate", color=TREATMENT, width=3), by_name("tolerated", color=BAD, dashed=True),
    ]
    grid.add(graph("Difference of $metric",
                   "Treatment minus control with its confidence interval, which holds for all looks at once, and the tolerated worsening; "
                   "in units of the metric, or as a share of control's where they are compared as ratios.",
                   queries((f"serin_metric_difference{{{chosen}}}", "{{bound}}"),
                           (f"serin_metric_tolerated_difference{{{chosen}}}", "tolerated")), overrides=band), 12, 9)
    on = "on (instance, policy) group_left"
    tests = [
        (f"serin_metric_log_e_value{{{chosen}}}", "worse", "worse"),
        (f"serin_metric_non_inferiority_log_e_value{{{chosen}}}", "non_inferiority", "no worse than the margin"),
        (f"serin_metric_limit_log_e_value{{{chosen}}}", "limit", "beyond its limit"),
    ]
    shares = [(f'{value} / {on} serin_log_e_value_threshold{{policy="$policy", test="{test}"}}', legend) for value, test, legend in tests]
    colors = [by_name("worse", color=BAD), by_name("no worse than the margin", color=GOOD), by_name("beyond its limit", color=WARN)]
    grid.add(graph("Evidence on $metric",
                   "Log e-values as shares of their thresholds: at 100% the candidate is proved to be worse, to be no worse than the margin, "
                   "or to be beyond the policy's floor or ceiling.",
                   queries(*shares), unit="percentunit", overrides=colors), 12, 9)
    for arm, color in [("control", CONTROL), ("treatment", TREATMENT)]:
        targets = [(f'serin_metric_samples{{{chosen}, arm="{arm}"}}', arm)]
        grid.add(graph(f"Samples of $metric in {arm}", "Observations in the comparison.", queries(*targets),
                       overrides=[by_name(arm, color=color)], low=0), 6, 6)
    grid.add(word("Verdict on $metric", "What this metric says by itself.",
                  query(f"serin_metric_verdict{{{chosen}}} == 1", "{{verdict}}"), VERDICTS), 4, 6)
    grid.add(stat("Last observation of $metric", "How long ago the last observation of either arm arrived.",
                  query(f"time() - serin_metric_last_observation_timestamp_seconds{{{chosen}}}"), unit="s", decimals=0,
                  steps=((GOOD, None), (WARN, 3600), (BAD, 86400))), 4, 6)
    grid.add(stat("Samples still needed for $metric", "About how many more treated observations until it passes; unknown is 0.",
                  query(f"serin_metric_samples_needed{{{chosen}}} or 0 * serin_metric_margin{{{chosen}}}")), 4, 6)


def data(grid, chosen):
    grid.row("Users and observations: control | treatment")
    for arm, color in [("control", CONTROL), ("treatment", TREATMENT)]:
        grid.add(graph(f"Users observed in {arm}", "Users of whom there is an observation, each once"
                       + (", and how many were planned." if arm == "treatment" else "."),
                       queries((f'serin_sample_ratio_users{{{chosen}, arm="{arm}"}}', arm),
                               *([(f"serin_sample_ratio_planned_users{{{chosen}}}", "planned")] if arm == "treatment" else [])),
                       overrides=[by_name(arm, color=color), by_name("planned", color=QUIET, dashed=True)], low=0), 12, 7)
    grid.add(graph("Sample ratio",
                   "Evidence that users, or those with observations that were left out, did not come to the arms as planned; at the "
                   "threshold no comparison holds.",
                   queries((f"serin_sample_ratio_log_e_value{{{chosen}}}", "users"),
                           (f"serin_exclusion_ratio_log_e_value{{{chosen}}}", "left out"),
                           (f'serin_log_e_value_threshold{{{chosen}, test="sample_ratio"}}', "proof")),
                   overrides=[by_name("proof", color=BAD, dashed=True)]), 12, 8)
    grid.add(graph("Left out", "Observations that the comparison leaves out: the application served a fallback, or a value was out of range.",
                   [query(f"serin_observations_excluded{{{chosen}}}", "{{arm}}: {{reason}}")], low=0), 12, 8)
    grid.add(graph("Assignments", "Answers by arm, and why that arm.",
                   [query(f"sum by (arm, reason) (rate(serin_assignments_total{{{chosen}}}[$__rate_interval]))", "{{arm}}: {{reason}}")],
                   unit="reqps", stack=True), 12, 8)
    grid.add(graph("Observations", "Values counted, by arm and metric.",
                   [query(f"sum by (arm, metric) (rate(serin_observations_total{{{chosen}}}[$__rate_interval]))", "{{arm}}: {{metric}}")],
                   unit="ops", stack=True), 12, 8)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing, and fail when a dashboard differs")
    options = parser.parse_args()
    differing = []
    for made in (overview(), rollout()):
        file = HERE / f"{made['uid']}.json"
        text = json.dumps(made, indent=2, ensure_ascii=False) + "\n"
        if not options.check:
            file.write_text(text)
        elif not file.exists() or file.read_text() != text:
            differing.append(file.name)
    if differing:
        print(f"not what generate.py writes: {', '.join(differing)}")
    return 1 if differing else 0


if __name__ == "__main__":
    sys.exit(main())
