//! YAML as a tree of nodes that know their place: the only file that knows the YAML crate.

use super::super::code::Code;
use super::super::problem::{Problems, Span};
use granit_parser::{ErrorKind, Event, Marker, Parser, ScalarStyle, ScanError};
use std::collections::BTreeMap;

/// Largest policy file, in bytes.
pub const FILE_BYTES_MAX: usize = 256 * 1024;

/// Most lists, or mappings, inside each other.
pub(crate) const NESTING_LEVELS_MAX: usize = 16;

/// A value and its place.
#[derive(Debug)]
pub(crate) struct Node {
    /// Its first line.
    pub(crate) span: Span,
    /// What it is.
    pub(crate) value: NodeValue,
}

/// What a node is, as the core schema of YAML 1.2.2 (section 10.3) has it.
#[derive(Debug)]
pub(crate) enum NodeValue {
    /// Nothing, `~` or `null`.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A number, as it was written.
    Number(String),
    /// Quoted, or anything else.
    Text(String),
    /// `[a, b]`, or lines with `-`.
    List(Vec<Node>),
    /// Keys and values, each key once.
    Mapping(Vec<Entry>),
    /// Something that cannot be used and has been reported.
    Broken,
}

/// A key with its value.
#[derive(Debug)]
pub(crate) struct Entry {
    /// The key.
    pub(crate) key: String,
    /// Its place.
    pub(crate) span: Span,
    /// The value; its place is the key's where nothing is written.
    pub(crate) node: Node,
}

/// The one document of a file; none, and a problem, where there is none that can be read.
pub(crate) fn parse(text: &str, problems: &mut Problems) -> Option<Node> {
    let start = Span {
        line: 1,
        column: 1,
        ..Span::default()
    };
    if text.len() > FILE_BYTES_MAX {
        problems.add(
            Code::FileTooLarge,
            start,
            format!("the file has more than {} KiB", FILE_BYTES_MAX / 1024),
        );
        return None;
    }
    let options = granit_parser::options! {
        emit_comments: false,
        emit_unresolved_aliases: true,
        emit_anchor_events: true,
        flow_nesting_limit: NESTING_LEVELS_MAX,
        block_nesting_limit: NESTING_LEVELS_MAX,
    };
    let mut builder = Builder {
        text,
        events: Parser::new_from_str_with_options(text, options),
        problems,
    };
    match builder.document() {
        Ok(Some(node)) => Some(node),
        Ok(None) => {
            problems.add_with_help(
                Code::Empty,
                start,
                "the file is empty",
                "begin with `apiVersion: serin/v1`",
            );
            None
        }
        Err(Stop::Reported) => None,
        Err(Stop::Scan(error)) => {
            report_scan_error(text, &error, problems);
            None
        }
    }
}

/// Why the tree cannot be finished.
enum Stop {
    /// The text is not YAML.
    Scan(ScanError),
    /// The problem has been reported.
    Reported,
}

type Positioned<'t> = (Event<'t>, granit_parser::Span);

struct Builder<'t, 'p> {
    text: &'t str,
    events: Parser<'t, granit_parser::StrInput<'t>>,
    problems: &'p mut Problems,
}

