//! The fields of a form, as browsers send them.

use super::frame::PageError;
use crate::api::problem::{Code, Problem};
use axum::Form;
use axum::extract::{FromRequest as _, Request};

/// Most fields of one form.
const FIELDS_MAX: usize = 300;

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
}
