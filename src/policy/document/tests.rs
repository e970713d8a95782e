//! The reader and the JSON Schema say the same, and every node knows its place.

use super::super::check::check;
use super::super::code::Code;
use super::super::{Policy, problem::Problem};
use super::node::{Node, NodeValue};
use super::*;
use serde_json::{Map, Value as Json};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;

/// Problems of the structure, which the JSON Schema must find as well.
const STRUCTURAL: &[Code] = &[
    Code::UnknownKey,
    Code::MissingKey,
    Code::WrongType,
    Code::UnknownWord,
    Code::NotAPercentage,
    Code::PercentageTooFine,
    Code::NotADuration,
    Code::NotANumber,
    Code::ListLength,
];

fn parse(text: &str) -> (Option<Node>, Vec<Problem>) {
    let mut problems = Problems::of("test.yaml");
    let node = node::parse(text, &mut problems);
    (node, problems.into_sorted())
}

fn json_of(node: &Node) -> Json {
    match &node.value {
        NodeValue::Null | NodeValue::Broken => Json::Null,
        NodeValue::Bool(value) => (*value).into(),
        NodeValue::Text(text) => text.as_str().into(),
        NodeValue::Number(raw) => serde_json::from_str(raw).unwrap_or(Json::Null),
        NodeValue::List(items) => items.iter().map(json_of).collect(),
        NodeValue::Mapping(entries) => {
            let entries = entries
                .iter()
                .map(|entry| (entry.key.clone(), json_of(&entry.node)));
            Json::Object(entries.collect::<Map<_, _>>())
        }
    }
}

fn yaml_files(folder: &str) -> BTreeMap<String, String> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(folder);
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries
        .filter(|path| path.extension().is_some_and(|extension| extension == "yaml"))
        .map(|path| {
            (
                path.file_name().unwrap().to_string_lossy().into_owned(),
                fs::read_to_string(&path).unwrap(),
            )
        })
        .collect()
}

/// The schema of a section, found by the path that messages show.
fn schema_at<'s>(root: &'s Json, path: &str) -> &'s Json {
    let resolve = |schema: &'s Json| match schema.get("$ref").and_then(Json::as_str) {
        Some(reference) => root.pointer(reference.trim_start_matches('#')).unwrap(),
        None => schema,
    };
    let parts = path.split('.').filter(|part| !part.is_empty());
    parts.fold(root, |schema, part| {
        let property = &schema["properties"][part.trim_end_matches("[]")];
        match part.ends_with("[]") {
            true => resolve(&property["items"]),
            false => resolve(property),
        }
    })
}

#[test]
fn the_schema_has_the_keys_that_the_reader_asks_for() {
    let root = schema();
    for section in sections() {
        let schema = schema_at(&root, section.path);
        let properties: BTreeSet<&str> = schema["properties"]
            .as_object()
            .unwrap_or_else(|| panic!("{} has no properties", section.path))
            .keys()
            .map(String::as_str)
            .collect();
        let required: BTreeSet<&str> = match schema.get("required") {
            Some(required) => required
                .as_array()
                .unwrap()
                .iter()
                .map(|key| key.as_str().unwrap())
                .collect(),
            None => BTreeSet::new(),
        };
        let asked: BTreeSet<&str> = section.keys.iter().map(|key| key.name).collect();
        let demanded: BTreeSet<&str> = section
            .keys
            .iter()
            .filter(|key| key.required)
            .map(|key| key.name)
            .collect();
        assert_eq!(properties, asked, "keys of `{}`", section.path);
        assert_eq!(required, demanded, "required keys of `{}`", section.path);
        assert_eq!(
            schema["additionalProperties"], false,
            "`{}` must be closed",
            section.path
        );
    }
    let definitions = root["$defs"].as_object().unwrap().len();
    assert_eq!(
        sections().len(),
        definitions + 1,
        "every definition is a section, besides the root"
    );
}

#[test]
fn every_key_is_described() {
    let root = schema();
    for section in sections() {
        for key in &section.keys {
            let description = &schema_at(&root, section.path)["properties"][key.name]["description"];
            assert!(description.is_string(), "`{}` of `{}`", key.name, section.path);
        }
    }
}

#[test]
fn good_policies_satisfy_the_schema() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let files = yaml_files("policies");
    assert!(files.len() >= 5);
    for (name, text) in files {
        let (node, problems) = parse(&text);
        assert_eq!(problems, [], "{name}");
        let json = json_of(&node.unwrap());
        let errors: Vec<String> = validator
            .iter_errors(&json)
            .map(|error| error.to_string())
            .collect();
        assert_eq!(errors, [""; 0], "{name}");
    }
}

