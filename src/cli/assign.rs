//! `serin assign`: what users get.

use super::client::{Client, Connection, view};
use super::figures::NOTHING;
use super::help::examples;
use super::screen::{self, CAUTION, Cell, FAINT, Flush, GOOD, PLAIN, Table};
use super::users::UserArgs;
use super::wire::{Assignment, AssignmentOutcome};
use crate::ids::PolicyName;
use anyhow::Context as _;
use serde_json::{Value, json};

/// Users that are asked about at once; a server answers so many.
const BATCH_USERS_MAX: usize = 1_000;

/// Show which arm, label and version users get, and why
///
/// Asking counts as an assignment in the server's telemetry, and changes nothing else.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "$ serin assign order-status-answer anna bob"
    "$ serin assign refund-assistant anna --attribute region=eu --attribute appVersion=2.4.0"
    "$ cut -f1 users.tsv | serin assign order-status-answer - --json | jq -r .arm | sort | uniq -c"
))]
pub(crate) struct Assign {
    /// The policy
    #[arg(value_name = "POLICY")]
    policy: PolicyName,
    #[command(flatten)]
    users: UserArgs,
    /// What is known about the users, such as `region=eu`, `seats=12` or `beta=true`; can be repeated.
    /// Text that looks like a number takes quotes: `zip="01234"`
    #[arg(long = "attribute", value_name = "NAME=VALUE", value_parser = attribute)]
    attributes: Vec<(String, Value)>,
    #[command(flatten)]
    connection: Connection,
}

/// Reads `NAME=VALUE`; the value is what JSON makes of it, or else text.
fn attribute(text: &str) -> Result<(String, Value), String> {
    let (name, value) = text
        .split_once('=')
        .ok_or_else(|| "must be NAME=VALUE, such as `region=eu`".to_owned())?;
    let value = match serde_json::from_str(value) {
        Ok(read @ (Value::Bool(_) | Value::Number(_) | Value::String(_))) => read,
        Ok(Value::Null | Value::Array(_) | Value::Object(_)) | Err(_) => Value::from(value),
    };
    Ok((name.to_owned(), value))
}

/// Runs the verb.
pub(crate) async fn run(args: &Assign) -> anyhow::Result<()> {
    let client = Client::new(&args.connection, None)?;
    let mut users = args.users.keys()?;
    loop {
        let batch = users
            .by_ref()
            .take(BATCH_USERS_MAX)
            .collect::<anyhow::Result<Vec<String>>>()?;
        if batch.is_empty() {
            return Ok(());
        }
        let outcomes = ask(&client, args, &batch).await?;
        if args.connection.json {
            print_lines(&batch, outcomes)?;
        } else {
            print_table(&batch, &outcomes)?;
        }
    }
}

/// One outcome for each user, none of them refused.
async fn ask(client: &Client, args: &Assign, users: &[String]) -> anyhow::Result<Vec<Value>> {
    let policy = args.policy.as_str();
    let attributes: Value = args.attributes.iter().cloned().collect();
    let requests: Vec<Value> = users
        .iter()
        .map(|user| json!({"policy": policy, "user": user, "attributes": attributes}))
        .collect();
    let mut answer = client
        .post(&["v1", "assignments"], &json!({"requests": requests}))
        .await?;
    let Value::Array(outcomes) = answer["assignments"].take() else {
        anyhow::bail!("the server's answer has no assignments");
    };
    anyhow::ensure!(
        outcomes.len() == users.len(),
        "the server's answer has not one assignment for each user"
    );
    for outcome in &outcomes {
        if let Some(problem) = view::<AssignmentOutcome>(outcome)?.problem {
            anyhow::bail!("{} [{}]", problem.detail, problem.code);
        }
    }
    Ok(outcomes)
}

fn print_lines(users: &[String], outcomes: Vec<Value>) -> anyhow::Result<()> {
    let mut text = String::new();
    for (user, mut outcome) in users.iter().zip(outcomes) {
        let mut line = json!({"user": user});
        if let (Value::Object(line), Value::Object(assignment)) = (&mut line, outcome["assignment"].take()) {
            line.extend(assignment);
        }
        text.push_str(&format!("{line}\n"));
    }
    screen::print_exactly(&text)?;
    Ok(())
}

fn print_table(users: &[String], outcomes: &[Value]) -> anyhow::Result<()> {
    let mut table = Table::new(&[
        ("POLICY", Flush::Left),
        ("USER", Flush::Left),
        ("ARM", Flush::Left),
        ("LABEL", Flush::Left),
        ("VERSION", Flush::Right),
        ("REASON", Flush::Left),
    ]);
    for (user, outcome) in users.iter().zip(outcomes) {
        let outcome: AssignmentOutcome = view(outcome)?;
        let assignment: Assignment = outcome
            .assignment
            .context("the server's answer has no assignment")?;
        let arm = if assignment.arm == "treatment" {
            GOOD
        } else {
            PLAIN
        };
        let reason = match assignment.reason.as_str() {
            "split" => FAINT,
            "forced" | "holdback" | "attribute_missing" | "not_targeted" | "outside_segment"
            | "other_in_group" | "reserved" => CAUTION,
            _ => PLAIN,
        };
        let why = assignment.reason.replace('_', " ");
        let why = match &assignment.attribute {
            Some(attribute) => format!("{why}: {attribute}"),
            None => why,
        };
        table.row([
            Cell::plain(&assignment.policy),
            Cell::plain(user),
            Cell::new(arm, &assignment.arm),
            Cell::plain(&assignment.label),
            assignment.version.map_or_else(
                || Cell::new(FAINT, NOTHING),
                |version| Cell::plain(version.to_string()),
            ),
            Cell::new(reason, why),
        ]);
    }
    screen::print(&table.render(""))?;
    Ok(())
}
