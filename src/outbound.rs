//! HTTP to other servers: what all of Serin's own requests have in common.

use bytes::{Bytes, BytesMut};
use reqwest::{Client, ClientBuilder, Response, Url};
use std::error::Error;
use std::net::IpAddr;

/// How requests name whoever makes them.
const USER_AGENT: &str = concat!("serin/", env!("CARGO_PKG_VERSION"));

/// Where a server is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On this machine, where no proxy helps: a proxy has a loopback of its own.
    ThisMachine,
    /// Anywhere else.
    Network,
}

impl Place {
    /// Where the server of this address is.
    pub(crate) fn of(url: &Url) -> Self {
        let host = url.host_str().unwrap_or_default();
        let address = host.trim_start_matches('[').trim_end_matches(']');
        let is_loopback = address
            .parse::<IpAddr>()
            .is_ok_and(|address| address.is_loopback());
        if host == "localhost" || is_loopback {
            Self::ThisMachine
        } else {
            Self::Network
        }
    }

    /// A client for servers there.
    pub(crate) fn client(self) -> ClientBuilder {
        // Another part of the process may have chosen a provider before; any will do.
        rustls::crypto::ring::default_provider().install_default().ok();
        let builder = Client::builder().user_agent(USER_AGENT);
        match self {
            Self::ThisMachine => builder.no_proxy(),
            Self::Network => builder,
        }
    }
}

/// What went wrong, down to the cause that tells something; the address is not in it, which may hold a
/// secret.
pub(crate) fn cause(error: reqwest::Error) -> String {
    let error = error.without_url();
    let mut deepest: &dyn Error = &error;
    while let Some(deeper) = deepest.source() {
        deepest = deeper;
    }
    deepest.to_string()
}

/// Why a body was not read.
#[derive(Debug)]
pub(crate) enum BodyError {
    /// The connection broke off.
    Broken(reqwest::Error),
    /// It is longer than was asked for.
    TooLong,
}

/// The body of an answer, of at most `bytes_max` bytes.
pub(crate) async fn body(mut response: Response, bytes_max: usize) -> Result<Bytes, BodyError> {
    let mut whole = BytesMut::new();
    while let Some(part) = response.chunk().await.map_err(BodyError::Broken)? {
        if whole.len() + part.len() > bytes_max {
            return Err(BodyError::TooLong);
        }
        whole.extend_from_slice(&part);
    }
    Ok(whole.freeze())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_on_this_machine_are_known_by_name_and_number() {
        for (url, place) in [
            ("http://localhost:8080", Place::ThisMachine),
            ("http://127.0.0.2/a", Place::ThisMachine),
            ("https://[::1]:1", Place::ThisMachine),
            ("http://localhost.example.org", Place::Network),
            ("http://10.0.0.1", Place::Network),
            ("http://[2001:db8::1]", Place::Network),
        ] {
            assert_eq!(Place::of(&Url::parse(url).unwrap()), place, "{url}");
        }
    }

    #[tokio::test]
    async fn a_cause_names_no_address() {
        // Nothing listens on a port that was just given back.
        let port = {
            let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
            listener.local_addr().unwrap().port()
        };
        let client = Place::ThisMachine.client().build().unwrap();
        let asked = client.get(format!("http://127.0.0.1:{port}/secret")).send().await;
        let told = cause(asked.unwrap_err());
        assert!(told.contains("refused"), "{told}");
        assert!(!told.contains("secret"), "{told}");
    }

    #[tokio::test]
    async fn a_body_is_read_to_its_bound() {
        let answer = |bytes: usize| Response::from(axum::http::Response::new(vec![b'a'; bytes]));
        assert_eq!(body(answer(8), 8).await.unwrap().len(), 8);
        assert!(matches!(body(answer(9), 8).await, Err(BodyError::TooLong)));
    }
}
