//! Style, script and icon, compiled in, under addresses that change with their content.

use super::frame::{PageError, not_found};
use axum::extract::{Path, RawQuery};
use axum::http::header;
use axum::response::{IntoResponse, Response};
use sha2::{Digest as _, Sha256};
use std::sync::LazyLock;

/// A file, with its type.
struct Asset {
    name: &'static str,
    kind: &'static str,
    text: &'static str,
}

const CSS: Asset = Asset {
    name: "console.css",
    kind: "text/css; charset=utf-8",
    text: concat!(
        include_str!("static/parts.css"),
        "\n",
        include_str!("static/console.css")
    ),
};
/// The style of a report, which stands in it.
pub(super) const REPORT_STYLE: &str = concat!(
    include_str!("static/parts.css"),
    "\n",
    include_str!("static/report.css")
);
const SCRIPT: Asset = Asset {
    name: "console.js",
    kind: "text/javascript; charset=utf-8",
    text: include_str!("static/console.js"),
};
const ICON: Asset = Asset {
    name: "serin.svg",
    kind: "image/svg+xml",
    text: include_str!("static/serin.svg"),
};

/// Bytes of a file's hash that its address has.
const FINGERPRINT_BYTES: usize = 6;

/// The address of the style sheet.
pub(super) fn css() -> &'static str {
    static ADDRESS: LazyLock<String> = LazyLock::new(|| address(&CSS));
    &ADDRESS
}

/// The address of the script.
pub(super) fn script() -> &'static str {
    static ADDRESS: LazyLock<String> = LazyLock::new(|| address(&SCRIPT));
    &ADDRESS
}

fn address(asset: &Asset) -> String {
    let hash = Sha256::digest(asset.text);
    let fingerprint: String = hash
        .iter()
        .take(FINGERPRINT_BYTES)
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("/static/{}?{fingerprint}", asset.name)
}

/// Answers a file; for good under an address with a fingerprint.
pub(super) async fn file(Path(name): Path<String>, RawQuery(query): RawQuery) -> Result<Response, PageError> {
    let asset = [CSS, SCRIPT, ICON].into_iter().find(|asset| asset.name == name);
    let Some(asset) = asset else {
        return Err(not_found("such file"));
    };
    let kept = if query.is_some() {
        "public, max-age=31536000, immutable"
    } else {
        "public, max-age=3600"
    };
    let headers = [(header::CONTENT_TYPE, asset.kind), (header::CACHE_CONTROL, kept)];
    Ok((headers, asset.text).into_response())
}
