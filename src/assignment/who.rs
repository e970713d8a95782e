//! Who asks: the keys of a user, and what a service knows about them.
//!
//! People are somebody unknown before they sign in, and an account afterwards. Whoever is sent with both
//! keys is placed, drawn and counted by the anonymous one, everywhere: the arm stays after the sign-in, and
//! one person counts once. Nothing is stored, so that there is nothing to fill up, to copy to other
//! servers or to lose; the application keeps the first anonymous key with the account, and sends it along
//! on every device.

use crate::ids::UserKey;
use crate::targeting::Attributes;

/// What a service says of a user, where it says nothing.
static NOTHING: Attributes<'static> = Attributes::NONE;

/// Who asks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Who<'a> {
    /// The user's key.
    pub user: UserKey<'a>,
    /// The key that the user had before they were known.
    pub anonymous: Option<UserKey<'a>>,
    /// What the service knows about the user.
    pub attributes: &'a Attributes<'a>,
}

impl<'a> From<UserKey<'a>> for Who<'a> {
    fn from(user: UserKey<'a>) -> Self {
        Self {
            user,
            anonymous: None,
            attributes: &NOTHING,
        }
    }
}

impl<'a> Who<'a> {
    /// The key that is hashed.
    pub fn placed(self) -> UserKey<'a> {
        self.anonymous.unwrap_or(self.user)
    }

    /// Both keys, for lists that name users.
    pub fn keys(self) -> impl Iterator<Item = &'a str> {
        let keys = [Some(self.user), self.anonymous];
        keys.into_iter().flatten().map(|key| key.as_str())
    }
}
