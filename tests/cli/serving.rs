//! The server as a process: its address, its signals, its tokens, and when it does not start.

use super::world::{Live, binary, serin, serve};
use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::process::Stdio;

#[test]
fn it_stops_in_good_order_and_goes_on_where_it_was() {
    let mut live = Live::start(&[]);
    live.run_reading("Hello", "prompt create greeting --text - --reason 'first'")
        .good();
    assert_eq!(live.stop(), Some(0));
    let gone = live.run("status");
    assert_eq!(gone.code, 1);
    insta::assert_snapshot!(gone.stderr, @"
    error: no server at http://ADDRESS

    hint: start one with `serin serve`, or name another with `--server`
    ");
    let folders = std::mem::replace(&mut live.folders, tempfile::tempdir().unwrap());
    let again = Live::in_folders(folders);
    assert_eq!(again.run("prompt show greeting --raw").good(), "Hello");
}

#[test]
fn a_second_signal_does_not_wait_for_requests() {
    let mut live = Live::start(&[]);
    let mut stream = TcpStream::connect(&live.address).unwrap();
    let head = "POST /v1/prompts HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/json\r\n\
                content-length: 10\r\nexpect: 100-continue\r\n\r\n";
    stream.write_all(head.as_bytes()).unwrap();
    // From here on the server works on a request whose body never comes.
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 100");
    live.terminate();
    live.wait_for_log("stopping");
    assert_eq!(live.stop(), Some(1));
    live.wait_for_log("error: stopped at once by a second signal");
}

#[test]
fn it_does_not_start_on_what_it_cannot_use() {
    let live = Live::start(&[]);
    let refused = |extra: &[&str]| {
        let output = serve(live.folders.path())
            .args(extra)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        let told = String::from_utf8(output.stderr).unwrap();
        told.replace(&live.address, "ADDRESS")
    };
    insta::assert_snapshot!(refused(&[]), @"
    error: the data in `data` is in use by another `serin serve`

    hint: stop the other server, or give this one a `--data` folder of its own
    ");
    insta::assert_snapshot!(refused(&["--policies", "nowhere"]), @"
    error: cannot read the policy folder `nowhere`
      caused by: no such file or directory (os error 2)

    hint: make it, or name another with `--policies`
    ");
    // The last of two equal flags would win, so these have a folder of their own.
    let elsewhere = |extra: &[&str]| {
        let folder = tempfile::tempdir().unwrap();
        std::fs::create_dir(folder.path().join("policies")).unwrap();
        let output = binary()
            .current_dir(folder.path())
            .arg("serve")
            .args(extra)
            .output()
            .unwrap();
        assert_eq!((output.status.code(), output.stdout.len()), (Some(1), 0));
        String::from_utf8(output.stderr)
            .unwrap()
            .replace(&live.address, "ADDRESS")
    };
    insta::assert_snapshot!(elsewhere(&["--listen", "0.0.0.0:0"]), @"error: `0.0.0.0:0` can be reached from other machines, and there is no token: make one with `serin token create`, listen on 127.0.0.1, or say `--insecure`");
    insta::assert_snapshot!(elsewhere(&["--listen", &live.address]), @"
    error: cannot listen on ADDRESS
      caused by: address already in use (os error 98)

    hint: choose another address or port with `--listen`; port 0 takes a free one
    ");
}

#[test]
fn tokens_say_who_may_do_what() {
    let mut live = Live::start(&[]);
    let mut transcript = String::new();
    live.show(&mut transcript, "token list");
    live.show(&mut transcript, "token create --name ci --scope operate");
    let ops = live.run("token create --name ops --scope admin");
    assert_eq!(ops.stderr, "token `ops`, shown this once:\n");
    let ops = ops.good().trim_end().to_owned();
    assert!(
        ops.starts_with("srn_") && !ops.contains(char::is_whitespace),
        "{ops}"
    );
    live.show(&mut transcript, "status");
    let made = format!("token create --name ci --scope operate --scope assign --json --token {ops}");
    let ci = live.run(&made).json()["token"].as_str().unwrap().to_owned();
    live.show(&mut transcript, &format!("token list --token {ops}"));
    live.show(&mut transcript, &format!("token list --token {ci}"));
    live.show(&mut transcript, &format!("token revoke ci --token {ops}"));
    live.show(&mut transcript, &format!("status --token {ci}"));
    live.show(&mut transcript, &format!("token revoke ops --token {ops}"));

    // What the server holds is out of reach until it stops.
    live.run("token create --name ops --scope admin").good();
    let data = live.folders.path().join("data").display().to_string();
    live.show(&mut transcript, &format!("token list --data {data}"));
    assert_eq!(live.stop(), Some(0));
    live.show(&mut transcript, &format!("token list --data {data}"));
    live.show(&mut transcript, &format!("token revoke ops --data {data}"));
    live.show(&mut transcript, &format!("token revoke ops --data {data}"));
    for (text, name) in [(&ops, "OPS"), (&ci, "CI"), (&data, "DATA")] {
        transcript = transcript.replace(text, name);
    }
    insta::assert_snapshot!(transcript);
}

#[test]
fn tokens_can_be_made_before_the_first_start() {
    let folder = tempfile::tempdir().unwrap();
    let data = folder.path().join("data").display().to_string();
    let missing = serin(&["token", "list", "--data", &data]);
    assert_eq!(missing.code, 1);
    assert!(
        missing.stderr.contains("there is no data folder"),
        "{}",
        missing.page()
    );
    let made = serin(&[
        "token", "create", "--name", "ops", "--scope", "admin", "--data", &data,
    ])
    .good();
    std::fs::create_dir(folder.path().join("policies")).unwrap();
    let live = Live::in_folders(folder);
    assert_eq!(live.run("status").code, 1);
    live.run(&format!("status --token {made}")).good();
}
