//! Comparisons such as `>=2.4.0 <3.0.0`.

/// Most comparisons of one condition.
pub const COMPARISONS_MAX: usize = 8;

/// How an attribute stands to what it is compared with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operator {
    /// `<`
    Below,
    /// `<=`
    AtMost,
    /// `=`
    Equal,
    /// `!=`
    Unequal,
    /// `>=`
    AtLeast,
    /// `>`
    Above,
}

impl Operator {
    /// Every operator; of two that begin alike, the longer first.
    const ALL: [(&'static str, Self); 6] = [
        ("<=", Self::AtMost),
        ("<", Self::Below),
        ("!=", Self::Unequal),
        (">=", Self::AtLeast),
        (">", Self::Above),
        ("=", Self::Equal),
    ];

    /// How it is written.
    pub fn sign(self) -> &'static str {
        match self {
            Self::Below => "<",
            Self::AtMost => "<=",
            Self::Equal => "=",
            Self::Unequal => "!=",
            Self::AtLeast => ">=",
            Self::Above => ">",
        }
    }

    /// The operator that is written so.
    pub fn of_sign(sign: &str) -> Option<Self> {
        let known = Self::ALL.into_iter().find(|(known, _)| *known == sign);
        known.map(|(_, operator)| operator)
    }
}

/// One comparison with something known.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Comparison<T> {
    /// How.
    pub operator: Operator,
    /// With what.
    pub operand: T,
}

impl<T: Ord> Comparison<T> {
    /// One to [`COMPARISONS_MAX`] comparisons with blanks between them; none where the text is something else.
    pub fn parse_all(text: &str, operand: impl Fn(&str) -> Option<T>) -> Option<Vec<Self>> {
        let parse = |part: &str| {
            let mut known = Operator::ALL.into_iter();
            let (rest, operator) =
                known.find_map(|(sign, operator)| Some((part.strip_prefix(sign)?, operator)))?;
            Some(Self {
                operator,
                operand: operand(rest)?,
            })
        };
        let comparisons: Vec<Self> = text.split_ascii_whitespace().map(parse).collect::<Option<_>>()?;
        (1..=COMPARISONS_MAX)
            .contains(&comparisons.len())
            .then_some(comparisons)
    }

    /// Whether it holds for `value`.
    pub fn holds(&self, value: &T) -> bool {
        let order = value.cmp(&self.operand);
        match self.operator {
            Operator::Below => order.is_lt(),
            Operator::AtMost => order.is_le(),
            Operator::Equal => order.is_eq(),
            Operator::Unequal => order.is_ne(),
            Operator::AtLeast => order.is_ge(),
            Operator::Above => order.is_gt(),
        }
    }

    fn bounds_below(&self) -> bool {
        matches!(
            self.operator,
            Operator::AtLeast | Operator::Above | Operator::Equal
        )
    }

    fn bounds_above(&self) -> bool {
        matches!(
            self.operator,
            Operator::AtMost | Operator::Below | Operator::Equal
        )
    }
}

/// Whether all together leave no value between their bounds.
///
/// Where they leave one value alone, it must hold for all of them; where they leave a range, there is
/// something in it.
pub(super) fn contradict<T: Ord>(comparisons: &[Comparison<T>]) -> bool {
    let lowers = comparisons.iter().filter(|comparison| comparison.bounds_below());
    let uppers = comparisons.iter().filter(|comparison| comparison.bounds_above());
    let lowest = lowers.map(|comparison| &comparison.operand).max();
    let highest = uppers.map(|comparison| &comparison.operand).min();
    match lowest.zip(highest) {
        Some((lowest, highest)) if lowest > highest => true,
        Some((only, highest)) if only == highest => {
            comparisons.iter().any(|comparison| !comparison.holds(only))
        }
        Some(_) | None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::targeting::Number;

    #[test]
    fn comparisons_have_an_operator_each() {
        let parse = |text: &str| Comparison::parse_all(text, Number::parse);
        let operators: Vec<Operator> = parse("<1 <=2  !=3 >=4 >5 =6.5")
            .unwrap()
            .iter()
            .map(|comparison| comparison.operator)
            .collect();
        let expected = [
            Operator::Below,
            Operator::AtMost,
            Operator::Unequal,
            Operator::AtLeast,
            Operator::Above,
            Operator::Equal,
        ];
        assert_eq!(operators, expected);
        for (sign, operator) in Operator::ALL {
            assert_eq!((operator.sign(), Operator::of_sign(sign)), (sign, Some(operator)));
        }
        for bad in [
            "",
            "5",
            ">",
            "> 5",
            "==5",
            "~5",
            ">=x",
            ">1 5",
            ">=NaN",
            ">=+5",
            ">1 >2 >3 >4 >5 >6 >7 >8 >9",
        ] {
            assert_eq!(parse(bad), None, "{bad}");
        }
    }
}
