//! Whom to assign, as an application knows them.

use super::AssignError;
use crate::assignment::Who;
use crate::ids::UserKey;
use crate::targeting::Attributes;

/// What an application says of a user, where it says nothing.
static NOTHING: Attributes<'static> = Attributes::NONE;

/// Whom to assign; a key alone is one, too.
///
/// ```
/// use serin::client::User;
/// use serin::targeting::{Attribute, Attributes};
///
/// # fn main() -> Result<(), serin::targeting::AttributeRefused> {
/// let mut attributes = Attributes::default();
/// attributes.add("region".into(), Attribute::Text("eu".into()))?;
/// let user = User::new("user-17")
///     .with_anonymous("visitor-4711")
///     .with_attributes(&attributes);
/// # let _ = user;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy)]
pub struct User<'a> {
    key: &'a str,
    anonymous: Option<&'a str>,
    attributes: &'a Attributes<'a>,
}

impl<'a> User<'a> {
    /// The user with this key: 1 to 256 bytes of UTF-8.
    pub fn new(key: &'a str) -> Self {
        Self {
            key,
            anonymous: None,
            attributes: &NOTHING,
        }
    }

    /// With the key that the user had before they signed in: they keep the arm that they had by it.
    #[must_use]
    pub fn with_anonymous(self, key: &'a str) -> Self {
        Self {
            anonymous: Some(key),
            ..self
        }
    }

    /// With what the application knows about the user, for policies with targeting.
    #[must_use]
    pub fn with_attributes(self, attributes: &'a Attributes<'a>) -> Self {
        Self { attributes, ..self }
    }

    /// The same, where the keys keep to the rule.
    pub(super) fn who(self) -> Result<Who<'a>, AssignError> {
        let user = UserKey::new(self.key).map_err(|refused| AssignError::BadUser { rule: refused.rule() })?;
        let anonymous = self.anonymous.map(UserKey::new).transpose();
        Ok(Who {
            user,
            anonymous: anonymous.map_err(|refused| AssignError::BadAnonymous { rule: refused.rule() })?,
            attributes: self.attributes,
        })
    }
}

impl std::fmt::Debug for User<'_> {
    /// The keys of users are in no log.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("User(…)")
    }
}

impl<'a> From<&'a str> for User<'a> {
    fn from(key: &'a str) -> Self {
        Self::new(key)
    }
}

impl<'a> From<&'a String> for User<'a> {
    fn from(key: &'a String) -> Self {
        Self::new(key)
    }
}
