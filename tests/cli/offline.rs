//! Verbs that need no server, and what all verbs have in common.

use super::world::{binary, serin, serin_reading, serin_with, words};
use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpListener;
use std::process::Stdio;

const SECRET: (&str, &str) = (
    "SERIN_SECRET",
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f",
);

/// A port of this machine that nobody listens on.
fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port()
}

#[test]
fn hash_agrees_with_the_conformance_vectors() {
    let vectors: Value = serde_json::from_str(include_str!("../conformance/assignment/serin.json")).unwrap();
    let rows = vectors["users"].as_array().unwrap();
    assert!(rows.len() > 10);
    for row in rows {
        let text = |field: &str| row[field].as_str().unwrap_or_default();
        let candidate = row["candidate"].to_string();
        let salt = match row["salt"].as_str() {
            Some(salt) => vec!["--salt", salt],
            None => vec!["--policy", text("policy"), "--candidate", &candidate],
        };
        let secret = [("SERIN_SECRET", text("secret"))];
        let args = [&["hash", "--json"], &salt[..]].concat();
        // No argument can hold a NUL, and no line a line break.
        let shown = if text("user").contains('\0') {
            serin_reading(text("user"), &secret, &[&args[..], &["-"]].concat())
        } else {
            serin_with(&secret, &[&args[..], &["--", text("user")]].concat())
        };
        let shown = shown.json_lines();
        assert_eq!(shown.len(), 1);
        assert_eq!(shown[0]["user"], row["user"]);
        assert_eq!(shown[0]["bucket"], row["bucket"]);
        assert_eq!(shown[0]["cluster"], row["cluster"]);
    }
}

#[test]
fn hash_shows_a_table() {
    let shown = serin_with(
        &[SECRET],
        &[
            "hash",
            "--policy",
            "order-status-answer",
            "--candidate",
            "7",
            "u",
            "user-1",
        ],
    );
    insta::assert_snapshot!(shown.good(), @"
        USER    BUCKET                  SHARE  CLUSTER
        u       42eb131353bfa0e2  26.1399452%      123
        user-1  25d448d4f516506b  14.7770454%       44
        ");
}

#[test]
fn users_come_from_a_file_or_standard_input_as_well() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), "anna\r\nbob\n\n carol ").unwrap();
    let path = file.path().to_str().unwrap();
    let from_file = serin_with(&[SECRET], &["hash", "--salt", "s", "--json", "--users", path]).json_lines();
    let users: Vec<&str> = from_file
        .iter()
        .map(|line| line["user"].as_str().unwrap())
        .collect();
    assert_eq!(users, ["anna", "bob", " carol "]);
    let input = std::fs::read_to_string(path).unwrap();
    let from_input = serin_reading(&input, &[SECRET], &["hash", "--salt", "s", "--json", "-"]).json_lines();
    assert_eq!(from_input, from_file);
}