#[test]
fn structurally_bad_policies_do_not_satisfy_the_schema() {
    let validator = jsonschema::validator_for(&schema()).unwrap();
    let mut seen = BTreeSet::new();
    for (name, text) in yaml_files("tests/policies/bad") {
        let problems = match check(&name, &text) {
            Ok(sound) => sound.warnings,
            Err(problems) => problems,
        };
        let structural: Vec<Code> = STRUCTURAL
            .iter()
            .copied()
            .filter(|code| problems.iter().any(|problem| problem.code == code.as_str()))
            .collect();
        let (Some(node), false) = (parse(&text).0, structural.is_empty()) else {
            continue;
        };
        assert!(!validator.is_valid(&json_of(&node)), "{name}: {structural:?}");
        seen.extend(structural);
    }
    assert_eq!(
        seen,
        STRUCTURAL.iter().copied().collect(),
        "a bad file for each of them"
    );
}

fn with(mut document: Json, path: &str, key: &str, value: &Json) -> Json {
    let parts = path.split('.').filter(|part| !part.is_empty());
    let section = parts.fold(&mut document, |at, part| {
        let next = at
            .as_object_mut()
            .unwrap()
            .entry(part.trim_end_matches("[]"))
            .or_insert_with(|| Json::Object(Map::new()));
        if part.ends_with("[]") { &mut next[0] } else { next }
    });
    section[key] = value.clone();
    document
}

#[test]
fn defaults_in_the_schema_are_those_of_the_check() {
    let meaning = |document: &Json| -> Policy {
        // JSON is YAML, as far as policies go.
        let policy = check("test.yaml", &document.to_string()).unwrap().policy;
        Policy {
            source: "".into(),
            revision: crate::ids::Revision::of(""),
            ..policy
        }
    };
    let text = "{apiVersion: serin/v1, kind: RolloutPolicy, metadata: {name: p}, spec: {prompt: p, \
        steps: [{exposure: 100%, bake: 1h}], metrics: [{name: m, kind: score, margin: 0.1}], \
        notify: [{webhook: 'http://hooks', on: [paused]}]}}";
    let minimal = json_of(&parse(text).0.unwrap());
    let root = schema();
    let mut count = 0;
    for section in sections() {
        for key in &section.keys {
            let default = &schema_at(&root, section.path)["properties"][key.name]["default"];
            if default.is_null() {
                continue;
            }
            count += 1;
            let explicit = with(minimal.clone(), section.path, key.name, default);
            assert_ne!(explicit, minimal);
            assert_eq!(
                meaning(&explicit),
                meaning(&minimal),
                "`{}` of `{}`",
                key.name,
                section.path
            );
        }
    }
    assert!(count >= 14, "{count} defaults");
}

#[test]
fn nodes_know_their_place_behind_wide_characters_and_other_line_ends() {
    let text = "\u{feff}\"ключ\": ✔ # why\r\nb:\r\n  - 'x y'\r\n  - [1,\r\n     2]\r\nc:\r\n";
    let (node, problems) = parse(text);
    assert_eq!(problems, []);
    let NodeValue::Mapping(entries) = node.unwrap().value else {
        panic!("a mapping");
    };
    let slice = |span: Span| &text[span.offset..span.offset + span.length];
    let place = |span: Span| (span.line, span.column);
    assert_eq!(slice(entries[0].span), "\"ключ\"");
    assert_eq!(
        (slice(entries[0].node.span), place(entries[0].node.span)),
        ("✔", (1, 9))
    );
    let NodeValue::List(items) = &entries[1].node.value else {
        panic!("a list");
    };
    assert_eq!((slice(items[0].span), place(items[0].span)), ("'x y'", (3, 5)));
    assert_eq!((slice(items[1].span), place(items[1].span)), ("[1,", (4, 5)));
    // A value that is not there has the place of its key.
    assert_eq!(
        (slice(entries[2].node.span), place(entries[2].node.span)),
        ("c", (6, 1))
    );
}

#[test]
fn plain_scalars_follow_the_core_schema() {
    let (node, _) = parse(
        "[null, ~, true, False, 1, -2.5e3, .5, 1., 0x1f, 0o7, .inf, +1, on, yes, 1_000, 5%, '1', 1e, .]",
    );
    let NodeValue::List(items) = node.unwrap().value else {
        panic!("a list");
    };
    let kinds: String = items
        .iter()
        .map(|item| match item.value {
            NodeValue::Null => '0',
            NodeValue::Bool(_) => 'b',
            NodeValue::Number(_) => 'n',
            NodeValue::Text(_) => 't',
            NodeValue::List(_) | NodeValue::Mapping(_) | NodeValue::Broken => '?',
        })
        .collect();
    assert_eq!(kinds, "00bbnnnnnnnnttttttt");
}

#[test]
fn a_file_beyond_the_bound_is_not_read() {
    let text = format!("# {}\n", "x".repeat(FILE_BYTES_MAX));
    let (node, problems) = parse(&text);
    assert!(node.is_none());
    assert_eq!(problems.len(), 1);
    assert_eq!(problems[0].code, Code::FileTooLarge.as_str());
}
