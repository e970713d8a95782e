//! The requests of a client.

use super::events::Events;
use super::settings::{Settings, SettingsError};
use super::trouble::Trouble;
use crate::outbound::{self, BodyError, Place};
use bytes::Bytes;
use reqwest::header::{AUTHORIZATION, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use reqwest::{Response, StatusCode, Url};
use std::time::Duration;

/// Time to reach the server.
const CONNECT_SECONDS_MAX: u64 = 5;
/// Time for the server to answer in full.
const ANSWER_SECONDS_MAX: u64 = 30;
/// Time for the stream to show that it is alive; it does every 15 s.
pub(super) const SILENCE_SECONDS_MAX: u64 = 45;
/// Largest table that is read; 10,000 policies take about 4 MB.
pub(super) const TABLE_BYTES_MAX: usize = 64 * 1024 * 1024;

/// How requests name whoever makes them.
const USER_AGENT: &str = concat!("serin-client/", env!("CARGO_PKG_VERSION"));

/// Asks one server.
#[derive(Debug)]
pub(super) struct Connection {
    http: reqwest::Client,
    table: Url,
    events: Url,
}

/// A table as it was sent.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) tag: String,
    pub(super) body: Bytes,
}

/// The stream of tags.
#[derive(Debug)]
pub(super) struct Stream {
    response: Response,
    events: Events,
}

impl Connection {
    /// Nothing is sent yet.
    pub(super) fn new(settings: &Settings) -> Result<Self, SettingsError> {
        let mut headers = HeaderMap::new();
        if let Some(token) = &settings.token {
            let value = HeaderValue::from_str(&format!("Bearer {token}"));
            let mut value = value.map_err(|_| SettingsError::BadToken)?;
            value.set_sensitive(true);
            headers.insert(AUTHORIZATION, value);
        }
        let http = Place::of(&settings.server)
            .client()
            .user_agent(USER_AGENT)
            .default_headers(headers)
            .connect_timeout(Duration::from_secs(CONNECT_SECONDS_MAX))
            .build()
            .map_err(SettingsError::NoHttp)?;
        Ok(Self {
            http,
            table: below(&settings.server, &["v1", "route-table"]),
            events: below(&settings.server, &["v1", "route-table", "events"]),
        })
    }

    /// The table; none where it still is the one with this tag.
    pub(super) async fn table(&self, known: Option<&str>) -> Result<Option<Sent>, Trouble> {
        let timeout = Duration::from_secs(ANSWER_SECONDS_MAX);
        let mut request = self.http.get(self.table.clone()).timeout(timeout);
        if let Some(known) = known {
            request = request.header(IF_NONE_MATCH, known);
        }
        let response = request.send().await.map_err(Trouble::unreachable)?;
        if known.is_some() && response.status() == StatusCode::NOT_MODIFIED {
            return Ok(None);
        }
        accept(&response)?;
        let tag = response.headers().get(ETAG).and_then(|tag| tag.to_str().ok());
        let tag = tag.ok_or(Trouble::NoTag)?.to_owned();
        match outbound::body(response, TABLE_BYTES_MAX).await {
            Ok(body) => Ok(Some(Sent { tag, body })),
            Err(BodyError::Broken(error)) => Err(Trouble::unreachable(error)),
            Err(BodyError::TooLong) => Err(Trouble::TableTooLong),
        }
    }

    /// Begins to follow.
    pub(super) async fn follow(&self) -> Result<Stream, Trouble> {
        let asked = self.http.get(self.events.clone()).send();
        let answered = tokio::time::timeout(Duration::from_secs(ANSWER_SECONDS_MAX), asked).await;
        let response = answered
            .map_err(|_| Trouble::Silent)?
            .map_err(Trouble::unreachable)?;
        accept(&response)?;
        Ok(Stream {
            response,
            events: Events::default(),
        })
    }
}

impl Stream {
    /// Waits for the next tag.
    pub(super) async fn next(&mut self) -> Result<String, Trouble> {
        loop {
            let silence = Duration::from_secs(SILENCE_SECONDS_MAX);
            let part = tokio::time::timeout(silence, self.response.chunk()).await;
            let part = part.map_err(|_| Trouble::Silent)?.map_err(Trouble::unreachable)?;
            if let Some(tag) = self.events.read(&part.ok_or(Trouble::Ended)?)? {
                return Ok(tag);
            }
        }
    }
}

fn accept(response: &Response) -> Result<(), Trouble> {
    match response.status() {
        StatusCode::OK => Ok(()),
        status => Err(Trouble::Refused { status }),
    }
}

/// The server's address with these segments behind it.
fn below(server: &Url, path: &[&str]) -> Url {
    let mut url = server.clone();
    // An address with a host has a path.
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend(path);
    }
    url
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_may_live_below_a_path() {
        for (server, expected) in [
            ("http://a:1", "http://a:1/v1/route-table"),
            ("https://a/serin/", "https://a/serin/v1/route-table"),
        ] {
            let settings = Settings::new(server).unwrap();
            assert_eq!(Connection::new(&settings).unwrap().table.as_str(), expected);
        }
    }

    #[test]
    fn what_is_no_address_or_token_is_refused() {
        for address in ["a:1", "ftp://a", "http://", ""] {
            assert!(Settings::new(address).is_err(), "{address}");
        }
        let settings = Settings::new("http://a").unwrap().with_token("a\nb");
        assert!(matches!(Connection::new(&settings), Err(SettingsError::BadToken)));
        assert!(!format!("{settings:?}").contains("a\\nb"));
    }
}
