use super::*;
use std::collections::BTreeSet;

/// A statement that adds a column to a table which may have rows.
fn added_columns(sql: &str) -> Vec<String> {
    statements(sql)
        .filter(|statement| {
            let words: Vec<&str> = statement.split(' ').collect();
            words.starts_with(&["alter", "table"]) && words.contains(&"add")
        })
        .collect()
}

/// Statements in lower case, without comments, with single spaces.
fn statements(sql: &str) -> impl Iterator<Item = String> {
    let code: Vec<&str> = sql
        .lines()
        .map(|line| line.split("--").next().unwrap_or_default())
        .collect();
    let code = code.join(" ").to_lowercase();
    let statements: Vec<String> = code
        .split(';')
        .map(|statement| statement.split_whitespace().collect::<Vec<_>>().join(" "))
        .filter(|statement| !statement.is_empty())
        .collect();
    statements.into_iter()
}

fn breaks_old_rows(statement: &str) -> bool {
    statement.contains("not null") && !statement.contains(" default ")
}

#[test]
fn a_later_column_has_a_default_for_the_rows_that_are_there() {
    for migration in MIGRATIONS {
        for statement in added_columns(migration.sql) {
            assert!(!breaks_old_rows(&statement), "{}: {statement}", migration.name);
        }
    }
    // The rule itself, on what it must find and what it must let pass.
    let found = |sql: &str| {
        added_columns(sql)
            .iter()
            .any(|statement| breaks_old_rows(statement))
    };
    assert!(found(
        "-- a note; with a semicolon\nALTER TABLE rollouts\n  ADD COLUMN owner TEXT NOT NULL;"
    ));
    assert!(found(
        "SELECT 1; alter table t add x integer not null check (x > 0);"
    ));
    assert!(!found(
        "ALTER TABLE rollouts ADD COLUMN owner TEXT NOT NULL DEFAULT '';"
    ));
    assert!(!found("ALTER TABLE rollouts ADD COLUMN owner TEXT;"));
    assert!(!found("CREATE TABLE t (owner TEXT NOT NULL);"));
}

#[test]
fn migrations_are_numbered_by_their_place_and_every_file_is_one() {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/src/store/migrations");
    let files: BTreeSet<String> = std::fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let names: BTreeSet<String> = MIGRATIONS
        .iter()
        .map(|migration| format!("{}.sql", migration.name))
        .collect();
    assert_eq!(files, names);
    for (migration, number) in MIGRATIONS.iter().zip(1..) {
        assert!(
            migration.name.starts_with(&format!("{number:04}_")),
            "{}",
            migration.name
        );
    }
}

fn tables(connection: &Connection) -> Vec<String> {
    let mut statement = connection
        .prepare("SELECT name FROM sqlite_schema WHERE type = 'table' ORDER BY name")
        .unwrap();
    let names = statement.query_map([], |row| row.get(0)).unwrap();
    names.map(Result::unwrap).collect()
}

/// A row in every table, made of the constraints that the schema itself declares.
fn fill(connection: &Connection) {
    connection.pragma_update(None, "foreign_keys", false).unwrap();
    connection
        .pragma_update(None, "ignore_check_constraints", true)
        .unwrap();
    for table in tables(connection) {
        let mut columns = connection
            .prepare(&format!("PRAGMA table_info({table})"))
            .unwrap();
        let values: Vec<String> = columns
            .query_map([], |row| row.get::<_, String>(2))
            .unwrap()
            .map(|kind| match kind.unwrap().as_str() {
                // A column that is added has every row checked: 1 is a number and a truth value.
                "INTEGER" => "1".to_owned(),
                "REAL" => "1.5".to_owned(),
                "BLOB" => "x'07'".to_owned(),
                _ => "'seven'".to_owned(),
            })
            .collect();
        let insert = format!("INSERT OR IGNORE INTO {table} VALUES ({})", values.join(", "));
        connection.execute(&insert, []).unwrap();
        let count: i64 = connection
            .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
            .unwrap();
        assert_eq!(count, 1, "{table}");
    }
    connection
        .pragma_update(None, "ignore_check_constraints", false)
        .unwrap();
}

#[test]
fn every_migration_applies_to_data_and_keeps_them() {
    for (already, _) in MIGRATIONS.iter().enumerate() {
        let mut connection = Connection::open_in_memory().unwrap();
        for (migration, schema) in MIGRATIONS.iter().zip(1..).take(already) {
            apply(&mut connection, migration, schema).unwrap();
        }
        fill(&connection);
        let before = tables(&connection);
        migrate(&mut connection).unwrap();
        for table in before {
            let count: i64 = connection
                .query_row(&format!("SELECT count(*) FROM {table}"), [], |row| row.get(0))
                .unwrap();
            assert_eq!(count, 1, "{table} after schema {already}");
        }
    }
}

#[test]
fn migrating_twice_changes_nothing() {
    let mut connection = Connection::open_in_memory().unwrap();
    migrate(&mut connection).unwrap();
    let tables_once = tables(&connection);
    migrate(&mut connection).unwrap();
    assert_eq!(tables(&connection), tables_once);
}

#[test]
fn a_migration_that_fails_leaves_nothing_behind() {
    let mut connection = Connection::open_in_memory().unwrap();
    let broken = Migration {
        name: "0001_broken",
        sql: "CREATE TABLE half (id INTEGER) STRICT; CREATE TABLE half (id INTEGER) STRICT;",
    };
    apply(&mut connection, &broken, 1).unwrap_err();
    assert_eq!(tables(&connection), Vec::<String>::new());
    let schema: u32 = connection
        .pragma_query_value(None, "user_version", |row| row.get(0))
        .unwrap();
    assert_eq!(schema, 0);
}

#[test]
fn data_of_a_newer_program_are_refused() {
    let mut connection = Connection::open_in_memory().unwrap();
    let newer = MIGRATIONS.len() + 1;
    connection
        .pragma_update(None, "user_version", i64::try_from(newer).unwrap())
        .unwrap();
    let refused = migrate(&mut connection).unwrap_err().chain();
    assert_eq!(
        refused,
        format!(
            "the store failed: the data were written by a newer Serin (schema {newer}, this one knows {}): \
             start that one, or take a copy of the data from before the upgrade",
            MIGRATIONS.len()
        )
    );
}
