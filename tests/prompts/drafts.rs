//! What a draft must be like.

use serde_json::json;
use serin::ids::{Justification, PromptName};
use serin::prompt::draft::{
    CHAT_ITEMS_MAX, CONFIG_BYTES_MAX, DraftProblem, OWNER_CHARS_MAX, TAG_CHARS_MAX, TAGS_MAX,
    TEMPLATE_BYTES_MAX, check, check_kind,
};
use serin::prompt::template::VARIABLES_MAX;
use serin::prompt::{ChatItem, Draft, PromptError, SemanticVersion, Template, TemplateKind};
use std::collections::BTreeSet;

fn draft(template: Template) -> Draft {
    Draft {
        template,
        semantic_version: None,
        reason: Justification::new("clearer wording").unwrap(),
        config: serde_json::Map::new(),
        owner: None,
        tags: BTreeSet::new(),
    }
}

fn text(text: &str) -> Draft {
    draft(Template::Text(text.into()))
}

fn message(role: &str, content: &str) -> ChatItem {
    ChatItem::Message {
        role: role.into(),
        content: content.into(),
    }
}

fn placeholder(name: &str) -> ChatItem {
    ChatItem::Placeholder { name: name.into() }
}

fn problems(draft: &Draft) -> Vec<DraftProblem> {
    check(draft)
        .err()
        .map_or_else(Vec::new, |invalid| invalid.problems)
}

#[test]
fn an_ordinary_draft_is_taken() {
    let mut ordinary = draft(Template::Chat(vec![
        message("system", "You answer questions about order {{order_id}}."),
        placeholder("history"),
        message("user", ""),
    ]));
    ordinary.owner = Some("support-platform".into());
    ordinary.tags = ["orders".into(), "größe".into()].into();
    ordinary.config.insert("temperature".to_owned(), json!(0.2));
    assert_eq!(problems(&ordinary), []);
}

#[test]
fn a_template_says_something() {
    assert_eq!(problems(&text(" \n")), [DraftProblem::EmptyText]);
    for items in [vec![], vec![placeholder("history")]] {
        assert_eq!(problems(&draft(Template::Chat(items))), [DraftProblem::NoMessage]);
    }
}

#[test]
fn roles_and_placeholders_are_named() {
    let items = vec![
        message("", "a"),
        message(" ", "b"),
        message("us\ner", "c"),
        message(&"r".repeat(65), "d"),
        placeholder(""),
        placeholder("two words"),
        message("tool", "e"),
    ];
    let expected = [
        DraftProblem::InvalidRole(1),
        DraftProblem::InvalidRole(2),
        DraftProblem::InvalidRole(3),
        DraftProblem::InvalidRole(4),
        DraftProblem::InvalidPlaceholder(5),
        DraftProblem::InvalidPlaceholder(6),
    ];
    assert_eq!(problems(&draft(Template::Chat(items))), expected);
}

