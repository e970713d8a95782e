//! Web origins that may read assignments from a browser.

use std::collections::BTreeSet;
use std::str::FromStr;

/// One origin: scheme, host and port, as a browser sends it; or `*` for every one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct AllowedOrigin(String);

impl FromStr for AllowedOrigin {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "*" {
            return Ok(Self(text.to_owned()));
        }
        let refused =
            || format!("`{text}` must be an origin, such as `https://app.example.org`, or `*` for every one");
        let url = reqwest::Url::parse(text).map_err(|_| refused())?;
        let origin = url.origin().ascii_serialization();
        // A path, even `/`, or capitals would never match what a browser sends.
        if matches!(url.scheme(), "http" | "https") && origin == text && !text.contains('*') {
            Ok(Self(origin))
        } else {
            Err(refused())
        }
    }
}

/// The origins whose pages may read assignments; nobody's by default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AllowedOrigins(BTreeSet<String>);

impl AllowedOrigins {
    /// Whether pages of `origin` may read assignments.
    pub fn allow(&self, origin: &str) -> bool {
        self.0.contains(origin) || self.0.contains("*")
    }

    /// Whether no page may.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<AllowedOrigin> for AllowedOrigins {
    fn from_iter<I: IntoIterator<Item = AllowedOrigin>>(origins: I) -> Self {
        Self(origins.into_iter().map(|origin| origin.0).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn origins_are_written_as_browsers_send_them() {
        for good in [
            "https://app.example.org",
            "http://localhost:3000",
            "https://[::1]:8443",
            "*",
        ] {
            let origins: AllowedOrigins = [good.parse().unwrap()].into_iter().collect();
            assert!(good == "*" || origins.allow(good), "{good}");
            assert_eq!(origins.allow("https://evil.example"), good == "*");
        }
        for bad in [
            "https://app.example.org/",
            "https://App.example.org",
            "https://app.example.org:443",
            "app.example.org",
            "https://*.example.org",
            "null",
            "file:///x",
            "",
        ] {
            assert!(bad.parse::<AllowedOrigin>().is_err(), "{bad}");
        }
        assert!(!AllowedOrigins::default().allow("https://app.example.org"));
    }
}
