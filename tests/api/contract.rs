//! Holds answers against `/openapi.json`: status, media type, schema.

use crate::world::Answer;
use axum::http::Method;
use serde_json::{Value, json};
use std::collections::BTreeMap;

/// The OpenAPI document, ready to check answers.
pub(crate) struct Contract {
    document: Value,
}

/// Path, and methods with what they answer.
type Routes<'c> = BTreeMap<&'c str, &'c Value>;

impl Contract {
    pub(crate) fn new() -> Self {
        let document = serin::api::document().to_json().unwrap();
        Self {
            document: serde_json::from_str(&document).unwrap(),
        }
    }

    pub(crate) fn document(&self) -> &Value {
        &self.document
    }

    pub(crate) fn routes(&self) -> Routes<'_> {
        let paths = self.document["paths"].as_object().unwrap();
        paths.iter().map(|(path, item)| (path.as_str(), item)).collect()
    }

    /// The path of the document that a request goes to; one without parameters goes first.
    pub(crate) fn template(&self, path: &str) -> Option<&str> {
        let routes = self.routes();
        let fits = |template: &&&str| {
            let (theirs, ours): (Vec<_>, Vec<_>) = (template.split('/').collect(), path.split('/').collect());
            theirs.len() == ours.len()
                && theirs
                    .iter()
                    .zip(&ours)
                    .all(|(theirs, ours)| theirs.starts_with('{') && !ours.is_empty() || theirs == ours)
        };
        routes
            .keys()
            .filter(fits)
            .min_by_key(|template| template.matches('{').count())
            .copied()
    }

    /// Fails when the document does not allow this answer.
    #[track_caller]
    pub(crate) fn check(&self, method: &Method, path: &str, answer: &Answer) {
        let status = answer.status.as_u16();
        let Some(template) = self.template(path) else {
            assert!([403, 404].contains(&status), "{path}: {}", answer.text);
            return self.check_schema(&json!({"$ref": "#/components/schemas/Problem"}), answer);
        };
        let operation = &self.document["paths"][template][method.as_str().to_ascii_lowercase()];
        if operation.is_null() {
            assert_eq!(status, 405, "{method} {path}: {}", answer.text);
            assert!(answer.headers.contains_key("allow"), "{method} {path}");
            return self.check_schema(&json!({"$ref": "#/components/schemas/Problem"}), answer);
        }
        let response = &operation["responses"][status.to_string()];
        assert!(
            !response.is_null(),
            "{method} {template} does not declare {status}: {}",
            answer.text
        );
        let Some(content) = response["content"].as_object() else {
            assert_eq!(
                answer.text, "",
                "{method} {template} declares no content for {status}"
            );
            return;
        };
        let media_type = answer.headers["content-type"].to_str().unwrap();
        let essence = media_type.split(';').next().unwrap();
        let declared = content.get(essence);
        let declared =
            declared.unwrap_or_else(|| panic!("{method} {template} {status}: {essence} is not declared"));
        if essence.ends_with("json") {
            self.check_schema(&declared["schema"], answer);
        }
    }

    #[track_caller]
    fn check_schema(&self, schema: &Value, answer: &Answer) {
        let mut schema = schema.clone();
        schema["components"] = self.document["components"].clone();
        let validator = jsonschema::draft202012::new(&schema).unwrap();
        let found: Vec<String> = validator
            .iter_errors(&answer.json())
            .map(|error| format!("{}: {error}", error.instance_path()))
            .collect();
        assert!(found.is_empty(), "{found:#?} in {}", answer.text);
    }
}
