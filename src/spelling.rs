//! "Did you mean": the known word that an unknown one was probably meant to be.

/// The one of `known` that `given` is nearest to, when at most a third of its letters differ.
pub(crate) fn nearest<'w>(given: &str, known: impl IntoIterator<Item = &'w str>) -> Option<&'w str> {
    let given = folded(given);
    known
        .into_iter()
        // Long words cannot be near, and comparing them costs the product of their lengths.
        .filter(|word| given.len() <= 2 * word.len() + 2)
        .map(|word| (strsim::damerau_levenshtein(&given, &folded(word)), word))
        .filter(|(distance, word)| distance * 3 <= word.chars().count())
        .min()
        .map(|(_, word)| word)
}

/// ", did you mean `…`?" where there is a near word, else nothing.
pub(crate) fn hint<'w>(given: &str, known: impl IntoIterator<Item = &'w str>) -> String {
    nearest(given, known).map_or_else(String::new, |word| format!(", did you mean `{word}`?"))
}

/// A form in which `rollBack`, `rollback` and `roll_back` are the same.
fn folded(word: &str) -> String {
    word.chars()
        .filter(|c| !matches!(c, '_' | '-' | ' ' | '.'))
        .flat_map(char::to_lowercase)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_finds_its_word_and_another_word_finds_nothing() {
        let known = ["policy", "user", "metrics"];
        assert_eq!(nearest("polcy", known), Some("policy"));
        assert_eq!(nearest("Metric", known), Some("metrics"));
        assert_eq!(nearest("usr", known), Some("user"));
        assert_eq!(nearest("temperature", known), None);
        assert_eq!(nearest(&"user".repeat(1_000), known), None);
        assert_eq!(hint("polciy", known), ", did you mean `policy`?");
        assert_eq!(hint("colour", known), "");
    }
}