#[test]
fn a_bad_line_is_named_without_its_content() {
    let input = format!("anna\n{}\n", "x".repeat(257));
    let ran = serin_reading(&input, &[SECRET], &["hash", "--salt", "s", "-"]);
    insta::assert_snapshot!(ran.page(), @"
    exit code 1
    -- stdout
    -- stderr
    error: cannot use line 2 of `standard input`
      caused by: `…` is not a user key: must be 1 to 256 bytes of UTF-8
    ");
}

#[test]
fn the_secret_is_never_a_flag() {
    insta::assert_snapshot!(serin(&["hash", "--salt", "s", "anna"]).page(), @"
    exit code 1
    -- stdout
    -- stderr
    error: the secret that users are hashed with is needed

    hint: set SERIN_SECRET or name a file with `--secret-file`
    ");
    insta::assert_snapshot!(serin_with(&[("SERIN_SECRET", "abc")], &["hash", "--salt", "s", "anna"]).page(), @"
    exit code 1
    -- stdout
    -- stderr
    error: the secret in `SERIN_SECRET` must be 64 hexadecimal digits: make one with `openssl rand -hex 32`
    ");
}

#[test]
fn nonsense_is_a_usage_error() {
    for line in [
        "no-such-verb",
        "hash",
        "hash --salt s",
        "hash --salt s --policy p --candidate 1 u",
        "hash --policy p u",
        "hash --policy P --candidate 1 u",
        "hash --policy p --candidate 0 u",
        "hash --salt s - u",
        "hash --salt s ''",
        "status --server 127.0.0.1:8080",
        "status --server ftp://127.0.0.1",
        "rollback greeting",
        "rollback Greeting --reason x",
        "rollback greeting --reason ' '",
        "start greeting --candidate 0 --reason x",
        "prompt create greeting --reason x",
        "prompt create greeting --text - --chat - --reason x",
        "prompt create greeting --text - --config - --reason x",
        "prompt create greeting --text - --semver 1 --reason x",
        "prompt show greeting --label a --version 1",
        "prompt label greeting canary --reason x",
        "prompt evaluate greeting 1 --dataset d",
        "prompt evaluate greeting 1 --dataset d --score a=1 --score a=2",
        "token create --name ci",
        "token create --name ci --scope root",
        "token create --name - --scope assign",
        "serve --listen here",
    ] {
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let ran = serin_with(&[SECRET], &words);
        assert_eq!(ran.code, 2, "{line}: {}", ran.page());
        assert!(ran.stderr.starts_with("error: "), "{line}: {}", ran.page());
        assert_eq!(ran.stdout, "", "{line}");
    }
}

#[test]
fn a_reader_that_goes_away_is_no_failure() {
    let users: String = (0..200_000).map(|number| format!("user-{number}\n")).collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(file.path(), users).unwrap();
    let mut child = binary()
        .env(SECRET.0, SECRET.1)
        .args([
            "hash",
            "--salt",
            "s",
            "--json",
            "--users",
            file.path().to_str().unwrap(),
        ])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut first = String::new();
    BufReader::new(child.stdout.take().unwrap())
        .read_line(&mut first)
        .unwrap();
    assert!(first.contains("user-0"));
    let mut told = String::new();
    child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
    assert_eq!((child.wait().unwrap().code(), told.as_str()), (Some(0), ""));
}

#[test]
fn without_a_server_the_hint_says_how_to_start_one() {
    let server = format!("http://127.0.0.1:{}", closed_port());
    let ran = serin(&["status", "--server", &server]);
    assert_eq!(ran.code, 1);
    insta::assert_snapshot!(ran.stderr.replace(&server, "SERVER"), @"
    error: no server at SERVER

    hint: start one with `serin serve`, or name another with `--server`
    ");
}

#[test]
fn what_is_no_serin_server_is_told_from_one() {
    for (answer, code) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nhi", 1),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}", 1),
        ("HTTP/1.1 502 Bad Gateway\r\ncontent-length: 5\r\n\r\n<b>no", 1),
    ] {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let server = format!("http://{}", listener.local_addr().unwrap());
        let answering = std::thread::spawn(move || {
            let (mut stream, _) = listener.accept().unwrap();
            let mut head = [0; 4096];
            assert!(stream.read(&mut head).unwrap() > 0);
            stream.write_all(answer.as_bytes()).unwrap();
        });
        let ran = serin(&["status", "--server", &server]);
        answering.join().unwrap();
        assert_eq!(ran.code, code, "{}", ran.page());
        assert!(
            ran.stderr.starts_with("error: the ")
                || ran.stderr.starts_with(&format!("error: {server} answered 502")),
            "{}",
            ran.page()
        );
        assert!(ran.stderr.contains("\nhint: "), "{}", ran.page());
    }
}

#[test]
fn the_verbs_are_listed_in_groups() {
    insta::assert_snapshot!(serin(&["--help"]).good(), @"
    Takes a new prompt version to its users step by step, watches quality, and takes it back by itself
    when quality degrades

    Usage: serin <COMMAND>

    Server:
      serve     Run the server: assign users, take observations, watch rollouts and move labels
      demo      Watch a bad candidate being taken back and a good one being promoted, in a minute
      token     Make, list and revoke the tokens that say who may do what

    Policy files:
      lint      Check policy files, and show every problem of all of them at once
      schema    Print the JSON Schema of policy files (draft 2020-12)
      plan      Foretell how long a rollout takes, and how many users meet a worse candidate
      simulate  Rehearse a policy many times, and count how often and how soon a candidate is taken back
      replay    Run recorded observations through a policy: what it would have done, at which line, and why

    Rollouts:
      start     Start a rollout: try a version on a policy's users, step by step
      status    Show how every policy stands, and what its rollout waits for
      explain   Show why a rollout moved, and why it stands where it stands, with the numbers
      approve   Open the gate that a rollout waits for: its start, or the way out of a step
      pause     Stay at the present exposure until somebody resumes the rollout
      resume    Go on with a paused rollout
      step      Go to the next step now, without waiting for bake, samples and verdict
      promote   Make the candidate the stable version now
      rollback  Take the candidate back now: nobody gets it any more, and the labels go back

    Users:
      assign    Show which arm, label and version users get, and why
      hash      Show where users lie on the hash line, without a server

    Prompts:
      prompt    Make, show and compare versions of prompts, and move their labels
      why       Tell which version held which label when, who moved it and why, and whether quality changed

    Options:
      -h, --help     Print help
      -V, --version  Print version
    ");
    assert_eq!(serin(&[]).code, 2);
    assert_eq!(
        serin(&["help", "status"]).good(),
        serin(&["status", "--help"]).good()
    );
    let version = serin(&["--version"]).good();
    assert_eq!(version.trim_end(), format!("serin {}", env!("CARGO_PKG_VERSION")));
}

#[test]
fn the_help_of_every_verb_has_an_example() {
    let verbs = "serve|lint|schema|plan|simulate|start|status|explain|approve|pause|resume|step|promote|rollback|assign|hash|\
                 prompt create|prompt list|prompt show|prompt diff|prompt label|prompt protect|prompt history|\
                 prompt evaluate|token create|token list|token revoke";
    for verb in verbs.split('|') {
        for flag in ["-h", "--help"] {
            let args: Vec<&str> = verb.split(' ').chain([flag]).collect();
            let help = serin(&args).good();
            let (_, example) = help
                .split_once("Example:\n  $ ")
                .unwrap_or_else(|| panic!("{verb}: {help}"));
            assert!(example.contains(&format!("serin {verb}")), "{verb}: {help}");
        }
    }
}

#[test]
fn lint_shows_problems_and_their_mends() {
    assert_eq!(
        serin(&["lint", concat!(env!("CARGO_MANIFEST_DIR"), "/policies")]).code,
        0
    );
    let bad = "apiVersion: serin/v1\nkind: RolloutPolicy\nmetadata: {name: broken}\nspec:\n  promt: x\n";
    let ran = serin_reading(bad, &[], &["lint", "-"]);
    assert_eq!(ran.code, 1, "{}", ran.page());
    assert!(ran.stdout.contains("did you mean `prompt`?"), "{}", ran.page());
    let problems = serin_reading(bad, &[], &["lint", "--json", "-"]);
    let problems: Value = serde_json::from_str(&problems.stdout).unwrap();
    assert_eq!(
        (&problems[0]["file"], &problems[0]["line"]),
        (&"-".into(), &5.into())
    );
    assert_eq!(serin(&["lint", "no-such-file.yaml"]).code, 2);
    // A token for other verbs is no reason to ask a server.
    let token = [("SERIN_TOKEN", "srn_of-somebody")];
    let policies = concat!(env!("CARGO_MANIFEST_DIR"), "/policies");
    assert_eq!(serin_with(&token, &["lint", policies]).code, 0);
}

#[test]
fn the_schema_is_json() {
    let schema: Value = serde_json::from_str(&serin(&["schema"]).good()).unwrap();
    assert_eq!(schema["type"], "object");
}
