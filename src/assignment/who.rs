//! Who asks: the keys of a user, and what a service knows about them.

use crate::ids::UserKey;
use crate::targeting::Attributes;

/// What a service says of a user, where it says nothing.
static NOTHING: Attributes<'static> = Attributes::NONE;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Who<'a> {
    /// The user's key.
    pub user: UserKey<'a>,
    /// What the service knows about the user.
    pub attributes: &'a Attributes<'a>,
}

impl<'a> From<UserKey<'a>> for Who<'a> {
    fn from(user: UserKey<'a>) -> Self {
        Self {
            user,
            attributes: &NOTHING,
        }
    }
}
