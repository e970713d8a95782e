//! The tree as rules see it: every text file, Rust ones with their tokens, paths and test parts.

use crate::scan::{Comment, Kind, Token, scan};
use std::path::Path;

/// What lies in the tree and is not part of the project; `.git` is a file in a linked work tree.
const SKIPPED: [&str; 5] = [".git", "target", "serin-data", "node_modules", "__pycache__"];

/// One file of the tree.
#[derive(Debug)]
pub(crate) struct File {
    /// From the root, with `/`.
    pub(crate) path: String,
    pub(crate) text: String,
    /// Empty unless the file is Rust.
    pub(crate) tokens: Vec<Token>,
    /// Empty unless the file is Rust.
    pub(crate) comments: Vec<Comment>,
    /// Whether all of it is compiled for tests alone.
    pub(crate) test: bool,
    /// Lines of the modules in it that are compiled for tests alone, both ends included.
    test_lines: Vec<(usize, usize)>,
}

/// A path such as `crate::ids::Arm`, one for each leaf of a `use` tree.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct PathUse<'a> {
    pub(crate) segments: Vec<&'a str>,
    /// Of its first segment; a leaf of a `use` tree has that of its own.
    pub(crate) line: usize,
}

/// All files.
#[derive(Debug)]
pub(crate) struct Tree {
    pub(crate) files: Vec<File>,
}

impl Tree {
    /// Reads every text file below `root`; what is not UTF-8 is not text.
    pub(crate) fn read(root: &Path) -> std::io::Result<Self> {
        let mut texts = Vec::new();
        collect(root, root, &mut texts)?;
        texts.sort();
        Ok(Self::of(texts))
    }

    /// A tree of these paths and texts.
    pub(crate) fn of<P: Into<String>, T: Into<String>>(texts: impl IntoIterator<Item = (P, T)>) -> Self {
        let mut files: Vec<File> = texts
            .into_iter()
            .map(|(path, text)| File::new(path.into(), text.into()))
            .collect();
        let tests: Vec<String> = files.iter().flat_map(File::test_modules).collect();
        for file in &mut files {
            let module = file.path.trim_end_matches(".rs").trim_end_matches("/mod");
            file.test = !file.path.starts_with("src/")
                || tests.iter().any(|test| {
                    module
                        .strip_prefix(test.as_str())
                        .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
                });
        }
        Self { files }
    }

    /// The Rust files of `src`.
    pub(crate) fn sources(&self) -> impl Iterator<Item = &File> {
        self.files
            .iter()
            .filter(|file| file.is_rust() && file.path.starts_with("src/"))
    }

    /// All Rust files.
    pub(crate) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.is_rust())
    }
}

fn collect(root: &Path, folder: &Path, texts: &mut Vec<(String, String)>) -> std::io::Result<()> {
    for entry in std::fs::read_dir(folder)? {
        let entry = entry?;
        let path = entry.path();
        if SKIPPED.iter().any(|skipped| entry.file_name() == *skipped) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            collect(root, &path, texts)?;
        } else if let Ok(text) = String::from_utf8(std::fs::read(&path)?) {
            let below = path.strip_prefix(root).unwrap_or(&path);
            texts.push((below.to_string_lossy().replace('\\', "/"), text));
        }
    }
    Ok(())
}

impl File {
    fn new(path: String, text: String) -> Self {
        let rust = path.ends_with(".rs");
        let scan = if rust { scan(&text) } else { Default::default() };
        let mut file = Self {
            path,
            text,
            tokens: scan.tokens,
            comments: scan.comments,
            test: false,
            test_lines: Vec::new(),
        };
        file.test_lines = file.test_blocks();
        file
    }

    fn is_rust(&self) -> bool {
        self.path.ends_with(".rs")
    }

    /// The room that a file of `src` belongs to: `ids`, `store`, …; `lib` and `main` are their own.
    pub(crate) fn room(&self) -> &str {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let room = below.split('/').next().unwrap_or(below);
        room.strip_suffix(".rs").unwrap_or(room)
    }

    /// How many modules lie between the crate's root and this file's module, itself included.
    pub(crate) fn depth(&self) -> usize {
        let below = self.path.strip_prefix("src/").unwrap_or(&self.path);
        let module = below
            .trim_end_matches(".rs")
            .trim_end_matches("mod")
            .trim_end_matches('/');
        if module == "lib" || module == "main" {
            0
        } else {
            module.split('/').count()
        }
    }

    /// Whether a line is compiled for tests alone.
    pub(crate) fn is_test(&self, line: usize) -> bool {
        self.test
            || self
                .test_lines
                .iter()
                .any(|(first, last)| (*first..=*last).contains(&line))
    }

    /// Tokens that are compiled into the program.
    pub(crate) fn shipped(&self) -> impl Iterator<Item = &Token> {
        self.tokens.iter().filter(|token| !self.is_test(token.line))
    }