#[test]
fn every_size_has_a_bound_that_is_still_inside() {
    assert_eq!(problems(&text(&"x".repeat(TEMPLATE_BYTES_MAX))), []);
    let too_long = TEMPLATE_BYTES_MAX + 1;
    assert_eq!(
        problems(&text(&"x".repeat(too_long))),
        [DraftProblem::TemplateTooLong(too_long)]
    );
    let half = "x".repeat(TEMPLATE_BYTES_MAX / 2);
    let in_two = draft(Template::Chat(vec![
        message("user", &half),
        message("user", &half),
    ]));
    assert_eq!(
        problems(&in_two),
        [DraftProblem::TemplateTooLong(TEMPLATE_BYTES_MAX + 8)],
        "roles count"
    );

    let items = |count| draft(Template::Chat(vec![message("user", "x"); count]));
    assert_eq!(problems(&items(CHAT_ITEMS_MAX)), []);
    assert_eq!(
        problems(&items(CHAT_ITEMS_MAX + 1)),
        [DraftProblem::TooManyItems(CHAT_ITEMS_MAX + 1)]
    );

    let variables = |count| {
        let tags: Vec<String> = (0..count).map(|number| format!("{{{{v{number}}}}}")).collect();
        text(&tags.concat())
    };
    assert_eq!(problems(&variables(VARIABLES_MAX)), []);
    assert_eq!(
        problems(&variables(VARIABLES_MAX + 1)),
        [DraftProblem::TooManyVariables(VARIABLES_MAX + 1)]
    );

    let configured = |bytes: usize| {
        let mut configured = text("x");
        let filler = "x".repeat(bytes - r#"{"a":""}"#.len());
        configured.config.insert("a".to_owned(), json!(filler));
        configured
    };
    assert_eq!(problems(&configured(CONFIG_BYTES_MAX)), []);
    assert_eq!(
        problems(&configured(CONFIG_BYTES_MAX + 1)),
        [DraftProblem::ConfigTooLong(CONFIG_BYTES_MAX + 1)]
    );
}

#[test]
fn owners_and_tags_are_short_lines() {
    for bad in ["", " ", "a\nb", &"x".repeat(OWNER_CHARS_MAX + 1)] {
        let mut owned = text("x");
        owned.owner = Some(bad.into());
        assert_eq!(problems(&owned), [DraftProblem::InvalidOwner], "{bad:?}");
    }
    for bad in ["", "a\0", &"x".repeat(TAG_CHARS_MAX + 1)] {
        let mut tagged = text("x");
        tagged.tags = ["fine".into(), bad.into()].into();
        assert_eq!(problems(&tagged), [DraftProblem::InvalidTag], "{bad:?}");
    }
    let mut tagged = text("x");
    tagged.tags = (0..=TAGS_MAX)
        .map(|number| format!("tag-{number}").into())
        .collect();
    assert_eq!(problems(&tagged), [DraftProblem::TooManyTags(TAGS_MAX + 1)]);
}

#[test]
fn all_problems_are_told_at_once() {
    let mut bad = text("\0");
    bad.owner = Some("".into());
    let invalid = check(&bad).unwrap_err();
    assert_eq!(
        PromptError::from(invalid).to_string(),
        "the template contains the character U+0000: remove it; \
         `owner` must be 1 to 128 characters without control characters"
    );
    let no_message = check(&draft(Template::Chat(vec![]))).unwrap_err();
    assert_eq!(
        no_message.to_string(),
        "the chat has no message: give at least one `{role, content}`"
    );
}

#[test]
fn a_prompt_keeps_its_kind() {
    let prompt = PromptName::new("greeting").unwrap();
    assert_eq!(check_kind(&prompt, TemplateKind::Text, &text("x")), Ok(()));
    assert_eq!(
        check_kind(&prompt, TemplateKind::Chat, &text("x"))
            .unwrap_err()
            .to_string(),
        "prompt `greeting` is of type `chat`, and the draft of type `text`: give it another name"
    );
}

#[test]
fn semantic_versions_are_read_as_they_are_written() {
    for good in ["0.0.0", "1.4.0", "10.20.4294967295"] {
        assert_eq!(good.parse::<SemanticVersion>().unwrap().to_string(), good);
    }
    let bad = [
        "",
        "1",
        "1.2",
        "1.2.3.4",
        "01.2.3",
        "1.02.3",
        "1.2.+3",
        "v1.2.3",
        "1.2.3-rc.1",
        "1..3",
        "1.2.",
        " 1.2.3",
        "1.2.4294967296",
        "１.2.3",
    ];
    for bad in bad {
        assert!(bad.parse::<SemanticVersion>().is_err(), "{bad}");
    }
    let refused = "v"
        .repeat(1_000)
        .parse::<SemanticVersion>()
        .unwrap_err()
        .to_string();
    assert!(refused.len() < 200, "{refused}");
    assert!("1.10.0".parse::<SemanticVersion>().unwrap() > "1.9.9".parse().unwrap());
}
