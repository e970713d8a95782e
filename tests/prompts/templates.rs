//! The contract of a template, and what compiling makes of it.

use proptest::prelude::*;
use serde_json::{Map, Value, json};
use serin::prompt::template::{
    COMPILED_BYTES_MAX, CompileError, Compiled, CompiledMessage, Mismatch, compile, contract,
    is_variable_name,
};
use serin::prompt::{ChatItem, Template};

fn text(text: &str) -> Template {
    Template::Text(text.into())
}

fn chat() -> Template {
    let message = |role: &str, content: &str| ChatItem::Message {
        role: role.into(),
        content: content.into(),
    };
    let history = ChatItem::Placeholder {
        name: "history".into(),
    };
    Template::Chat(vec![
        message("system", "Order {{id}}."),
        history,
        message("user", "{{ question }}"),
    ])
}

fn map(value: Value) -> Map<String, Value> {
    value.as_object().unwrap().clone()
}

fn compiled(template: &Template, variables: Value) -> Result<String, String> {
    match compile(template, &map(variables), &Map::new()) {
        Ok(Compiled::Text(text)) => Ok(text),
        Ok(Compiled::Chat(messages)) => Err(format!("{messages:?}")),
        Err(error) => Err(error.to_string()),
    }
}

fn names(set: &std::collections::BTreeSet<std::sync::Arc<str>>) -> Vec<&str> {
    set.iter().map(|name| &**name).collect()
}

#[test]
fn the_contract_lists_each_name_once_and_what_is_unclear() {
    let template =
        text("{{a}} {{ a }} {{user.name}} {{x-y}} {{größe}} {\"json\": {{\"a\": 1}}} {{#each}} {{}} {{.}}");
    let contract = contract(&template);
    assert_eq!(names(&contract.variables), ["a", "größe", "user.name", "x-y"]);
    assert_eq!(
        names(&contract.unclear),
        ["{{\"a\": 1}}", "{{#each}}", "{{.}}", "{{}}"]
    );
    assert_eq!(names(&contract.placeholders), [""; 0]);
    let contract = serin::prompt::template::contract(&chat());
    assert_eq!(names(&contract.variables), ["id", "question"]);
    assert_eq!(names(&contract.placeholders), ["history"]);
}

#[test]
fn names_are_bounded() {
    assert!(is_variable_name(&"x".repeat(64)));
    assert!(!is_variable_name(&"x".repeat(65)));
    assert!(!is_variable_name("-x"));
}

#[test]
fn values_are_written_as_json_writes_them() {
    let template = text("{{s}}|{{i}}|{{f}}|{{t}}");
    let values = json!({"s": "it's \"so\"", "i": 7, "f": 0.5, "t": true});
    assert_eq!(compiled(&template, values).unwrap(), "it's \"so\"|7|0.5|true");
}

#[test]
fn what_is_no_variable_stays_as_it_is() {
    let template = text("{{\"a\": {{x}} }} {{#if}} }} {{");
    assert_eq!(
        compiled(&template, json!({})).unwrap(),
        "{{\"a\": {{x}} }} {{#if}} }} {{"
    );
}

#[test]
fn values_are_not_read_for_tags_again() {
    let template = text("{{said}} {{secret}}");
    let values = json!({"said": "tell me {{secret}}", "secret": "s3"});
    assert_eq!(compiled(&template, values).unwrap(), "tell me {{secret}} s3");
}

#[test]
fn everything_that_does_not_fit_is_told_at_once() {
    let template = text("{{order_id}} {{customer}} {{items}} {{note}}");
    let given = json!({"orderid": 1, "items": [], "note": null, "zzz": 1});
    assert_eq!(
        compiled(&template, given).unwrap_err(),
        "variable `customer` is missing; variable `order_id` is missing; \
         variable `orderid` is not in the template, did you mean `order_id`?; \
         variable `zzz` is not in the template; \
         variable `items` is a list: give a string, a number, `true` or `false`; \
         variable `note` is null: give a string, a number, `true` or `false`"
    );
    let placeholders = map(json!({"histroy": []}));
    assert_eq!(
        compile(
            &chat(),
            &map(json!({"id": {}, "question": "why?"})),
            &placeholders
        )
        .unwrap_err()
        .to_string(),
        "variable `id` is an object: give a string, a number, `true` or `false`; \
         placeholder `history` is missing: give its messages, or an empty list; \
         placeholder `histroy` is not in the template, did you mean `history`?"
    );
}

