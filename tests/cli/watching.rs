//! `serin status --watch` through a pipe, against a server that moves and goes.

use super::world::{Live, binary};
use std::io::{BufRead as _, BufReader};
use std::process::{Child, Stdio};
use std::sync::mpsc;
use std::time::Duration;

/// Far more than a line takes.
const LINE_WAIT: Duration = Duration::from_secs(60);

const GREETING: &str = "
apiVersion: serin/v1
kind: RolloutPolicy
metadata: {name: greeting}
spec:
  prompt: greeting
  steps:
    - {exposure: 25%, bake: 1h, approval: required}
    - {exposure: 100%, bake: 1h}
  analysis: {every: 1s}
  metrics:
    - {name: faithfulness, kind: score, margin: 0.05}
  gates:
    approval: {before: start, from: 1}
";

/// The verb while it runs; killed when it is dropped.
struct Watch {
    child: Child,
    lines: mpsc::Receiver<String>,
}

impl Drop for Watch {
    fn drop(&mut self) {
        // It may have ended already.
        self.child.kill().ok();
        self.child.wait().unwrap();
    }
}

impl Watch {
    fn of(live: &Live) -> Self {
        let mut command = binary();
        command
            .args(["status", "greeting", "--watch"])
            .env("SERIN_SERVER", format!("http://{}", live.address));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let (send, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in out.lines().map_while(Result::ok) {
                if send.send(line).is_err() {
                    return;
                }
            }
        });
        Self { child, lines }
    }

    /// Reads on to the first line that has `part` in it.
    fn reads(&self, part: &str) -> String {
        loop {
            let line = self.lines.recv_timeout(LINE_WAIT).expect(part);
            if line.contains(part) {
                return line;
            }
        }
    }
}

#[test]
fn changes_are_told_until_the_server_is_away_and_that_is_told_too() {
    let live = Live::start(&[("greeting.yaml", GREETING)]);
    let create = "prompt create greeting --text - --reason 'to see'";
    live.run_reading("Hello.", &format!("{create} --label production"))
        .good();
    live.run_reading("Hello!", create).good();
    let watch = Watch::of(&live);
    watch.reads("no rollout");
    live.run("start greeting --candidate 2 --reason 'to see'").good();
    let begun = watch.reads("greeting: r1");
    assert!(begun.contains("waiting for"), "{begun}");
    live.run("rollback r1 --reason 'seen'").good();
    watch.reads("greeting: r1 rolled back");
    drop(live);
    watch.reads("trying again");
}
