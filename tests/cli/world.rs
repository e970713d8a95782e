//! Runs the binary, and says what came of it.

use serde_json::Value;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::sync::mpsc;
use std::time::Duration;
use tempfile::TempDir;

/// Ten polls in a second, for a minute: far more than anything here takes.
const POLLS_MAX: usize = 600;
const POLL_PAUSE: Duration = Duration::from_millis(100);
/// Far more than a server takes for its next line.
const LOG_WAIT: Duration = Duration::from_secs(60);

/// What a run of the binary left behind.
#[derive(Debug)]
pub(super) struct Ran {
    pub(super) code: i32,
    pub(super) stdout: String,
    pub(super) stderr: String,
}

impl Ran {
    /// Everything on one page, for snapshots.
    pub(super) fn page(&self) -> String {
        format!(
            "exit code {}\n-- stdout\n{}-- stderr\n{}",
            self.code, self.stdout, self.stderr
        )
    }

    /// Standard output of a run that must have gone well.
    pub(super) fn good(self) -> String {
        assert_eq!(self.code, 0, "{}", self.page());
        self.stdout
    }

    /// Standard output as JSON, of a run that must have gone well.
    pub(super) fn json(self) -> Value {
        serde_json::from_str(&self.good()).unwrap()
    }

    /// The lines of standard output as JSON, of a run that must have gone well.
    pub(super) fn json_lines(self) -> Vec<Value> {
        self.good()
            .lines()
            .map(|line| serde_json::from_str(line).unwrap())
            .collect()
    }
}

/// The binary without the environment of whoever runs the tests.
pub(super) fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_serin"));
    command.env_clear().env("USER", "ann").stdin(Stdio::null());
    command
}

/// Runs `serin` with `args`.
pub(super) fn serin(args: &[&str]) -> Ran {
    ran(binary().args(args).output().unwrap())
}

/// Runs `serin` with `args` and environment variables.
pub(super) fn serin_with(variables: &[(&str, &str)], args: &[&str]) -> Ran {
    ran(binary()
        .envs(variables.iter().copied())
        .args(args)
        .output()
        .unwrap())
}

/// Runs `serin` with `args` and `input` on standard input.
pub(super) fn serin_reading(input: &str, variables: &[(&str, &str)], args: &[&str]) -> Ran {
    let mut child = binary()
        .envs(variables.iter().copied())
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A verb that refuses its arguments reads nothing; the pipe then breaks.
    child.stdin.take().unwrap().write_all(input.as_bytes()).ok();
    ran(child.wait_with_output().unwrap())
}

fn ran(output: Output) -> Ran {
    Ran {
        code: output.status.code().expect("it ended by itself"),
        stdout: String::from_utf8(output.stdout).unwrap(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    }
}

/// The words of a command line; quotes hold words together.
pub(super) fn words(line: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    for (at, part) in line.split('\'').enumerate() {
        if at % 2 == 1 {
            words.push(part.to_owned());
        } else {
            words.extend(part.split_whitespace().map(str::to_owned));
        }
    }
    words
}

/// `serin serve` on a free port, with folders of its own; killed when it is dropped.
pub(super) struct Live {
    child: Child,
    pub(super) address: String,
    pub(super) folders: TempDir,
    log: mpsc::Receiver<String>,
}

impl Drop for Live {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().unwrap();
    }
}

impl Live {
    /// Starts a server with these policy files.
    pub(super) fn start(policies: &[(&str, &str)]) -> Self {
        let folders = tempfile::tempdir().unwrap();
        std::fs::create_dir(folders.path().join("policies")).unwrap();
        for (name, text) in policies {
            std::fs::write(folders.path().join("policies").join(name), text).unwrap();
        }
        Self::in_folders(folders)
    }

