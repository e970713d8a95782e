//! Server-sent events, as far as the stream of tags has them (WHATWG HTML section 9.2).

use super::trouble::Trouble;
use serde::Deserialize;

/// Longest line: a notice has about 60 bytes.
pub(super) const LINE_BYTES_MAX: usize = 4096;

/// Reads events from a stream that is cut anywhere.
#[derive(Debug, Default)]
pub(super) struct Events {
    line: Vec<u8>,
    name: String,
    data: String,
}

/// The data of the event `table`.
#[derive(Debug, Deserialize)]
struct Notice {
    tag: String,
}

impl Events {
    /// Reads on; the tag of the last event `table` that is complete now. What lies between is outdated.
    ///
    /// # Errors
    ///
    /// A line is longer than any notice.
    pub(super) fn read(&mut self, part: &[u8]) -> Result<Option<String>, Trouble> {
        let mut last = None;
        for &byte in part {
            if byte == b'\n' {
                last = self.end_line().or(last);
            } else if self.line.len() >= LINE_BYTES_MAX {
                return Err(Trouble::LineTooLong);
            } else {
                self.line.push(byte);
            }
        }
        Ok(last)
    }

    /// An empty line ends an event.
    fn end_line(&mut self) -> Option<String> {
        let line = String::from_utf8_lossy(&self.line)
            .trim_end_matches('\r')
            .to_owned();
        self.line.clear();
        if line.is_empty() {
            let (name, data) = (std::mem::take(&mut self.name), std::mem::take(&mut self.data));
            let notice: Notice = serde_json::from_str(&data).ok().filter(|_| name == "table")?;
            return Some(notice.tag);
        }
        // A comment has its colon first, and so no name.
        let (field, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match field {
            "event" => value.clone_into(&mut self.name),
            "data" => value.clone_into(&mut self.data),
            _ => {}
        }
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = ":\n\nevent: table\r\ndata: {\"tag\":\"\\\"a\\\"\"}\r\n\r\nevent: other\ndata: {\"tag\":\"x\"}\n\n: alive\n\nevent: table\ndata:{\"tag\":\"\\\"b\\\"\"}\n\n";

    #[test]
    fn tags_are_read_wherever_the_stream_is_cut() {
        for size in 1..=STREAM.len() {
            let mut events = Events::default();
            let parts = STREAM.as_bytes().chunks(size);
            let tags: Vec<String> = parts.filter_map(|part| events.read(part).unwrap()).collect();
            assert_eq!(tags.last().unwrap(), "\"b\"", "in parts of {size} bytes");
            if size <= 20 {
                assert_eq!(tags, ["\"a\"", "\"b\""], "in parts of {size} bytes");
            }
        }
    }

    #[test]
    fn what_is_no_notice_is_passed_over() {
        let mut events = Events::default();
        assert_eq!(
            events
                .read(b"event: table\ndata: {}\n\nevent: table\ndata: no\n\n\n")
                .unwrap(),
            None
        );
    }

    #[test]
    fn a_line_without_end_is_given_up() {
        let mut events = Events::default();
        assert_eq!(events.read(&[b'x'; LINE_BYTES_MAX]).unwrap(), None);
        assert!(matches!(events.read(b"x"), Err(Trouble::LineTooLong)));
    }
}
