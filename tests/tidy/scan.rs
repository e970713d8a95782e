//! Rust source as tokens: enough of the grammar for rules about names, paths and extents.

/// What a token is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// An identifier or keyword.
    Word,
    /// A string literal; its text is what stands between the quotes.
    Text,
    /// `::`.
    PathSeparator,
    /// Anything else that is not blank: one character of punctuation, a number, a character literal.
    Other,
}

/// A token and the line that it begins on.
#[derive(Debug, Clone)]
pub(crate) struct Token {
    pub(crate) kind: Kind,
    pub(crate) text: String,
    /// Counted from 1.
    pub(crate) line: usize,
}

impl Token {
    pub(crate) fn is(&self, text: &str) -> bool {
        self.kind != Kind::Text && self.text == text
    }
}

/// One line of a comment.
#[derive(Debug, Clone)]
pub(crate) struct Comment {
    /// Without the slashes.
    pub(crate) text: String,
    /// Counted from 1.
    pub(crate) line: usize,
    /// Whether rustdoc shows it.
    pub(crate) doc: bool,
}

/// Tokens and comments of a text.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) tokens: Vec<Token>,
    pub(crate) comments: Vec<Comment>,
}

struct Scanner<'a> {
    rest: &'a str,
    line: usize,
    out: Scan,
}

/// Splits a source file.
pub(crate) fn scan(text: &str) -> Scan {
    let mut scanner = Scanner {
        rest: text,
        line: 1,
        out: Scan::default(),
    };
    while !scanner.rest.is_empty() {
        scanner.step();
    }
    scanner.out
}

impl<'a> Scanner<'a> {
    /// Takes `bytes` from the front and counts the lines in them.
    fn take(&mut self, bytes: usize) -> &'a str {
        let (taken, rest) = self.rest.split_at(bytes);
        self.line += taken.matches('\n').count();
        self.rest = rest;
        taken
    }

    fn push(&mut self, kind: Kind, bytes: usize) {
        let line = self.line;
        let text = self.take(bytes).to_owned();
        self.out.tokens.push(Token { kind, text, line });
    }

    fn step(&mut self) {
        let first = self.rest.chars().next().unwrap_or(' ');
        if first.is_whitespace() {
            self.take(first.len_utf8());
        } else if self.rest.starts_with("//") {
            let end = self.rest.find('\n').unwrap_or(self.rest.len());
            self.comment(end);
        } else if self.rest.starts_with("/*") {
            let end = block_comment_end(self.rest);
            self.comment(end);
        } else if let Some(quotes) = quotes(self.rest) {
            self.string(&quotes);
        } else if first == '\'' {
            let bytes = character_end(self.rest).unwrap_or(1);
            self.push(Kind::Other, bytes);
        } else if first.is_alphabetic() || first == '_' {
            let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            self.push(Kind::Word, end.unwrap_or(self.rest.len()));
        } else if first.is_ascii_digit() {
            let end = self.rest.find(|c: char| !c.is_alphanumeric() && c != '_');
            self.push(Kind::Other, end.unwrap_or(self.rest.len()));
        } else if self.rest.starts_with("::") {
            self.push(Kind::PathSeparator, 2);
        } else {
            self.push(Kind::Other, first.len_utf8());
        }
    }

    fn comment(&mut self, end: usize) {
        let first = self.line;
        let text = self.take(end);
        let doc = ["///", "//!", "/**", "/*!"]
            .iter()
            .any(|mark| text.starts_with(mark));
        for (offset, part) in text.lines().enumerate() {
            self.out.comments.push(Comment {
                text: part.trim().trim_start_matches(['/', '!', '*']).trim().to_owned(),
                line: first + offset,
                doc,
            });
        }
    }

    fn string(&mut self, quotes: &Quotes) {
        self.take(quotes.open);
        let end = if quotes.escapes {
            escaped_end(self.rest)
        } else {
            self.rest.find(&quotes.close)
        };
        self.push(Kind::Text, end.unwrap_or(self.rest.len()));
        self.take(quotes.close.len().min(self.rest.len()));
    }
}

/// Bytes to the end of a block comment, which may hold others.
fn block_comment_end(text: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < text.len() {
        if text[at..].starts_with("/*") {
            depth += 1;
            at += 2;
        } else if text[at..].starts_with("*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return at;
            }
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// How a string literal is written.
struct Quotes {
    /// Bytes up to its text.
    open: usize,
    /// What stands behind its text.
    close: String,
    /// Whether a backslash takes the next character's meaning away.
    escapes: bool,
}

/// The quotes of the string literal that `text` begins with.
fn quotes(text: &str) -> Option<Quotes> {
    let kind = text.strip_prefix(['b', 'c']).unwrap_or(text);
    let raw = kind.strip_prefix('r');
    let marks = raw.unwrap_or(kind);
    let hashes = if raw.is_some() {
        marks.bytes().take_while(|byte| *byte == b'#').count()
    } else {
        0
    };
    marks[hashes..].starts_with('"').then(|| Quotes {
        open: text.len() - marks.len() + hashes + 1,
        close: format!("\"{}", "#".repeat(hashes)),
        escapes: raw.is_none(),
    })
}

/// Bytes to the quote that closes a string with escapes.
fn escaped_end(text: &str) -> Option<usize> {
    let mut escaped = false;
    text.char_indices().find_map(|(at, character)| {
        let closes = character == '"' && !escaped;
        escaped = character == '\\' && !escaped;
        closes.then_some(at)
    })
}

/// Bytes of a character literal; `None` for a lifetime.
fn character_end(text: &str) -> Option<usize> {
    let inner = text.strip_prefix('\'')?;
    if inner.starts_with('\\') {
        return inner[2..].find('\'').map(|at| at + 4);
    }
    let first = inner.chars().next()?;
    inner[first.len_utf8()..]
        .starts_with('\'')
        .then_some(first.len_utf8() + 2)
}