impl<'t> Builder<'t, '_> {
    fn next(&mut self) -> Result<Positioned<'t>, Stop> {
        match self.events.next() {
            Some(Ok(event)) => Ok(event),
            Some(Err(error)) => Err(Stop::Scan(error)),
            // The parser ends with `StreamEnd`, after which nobody asks for more.
            None => Err(Stop::Reported),
        }
    }

    /// The next event that is, or ends, a node; anchors on the way are reported.
    fn next_node_event(&mut self) -> Result<Positioned<'t>, Stop> {
        loop {
            let (event, place) = self.next()?;
            if let Event::Anchor(_, name) = &event {
                let span = span(self.text, &place.start, &place.end);
                self.problems.add_with_help(
                    Code::Reference,
                    span,
                    format!("the anchor `&{name}` is not allowed"),
                    "remove it, and write the value out wherever it is used",
                );
                continue;
            }
            return Ok((event, place));
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser's enum is non-exhaustive; what is not named here begins no document"
    )]
    fn document(&mut self) -> Result<Option<Node>, Stop> {
        let mut root = None;
        loop {
            let (event, place) = self.next()?;
            match event {
                Event::DocumentStart(..) if root.is_some() => {
                    self.problems.add_with_help(
                        Code::SeveralDocuments,
                        span(self.text, &place.start, &place.end),
                        "a second document begins here",
                        "one policy per file: move it to a file of its own",
                    );
                    return Ok(root);
                }
                Event::DocumentStart(..) => {
                    let first = self.next_node_event()?;
                    let node = self.node(first)?;
                    root = (!matches!(node.value, NodeValue::Null)).then_some(node);
                    if root.is_none() {
                        return Ok(None);
                    }
                }
                Event::StreamEnd => return Ok(root),
                _ => {}
            }
        }
    }

    #[expect(
        clippy::wildcard_enum_match_arm,
        reason = "the parser's enum is non-exhaustive; what is not a node here is a broken one"
    )]
    fn node(&mut self, (event, place): Positioned<'t>) -> Result<Node, Stop> {
        let here = span(self.text, &place.start, &place.end);
        let tagged = self.reports_tag(&event, &place);
        let (mut here, value) = match event {
            Event::Scalar(text, style, ..) => (here, scalar(text.into_owned(), style)),
            Event::SequenceStart(..) => {
                let (items, end) = self.list()?;
                (
                    span(self.text, &place.start, &end.unwrap_or(place.end)),
                    NodeValue::List(items),
                )
            }
            Event::MappingStart(..) => {
                let (entries, end) = self.mapping()?;
                (
                    span(self.text, &place.start, &end.unwrap_or(place.end)),
                    NodeValue::Mapping(entries),
                )
            }
            Event::Alias(_) | Event::UnresolvedAlias(_) => {
                self.problems.add_with_help(
                    Code::Reference,
                    here,
                    format!("the alias `{}` is not allowed", slice(self.text, here)),
                    "write the value out",
                );
                (here, NodeValue::Broken)
            }
            _ => (here, NodeValue::Broken),
        };
        if here.length == 0 {
            here = self.first_line_from(here);
        }
        let value = if tagged { NodeValue::Broken } else { value };
        Ok(Node { span: here, value })
    }

    /// A block collection may have an empty place; the rest of its first line shows it better.
    fn first_line_from(&self, here: Span) -> Span {
        let rest = self.text.get(here.offset..).unwrap_or_default();
        Span {
            length: first_line(rest).len(),
            ..here
        }
    }

    fn reports_tag(&mut self, event: &Event<'t>, place: &granit_parser::Span) -> bool {
        let Some(tag) = event.tag() else {
            return false;
        };
        let here = match place.tag_span() {
            Some(tag) => span(self.text, &tag.start, &tag.end),
            None => span(self.text, &place.start, &place.end),
        };
        self.problems.add_with_help(
            Code::Reference,
            here,
            format!("the tag `{}` is not allowed", tag.original()),
            "remove it; quotes make a text of a number",
        );
        true
    }

    /// The items up to the end of the list, and that end where it is written.
    fn list(&mut self) -> Result<(Vec<Node>, Option<Marker>), Stop> {
        let mut items = Vec::new();
        loop {
            let next = self.next_node_event()?;
            if matches!(next.0, Event::SequenceEnd) {
                return Ok((items, Some(next.1.end)));
            }
            items.push(self.node(next)?);
        }
    }

    /// The entries up to the end of the mapping, and that end where it is written.
    fn mapping(&mut self) -> Result<(Vec<Entry>, Option<Marker>), Stop> {
        let mut entries: Vec<Entry> = Vec::new();
        let mut seen: BTreeMap<String, Span> = BTreeMap::new();
        loop {
            let next = self.next_node_event()?;
            if matches!(next.0, Event::MappingEnd) {
                return Ok((entries, Some(next.1.end)));
            }
            let written = scalar_text(&next.0);
            let key = self.node(next)?;
            let value = self.next_node_event()?;
            let mut node = self.node(value)?;
            let Some(name) = written.filter(|name| !name.is_empty()) else {
                if !matches!(key.value, NodeValue::Broken) {
                    self.problems.add_with_help(
                        Code::KeyNotText,
                        key.span,
                        "this key is not a word",
                        "put text that begins with `{` or `[` into quotes",
                    );
                }
                continue;
            };
            if let Some(first) = seen.get(&name) {
                self.problems.add_with_help(
                    Code::DuplicateKey,
                    key.span,
                    format!("`{name}` is there twice: first in line {}", first.line),
                    "remove one of both",
                );
                continue;
            }
            if matches!(node.value, NodeValue::Null) {
                node.span = key.span;
            }
            seen.insert(name.clone(), key.span);
            entries.push(Entry {
                key: name,
                span: key.span,
                node,
            });
        }
    }
}

