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
    let settings =
        Settings::resolve(args(&["--config", file("").path().to_str().unwrap()]), &|_| None).unwrap();
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
    let settings = Settings::resolve(args(&flags), &|_| None).unwrap();
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
serin.yaml:1: `registries.langfuse.kind`: unknown variant `langfus`, expected one of embedded, langfuse
serin.yaml:1: `registries.Big`: `Big` is not a registry name: must be 1 to 63 of `a`-`z`, `0`-`9` and `-`, \
with a letter or digit at both ends
serin.yaml:1: `data`: expected string scalar";
    assert_eq!(shown, expected);
}

const LANGFUSE: &str = "\
registries:
  ours:
    kind: langfuse
    baseUrl: https://langfuse.example.org/base
    publicKey: {env: OUR_PUBLIC_KEY}
    secretKey: {file: FILE}
    webhookSecret: {env: OUR_HOOK}
    timeout: 500ms
    lookEvery: 2s
    requestsPerMinute: 1000
    cache: {fresh: 30s, stale: 2h}
";

#[test]
fn a_langfuse_is_named_by_its_address_and_where_its_keys_are() {
    let key = file("sk-lf-deep\n");
    let written = file(&LANGFUSE.replace("FILE", key.path().to_str().unwrap()));
    let flags = ["--config", written.path().to_str().unwrap()];
    let variables = |name: &str| match name {
        "OUR_PUBLIC_KEY" => Some("pk-lf-wide".to_owned()),
        "OUR_HOOK" => Some("lf-whsec_steep".to_owned()),
        _ => None,
    };
    let settings = Settings::resolve(args(&flags), &variables).unwrap();
    let ours = &settings.registries[&RegistryName::new("ours").unwrap()];
    let RegistryKind::Langfuse(langfuse) = ours else {
        panic!("it is a langfuse");
    };
    assert_eq!(langfuse.base_url.as_str(), "https://langfuse.example.org/base");
    assert_eq!(langfuse.public_key.0, "pk-lf-wide");
    assert_eq!(langfuse.secret_key.0, "sk-lf-deep");
    assert_eq!(langfuse.webhook_secret.clone().unwrap().0, "lf-whsec_steep");
    assert_eq!(langfuse.timeout, Duration::from_millis(500));
    assert_eq!(langfuse.look_every, Duration::from_secs(2));
    assert_eq!(langfuse.requests_per_minute, 1000);
    assert_eq!(langfuse.cache_fresh, Duration::from_secs(30));
    assert_eq!(langfuse.cache_stale, Duration::from_hours(2));
    let shown = format!("{settings:?}");
    for hidden in ["wide", "deep", "steep"] {
        assert!(!shown.contains(hidden), "{shown}");
    }
    let error = Settings::resolve(args(&flags), &|_| None).unwrap_err();
    let expected = "`registries.ours.publicKey`: environment variable `OUR_PUBLIC_KEY` is not set";
    assert_eq!(error.to_string(), expected);
    let empty = Settings::resolve(args(&flags), &|_| Some(" ".to_owned())).unwrap_err();
    assert!(
        empty
            .to_string()
            .ends_with("`SERIN_SECRET` must be 64 hexadecimal digits: make one with `openssl rand -hex 32`")
    );
}

