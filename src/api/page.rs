//! Lists in pages: one row more than asked for is read, to know whether there is another page.

use super::problem::Problem;
use super::query::whole;
use std::borrow::Cow;

/// Rows on a page, where the asker does not say.
const ROWS_DEFAULT: u8 = 50;
/// Most rows on a page.
const ROWS_MAX: u8 = 100;

/// How many rows are asked for.
#[derive(Debug, Clone, Copy)]
pub(super) struct Page(usize);

impl Page {
    /// Reads the parameter `limit`, 1 to 100.
    pub(super) fn parse(limit: Option<Cow<'_, str>>) -> Result<Self, Problem> {
        let rows = whole("limit", limit, 1, ROWS_MAX.into())?;
        let rows = rows
            .and_then(|rows| u8::try_from(rows).ok())
            .unwrap_or(ROWS_DEFAULT);
        Ok(Self(rows.into()))
    }

    /// How many rows to read.
    pub(super) fn rows_read(self) -> usize {
        self.0 + 1
    }

    /// Cuts what was read to the page; the last row of it, when there is another page.
    pub(super) fn cut<T>(self, rows: &mut Vec<T>) -> Option<&T> {
        let is_last = rows.len() <= self.0;
        rows.truncate(self.0);
        rows.last().filter(|_| !is_last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_row_too_many_tells_of_another_page() {
        let page = Page::parse(Some("2".into())).unwrap();
        let mut rows: Vec<u8> = (1..=3).take(page.rows_read()).collect();
        assert_eq!(page.cut(&mut rows), Some(&2));
        assert_eq!(rows, [1, 2]);
        let mut rows = vec![3];
        assert_eq!(page.cut(&mut rows), None);
        assert_eq!(rows, [3]);
        assert!(Page::parse(Some("101".into())).is_err());
    }
}
