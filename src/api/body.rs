//! Request bodies: bounded as they are sent, bounded again as they are decompressed.

use super::problem::{Code, Problem};
use crate::config::Limits;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use bytes::{Bytes, BytesMut};
use http_body_util::BodyExt as _;
use std::io::Read;
use std::time::Duration;

/// Base-two logarithm of the largest zstd window that is accepted, and so of the memory that a frame
/// may ask for: 8 MiB, which RFC 8878 section 3.1.1.1.2 asks decoders to support.
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// Bodies from this size on are decompressed away from the threads that answer, in bytes.
const INLINE_BYTES_MAX: usize = 64 * 1024;

/// A body that has arrived whole.
#[derive(Debug)]
pub(super) struct Decoded {
    /// What it says, decompressed.
    pub(super) bytes: Bytes,
}

#[derive(Debug, Clone, Copy)]
enum Encoding {
    Identity,
    Gzip,
    Zstd,
}

/// Reads a body; too long, too slow and too large when decompressed are problems of their own.
pub(super) async fn read(request: Request, limits: &Limits) -> Result<Decoded, Problem> {
    let (parts, body) = request.into_parts();
    let encoding = encoding(&parts.headers)?;
    let arriving = collect(body, declared_length(&parts.headers), limits.body_bytes_max);
    let sent = tokio::time::timeout(limits.request_timeout, arriving)
        .await
        .map_err(|_| too_slow(limits.request_timeout))??;
    let bytes = decode(encoding, sent, limits.body_decompressed_bytes_max).await?;
    Ok(Decoded { bytes })
}

fn too_slow(allowed: Duration) -> Problem {
    let detail = format!("the body did not arrive within {} s", allowed.as_secs_f64());
    Problem::new(Code::BodyTimeout, detail)
}