/// The text of a scalar without a tag, whatever it looks like: `404` is a word where it is a key.
#[expect(
    clippy::wildcard_enum_match_arm,
    reason = "the parser's enum is non-exhaustive; the rest is no scalar"
)]
fn scalar_text(event: &Event<'_>) -> Option<String> {
    match event {
        Event::Scalar(text, _, _, None) => Some(text.clone().into_owned()),
        _ => None,
    }
}

fn scalar(text: String, style: ScalarStyle) -> NodeValue {
    match style {
        ScalarStyle::Plain => match text.as_str() {
            "" | "~" | "null" | "Null" | "NULL" => NodeValue::Null,
            "true" | "True" | "TRUE" => NodeValue::Bool(true),
            "false" | "False" | "FALSE" => NodeValue::Bool(false),
            _ if is_number(&text) => NodeValue::Number(text),
            _ => NodeValue::Text(text),
        },
        ScalarStyle::SingleQuoted
        | ScalarStyle::DoubleQuoted
        | ScalarStyle::Literal
        | ScalarStyle::Folded => NodeValue::Text(text),
    }
}

/// Whether a plain scalar is an integer or a float of the core schema (YAML 1.2.2, section 10.3.2).
fn is_number(text: &str) -> bool {
    let all = |digits: &str, is: fn(&u8) -> bool| !digits.is_empty() && digits.as_bytes().iter().all(is);
    if let Some(octal) = text.strip_prefix("0o") {
        return all(octal, |b| matches!(b, b'0'..=b'7'));
    }
    if let Some(hex) = text.strip_prefix("0x") {
        return all(hex, u8::is_ascii_hexdigit);
    }
    let unsigned = text.strip_prefix(['-', '+']).unwrap_or(text);
    if matches!(unsigned, ".inf" | ".Inf" | ".INF") || matches!(text, ".nan" | ".NaN" | ".NAN") {
        return true;
    }
    let (mantissa, exponent) = match unsigned.split_once(['e', 'E']) {
        Some((mantissa, exponent)) => (mantissa, Some(exponent)),
        None => (unsigned, None),
    };
    let exponent_is_sound = exponent.is_none_or(|exponent| {
        all(
            exponent.strip_prefix(['-', '+']).unwrap_or(exponent),
            u8::is_ascii_digit,
        )
    });
    let mantissa_is_sound = match mantissa.split_once('.') {
        Some(("", fraction)) => all(fraction, u8::is_ascii_digit),
        Some((whole, fraction)) => {
            all(whole, u8::is_ascii_digit) && fraction.bytes().all(|b| b.is_ascii_digit())
        }
        None => all(mantissa, u8::is_ascii_digit),
    };
    mantissa_is_sound && exponent_is_sound
}

fn report_scan_error(text: &str, error: &ScanError, problems: &mut Problems) {
    let marker = error.marker();
    let here = span(text, marker, marker);
    if *error.kind() == ErrorKind::RecursionLimitExceeded {
        problems.add(
            Code::TooDeep,
            here,
            format!("more than {NESTING_LEVELS_MAX} lists or mappings are inside each other"),
        );
        return;
    }
    problems.add_with_help(
        Code::Syntax,
        here,
        format!("this is not YAML: {}", error.info()),
        "look at the line before, too: tabs, a missing space after `:`, an unclosed bracket or quote",
    );
}

/// The place from `start` to `end`, cut off at the end of the first line.
fn span(text: &str, start: &Marker, end: &Marker) -> Span {
    let offset = start.byte_offset().unwrap_or(0).min(text.len());
    let end = end.byte_offset().unwrap_or(offset).clamp(offset, text.len());
    Span {
        line: start.line(),
        column: start.col() + 1,
        offset,
        length: first_line(text.get(offset..end).unwrap_or_default()).len(),
    }
}

fn slice(text: &str, span: Span) -> &str {
    text.get(span.offset..span.offset + span.length)
        .unwrap_or_default()
}

fn first_line(text: &str) -> &str {
    text.split(['\n', '\r']).next().unwrap_or_default().trim_end()
}
