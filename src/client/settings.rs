//! What a client is told at its start.

use reqwest::Url;
use std::path::PathBuf;

/// Which server to follow, and how.
#[derive(Clone)]
pub struct Settings {
    pub(super) server: Url,
    pub(super) token: Option<String>,
    pub(super) file: Option<PathBuf>,
}

/// Why a client cannot start.
#[derive(Debug, thiserror::Error)]
pub enum SettingsError {
    /// The address is none.
    #[error("`{address}` is not the address of a server: write it like `http://127.0.0.1:8080`")]
    BadAddress {
        /// What was given.
        address: String,
    },
    /// The token has line breaks or other bytes that no header can have.
    #[error("the token holds characters that cannot be sent: give it as `serin token create` printed it")]
    BadToken,
    /// The HTTP client cannot be set up.
    #[error("the HTTP client cannot be set up")]
    NoHttp(#[source] reqwest::Error),
}

impl Settings {
    /// Follows the server at this address, which may lie below a path of a gateway.
    ///
    /// # Errors
    ///
    /// The address does not begin with `http://` or `https://`, or has no host.
    pub fn new(address: &str) -> Result<Self, SettingsError> {
        let server = Url::parse(address).ok();
        let is_server = |url: &Url| matches!(url.scheme(), "http" | "https") && url.has_host();
        let server = server
            .filter(is_server)
            .ok_or_else(|| SettingsError::BadAddress {
                address: address.to_owned(),
            })?;
        Ok(Self {
            server,
            token: None,
            file: None,
        })
    }

    /// With a token that has the scope `assign`; a local server without tokens needs none.
    #[must_use]
    pub fn with_token(self, token: &str) -> Self {
        Self {
            token: Some(token.to_owned()),
            ..self
        }
    }

    /// With a file that keeps the last good table, for a restart while the server is away.
    ///
    /// It holds split keys, and is readable by its owner alone. Give each process a file of its own.
    #[must_use]
    pub fn with_file(self, file: impl Into<PathBuf>) -> Self {
        Self {
            file: Some(file.into()),
            ..self
        }
    }
}

impl std::fmt::Debug for Settings {
    /// Without the token.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Settings")
            .field("server", &self.server.as_str())
            .field("file", &self.file)
            .finish_non_exhaustive()
    }
}
