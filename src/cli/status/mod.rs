//! `serin status`: every policy on one line.

mod watch;

use super::client::{Client, Connection, view};
use super::figures::{self, NOTHING};
use super::help::examples;
use super::ladder::{ladder, phase_style, verdict_style};
use super::rollouts::unknown_policy;
use super::screen::{self, BAD, CAUTION, Cell, FAINT, Flush, PLAIN, STRONG, Table, paint};
use super::wire::{PolicyLine, PolicyProblem, Rollout, Status, Trouble};
use crate::ids::PolicyName;
use serde_json::Value;

/// Show how every policy stands, and what its rollout waits for
///
/// The ladder shows the exposure of each step: `▸[25%]` is where users are, `‖[25%]` where it is
/// paused, `✗` stands before one that was taken back, `✓` behind one that reached its end. Below the
/// table is what is wrong with policy files, and which part of the world does not answer.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "$ serin status"
    "$ serin status order-status-answer --json"
    "$ serin status --watch"
    "$ serin status --ready"
))]
pub(crate) struct StatusArgs {
    /// Policies to show [default: all]
    #[arg(value_name = "POLICY")]
    policies: Vec<PolicyName>,
    /// Say only whether the server is ready, as supervisors ask; needs no token
    #[arg(long, conflicts_with = "policies")]
    ready: bool,
    /// Go on showing what changes, until Ctrl-C
    ///
    /// On a terminal the table is drawn in place; elsewhere each change is a line.
    #[arg(long, short, conflicts_with_all = ["ready", "json"])]
    watch: bool,
    #[command(flatten)]
    connection: Connection,
}

const COLUMNS: [(&str, Flush); 8] = [
    ("POLICY", Flush::Left),
    ("ROLLOUT", Flush::Left),
    ("VERSIONS", Flush::Left),
    ("PHASE", Flush::Left),
    ("LADDER", Flush::Left),
    ("EXPOSURE", Flush::Right),
    ("VERDICT", Flush::Left),
    ("WAITS FOR", Flush::Left),
];

/// Runs the verb.
pub(crate) async fn run(args: &StatusArgs) -> anyhow::Result<()> {
    let client = Client::new(&args.connection, None)?;
    if args.ready {
        return ready(&client, args.connection.json).await;
    }
    if args.watch {
        return watch::run(&client, args).await;
    }
    let (answer, status) = look(&client, args).await?;
    if args.connection.json {
        screen::print_json(&answer)?;
    } else {
        screen::print(&render(&status, screen::width()))?;
    }
    Ok(())
}

/// The status of the policies that are asked for: the server's answer, and what is shown of it.
async fn look(client: &Client, args: &StatusArgs) -> anyhow::Result<(Value, Status)> {
    let mut answer = client.get(&["v1", "status"], &[]).await?;
    let mut status: Status = view(&answer)?;
    if !args.policies.is_empty() {
        for policy in &args.policies {
            let known = || status.policies.iter().map(|line| line.policy.as_str());
            if !known().any(|name| name == policy.as_str()) {
                return Err(unknown_policy(policy.as_str(), known()));
            }
        }
        let is_asked = |name: &str| args.policies.iter().any(|policy| policy.as_str() == name);
        status.policies.retain(|line| is_asked(&line.policy));
        status.problems.clear();
        if let Some(Value::Array(lines)) = answer.get_mut("policies") {
            lines.retain(|line| line["policy"].as_str().is_some_and(is_asked));
        }
    }
    Ok((answer, status))
}

/// A server that is not ready is a failure.
async fn ready(client: &Client, json: bool) -> anyhow::Result<()> {
    let answer = client.get(&["readyz"], &[]).await?;
    if json {
        screen::print_json(&answer)?;
    } else {
        screen::print("ready\n")?;
    }
    Ok(())
}

/// Everything, for a terminal of `width` columns where there is one.
fn render(status: &Status, width: Option<usize>) -> String {
    let mut text = if status.policies.is_empty() {
        "no policies: put a policy file into the folder that the server was started with\n".to_owned()
    } else {
        table(&status.policies, width)
    };
    if !status.troubles.is_empty() {
        text.push_str(&format!("\n{}\n", paint(STRONG, "DOES NOT ANSWER")));
        status
            .troubles
            .iter()
            .for_each(|trouble| text.push_str(&trouble_line(trouble)));
    }
    if !status.problems.is_empty() {
        text.push_str(&format!("\n{}\n", paint(STRONG, "PROBLEMS OF POLICY FILES")));
        status
            .problems
            .iter()
            .for_each(|problem| text.push_str(&problem_lines(problem)));
    }
    text
}

