//! The OpenAPI document itself.

use crate::contract::Contract;
use crate::world::World;
use axum::http::Method;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};

/// A path with something in each of its parameters.
fn example(template: &str) -> String {
    [
        ("{policy}", "greeting"),
        ("{rollout}", "r1"),
        ("{verb}", "pause"),
        ("{prompt}", "team%2Fgreeting"),
        ("{version}", "1"),
        ("{label}", "production"),
        ("{name}", "ci"),
        ("{key}", "greeting"),
    ]
    .iter()
    .fold(template.to_owned(), |path, (parameter, value)| {
        path.replace(parameter, value)
    })
}

fn declared(item: &Value) -> BTreeSet<String> {
    let methods = item.as_object().unwrap().keys();
    methods
        .filter(|key| !matches!(key.as_str(), "parameters" | "summary"))
        .map(|method| method.to_uppercase())
        .collect()
}

/// The router knows a route exactly where the document does: another method is refused with the list
/// of those that there are.
#[tokio::test]
async fn router_and_document_have_the_same_routes_and_methods() {
    let world = World::new().await;
    let contract = Contract::new();
    for (template, item) in contract.routes() {
        let request = World::request("OPTIONS", &example(template), &[], "");
        let answer = world.send(request).await;
        assert_eq!(answer.status, 405, "{template}");
        let allowed = answer.headers["allow"].to_str().unwrap().to_owned();
        let mut expected = declared(item);
        if expected.contains("GET") {
            expected.insert(Method::HEAD.to_string());
        }
        let allowed: BTreeSet<String> = allowed.split(',').map(str::to_owned).collect();
        assert_eq!(allowed, expected, "{template}");
        answer.problem(405, "method_not_allowed");
    }
}

/// The other way round: every path that the source gives to a router is in the document. Protocols of
/// other systems have folders of their own, and some have descriptions of their own.
#[test]
fn every_path_in_the_source_is_in_the_document() {
    let contract = Contract::new();
    let mut found = BTreeMap::new();
    let own = files("src/api");
    let described = files("src/api/ofrep");
    for file in own.iter().chain(&described) {
        let text = std::fs::read_to_string(file).unwrap();
        assert!(
            !own.contains(file) || described_elsewhere(file) || !text.contains("axum::routing"),
            "{} adds a route past the document",
            file.display()
        );
        for line in text
            .lines()
            .filter_map(|line| line.trim().strip_prefix("path = \""))
        {
            found.insert(line.split('"').next().unwrap().to_owned(), file.clone());
        }
    }
    assert!(!described.is_empty());
    let documented: BTreeSet<&str> = contract.routes().into_keys().collect();
    let in_source: BTreeSet<&str> = found.keys().map(String::as_str).collect();
    assert_eq!(in_source, documented);
}

/// Whether a file has routes that the document cannot describe: a protocol of another system, or every
/// method at once.
fn described_elsewhere(file: &std::path::Path) -> bool {
    let names = ["flagd", "gateway", "growthbook", "otlp", "unleash"];
    names.iter().any(|name| file.ends_with(format!("api/{name}.rs")))
}

fn files(folder: &str) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(folder).unwrap();
    let paths = entries.map(|entry| entry.unwrap().path());
    paths.filter(|path| path.is_file()).collect()
}

#[tokio::test]
async fn it_is_served_as_it_is() {
    let world = World::new().await;
    let served = world.get("/openapi.json").await.ok(200);
    assert_eq!(&served, Contract::new().document());
    assert_eq!(served["openapi"], "3.1.0");
    let page = world.get("/docs").await;
    assert!(!page.text.contains("<script"));
    for template in Contract::new().routes().keys() {
        assert!(
            page.text.contains(&format!("<code>{template}</code>")),
            "{template}"
        );
    }
    for code in serin::api::problem::Code::ALL {
        assert!(
            page.text.contains(&format!("id=\"{}\"", code.as_str())),
            "{code:?}"
        );
    }
}

#[test]
fn every_reference_leads_somewhere() {
    let contract = Contract::new();
    let document = contract.document();
    let mut references = Vec::new();
    collect(document, &mut references);
    assert!(references.len() > 50, "{}", references.len());
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(document.pointer(pointer).is_some(), "{reference}");
    }
}

fn collect<'d>(value: &'d Value, references: &mut Vec<&'d str>) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(reference)) = fields.get("$ref") {
                references.push(reference);
            }
            fields.values().for_each(|value| collect(value, references));
        }
        Value::Array(items) => items.iter().for_each(|value| collect(value, references)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => {}
    }
}

#[test]
fn every_operation_says_what_it_can_answer() {
    let contract = Contract::new();
    for (template, item) in contract.routes() {
        for (method, operation) in item.as_object().unwrap() {
            let responses = operation["responses"].as_object().unwrap();
            let has = |status: &str| responses.contains_key(status);
            if template.starts_with("/ofrep/") {
                assert!(has("401") && has("403") && has("429") && has("500"), "{template}");
                continue;
            }
            assert!(has("500") && has("503") && has("403"), "{method} {template}");
            if template.starts_with("/v1/") {
                assert!(has("400") && has("401"), "{method} {template}");
                assert!(!template.contains('{') || has("404"), "{method} {template}");
            }
            let takes_body = operation.get("requestBody").is_some();
            assert_eq!(
                takes_body,
                has("413") && has("415") && has("408"),
                "{method} {template}"
            );
            for (status, response) in responses.iter().filter(|(status, _)| status.as_str() >= "400") {
                let problem = &response["content"]["application/problem+json"]["schema"]["$ref"];
                assert_eq!(
                    problem, "#/components/schemas/Problem",
                    "{method} {template} {status}"
                );
            }
        }
    }
}
