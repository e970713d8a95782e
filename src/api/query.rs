//! Query strings, read strictly: an unknown, repeated or broken parameter is refused by its name.

use super::problem::{Code, Problem};
use crate::spelling;
use crate::targeting::{Attribute, Attributes};
use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use std::borrow::Cow;
use std::convert::Infallible;
use std::str::FromStr;

/// Largest position in a history that JSON carries exactly (RFC 8259 section 6).
pub(super) const SEQUENCE_MAX: u64 = (1 << 53) - 1;

/// What parameters hold, each where it is there.
pub(crate) type Values<'q, const N: usize> = [Option<Cow<'q, str>>; N];

/// The query of a request, unread.
#[derive(Debug, Clone)]
pub(crate) struct Query(Uri);

impl<S: Sync> FromRequestParts<S> for Query {
    type Rejection = Infallible;
    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Infallible> {
        Ok(Self(parts.uri.clone()))
    }
}

impl Query {
    /// The values of `names`, in their order; any other name is refused.
    pub(crate) fn fields<const N: usize>(&self, names: [&'static str; N]) -> Result<Values<'_, N>, Problem> {
        fields(self.0.query().unwrap_or_default(), names)
    }

    /// Likewise, and the user's attributes.
    pub(super) fn fields_and_attributes<const N: usize>(
        &self,
        names: [&'static str; N],
    ) -> Result<(Values<'_, N>, Attributes<'_>), Problem> {
        fields_and_attributes(self.0.query().unwrap_or_default(), names)
    }

    /// What follows the `?`, where there is one.
    pub(super) fn text(&self) -> Option<&str> {
        self.0.query()
    }
}

/// What the name of a parameter begins with that is an attribute of the user.
pub(super) const ATTRIBUTE: &str = "attribute.";

/// The values of `names` in `query`, in their order; any other name is refused.
pub(super) fn fields<'q, const N: usize>(
    query: &'q str,
    names: [&'static str; N],
) -> Result<Values<'q, N>, Problem> {
    read(query, names, None)
}

/// Likewise, and the user's attributes: `attribute.NAME`, which have no type in a query.
pub(super) fn fields_and_attributes<'q, const N: usize>(
    query: &'q str,
    names: [&'static str; N],
) -> Result<(Values<'q, N>, Attributes<'q>), Problem> {
    let mut attributes = Attributes::default();
    let values = read(query, names, Some(&mut attributes))?;
    Ok((values, attributes))
}

fn read<'q, const N: usize>(
    query: &'q str,
    names: [&'static str; N],
    mut attributes: Option<&mut Attributes<'q>>,
) -> Result<Values<'q, N>, Problem> {
    let mut values = [const { None }; N];
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let name = decode(name).ok_or_else(|| bad("a parameter's name is not percent-encoded UTF-8"))?;
        if let Some(attributes) = &mut attributes
            && let Some(attribute) = name.strip_prefix(ATTRIBUTE)
        {
            let value = decode(value).ok_or_else(|| bad("an attribute is not percent-encoded UTF-8"))?;
            attributes
                .add(Cow::Owned(attribute.to_owned()), Attribute::Raw(value))
                .map_err(|refused| bad(refused.to_string()))?;
            continue;
        }
        let Some(index) = names.iter().position(|known| *known == name) else {
            let name: String = name.chars().filter(|c| !c.is_control()).take(64).collect();
            let hint = spelling::hint(&name, names);
            return Err(bad(format!("there is no parameter `{name}`{hint}")));
        };
        let value =
            decode(value).ok_or_else(|| bad(format!("`{}` is not percent-encoded UTF-8", names[index])))?;
        if values[index].replace(value).is_some() {
            return Err(bad(format!("`{}` is given twice", names[index])));
        }
    }
    Ok(values)
}

/// The value of a parameter that must be there.
pub(super) fn required<'q>(name: &'static str, value: Option<Cow<'q, str>>) -> Result<Cow<'q, str>, Problem> {
    value.ok_or_else(|| bad(format!("`{name}` is missing")))
}