fn table(policies: &[PolicyLine], width: Option<usize>) -> String {
    let mut table = Table::new(&COLUMNS);
    for line in policies {
        table.row(cells(line));
    }
    if width.is_none_or(|width| table.width() <= width) {
        return table.render("");
    }
    // The sentence gets a line of its own, before the terminal breaks it anywhere.
    let mut narrow = Table::new(&COLUMNS[..COLUMNS.len() - 1]);
    for line in policies {
        let mut cells = cells(line);
        let sentence = cells.pop().filter(|sentence| !sentence.is_empty());
        narrow.row(cells);
        if let Some(sentence) = sentence {
            narrow.note(format!("  {} {}", paint(FAINT, "└"), sentence.render()));
        }
    }
    narrow.render("")
}

fn cells(line: &PolicyLine) -> Vec<Cell> {
    let name = Cell::new(STRONG, &line.policy);
    let Some(rollout) = &line.rollout else {
        let nothing = || Cell::new(FAINT, NOTHING);
        let idle = Cell::new(FAINT, "no rollout");
        return vec![
            name,
            nothing(),
            nothing(),
            idle,
            nothing(),
            nothing(),
            nothing(),
            Cell::plain(""),
        ];
    };
    let exposure = rollout
        .exposure
        .map_or_else(|| NOTHING.to_owned(), figures::percentage);
    let verdict = rollout.verdict.as_deref().unwrap_or(NOTHING);
    vec![
        name,
        Cell::plain(&rollout.id),
        Cell::plain(format!("{} → {}", rollout.stable, rollout.candidate)),
        Cell::new(phase_style(&rollout.phase.code), phase_words(rollout)),
        Cell::plain(ladder(rollout)),
        Cell::plain(exposure),
        Cell::new(verdict_style(verdict), verdict),
        Cell::new(sentence_style(rollout), sentence(rollout)),
    ]
}

/// What it waits for, or how it ended; without the phase, which has its own column.
fn sentence(rollout: &Rollout) -> &str {
    match &rollout.stay {
        Some(stay) if stay.code != "ended" => &stay.text,
        Some(_) | None => {
            let text = rollout.phase.text.as_str();
            let rest = text.strip_prefix(&phase_words(rollout));
            rest.and_then(|rest| rest.strip_prefix(": ")).unwrap_or(text)
        }
    }
}

fn phase_words(rollout: &Rollout) -> String {
    rollout.phase.code.replace('_', " ")
}

fn sentence_style(rollout: &Rollout) -> anstyle::Style {
    match rollout.stay.as_ref().map(|stay| stay.code.as_str()) {
        Some("paused" | "registry_away" | "no_data" | "stepped_back" | "overruled" | "approval") => CAUTION,
        Some(_) | None => PLAIN,
    }
}

fn trouble_line(trouble: &Trouble) -> String {
    let what = match (&trouble.registry, &trouble.cache, &trouble.policy) {
        (Some(registry), _, _) => format!("registry `{registry}`"),
        (None, Some(cache), _) => format!("cache `{cache}`"),
        (None, None, Some(policy)) => format!("notifications of `{policy}`"),
        (None, None, None) => format!("the {}", trouble.code),
    };
    format!(
        "  {} {}\n",
        paint(BAD, &format!("{what}:")),
        screen::harmless(&trouble.error)
    )
}

