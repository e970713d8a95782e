//! Changes of the stored form.

use crate::scan::Kind;
use crate::tree::{File, Tree};
use crate::{Finding, Rule};
use std::collections::BTreeMap;

pub(crate) const NUMBERED: Rule = Rule {
    name: "migrations in a row",
    why: "migrations are added behind the last one, and every one of them is run",
    check: numbered,
};

pub(crate) const DEFAULTS: Rule = Rule {
    name: "new columns have values",
    why: "a NOT NULL column without DEFAULT cannot be added to a table that has rows",
    check: defaults,
};

/// The folder and the name of a migration.
fn migration(file: &File) -> Option<(&str, &str)> {
    let (folder, name) = file.path.rsplit_once('/')?;
    let is_one = name.ends_with(".sql") && folder.split('/').any(|part| part == "migrations");
    is_one.then_some((folder, name))
}

/// The number that a name such as `0001_initial.sql` begins with.
fn number(name: &str) -> Option<usize> {
    let (digits, word) = name.split_once('_')?;
    (digits.len() == 4 && word.len() > ".sql".len()).then(|| digits.parse().ok())?
}

fn numbered(tree: &Tree) -> Vec<Finding> {
    let mut folders: BTreeMap<&str, Vec<(&str, &File)>> = BTreeMap::new();
    for file in &tree.files {
        if let Some((folder, name)) = migration(file) {
            folders.entry(folder).or_default().push((name, file));
        }
    }
    let mut findings = Vec::new();
    for files in folders.values_mut() {
        files.sort_by_key(|(name, _)| *name);
        for (at, (name, file)) in files.iter().enumerate() {
            if number(name) != Some(at + 1) {
                let what = format!("the next name here begins with `{:04}_`", at + 1);
                findings.push(Finding::new(&file.path, 1, what));
            }
            let below = format!("/{name}");
            let names = |text: &str| text == *name || text.ends_with(&below);
            let run = |source: &File| {
                source
                    .tokens
                    .iter()
                    .any(|token| token.kind == Kind::Text && names(&token.text))
            };
            if !tree.sources().any(run) {
                findings.push(Finding::new(&file.path, 1, "no source names this migration"));
            }
        }
    }
    findings
}

fn defaults(tree: &Tree) -> Vec<Finding> {
    let mut findings = Vec::new();
    for file in tree.files.iter().filter(|file| migration(file).is_some()) {
        let mut line = 1;
        for statement in file.text.to_uppercase().split(';') {
            let adds = statement.contains("ALTER TABLE") && statement.contains(" ADD ");
            if adds && statement.contains("NOT NULL") && !statement.contains("DEFAULT") {
                let blank = statement.len() - statement.trim_start().len();
                let at = line + statement[..blank].matches('\n').count();
                findings.push(Finding::new(&file.path, at, "NOT NULL without DEFAULT"));
            }
            line += statement.matches('\n').count();
        }
    }
    findings
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::found;

    const RUNS: (&str, &str) = (
        "src/store/migrate.rs",
        "const ALL: [&str; 2] = [include_str!(\"migrations/0001_a.sql\"), include_str!(\"migrations/0003_b.sql\")];",
    );

    #[test]
    fn gaps_and_forgotten_migrations_are_found() {
        let texts = [
            RUNS,
            ("src/store/migrations/0001_a.sql", ""),
            ("src/store/migrations/0003_b.sql", ""),
        ];
        assert_eq!(found(&NUMBERED, &texts), ["src/store/migrations/0003_b.sql:1"]);
        let texts = [
            RUNS,
            ("src/store/migrations/0001_a.sql", ""),
            ("src/store/migrations/0002_c.sql", ""),
        ];
        assert_eq!(found(&NUMBERED, &texts), ["src/store/migrations/0002_c.sql:1"]);
        let texts = [
            RUNS,
            ("src/store/migrations/1_a.sql", ""),
            ("src/elsewhere/9.sql", ""),
        ];
        assert_eq!(found(&NUMBERED, &texts).len(), 2);
    }

    #[test]
    fn columns_without_values_are_found() {
        let text = "CREATE TABLE a (b INTEGER NOT NULL);\n\nALTER TABLE a ADD COLUMN c INTEGER NOT NULL;\n\
                    ALTER TABLE a ADD COLUMN d INTEGER NOT NULL DEFAULT 0;\n";
        let texts = [("src/store/migrations/0001_a.sql", text)];
        assert_eq!(found(&DEFAULTS, &texts), ["src/store/migrations/0001_a.sql:3"]);
    }
}