#[test]
fn problems_of_registries_name_the_setting_and_never_a_key() {
    let langfuse = |rest: &str| refusal(&format!("registries: {{ours: {{kind: langfuse, {rest}}}}}"));
    let reached = |rest: &str| {
        langfuse(&format!(
            "baseUrl: 'http://l', publicKey: {{env: A}}, secretKey: {{env: B}}, {rest}"
        ))
    };
    let shown = [
        refusal("registries: {ours: {kind: embedded, baseUrl: 'http://l'}}"),
        langfuse("baseUrl: 'http://l'"),
        langfuse("baseUrl: langfuse.example.org"),
        langfuse("baseUrl: 'https://pk:sk@l'"),
        langfuse("secretKey: sk-lf-deep"),
        langfuse("secretKey: {env: A, file: B}"),
        langfuse("secretKey: {environment: A}"),
        reached("timeout: 1m"),
        reached("lookEvery: 10ms"),
        reached("requestsPerMinute: 0"),
        reached("cache: {fresh: 500ms}"),
        reached("cache: {stale: 200h}"),
        reached("lookevery: 5s"),
    ]
    .join("\n");
    assert!(!shown.contains("deep"));
    insta::assert_snapshot!(shown, @r"
    serin.yaml:1: `registries.ours`: `baseUrl` means nothing to the kind `embedded`
    serin.yaml:1: `registries.ours`: the kind `langfuse` needs `publicKey`
    serin.yaml:1: `registries.ours.baseUrl`: must begin with `http://` or `https://` and name a host, such as `https://cloud.langfuse.com`
    serin.yaml:1: `registries.ours.baseUrl`: must not hold a user or password: keys have settings of their own
    serin.yaml:1: `registries.ours.secretKey`: must name the variable or file that holds the key, `{env: NAME}` or `{file: PATH}`
    serin.yaml:1: `registries.ours.secretKey`: must name the variable or file that holds the key, `{env: NAME}` or `{file: PATH}`
    serin.yaml:1: `registries.ours.secretKey`: must name the variable or file that holds the key, `{env: NAME}` or `{file: PATH}`
    serin.yaml:1: `registries.ours`: `timeout` must be from 100ms to 5s
    serin.yaml:1: `registries.ours`: `lookEvery` must be from 1s to 300s
    serin.yaml:1: `registries.ours`: `requestsPerMinute` must be from 10 to 100000
    serin.yaml:1: `registries.ours`: `cache.fresh` must be from 1s to 3600s
    serin.yaml:1: `registries.ours`: `cache.stale` must be from 1s to 604800s
    serin.yaml:1: `registries.ours.lookevery`: there is no setting of this name, did you mean `lookEvery`?
    ");
}

#[test]
fn the_name_of_the_own_registry_is_taken() {
    let text = "registries: {embedded: {kind: langfuse, baseUrl: 'http://l', publicKey: {env: A}, secretKey: {env: B}}}";
    let written = file(text);
    let flags = ["--config", written.path().to_str().unwrap()];
    let variables = |name: &str| ["A", "B"].contains(&name).then(|| "key".to_owned());
    let error = Settings::resolve(args(&flags), &variables).unwrap_err();
    let expected =
        "`registries.embedded`: this is the name of Serin's own registry: give the other one another";
    assert_eq!(error.to_string(), expected);
}

#[test]
fn secrets_of_notifications_are_named_read_and_never_shown() {
    let written = file("notify: {secrets: {hooks: {env: HOOKS}, team-chat: {env: CHAT}}}");
    let flags = ["--config", written.path().to_str().unwrap()];
    let variables = |name: &str| ["HOOKS", "CHAT"].contains(&name).then(|| format!("hush-{name} "));
    let settings = Settings::resolve(args(&flags), &variables).unwrap();
    let secrets: Vec<_> = settings
        .notify_secrets
        .iter()
        .map(|(name, secret)| (name.as_str(), secret.0.as_str()))
        .collect();
    assert_eq!(secrets, [("hooks", "hush-HOOKS"), ("team-chat", "hush-CHAT")]);
    assert!(!format!("{settings:?}").contains("hush"));
    let missing = Settings::resolve(args(&flags), &|_| None).unwrap_err();
    assert_eq!(
        missing.to_string(),
        "`notify.secrets.hooks`: environment variable `HOOKS` is not set"
    );
    assert_eq!(
        refusal("notify: {secrets: {Hooks: {env: HOOKS}}}"),
        "serin.yaml:1: `notify.secrets.Hooks`: `Hooks` is not a name of a secret: must be 1 to 63 of `a`-`z`, `0`-`9` and `-`, with a letter or digit at both ends"
    );
}

#[test]
fn a_missing_file_is_named() {
    let error = Settings::resolve(args(&["--config", "/nowhere/serin.yaml"]), &|_| None).unwrap_err();
    assert_eq!(error.to_string(), "cannot read `/nowhere/serin.yaml`");
}

#[test]
fn the_secret_comes_from_the_environment_or_a_file_and_is_never_shown() {
    let digits = "0123456789abcdef".repeat(4);
    let written = file(&format!("{digits}\n"));
    let empty = file("");
    let path = written.path().to_str().unwrap();
    let flags = ["--config", empty.path().to_str().unwrap(), "--secret-file", path];
    let from_file = Settings::resolve(args(&flags), &|_| None).unwrap();
    assert_eq!(from_file.secret.clone().unwrap().0[..2], [0x01, 0x23]);
    assert!(!format!("{from_file:?}").contains("123"));
    let other = "ff".repeat(32);
    let from_environment = Settings::resolve(args(&flags), &|name| {
        (name == SECRET_VARIABLE).then(|| other.clone())
    })
    .unwrap();
    assert_eq!(from_environment.secret.unwrap().0, [0xff; 32]);
    for bad in ["", "ff", &"gg".repeat(32), &"€".repeat(21)] {
        let error = Settings::resolve(args(&flags), &|_| Some(bad.to_owned()))
            .unwrap_err()
            .to_string();
        assert!(
            error.starts_with("the secret in `SERIN_SECRET` must be 64"),
            "{error}"
        );
    }
}

#[test]
fn a_playground_names_its_model_and_where_its_key_is() {
    let resolve = |text: &str| {
        let environment = |name: &str| (name == "KEY").then(|| "sk-1".to_owned());
        Settings::resolve(
            args(&["--config", file(text).path().to_str().unwrap()]),
            &environment,
        )
    };
    let whole =
        "playground: {baseUrl: 'https://models.example.org/v1', key: {env: KEY}, model: small, timeout: 5s}";
    let playground = resolve(whole).unwrap().playground.unwrap();
    assert_eq!(playground.base_url.as_str(), "https://models.example.org/v1");
    assert_eq!(playground.key, Some(Hidden("sk-1".to_owned())));
    assert_eq!(playground.model.as_deref(), Some("small"));
    assert_eq!(playground.timeout, Duration::from_secs(5));
    let least = resolve("playground: {baseUrl: 'http://localhost:11434/v1'}").unwrap();
    assert_eq!(least.playground.unwrap().timeout, Duration::from_secs(60));
    for (text, why) in [
        ("playground: {}", "missing field `baseUrl`"),
        ("playground: {baseUrl: 'ftp://x'}", "must begin with `http://`"),
        (
            "playground: {baseUrl: 'http://x', key: sk-1}",
            "must name the variable or file",
        ),
        (
            "playground: {baseUrl: 'http://x', key: {env: NONE}}",
            "`NONE` is not set",
        ),
        (
            "playground: {baseUrl: 'http://x', model: ''}",
            "must be 1 to 256 bytes",
        ),
        (
            "playground: {baseUrl: 'http://x', timeout: 10m}",
            "`timeout` must be from 1s to 300s",
        ),
    ] {
        let refused = resolve(text).unwrap_err().to_string();
        assert!(refused.contains(why), "{text}: {refused}");
    }
}

#[test]
fn a_reserve_has_a_share_and_a_salt() {
    let document = document::parse("reserve: {share: 2.5%, salt: '2026'}", "serin.yaml").unwrap();
    let reserve = document.reserve.unwrap();
    assert_eq!((reserve.share.ppm(), reserve.salt.as_str()), (25_000, "2026"));
    for bad in [
        "{share: 0%, salt: a}",
        "{share: 100%, salt: a}",
        "{share: 2, salt: a}",
        "{share: 2%}",
    ] {
        assert!(refusal(&format!("reserve: {bad}")).contains("reserve"), "{bad}");
    }
}