#[test]
fn a_flood_of_mismatches_is_counted_and_kept_whole_as_a_value() {
    let given: Map<String, Value> = (0..1_000)
        .map(|number| (format!("x{number}"), json!(1)))
        .collect();
    let error = compile(&text("a"), &given, &Map::new()).unwrap_err();
    assert!(error.to_string().ends_with("; and 980 more"), "{error}");
    let CompileError::Mismatch(mismatches) = error else {
        panic!("{error}");
    };
    assert_eq!(mismatches.len(), 1_000);
}

#[test]
fn messages_for_a_placeholder_come_through_unchanged() {
    let history = json!([
        {"role": "user", "content": "{{id}}", "name": "anna"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "call-1"}]},
    ]);
    let placeholders = map(json!({ "history": history }));
    let variables = map(json!({"id": 17, "question": "{{id}}?"}));
    let own = |role: &str, content: &str| CompiledMessage::Own {
        role: role.into(),
        content: content.to_owned(),
    };
    let given = |at: usize| CompiledMessage::Given(map(history[at].clone()));
    assert_eq!(
        compile(&chat(), &variables, &placeholders).unwrap(),
        Compiled::Chat(vec![
            own("system", "Order 17."),
            given(0),
            given(1),
            own("user", "{{id}}?")
        ])
    );
    let none = map(json!({ "history": [] }));
    let Ok(Compiled::Chat(messages)) = compile(&chat(), &variables, &none) else {
        panic!("an empty list fills a placeholder");
    };
    assert_eq!(messages.len(), 2);
}

#[test]
fn what_is_no_list_of_messages_fills_no_placeholder() {
    let variables = map(json!({"id": 17, "question": "why?"}));
    for unfit in [
        json!("hello"),
        json!({"role": "user"}),
        json!(["hello"]),
        json!([{"content": "hello"}]),
        json!([{"role": 1}]),
    ] {
        let placeholders = map(json!({ "history": unfit }));
        assert_eq!(
            compile(&chat(), &variables, &placeholders),
            Err(CompileError::Mismatch(vec![Mismatch::UnfitPlaceholder(
                "history".to_owned()
            )])),
            "{unfit}"
        );
    }
    let to_text = compile(&text("a"), &Map::new(), &map(json!({"history": []})));
    assert_eq!(
        to_text.unwrap_err().to_string(),
        "placeholder `history` is not in the template"
    );
}

#[test]
fn a_value_that_is_repeated_cannot_fill_the_memory() {
    let tag = "{{a}}";
    let value = "x".repeat(1 << 20);
    let fits = text(&tag.repeat(COMPILED_BYTES_MAX / value.len()));
    assert_eq!(
        compiled(&fits, json!({ "a": value })).unwrap().len(),
        COMPILED_BYTES_MAX
    );
    let bomb = text(&tag.repeat(100_000));
    assert_eq!(
        compile(&bomb, &map(json!({ "a": value })), &Map::new()),
        Err(CompileError::TooLong)
    );
}

proptest! {
    #[test]
    fn a_text_with_all_its_variables_given_keeps_the_rest(
        literals in prop::collection::vec("[^{}]{0,12}", 1..6),
        names in prop::collection::vec("[a-zé_][a-z0-9é_.-]{0,8}", 5),
        values in prop::collection::vec("\\PC{0,12}", 5),
        spaces in "[ \n\t]{0,3}",
    ) {
        let (mut template, mut expected, mut given) = (String::new(), String::new(), Map::new());
        for (literal, (name, value)) in literals.iter().zip(names.iter().zip(&values)) {
            let value = given.entry(name.clone()).or_insert_with(|| json!(value)).as_str().unwrap().to_owned();
            template += &format!("{literal}{{{{{spaces}{name}{spaces}}}}}");
            expected += &format!("{literal}{value}");
        }
        prop_assert_eq!(compiled(&text(&template), Value::Object(given.clone())), Ok(expected));
        for name in given.keys() {
            let mut fewer = given.clone();
            fewer.remove(name);
            let refusal = compiled(&text(&template), Value::Object(fewer)).unwrap_err();
            prop_assert!(refusal.contains(&format!("variable `{name}` is missing")), "{}", refusal);
        }
    }
}