/// The value of a parameter that must be there, as what it must be.
pub(super) fn required_as<T: FromStr>(name: &'static str, value: Option<Cow<'_, str>>) -> Result<T, Problem>
where
    T::Err: std::fmt::Display,
{
    let value = required(name, value)?;
    value
        .parse()
        .map_err(|error: T::Err| bad(format!("`{name}`: {error}")))
}

/// The value of a parameter as what it must be.
pub(super) fn parsed<T: FromStr>(
    name: &'static str,
    value: Option<Cow<'_, str>>,
) -> Result<Option<T>, Problem>
where
    T::Err: std::fmt::Display,
{
    let parse = |value: Cow<'_, str>| {
        value
            .parse()
            .map_err(|error: T::Err| bad(format!("`{name}`: {error}")))
    };
    value.map(parse).transpose()
}

/// A whole number from `least` to `greatest`.
pub(super) fn whole(
    name: &'static str,
    value: Option<Cow<'_, str>>,
    least: u64,
    greatest: u64,
) -> Result<Option<u64>, Problem> {
    let Some(value) = value else { return Ok(None) };
    // Signs and leading blanks are not digits.
    let digits = !value.is_empty() && value.bytes().all(|byte| byte.is_ascii_digit());
    value
        .parse()
        .ok()
        .filter(|number| digits && (least..=greatest).contains(number))
        .map(Some)
        .ok_or_else(|| {
            bad(format!(
                "`{name}` must be a whole number from {least} to {greatest}"
            ))
        })
}

fn bad(detail: impl Into<Cow<'static, str>>) -> Problem {
    Problem::new(Code::BadQuery, detail)
}

/// Undoes percent-encoding and `+` for a blank; none for what is neither, or not UTF-8.
pub(super) fn decode(text: &str) -> Option<Cow<'_, str>> {
    if !text.bytes().any(|byte| matches!(byte, b'%' | b'+')) {
        return Some(Cow::Borrowed(text));
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'%' => hexadecimal(rest.next()?)? * 16 + hexadecimal(rest.next()?)?,
            b'+' => b' ',
            other => other,
        });
    }
    String::from_utf8(bytes).ok().map(Cow::Owned)
}

fn hexadecimal(digit: u8) -> Option<u8> {
    char::from(digit)
        .to_digit(16)
        .and_then(|value| u8::try_from(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(query: &str) -> String {
        fields(query, ["user", "policy"]).unwrap_err().detail().to_owned()
    }

    #[test]
    fn values_are_decoded_and_ordered() {
        let [user, policy] = fields("policy=a+b&&user=%C3%A9%2B", ["user", "policy"]).unwrap();
        assert_eq!(user.unwrap(), "é+");
        assert_eq!(policy.unwrap(), "a b");
        let [user, policy] = fields("user", ["user", "policy"]).unwrap();
        assert_eq!(user.unwrap(), "");
        assert_eq!(policy, None);
    }

    #[test]
    fn slips_are_refused_by_name() {
        assert_eq!(
            refusal("usr=1"),
            "there is no parameter `usr`, did you mean `user`?"
        );
        assert_eq!(refusal("user=1&user=2"), "`user` is given twice");
        for broken in ["user=%", "user=%4", "user=%zz", "user=%ff", "user=%+1"] {
            assert_eq!(refusal(broken), "`user` is not percent-encoded UTF-8", "{broken}");
        }
        assert_eq!(
            refusal("%ff=1"),
            "a parameter's name is not percent-encoded UTF-8"
        );
    }

    #[test]
    fn numbers_are_whole_and_bounded() {
        let number = |text: &'static str| whole("limit", Some(text.into()), 1, 100);
        assert_eq!(number("100").unwrap(), Some(100));
        for bad in [
            "0",
            "101",
            "-1",
            "+1",
            " 1",
            "1.0",
            "",
            "1e1",
            "99999999999999999999999",
        ] {
            assert_eq!(number(bad).unwrap_err().code(), Code::BadQuery, "{bad}");
        }
    }
}