fn declared_length(headers: &HeaderMap) -> Option<usize> {
    headers.get(header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

async fn collect(mut body: Body, declared: Option<usize>, bytes_max: usize) -> Result<Bytes, Problem> {
    let too_large = || {
        let detail = format!("the body has more than {bytes_max} bytes: send it in several requests");
        Problem::new(Code::BodyTooLarge, detail)
    };
    if declared.is_some_and(|length| length > bytes_max) {
        return Err(too_large());
    }
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| Problem::new(Code::MalformedBody, "the body ended too early"))?;
        let Ok(data) = frame.into_data() else { continue };
        if whole.len() + data.len() > bytes_max {
            return Err(too_large());
        }
        if whole.is_empty() && declared == Some(data.len()) {
            return Ok(data);
        }
        whole.extend_from_slice(&data);
    }
    Ok(whole.freeze())
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Problem> {
    let Some(value) = headers.get(header::CONTENT_ENCODING) else {
        return Ok(Encoding::Identity);
    };
    match value.as_bytes().to_ascii_lowercase().as_slice() {
        b"identity" | b"" => Ok(Encoding::Identity),
        b"gzip" | b"x-gzip" => Ok(Encoding::Gzip),
        b"zstd" => Ok(Encoding::Zstd),
        _ => Err(Problem::new(
            Code::UnsupportedEncoding,
            "`Content-Encoding` must be `gzip`, `zstd` or absent",
        )),
    }
}

async fn decode(encoding: Encoding, sent: Bytes, bytes_max: usize) -> Result<Bytes, Problem> {
    match encoding {
        Encoding::Identity => Ok(sent),
        Encoding::Gzip | Encoding::Zstd if sent.len() < INLINE_BYTES_MAX => {
            decompress(encoding, &sent, bytes_max)
        }
        Encoding::Gzip | Encoding::Zstd => {
            tokio::task::spawn_blocking(move || decompress(encoding, &sent, bytes_max))
                .await
                .unwrap_or_else(|failed| Err(Problem::internal(&failed)))
        }
    }
}

fn decompress(encoding: Encoding, sent: &[u8], bytes_max: usize) -> Result<Bytes, Problem> {
    match encoding {
        Encoding::Identity => Ok(Bytes::copy_from_slice(sent)),
        Encoding::Gzip => read_bounded(flate2::read::MultiGzDecoder::new(sent), bytes_max),
        Encoding::Zstd => {
            let mut decoder =
                zstd::stream::read::Decoder::with_buffer(sent).map_err(|error| Problem::internal(&error))?;
            decoder
                .window_log_max(ZSTD_WINDOW_LOG_MAX)
                .map_err(|error| Problem::internal(&error))?;
            read_bounded(decoder, bytes_max)
        }
    }
}

fn read_bounded(decoder: impl Read, bytes_max: usize) -> Result<Bytes, Problem> {
    let mut decoded = Vec::new();
    let limit = u64::try_from(bytes_max).unwrap_or(u64::MAX).saturating_add(1);
    decoder.take(limit).read_to_end(&mut decoded).map_err(|error| {
        Problem::new(
            Code::MalformedBody,
            format!("the body cannot be decompressed: {error}"),
        )
    })?;
    if decoded.len() > bytes_max {
        let detail = format!("the body has more than {bytes_max} bytes when it is decompressed");
        return Err(Problem::new(Code::BodyTooLarge, detail));
    }
    Ok(decoded.into())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    const LIMITS: Limits = Limits {
        body_bytes_max: 2_000,
        body_decompressed_bytes_max: 10_000,
        observations_max: 10,
        requests_in_flight_max: 10,
        connections_max: 10,
        event_subscribers_max: 10,
        assignment_subscribers_max: 10,
        request_timeout: Duration::from_secs(60),
    };

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    async fn sent(encoding: &str, bytes: Vec<u8>) -> Result<Bytes, Code> {
        let request = Request::builder()
            .header("content-encoding", encoding)
            .body(Body::from(bytes))
            .unwrap();
        read(request, &LIMITS)
            .await
            .map(|decoded| decoded.bytes)
            .map_err(|problem| problem.code())
    }

    #[tokio::test]
    async fn bodies_are_decompressed() {
        let text = b"observation".repeat(100);
        assert_eq!(sent("gzip", gzip(&text)).await.unwrap(), text);
        assert_eq!(
            sent("zstd", zstd::encode_all(&*text, 3).unwrap()).await.unwrap(),
            text
        );
        assert_eq!(sent("identity", text.clone()).await.unwrap(), text);
        let two = [gzip(b"one "), gzip(b"two")].concat();
        assert_eq!(sent("gzip", two).await.unwrap(), b"one two".as_slice());
    }

    #[tokio::test]
    async fn what_is_too_large_is_refused_before_it_is_held() {
        assert_eq!(sent("identity", vec![0; 2_001]).await, Err(Code::BodyTooLarge));
        for bomb in [
            ("gzip", gzip(&vec![0; 1_000_000])),
            ("zstd", zstd::encode_all(&vec![0; 1_000_000][..], 3).unwrap()),
        ] {
            assert!(bomb.1.len() < LIMITS.body_bytes_max);
            assert_eq!(sent(bomb.0, bomb.1).await, Err(Code::BodyTooLarge), "{}", bomb.0);
        }
        assert_eq!(
            sent("gzip", gzip(&vec![0; 10_000]))
                .await
                .map(|bytes| bytes.len()),
            Ok(10_000)
        );
    }

    #[tokio::test]
    async fn what_cannot_be_decompressed_is_refused() {
        assert_eq!(sent("gzip", b"not gzip".to_vec()).await, Err(Code::MalformedBody));
        let mut cut = gzip(&b"observation".repeat(100));
        cut.truncate(20);
        assert_eq!(sent("gzip", cut).await, Err(Code::MalformedBody));
        assert_eq!(sent("br", Vec::new()).await, Err(Code::UnsupportedEncoding));
        assert_eq!(
            sent("gzip, gzip", Vec::new()).await,
            Err(Code::UnsupportedEncoding)
        );
    }
}
