//! What an exporter is told: a partial success, or a status.

use super::{Encoding, Rejected};
use prost::Message;
use serde_json::json;

#[derive(Clone, PartialEq, Message)]
struct Response {
    #[prost(message, optional, tag = "1")]
    partial_success: Option<PartialSuccess>,
}

/// `ExportTracePartialSuccess`.
#[derive(Clone, PartialEq, Message)]
struct PartialSuccess {
    #[prost(int64, tag = "1")]
    rejected_spans: i64,
    #[prost(string, tag = "2")]
    error_message: String,
}

/// `google.rpc.Status`.
#[derive(Clone, PartialEq, Message)]
struct Status {
    #[prost(int32, tag = "1")]
    code: i32,
    #[prost(string, tag = "2")]
    message: String,
}

/// The answer to an export: an empty message where nothing was refused, else how many spans were, and why.
pub fn accepted(rejected: &Rejected, encoding: Encoding) -> Vec<u8> {
    let count = rejected.count();
    let partial_success = (count > 0).then(|| PartialSuccess {
        rejected_spans: i64::try_from(count).unwrap_or(i64::MAX),
        error_message: rejected.to_string(),
    });
    match (encoding, partial_success) {
        (Encoding::Protobuf, partial_success) => Response { partial_success }.encode_to_vec(),
        (Encoding::Json, None) => b"{}".to_vec(),
        // 64-bit numbers are text in JSON.
        (Encoding::Json, Some(partial)) => json!({"partialSuccess": {
            "rejectedSpans": partial.rejected_spans.to_string(),
            "errorMessage": partial.error_message,
        }})
        .to_string()
        .into_bytes(),
    }
}

/// The body of a refusal: a status with a code of gRPC.
pub fn refused(code: i32, message: &str, encoding: Encoding) -> Vec<u8> {
    match encoding {
        Encoding::Protobuf => Status {
            code,
            message: message.to_owned(),
        }
        .encode_to_vec(),
        Encoding::Json => json!({"code": code, "message": message}).to_string().into_bytes(),
    }
}