fn problem_lines(problem: &PolicyProblem) -> String {
    let PolicyProblem {
        code,
        severity,
        file,
        line,
        column,
        message,
        help,
    } = problem;
    let style = if severity == "error" { BAD } else { CAUTION };
    let place = if *line == 0 {
        format!("{file}:")
    } else {
        format!("{file}:{line}:{column}:")
    };
    let mut text = format!(
        "  {} {} {}\n",
        screen::harmless(&place),
        paint(style, &format!("{severity} {code}:")),
        screen::harmless(message)
    );
    if let Some(help) = help {
        text.push_str(&format!(
            "    {} {}\n",
            paint(FAINT, "help:"),
            screen::harmless(help)
        ));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn status() -> Status {
        let rollout = |id, phase: Value, verdict, stay: Value| {
            json!({
                "id": id, "policy": "order-status-answer", "stable": 3, "candidate": 4, "phase": phase,
                "exposure": 0.25, "ladder": [0.05, 0.25, 0.5, 1.0], "verdict": verdict, "stay": stay,
                "changedAt": "2026-11-21T12:00:00Z"
            })
        };
        let ramping = json!({"code": "ramping", "step": 2, "text": "in step 2"});
        let undecided = json!({"code": "undecided", "text": "needs about 412 more treated observations of `faithfulness`"});
        let paused =
            json!({"code": "paused", "from": {"code": "ramping", "step": 1}, "text": "paused in step 1: …"});
        let waits =
            json!({"code": "paused", "text": "paused until somebody resumes it: ann asked for it: lunch"});
        let back = json!({"code": "rolled_back", "text": "rolled back: the candidate is worse in `errors`"});
        let ended = json!({"code": "ended", "text": "the rollout is over"});
        let answer = json!({
            "policies": [
                {"policy": "farewell", "rollout": null},
                {"policy": "greeting", "rollout": rollout("r7", paused, json!("invalid"), waits)},
                {"policy": "order-status-answer", "rollout": rollout("r17", ramping, json!("inconclusive"), undecided)},
                {"policy": "refund", "rollout": rollout("r5", back, Value::Null, ended)},
            ],
            "problems": [{
                "code": "SRN011", "severity": "error", "file": "policies/x.yaml", "line": 5, "column": 3,
                "message": "unknown key `promt` in `spec`", "help": "did you mean `prompt`?"
            }],
            "troubles": [
                {"code": "registry", "registry": "embedded", "error": "no answer within 5 s"},
                {"code": "store", "error": "the disk is full"},
            ]
        });
        view(&answer).unwrap()
    }

    fn shown(width: Option<usize>) -> String {
        anstream::adapter::strip_str(&render(&status(), width)).to_string()
    }

    #[test]
    fn every_policy_has_a_line() {
        insta::assert_snapshot!(shown(None), @"
        POLICY               ROLLOUT  VERSIONS  PHASE        LADDER              EXPOSURE  VERDICT       WAITS FOR
        farewell             –        –         no rollout   –                          –  –
        greeting             r7       3 → 4     paused       ‖[5%] 25% 50% 100%       25%  invalid       paused until somebody resumes it: ann asked for it: lunch
        order-status-answer  r17      3 → 4     ramping      5% ▸[25%] 50% 100%       25%  inconclusive  needs about 412 more treated observations of `faithfulness`
        refund               r5       3 → 4     rolled back  ✗ 5% 25% 50% 100%        25%  –             the candidate is worse in `errors`

        DOES NOT ANSWER
          registry `embedded`: no answer within 5 s
          the store: the disk is full

        PROBLEMS OF POLICY FILES
          policies/x.yaml:5:3: error SRN011: unknown key `promt` in `spec`
            help: did you mean `prompt`?
        ");
    }

    #[test]
    fn on_a_narrow_terminal_the_sentence_has_a_line_of_its_own() {
        let narrow = shown(Some(90));
        insta::assert_snapshot!(narrow, @"
        POLICY               ROLLOUT  VERSIONS  PHASE        LADDER              EXPOSURE  VERDICT
        farewell             –        –         no rollout   –                          –  –
        greeting             r7       3 → 4     paused       ‖[5%] 25% 50% 100%       25%  invalid
          └ paused until somebody resumes it: ann asked for it: lunch
        order-status-answer  r17      3 → 4     ramping      5% ▸[25%] 50% 100%       25%  inconclusive
          └ needs about 412 more treated observations of `faithfulness`
        refund               r5       3 → 4     rolled back  ✗ 5% 25% 50% 100%        25%  –
          └ the candidate is worse in `errors`

        DOES NOT ANSWER
          registry `embedded`: no answer within 5 s
          the store: the disk is full

        PROBLEMS OF POLICY FILES
          policies/x.yaml:5:3: error SRN011: unknown key `promt` in `spec`
            help: did you mean `prompt`?
        ");
        assert_eq!(shown(Some(1_000)), shown(None));
    }
}