    /// The position of the token that closes the bracket at `open`.
    pub(crate) fn closing(&self, open: usize) -> usize {
        let mut depth = 0_usize;
        for (at, token) in self.tokens.iter().enumerate().skip(open) {
            if token.kind != Kind::Other {
                continue;
            }
            match token.text.as_str() {
                "(" | "[" | "{" => depth += 1,
                ")" | "]" | "}" => depth = depth.saturating_sub(1),
                _ => {}
            }
            if depth == 0 {
                return at;
            }
        }
        self.tokens.len().saturating_sub(1)
    }

    /// Whether the tokens from `at` on read as `texts`.
    pub(crate) fn reads(&self, at: usize, texts: &[&str]) -> bool {
        self.tokens
            .get(at..at + texts.len())
            .is_some_and(|tokens| tokens.iter().zip(texts).all(|(token, text)| token.is(text)))
    }

    /// Attributes: the positions of their opening bracket and of their closing one.
    pub(crate) fn attributes(&self) -> Vec<(usize, usize)> {
        (0..self.tokens.len())
            .filter_map(|at| {
                let open = if self.reads(at, &["#", "["]) {
                    at + 1
                } else if self.reads(at, &["#", "!", "["]) {
                    at + 2
                } else {
                    return None;
                };
                Some((open, self.closing(open)))
            })
            .collect()
    }

    /// Positions of the `mod` keywords of modules that are compiled for tests alone.
    fn test_mods(&self) -> Vec<usize> {
        self.attributes()
            .into_iter()
            .filter(|(open, _)| self.reads(open + 1, &["cfg", "(", "test", ")"]))
            .filter_map(|(_, close)| self.item_after(close))
            .filter(|at| self.tokens[*at].is("mod"))
            .collect()
    }

    /// The position of the keyword of the item that an attribute stands before.
    pub(crate) fn item_after(&self, attribute_close: usize) -> Option<usize> {
        let mut at = attribute_close + 1;
        loop {
            let token = self.tokens.get(at)?;
            if token.is("#") {
                at = self.closing(at + 1) + 1;
            } else if token.is("pub") {
                at += 1;
            } else if token.is("(") {
                at = self.closing(at) + 1;
            } else {
                return Some(at);
            }
        }
    }

    fn test_blocks(&self) -> Vec<(usize, usize)> {
        self.test_mods()
            .into_iter()
            .filter(|at| self.reads(at + 2, &["{"]))
            .map(|at| (self.tokens[at].line, self.tokens[self.closing(at + 2)].line))
            .collect()
    }

    /// Where the files of test modules that this one declares begin, without an ending.
    fn test_modules(&self) -> Vec<String> {
        let own = self.path.trim_end_matches(".rs");
        let folder = ["/mod", "/lib", "/main"]
            .iter()
            .find_map(|name| own.strip_suffix(name))
            .unwrap_or(own);
        self.test_mods()
            .into_iter()
            .filter(|at| self.reads(at + 2, &[";"]))
            .map(|at| format!("{folder}/{}", self.tokens[at + 1].text))
            .collect()
    }

    /// Every path that begins in this file and is compiled into the program.
    pub(crate) fn shipped_paths(&self) -> Vec<PathUse<'_>> {
        self.paths()
            .into_iter()
            .filter(|path| !self.is_test(path.line))
            .collect()
    }

    /// Every path that begins in this file.
    pub(crate) fn paths(&self) -> Vec<PathUse<'_>> {
        let mut paths = Vec::new();
        for (at, token) in self.tokens.iter().enumerate() {
            let begins = token.kind == Kind::Word
                && (at == 0 || self.tokens[at - 1].kind != Kind::PathSeparator)
                && self
                    .tokens
                    .get(at + 1)
                    .is_some_and(|next| next.kind == Kind::PathSeparator);
            if begins {
                self.path_from(at, &[], &mut paths);
            }
        }
        paths
    }

    /// Adds the paths that begin with `prefix` and go on at `at`; gives the position behind them.
    fn path_from<'a>(&'a self, at: usize, prefix: &[&'a str], paths: &mut Vec<PathUse<'a>>) -> usize {
        let line = self.tokens[at].line;
        let mut segments = prefix.to_vec();
        let mut next = at;
        while let Some(token) = self.tokens.get(next).filter(|token| token.kind == Kind::Word) {
            segments.push(&token.text);
            next += 1;
            if self
                .tokens
                .get(next)
                .is_none_or(|token| token.kind != Kind::PathSeparator)
            {
                break;
            }
            next += 1;
        }
        let behind_separator = next > at && self.tokens[next - 1].kind == Kind::PathSeparator;
        if behind_separator && self.reads(next, &["{"]) {
            let close = self.closing(next);
            next += 1;
            while next < close {
                next = match self.tokens[next].kind {
                    Kind::Word if self.tokens[next].is("as") => next + 2,
                    Kind::Word => self.path_from(next, &segments, paths),
                    Kind::Text | Kind::PathSeparator | Kind::Other => next + 1,
                };
            }
        } else {
            paths.push(PathUse { segments, line });
        }
        next
    }
}
