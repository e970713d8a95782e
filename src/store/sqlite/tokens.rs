//! Tokens (their hashes only), and the server's secret.

use crate::store::rows;
use crate::store::{Scope, Secret, StoreError, TokenRecord};
use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension as _, params};

/// The secret, made when there is none.
pub(super) fn secret(connection: &Connection) -> Result<Secret, StoreError> {
    let stored: Option<[u8; 32]> = connection
        .prepare_cached("SELECT bytes FROM secret")?
        .query_row([], |row| row.get(0))
        .optional()?;
    if let Some(bytes) = stored {
        return Ok(Secret(bytes));
    }
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|error| StoreError::Failed(Box::new(error)))?;
    connection
        .prepare_cached("INSERT INTO secret (id, bytes) VALUES (1, ?1)")?
        .execute([bytes])?;
    Ok(Secret(bytes))
}

/// Adds a token.
pub(super) fn add(connection: &Connection, token: &TokenRecord) -> Result<(), StoreError> {
    let taken = connection
        .prepare_cached("SELECT 1 FROM tokens WHERE name = ?1 AND revoked_at IS NULL")?
        .exists([&token.name])?;
    if taken {
        return Err(StoreError::NameTaken(token.name.clone()));
    }
    let scopes: Vec<&str> = token.scopes.iter().map(|scope| scope.as_str()).collect();
    connection
        .prepare_cached("INSERT INTO tokens (name, hash, scopes, created_at) VALUES (?1, ?2, ?3, ?4)")?
        .execute(params![
            token.name,
            token.hash,
            scopes.join(" "),
            token.created_at.to_string()
        ])?;
    Ok(())
}

/// The tokens in use, by name.
pub(super) fn in_use(connection: &Connection) -> Result<Vec<TokenRecord>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT name, hash, scopes, created_at FROM tokens WHERE revoked_at IS NULL ORDER BY name",
    )?;
    let mut found = statement.query([])?;
    let mut tokens = Vec::new();
    while let Some(row) = found.next()? {
        tokens.push(TokenRecord {
            name: row.get(0)?,
            hash: row.get(1)?,
            scopes: scopes(row.get_ref(2)?.as_str()?)?,
            created_at: rows::parse("the time of a token", row.get_ref(3)?.as_str()?)?,
        });
    }
    Ok(tokens)
}

fn scopes(words: &str) -> Result<Vec<Scope>, StoreError> {
    words
        .split_ascii_whitespace()
        .map(|word| {
            Scope::ALL
                .into_iter()
                .find(|scope| scope.as_str() == word)
                .ok_or_else(|| rows::corrupt("a token's scope", format_args!("`{word}` is not one")))
        })
        .collect()
}

/// Revokes a token; its row stays, because the history names it.
pub(super) fn revoke(connection: &Connection, at: Timestamp, name: &str) -> Result<bool, StoreError> {
    let revoked = connection
        .prepare_cached("UPDATE tokens SET revoked_at = ?2 WHERE name = ?1 AND revoked_at IS NULL")?
        .execute(params![name, at.to_string()])?;
    Ok(revoked > 0)
}
