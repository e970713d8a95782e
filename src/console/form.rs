//! The fields of a form, as browsers send them.

use super::frame::PageError;
use crate::api::problem::{Code, Problem};
use axum::Form;
use axum::extract::{FromRequest as _, Request};

/// Most fields of one form.
const FIELDS_MAX: usize = 1_500;

/// The fields of a form, in order.
#[derive(Debug, Default)]
pub(super) struct Fields(Vec<(String, String)>);

impl Fields {
    /// Reads a body of `application/x-www-form-urlencoded`.
    pub(super) async fn read(request: Request) -> Result<Self, PageError> {
        let refused = |detail: String| Problem::new(Code::BadField, detail);
        let Form(fields) = Form::<Vec<(String, String)>>::from_request(request, &())
            .await
            .map_err(|rejection| refused(format!("the form cannot be read: {rejection}")))?;
        if fields.len() > FIELDS_MAX {
            return Err(refused(format!("a form has {FIELDS_MAX} fields at most")).into());
        }
        Ok(Self(fields))
    }

    /// The first field of this name; browsers send line breaks as two characters.
    pub(super) fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(field, _)| field == name);
        found.map(|(_, value)| value.as_str())
    }

    /// The fields whose names begin so, without that beginning.
    pub(super) fn starting_with<'f>(&'f self, prefix: &'f str) -> impl Iterator<Item = (&'f str, &'f str)> {
        let fields = self.0.iter();
        fields.filter_map(move |(name, value)| Some((name.strip_prefix(prefix)?, value.as_str())))
    }
}

/// A text as one line, without blanks around it.
pub(super) fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}
