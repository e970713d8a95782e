//! Lines from a file or standard input, compressed or not, one at a time.

use crate::replay::LINE_BYTES_MAX;
use anyhow::Context as _;
use std::cell::Cell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;
use std::rc::Rc;

/// What is read at once, in bytes.
const CHUNK_BYTES: usize = 256 * 1024;
/// How gzip begins (RFC 1952 section 2.3.1).
const GZIP: [u8; 2] = [0x1f, 0x8b];
/// How zstd begins (RFC 8878 section 3.1.1).
const ZSTD: [u8; 4] = [0x28, 0xb5, 0x2f, 0xfd];

/// A stream of lines.
pub(super) struct Lines {
    reader: Box<dyn BufRead>,
    line: Vec<u8>,
    taken: Rc<Cell<u64>>,
    /// Length of the file, compressed as it is, in bytes; none for a pipe.
    length: Option<u64>,
}

impl Lines {
    /// Opens a file, or standard input for `-`.
    pub(super) fn open(path: &Path) -> anyhow::Result<Self> {
        if path.as_os_str() == "-" {
            return Self::of(io::stdin().lock(), None).context("cannot read standard input");
        }
        let place = || format!("cannot read `{}`", path.display());
        let file = File::open(path).with_context(place)?;
        let about = file.metadata().with_context(place)?;
        let length = about.is_file().then_some(about.len());
        Self::of(file, length).with_context(place)
    }

    fn of(source: impl Read + 'static, length: Option<u64>) -> io::Result<Self> {
        let taken = Rc::<Cell<u64>>::default();
        let counted = Counted {
            source,
            taken: Rc::clone(&taken),
        };
        let mut reader = BufReader::with_capacity(CHUNK_BYTES, counted);
        // A name may say anything, and a pipe has none: how it begins tells.
        let begin = reader.fill_buf()?;
        let (is_gzip, is_zstd) = (begin.starts_with(&GZIP), begin.starts_with(&ZSTD));
        let reader: Box<dyn BufRead> = if is_gzip {
            let decoder = flate2::bufread::MultiGzDecoder::new(reader);
            Box::new(BufReader::with_capacity(CHUNK_BYTES, decoder))
        } else if is_zstd {
            let decoder = zstd::stream::read::Decoder::with_buffer(reader)?;
            Box::new(BufReader::with_capacity(CHUNK_BYTES, decoder))
        } else {
            Box::new(reader)
        };
        Ok(Self {
            reader,
            line: Vec::new(),
            taken,
            length,
        })
    }

    /// The next line without its line break; none at the end. Of a line that is too long, the beginning,
    /// which is too long as well.
    pub(super) fn next(&mut self) -> io::Result<Option<&[u8]>> {
        self.line.clear();
        let limit = u64::try_from(LINE_BYTES_MAX)
            .unwrap_or(u64::MAX)
            .saturating_add(2);
        let read = (&mut self.reader).take(limit).read_until(b'\n', &mut self.line)?;
        if read == 0 {
            return Ok(None);
        }
        if self.line.last() == Some(&b'\n') {
            self.line.pop();
        } else if self.line.len() > LINE_BYTES_MAX {
            self.skip_line()?;
        }
        Ok(Some(&self.line))
    }

    /// How much of the file was read, from 0 to 1; none for a pipe.
    pub(super) fn share_read(&self) -> Option<f64> {
        let length = self.length.filter(|length| *length > 0)?;
        Some(self.taken.get() as f64 / length as f64)
    }

    fn skip_line(&mut self) -> io::Result<()> {
        loop {
            let buffered = self.reader.fill_buf()?;
            if buffered.is_empty() {
                return Ok(());
            }
            let end = buffered.iter().position(|byte| *byte == b'\n');
            let skipped = end.map_or(buffered.len(), |end| end + 1);
            self.reader.consume(skipped);
            if end.is_some() {
                return Ok(());
            }
        }
    }
}

/// Counts what is read.
struct Counted<R> {
    source: R,
    taken: Rc<Cell<u64>>,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.source.read(buffer)?;
        self.taken
            .set(self.taken.get() + u64::try_from(read).unwrap_or(0));
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Write as _;

    fn all(bytes: Vec<u8>) -> Vec<String> {
        let mut lines = Lines::of(io::Cursor::new(bytes), None).unwrap();
        let mut all = Vec::new();
        while let Some(line) = lines.next().unwrap() {
            all.push(String::from_utf8(line.to_vec()).unwrap());
        }
        all
    }

    #[test]
    fn lines_come_compressed_or_not() {
        let text = b"one\n\ntwo".as_slice();
        let expected = ["one", "", "two"];
        assert_eq!(all(text.to_vec()), expected);
        assert_eq!(all(zstd::encode_all(text, 3).unwrap()), expected);
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        assert_eq!(all(encoder.finish().unwrap()), expected);
        assert_eq!(all(Vec::new()), [""; 0]);
    }

    #[test]
    fn a_line_that_is_too_long_is_cut_and_the_next_one_is_whole() {
        let text = format!("{}\nnext\n", "x".repeat(3 * LINE_BYTES_MAX));
        let lengths: Vec<usize> = all(text.into_bytes()).iter().map(String::len).collect();
        assert_eq!(lengths, [LINE_BYTES_MAX + 2, 4]);
    }
}
