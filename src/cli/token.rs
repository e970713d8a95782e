//! `serin token …`: who may do what, on a running server or in its data.

use super::client::{Client, Connection, view};
use super::figures;
use super::help::examples;
use super::report::Hinted;
use super::screen::{self, Cell, FAINT, Flush, STRONG, Table};
use super::server;
use super::wire::Token;
use crate::api::TokenName;
use crate::api::access::new_token;
use crate::clock::Clock;
use crate::store::sqlite::SqliteStore;
use crate::store::{Scope, Store, TokenRecord};
use anyhow::Context as _;
use serde_json::{Value, json};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// Make, list and revoke the tokens that say who may do what
#[derive(Debug, clap::Subcommand)]
pub(crate) enum TokenVerb {
    Create(Create),
    List(List),
    Revoke(Revoke),
}

/// Where the tokens are.
#[derive(Debug, clap::Args)]
struct Place {
    /// Folder of the store, where no server runs on it; else a running server is asked
    #[arg(long, value_name = "DIR")]
    data: Option<PathBuf>,
    #[command(flatten)]
    connection: Connection,
}

/// Make a token; its secret part is printed this once
///
/// A running server asks for a token of scope `admin` and makes one of that scope first. Before its
/// first start, and while it is stopped, `--data` works on the store itself.
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "$ serin token create --name ops --scope admin --data serin-data"
    "$ SERIN_TOKEN=srn_... serin token create --name checkout-service --scope assign --scope observe"
))]
pub(crate) struct Create {
    /// Its name: the actor of what is done with it
    #[arg(long, value_name = "NAME", value_parser = token_name)]
    name: String,
    /// What it may do: assign, observe, operate (with both of them), admin (everything)
    #[arg(long = "scope", value_name = "SCOPE", value_parser = scope, required = true)]
    scopes: Vec<Scope>,
    #[command(flatten)]
    place: Place,
}

/// List tokens, without their secret part
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "$ serin token list"
    "$ serin token list --data serin-data --json"
))]
pub(crate) struct List {
    #[command(flatten)]
    place: Place,
}

/// Revoke a token; on a running server it works no more from now on
#[derive(Debug, clap::Args)]
#[command(after_help = examples!(
    "$ serin token revoke checkout-service"
))]
pub(crate) struct Revoke {
    /// The token's name
    #[arg(value_name = "NAME", value_parser = token_name)]
    name: String,
    #[command(flatten)]
    place: Place,
}

fn token_name(text: &str) -> Result<String, String> {
    TokenName::new(text).map(|name| name.0)
}

fn scope(text: &str) -> Result<Scope, String> {
    let known = Scope::ALL.into_iter().find(|scope| scope.as_str() == text);
    known.ok_or_else(|| "must be `assign`, `observe`, `operate` or `admin`".to_owned())
}

/// Runs the verb.
pub(crate) async fn run(verb: &TokenVerb) -> anyhow::Result<()> {
    match verb {
        TokenVerb::Create(args) => create(args).await,
        TokenVerb::List(args) => list(&args.place).await,
        TokenVerb::Revoke(args) => revoke(args).await,
    }
}

async fn create(args: &Create) -> anyhow::Result<()> {
    let scopes: BTreeSet<Scope> = args.scopes.iter().copied().collect();
    let made = match &args.place.data {
        Some(directory) => {
            let store = open(directory).await?;
            let made = add(&store, &args.name, scopes).await;
            store.close().await;
            made?
        }
        None => {
            let words: Vec<&str> = scopes.iter().map(|scope| scope.as_str()).collect();
            let client = Client::new(&args.place.connection, None)?;
            client
                .post(&["v1", "tokens"], &json!({"name": args.name, "scopes": words}))
                .await?
        }
    };
    if args.place.connection.json {
        screen::print_json(&made)?;
        return Ok(());
    }
    let token = made["token"]
        .as_str()
        .context("the server's answer has no token")?;
    // The token alone goes to standard output, so that it can go straight into a file.
    anstream::eprintln!("token `{}`, shown this once:", args.name);
    screen::print_exactly(&format!("{token}\n"))?;
    Ok(())
}

/// Adds a token to the store itself, and shows it as the API does.
async fn add(store: &SqliteStore, name: &str, scopes: BTreeSet<Scope>) -> anyhow::Result<Value> {
    let (token, hash) = new_token().map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    let record = TokenRecord {
        name: name.to_owned(),
        hash,
        scopes: scopes.into_iter().collect(),
        created_at: Clock::System.now(),
    };
    store.add_token(record.clone()).await?;
    let mut made = shown(&record);
    made["token"] = token.into();
    Ok(made)
}

fn shown(record: &TokenRecord) -> Value {
    let scopes: Vec<&str> = record.scopes.iter().map(|scope| scope.as_str()).collect();
    json!({"name": record.name, "scopes": scopes, "createdAt": record.created_at.to_string()})
}

async fn list(place: &Place) -> anyhow::Result<()> {
    let answer = match &place.data {
        Some(directory) => {
            let store = open_existing(directory).await?;
            let tokens = store.tokens().await;
            store.close().await;
            json!({"tokens": tokens?.iter().map(shown).collect::<Vec<Value>>()})
        }
        None => {
            Client::new(&place.connection, None)?
                .get(&["v1", "tokens"], &[])
                .await?
        }
    };
    if place.connection.json {
        screen::print_json(&answer)?;
        return Ok(());
    }
    let tokens: Vec<Token> = view(&answer["tokens"])?;
    if tokens.is_empty() {
        screen::print("no tokens: a server on a loopback address serves everybody on this machine\n")?;
        return Ok(());
    }
    let mut table = Table::new(&[
        ("TOKEN", Flush::Left),
        ("SCOPES", Flush::Left),
        ("MADE", Flush::Left),
    ]);
    for token in tokens {
        table.row([
            Cell::new(STRONG, &token.name),
            Cell::plain(token.scopes.join(", ")),
            Cell::new(FAINT, figures::moment(&token.created_at)),
        ]);
    }
    screen::print(&table.render(""))?;
    Ok(())
}

async fn revoke(args: &Revoke) -> anyhow::Result<()> {
    match &args.place.data {
        Some(directory) => {
            let store = open_existing(directory).await?;
            let revoked = store.revoke_token(&args.name).await;
            store.close().await;
            anyhow::ensure!(revoked?, "there is no token `{}`", args.name);
        }
        None => {
            let client = Client::new(&args.place.connection, None)?;
            client.delete(&["v1", "tokens", &args.name], &[]).await?;
        }
    }
    if args.place.connection.json {
        screen::print_json(&json!({"revoked": args.name}))?;
    } else {
        screen::print(&format!("token `{}` is revoked\n", args.name))?;
    }
    Ok(())
}

async fn open_existing(directory: &Path) -> anyhow::Result<SqliteStore> {
    if !directory.is_dir() {
        let message = format!("there is no data folder `{}`", directory.display());
        return Err(Hinted::new(message, "name the folder that `serin serve --data` was given").into());
    }
    open(directory).await
}

async fn open(directory: &Path) -> anyhow::Result<SqliteStore> {
    let busy = "ask that server: leave out `--data`, and give a token of scope `admin`";
    server::open(directory, Clock::System, busy).await
}
