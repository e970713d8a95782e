use super::*;
use clap::Parser;

/// `serin serve` without the rest of the CLI.
#[derive(Parser)]
struct Serve {
    #[command(flatten)]
    args: ServeArgs,
}

fn args(flags: &[&str]) -> ServeArgs {
    Serve::try_parse_from([&["serve"], flags].concat()).unwrap().args
}

fn file(text: &str) -> tempfile::NamedTempFile {
    use std::io::Write as _;
    let mut file = tempfile::NamedTempFile::new().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file
}

fn refusal(text: &str) -> String {
    document::parse(text, "serin.yaml").unwrap_err().to_string()
}

#[test]
fn defaults_are_a_loopback_server_with_the_embedded_registry() {
    let settings = Settings::resolve(args(&["--config", file("").path().to_str().unwrap()]), None).unwrap();
    assert_eq!(settings.listen.to_string(), "127.0.0.1:8080");
    assert_eq!(settings.limits, Limits::default());
    assert_eq!(
        settings.registries.into_iter().collect::<Vec<_>>(),
        [(RegistryName::new("embedded").unwrap(), RegistryKind::Embedded)]
    );
    assert!(!settings.insecure);
    assert!(settings.secret.is_none());
}

#[test]
fn flags_win_over_the_file() {
    let file = file(
        "listen: 127.0.0.1:9000\ndata: from-file\nlog: {format: json}\nshutdownGrace: 3s\n\
         limits: {bodyBytesMax: 1000, requestTimeout: 2s}\n",
    );
    let path = file.path().to_str().unwrap();
    let flags = [
        "--config",
        path,
        "--listen",
        "[::1]:1",
        "--insecure",
        "--body-bytes-max",
        "77",
    ];
    let settings = Settings::resolve(args(&flags), None).unwrap();
    assert_eq!(settings.listen.to_string(), "[::1]:1");
    assert_eq!(settings.data, PathBuf::from("from-file"));
    assert_eq!(settings.log_format, LogFormat::Json);
    assert_eq!(settings.shutdown_grace, Duration::from_secs(3));
    assert_eq!(settings.limits.body_bytes_max, 77);
    assert_eq!(settings.limits.request_timeout, Duration::from_secs(2));
    assert!(settings.insecure);
}

#[test]
fn problems_name_file_line_and_key() {
    let shown = [
        refusal("data: x\npolcies: y"),
        refusal("limits:\n  bodyBytes: 5"),
        refusal("limits: {bodyBytesMax: many}"),
        refusal("limits: {connectionsMax: 0}"),
        refusal("shutdownGrace: soon"),
        refusal("listen: here"),
        refusal("log: {format: xml}"),
        refusal("registries: {langfuse: {kind: langfus}}"),
        refusal("registries: {Big: {kind: embedded}}"),
        refusal("data: [1"),
    ]
    .join("\n");
    let expected = "\
serin.yaml:2: `polcies`: there is no setting of this name, did you mean `policies`?
serin.yaml:2: `limits.bodyBytes`: there is no setting of this name, did you mean `bodyBytesMax`?
serin.yaml:1: `limits.bodyBytesMax`: must be a whole number from 1
serin.yaml:1: `limits.connectionsMax`: must be a whole number from 1
serin.yaml:1: `shutdownGrace`: `soon` must be a length of time with its unit, such as `10s`
serin.yaml:1: `listen`: `here` must be an address and a port, such as `127.0.0.1:8080`
serin.yaml:1: `log.format`: `xml` is not a log format: must be `text` or `json`
serin.yaml:1: `registries.langfuse.kind`: unknown variant `langfus`, expected one of embedded
serin.yaml:1: `registries.Big`: `Big` is not a registry name: must be 1 to 63 of `a`-`z`, `0`-`9` and `-`, \
with a letter or digit at both ends
serin.yaml:1: `data`: expected string scalar";
    assert_eq!(shown, expected);
}

#[test]
fn a_missing_file_is_named() {
    let error = Settings::resolve(args(&["--config", "/nowhere/serin.yaml"]), None).unwrap_err();
    assert_eq!(error.to_string(), "cannot read `/nowhere/serin.yaml`");
}

#[test]
fn the_secret_comes_from_the_environment_or_a_file_and_is_never_shown() {
    let digits = "0123456789abcdef".repeat(4);
    let written = file(&format!("{digits}\n"));
    let empty = file("");
    let path = written.path().to_str().unwrap();
    let flags = ["--config", empty.path().to_str().unwrap(), "--secret-file", path];
    let from_file = Settings::resolve(args(&flags), None).unwrap();
    assert_eq!(from_file.secret.clone().unwrap().0[..2], [0x01, 0x23]);
    assert!(!format!("{from_file:?}").contains("123"));
    let other = "ff".repeat(32);
    let from_environment = Settings::resolve(args(&flags), Some(&other)).unwrap();
    assert_eq!(from_environment.secret.unwrap().0, [0xff; 32]);
    for bad in ["", "ff", &"gg".repeat(32), &"€".repeat(21)] {
        let error = Settings::resolve(args(&flags), Some(bad))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("the secret in `SERIN_SECRET` must be 64"),
            "{error}"
        );
    }
}
