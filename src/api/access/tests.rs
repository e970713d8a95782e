//! Who may do what.

use super::*;

fn access(mode: AccessMode) -> Access {
    Access {
        mode,
        tokens: ArcSwap::default(),
        refreshing: tokio::sync::Mutex::default(),
    }
}

fn headers(pairs: &[(&'static str, &str)]) -> HeaderMap {
    pairs
        .iter()
        .map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap()))
        .collect()
}

fn give(access: &Access, token: &str, scopes: &[Scope]) {
    let granted = Granted {
        actor: Actor::new("ci").unwrap(),
        scopes: scopes.to_vec(),
    };
    let hash = Sha256::digest(token.as_bytes()).into();
    access.tokens.store(Arc::new([(hash, granted)].into()));
}

#[test]
fn only_loopback_is_open_without_being_told() {
    let mode = |listen: &str, tokens, insecure| access_mode(listen.parse().unwrap(), tokens, insecure);
    for loopback in [
        "127.0.0.1:80",
        "127.9.9.9:80",
        "[::1]:80",
        "[::ffff:127.0.0.1]:80",
    ] {
        assert_eq!(mode(loopback, 0, false), Ok(AccessMode::Loopback));
    }
    for open in ["0.0.0.0:80", "[::]:80", "192.168.1.2:80", "[fe80::1]:80"] {
        let refused = mode(open, 0, false).unwrap_err().to_string();
        assert!(
            refused.starts_with(&format!("`{open}` can be reached")),
            "{refused}"
        );
        assert_eq!(mode(open, 1, false), Ok(AccessMode::Tokens));
        assert_eq!(mode(open, 1, true), Ok(AccessMode::Tokens));
        assert_eq!(mode(open, 0, true), Ok(AccessMode::Insecure));
    }
}

#[test]
fn an_open_local_server_answers_its_own_names_only() {
    let access = access(AccessMode::Loopback);
    let check = |host: &str| access.check_host(&Uri::from_static("/"), &headers(&[("host", host)]));
    for own in [
        "localhost",
        "LOCALHOST:8080",
        "127.0.0.1:8080",
        "127.1.2.3",
        "[::1]:8080",
        "[::1]",
    ] {
        assert!(check(own).is_ok(), "{own}");
    }
    for foreign in [
        "evil.example",
        "evil.example:8080",
        "localhost.evil.example",
        "192.168.1.2",
        "",
        "::2",
    ] {
        assert_eq!(
            check(foreign).unwrap_err().code(),
            Code::HostNotLocal,
            "{foreign}"
        );
    }
    let absolute = Uri::from_static("http://evil.example/v1/status");
    assert!(
        access
            .check_host(&absolute, &headers(&[("host", "localhost")]))
            .is_err()
    );
    give(&access, "srn_x", &[Scope::Admin]);
    assert!(access.check_host(&absolute, &HeaderMap::new()).is_ok());
}

#[test]
fn scopes_imply_what_they_say() {
    let access = access(AccessMode::Tokens);
    let token = headers(&[("authorization", "bearer srn_x")]);
    for (scope, allowed) in [
        (Scope::Assign, vec![Scope::Assign]),
        (Scope::Observe, vec![Scope::Observe]),
        (
            Scope::Operate,
            vec![Scope::Assign, Scope::Observe, Scope::Operate],
        ),
        (Scope::Admin, Scope::ALL.to_vec()),
    ] {
        give(&access, "srn_x", &[scope]);
        for needed in Scope::ALL {
            let granted = access.caller(&token, Some(needed)).is_ok();
            assert_eq!(granted, allowed.contains(&needed), "{scope:?} for {needed:?}");
        }
        assert!(access.caller(&token, None).is_ok());
    }
}

#[test]
fn strangers_are_sent_away() {
    let access = access(AccessMode::Tokens);
    give(&access, "srn_x", &[Scope::Admin]);
    for bad in ["Bearer srn_y", "Bearer", "Basic srn_x", "srn_x", ""] {
        let refused = access
            .caller(&headers(&[("authorization", bad)]), None)
            .unwrap_err();
        assert_eq!(refused.code(), Code::Unauthenticated, "{bad}");
    }
    assert!(access.caller(&HeaderMap::new(), None).is_err());
}

#[test]
fn actors_of_an_open_server_are_local() {
    let access = access(AccessMode::Loopback);
    let actor = |pairs| {
        access
            .caller(&headers(pairs), Some(Scope::Admin))
            .map(|it| it.actor.to_string())
    };
    assert_eq!(actor(&[]).unwrap(), "local");
    assert_eq!(actor(&[("x-serin-actor", "ann")]).unwrap(), "local:ann");
    let long = "a".repeat(ACTOR_BYTES_MAX + 1);
    for bad in ["", "a\tb", &long] {
        let refused = access
            .caller(&headers(&[("x-serin-actor", bad)]), None)
            .unwrap_err();
        assert_eq!(refused.code(), Code::BadHeader);
    }
}

#[test]
fn tokens_are_long_random_and_hashed() {
    let (one, hash) = new_token().unwrap();
    let (two, _) = new_token().unwrap();
    assert_ne!(one, two);
    assert_eq!(
        URL_SAFE_NO_PAD
            .decode(one.strip_prefix(TOKEN_PREFIX).unwrap())
            .unwrap()
            .len(),
        32
    );
    assert_eq!(hash, <[u8; 32]>::from(Sha256::digest(one.as_bytes())));
}