    /// Starts a server where one was before.
    pub(super) fn in_folders(folders: TempDir) -> Self {
        let mut child = serve(folders.path())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let Some(address) = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("http://"))
        else {
            let mut told = String::new();
            child.stderr.take().unwrap().read_to_string(&mut told).unwrap();
            panic!("no address in `{line}`: {told}");
        };
        let address = address.trim_end_matches(',').to_owned();
        // A full pipe would stop the server, so the log is read all the time.
        let lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let (sender, log) = mpsc::channel();
        std::thread::spawn(move || {
            lines
                .map_while(Result::ok)
                .for_each(|line| sender.send(line).unwrap_or_default())
        });
        Self {
            child,
            address,
            folders,
            log,
        }
    }

    /// Runs a verb against the server.
    pub(super) fn run(&self, line: &str) -> Ran {
        self.run_reading("", line)
    }

    /// Runs a verb against the server, with `input` on standard input.
    pub(super) fn run_reading(&self, input: &str, line: &str) -> Ran {
        let words = words(line);
        let words: Vec<&str> = words.iter().map(String::as_str).collect();
        let mut ran = serin_reading(
            input,
            &[("SERIN_SERVER", &format!("http://{}", self.address))],
            &words,
        );
        for text in [&mut ran.stdout, &mut ran.stderr] {
            *text = without_chance(text).replace(&self.address, "ADDRESS");
        }
        ran
    }

    /// Runs a verb, and adds it with all that it said to a transcript.
    pub(super) fn show(&self, transcript: &mut String, line: &str) {
        let Ran { code, stdout, stderr } = self.run(line);
        let code = if code == 0 {
            String::new()
        } else {
            format!("exit code {code}\n")
        };
        transcript.push_str(&format!("$ serin {line}\n{stdout}{stderr}{code}\n"));
    }

    /// Waits until the rollout of a policy is in this phase.
    pub(super) fn wait_for(&self, policy: &str, phase: &str) {
        for _ in 0..POLLS_MAX {
            let status = self.run(&format!("status {policy} --json")).json();
            let rollout = &status["policies"][0]["rollout"];
            // Right after a move the reason to stay and the verdict are not known yet.
            let known = !rollout["stay"].is_null() && !rollout["verdict"].is_null();
            if rollout["phase"]["code"] == phase && known {
                return;
            }
            std::thread::sleep(POLL_PAUSE);
        }
        panic!(
            "`{policy}` does not come to be {phase}: {}",
            self.run("status").page()
        );
    }

    /// Waits until the server's standard error has a line with `part`.
    pub(super) fn wait_for_log(&self, part: &str) {
        let line = || self.log.recv_timeout(LOG_WAIT).unwrap();
        while !line().contains(part) {}
    }

    /// Asks the server to stop.
    pub(super) fn terminate(&self) {
        let signalled = Command::new("sh")
            .args(["-c", &format!("kill -TERM {}", self.child.id())])
            .status();
        assert!(signalled.unwrap().success());
    }

    /// Asks the server to stop, and waits until it has.
    pub(super) fn stop(&mut self) -> Option<i32> {
        self.terminate();
        self.child.wait().unwrap().code()
    }
}

/// `serin serve` in these folders, on a free port.
pub(super) fn serve(folders: &Path) -> Command {
    let mut command = binary();
    command
        .current_dir(folders)
        .args(["serve", "--data", "data", "--listen", "127.0.0.1:0"]);
    command
}

/// Forms of a moment, in which 0 stands for any digit.
const MOMENTS: [&str; 2] = ["0000-00-00 00:00:00 UTC", "00:00:00 UTC"];

/// The text with zeros in every date and time, and without ages.
fn without_chance(text: &str) -> String {
    let mut shown = String::new();
    let mut rest = text;
    while let Some(next) = rest.chars().next() {
        match MOMENTS.into_iter().find(|pattern| matches_digits(rest, pattern)) {
            Some(pattern) => {
                shown.push_str(pattern);
                rest = &rest[pattern.len()..];
            }
            None => {
                shown.push(next);
                rest = &rest[next.len_utf8()..];
            }
        }
    }
    // Around midnight a moment of today is shown with its date.
    let until = [MOMENTS[0], MOMENTS[1]].map(|moment| format!("until {moment}"));
    without_ages(&shown.replace(&until[0], &until[1]))
}

/// Whether `text` begins like `pattern`, in which 0 stands for any digit.
fn matches_digits(text: &str, pattern: &str) -> bool {
    let fits = |(byte, like): (u8, u8)| {
        if like == b'0' {
            byte.is_ascii_digit()
        } else {
            byte == like
        }
    };
    text.len() >= pattern.len() && text.bytes().zip(pattern.bytes()).all(fits)
}

/// `since 0000-00-00 00:00:00 UTC (2 s)` becomes `since 0000-00-00 00:00:00 UTC (AGE)`.
fn without_ages(text: &str) -> String {
    let since = format!("since {} (", MOMENTS[0]);
    let mut parts = text.split(&since);
    let mut shown = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (_, after) = part.split_once(')').unwrap();
        shown.push_str(&format!("{since}AGE){after}"));
    }
    shown
}
