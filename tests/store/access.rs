//! Tokens, and the server's secret.

use crate::world::{World, start};
use jiff::SignedDuration;
use serin::store::{Scope, StoreError, TokenRecord};

fn token(name: &str, first: u8, scopes: &[Scope]) -> TokenRecord {
    let mut hash = [0; 32];
    hash[0] = first;
    TokenRecord {
        name: name.to_owned(),
        hash,
        scopes: scopes.to_vec(),
        created_at: start() + SignedDuration::from_nanos(7),
    }
}

#[tokio::test]
async fn tokens_are_kept_listed_by_name_and_revoked() {
    for world in World::every() {
        let service = token("service", 1, &[Scope::Assign, Scope::Observe]);
        let alice = token("alice", 2, &Scope::ALL);
        world.store.add_token(service.clone()).await.unwrap();
        world.store.add_token(alice.clone()).await.unwrap();
        assert_eq!(
            world.store.tokens().await.unwrap(),
            [alice.clone(), service.clone()],
            "{}",
            world.name
        );

        let taken = world.store.add_token(token("alice", 3, &[])).await.unwrap_err();
        assert!(
            matches!(&taken, StoreError::NameTaken(name) if name == "alice"),
            "{taken}"
        );

        assert!(world.store.revoke_token("alice").await.unwrap());
        assert!(!world.store.revoke_token("alice").await.unwrap());
        assert!(!world.store.revoke_token("nobody").await.unwrap());
        assert_eq!(world.store.tokens().await.unwrap(), [service]);

        let second = token("alice", 4, &[Scope::Operate]);
        world.store.add_token(second.clone()).await.unwrap();
        assert_eq!(world.store.tokens().await.unwrap()[0], second);
    }
}

#[tokio::test]
async fn the_secret_is_made_once_and_kept() {
    for world in World::durable() {
        let secret = world.store.secret().await.unwrap().0;
        assert_ne!(secret, [0; 32]);
        assert_eq!(world.store.secret().await.unwrap().0, secret);
        let world = world.reopen();
        assert_eq!(world.store.secret().await.unwrap().0, secret, "{}", world.name);
    }
    let [one, other] = [World::sqlite_file(), World::sqlite_file()];
    assert_ne!(
        one.store.secret().await.unwrap().0,
        other.store.secret().await.unwrap().0
    );
}
