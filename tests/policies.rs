//! Policy files from the outside: the good ones teach, the bad ones are told apart and explained.
//!
//! Each `policies/bad/NAME.yaml` has its rendered problems beside it in `NAME.snap`.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "a failed test is what both are for, in the functions that tests share, too"
)]

use proptest::prelude::*;
use serde_json::Value as Json;
use serin::cli::conditions::VisitArgs;
use serin::cli::lint::{LintArgs, LintServer, Rendering, run_with};
use serin::cli::schema;
use serin::policy::check::{PolicyFile, check, check_all};
use serin::policy::code::Code;
use serin::policy::document;
use serin::policy::problem::{PROBLEMS_PER_FILE_MAX, Problem, Severity};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const BAD: &str = "tests/policies/bad";
const GOOD: &str = "policies";

/// Codes that no single file in [`BAD`] can raise; tests elsewhere do.
const RAISED_ELSEWHERE: &[Code] = &[
    Code::FileTooLarge,
    Code::NotUtf8,
    Code::Unreadable,
    Code::PolicyTwice,
    Code::LabelShared,
    Code::GroupOverlap,
    Code::SplitChanged,
    Code::TrafficBelowPatience,
    Code::TrafficBelowGuards,
    Code::SamplesBelowGuards,
    Code::TrafficBelowSilence,
    Code::LongerThanBakes,
    Code::LabelTakenIn,
];

fn files_in(folder: &str, extension: &str) -> Vec<PathBuf> {
    let mut paths: Vec<PathBuf> = fs::read_dir(folder)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|found| found == extension))
        .collect();
    paths.sort();
    paths
}

fn args(files: &[&Path]) -> LintArgs {
    LintArgs {
        files: files.iter().map(|path| path.to_path_buf()).collect(),
        json: false,
        deny_warnings: false,
        explain: None,
        traffic: None,
        server: LintServer::default(),
        visits: VisitArgs {
            observations_per_user: 1.0,
            activity_cv: 0.0,
            icc: 0.0,
        },
    }
}

fn lint(args: &LintArgs, stdin: &[u8]) -> (String, ExitCode) {
    let mut out = Vec::new();
    let exit = run_with(args, &mut &*stdin, Rendering::Plain, &mut out).unwrap();
    (String::from_utf8(out).unwrap(), exit)
}

fn problems_of(path: &Path) -> Vec<Problem> {
    let text = fs::read_to_string(path).unwrap();
    match check(&path.display().to_string(), &text) {
        Ok(sound) => sound.warnings,
        Err(problems) => problems,
    }
}

fn stem(path: &Path) -> String {
    path.file_stem().unwrap().to_string_lossy().into_owned()
}

fn assert_snapshot(name: &str, rendered: &str) {
    insta::with_settings!({
        snapshot_path => "policies/bad",
        prepend_module_to_snapshot => false,
        omit_expression => true,
    }, {
        insta::assert_snapshot!(name, rendered);
    });
}

#[test]
fn bad_policies_are_explained() {
    let paths = files_in(BAD, "yaml");
    assert!(paths.len() >= 45, "{} bad files", paths.len());
    for path in &paths {
        let (rendered, exit) = lint(&args(&[path]), b"");
        let warns_only = stem(path).starts_with("warnings-");
        let expected = if warns_only {
            ExitCode::SUCCESS
        } else {
            ExitCode::from(1)
        };
        assert_eq!(exit, expected, "{}", path.display());
        assert_snapshot(&stem(path), &rendered);
    }
}

#[test]
fn policies_that_do_not_go_together_are_explained() {
    let (rendered, exit) = lint(&args(&[&Path::new(BAD).join("together")]), b"");
    assert_eq!(exit, ExitCode::from(1));
    assert_snapshot("together", &rendered);
}

#[test]
fn every_snapshot_belongs_to_a_file() {
    let mut expected: BTreeSet<String> = files_in(BAD, "yaml").iter().map(|path| stem(path)).collect();
    expected.insert("together".to_owned());
    let found: BTreeSet<String> = files_in(BAD, "snap").iter().map(|path| stem(path)).collect();
    assert_eq!(found, expected);
}

#[test]
fn every_code_is_shown_by_a_bad_file() {
    let mut shown: BTreeSet<&str> = files_in(BAD, "yaml")
        .iter()
        .flat_map(|path| problems_of(path))
        .map(|problem| problem.code)
        .collect();
    for code in RAISED_ELSEWHERE {
        assert!(shown.insert(code.as_str()), "{code:?} is shown after all");
    }
    let all: BTreeSet<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
    assert_eq!(shown, all);
}

#[test]
fn ten_mistakes_are_ten_problems() {
    let problems = problems_of(&Path::new(BAD).join("ten-at-once.yaml"));
    let codes: BTreeSet<&str> = problems.iter().map(|problem| problem.code).collect();
    assert_eq!((problems.len(), codes.len()), (10, 10));
}

#[test]
fn good_policies_have_neither_problems_nor_warnings() {
    let mut strict = args(&[Path::new(GOOD)]);
    strict.deny_warnings = true;
    let count = files_in(GOOD, "yaml").len();
    assert!(count >= 5);
    assert_eq!(
        lint(&strict, b""),
        (format!("{count} files checked, no problems\n"), ExitCode::SUCCESS)
    );
}

#[test]
fn good_policies_show_every_key() {
    let texts: Vec<String> = files_in(GOOD, "yaml")
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let schema = document::schema();
    let definitions = schema["$defs"].as_object().unwrap().values();
    let keys = definitions
        .chain([&schema])
        .flat_map(|section| section["properties"].as_object().unwrap().keys());
    for key in keys {
        let written = format!("{key}: ");
        let section = format!("{key}:\n");
        assert!(
            texts
                .iter()
                .any(|text| text.contains(&written) || text.contains(&section)),
            "no policy shows `{key}`"
        );
    }
}

#[test]
fn the_schema_beside_the_policies_is_the_one_that_is_printed() {
    let mut printed = Vec::new();
    assert_eq!(
        schema::run(&schema::SchemaArgs {}, &mut printed).unwrap(),
        ExitCode::SUCCESS
    );
    let path = Path::new(GOOD).join("policy.schema.json");
    let kept = fs::read_to_string(&path).unwrap_or_default();
    let printed = String::from_utf8(printed).unwrap();
    assert!(
        kept == printed,
        "`{}` is out of date: run `serin schema > {}`",
        path.display(),
        path.display()
    );
    let schema: Json = serde_json::from_str(&printed).unwrap();
    assert_eq!(schema["$schema"], "https://json-schema.org/draft/2020-12/schema");
    assert_eq!(schema["$id"], document::SCHEMA_ID);
    jsonschema::meta::validate(&schema).unwrap();
}

#[test]
fn json_has_what_editors_need() {
    let mut json = args(&[&Path::new(BAD).join("not-ascii.yaml")]);
    json.json = true;
    let (printed, exit) = lint(&json, b"");
    assert_eq!(exit, ExitCode::from(1));
    insta::assert_snapshot!(printed, @r#"
    [
      {
        "code": "SRN107",
        "severity": "error",
        "file": "tests/policies/bad/not-ascii.yaml",
        "line": 6,
        "column": 44,
        "length": 7,
        "message": "`treatment` must be 1 to 36 of `a`-`z`, `0`-`9`, `_`, `-` and `.`, unlike `größe`",
        "help": null
      },
      {
        "code": "SRN201",
        "severity": "error",
        "file": "tests/policies/bad/not-ascii.yaml",
        "line": 11,
        "column": 14,
        "length": 6,
        "message": "`name` must be 1 to 64 of letters, digits, `_`, `-` and `.`, with a letter or digit first, unlike `höhe`",
        "help": null
      },
      {
        "code": "SRN214",
        "severity": "error",
        "file": "tests/policies/bad/not-ascii.yaml",
        "line": 11,
        "column": 57,
        "length": 1,
        "message": "`weight` must be above 0 and at most 1000",
        "help": null
      }
    ]
    "#);
}

#[test]
fn a_sound_file_is_an_empty_array() {
    let mut json = args(&[&Path::new(GOOD).join("quick-start.yaml")]);
    json.json = true;
    assert_eq!(lint(&json, b""), ("[]\n".to_owned(), ExitCode::SUCCESS));
}

#[test]
fn standard_input_is_a_file() {
    let text = fs::read(Path::new(GOOD).join("quick-start.yaml")).unwrap();
    let (printed, exit) = lint(&args(&[Path::new("-")]), &text);
    assert_eq!(
        (printed.as_str(), exit),
        ("1 file checked, no problems\n", ExitCode::SUCCESS)
    );
    let (printed, exit) = lint(&args(&[Path::new("-")]), b"kind: [");
    assert!(printed.contains("[-:1:"), "{printed}");
    assert_eq!(exit, ExitCode::from(1));
}

#[test]
fn a_file_is_read_once_however_often_it_is_named() {
    let file = Path::new(GOOD).join("quick-start.yaml");
    let dotted = Path::new(GOOD).join("../policies/quick-start.yaml");
    let (printed, exit) = lint(&args(&[&file, &dotted, &file]), b"");
    assert_eq!(
        (printed.as_str(), exit),
        ("1 file checked, no problems\n", ExitCode::SUCCESS)
    );
}

#[test]
fn folders_are_walked_and_hidden_entries_are_not() {
    let folder = tempfile::tempdir().unwrap();
    let policy = fs::read_to_string(Path::new(GOOD).join("quick-start.yaml")).unwrap();
    fs::create_dir_all(folder.path().join("team/.git")).unwrap();
    fs::write(folder.path().join("team/a.yaml"), &policy).unwrap();
    fs::write(folder.path().join("team/.git/b.yaml"), "not a policy").unwrap();
    fs::write(folder.path().join("team/notes.md"), "not a policy").unwrap();
    let (printed, exit) = lint(&args(&[folder.path()]), b"");
    assert_eq!(
        (printed.as_str(), exit),
        ("1 file checked, no problems\n", ExitCode::SUCCESS)
    );
    fs::create_dir_all(folder.path().join("deep/".repeat(20))).unwrap();
    let (printed, exit) = lint(&args(&[folder.path()]), b"");
    assert!(printed.contains("the folder is nested too deeply"), "{printed}");
    assert_eq!(exit, ExitCode::from(2));
}

#[test]
fn what_cannot_be_read_is_told_beside_the_problems_of_the_rest() {
    let folder = tempfile::tempdir().unwrap();
    let missing = folder.path().join("missing.yaml");
    let bad = Path::new(BAD).join("empty.yaml");
    let (printed, exit) = lint(&args(&[&missing, folder.path(), &bad]), b"");
    assert_eq!(exit, ExitCode::from(2));
    assert!(printed.contains("missing.yaml` cannot be read"), "{printed}");
    assert!(
        printed.contains("no `*.yaml` or `*.yml` is in this folder"),
        "{printed}"
    );
    assert!(printed.contains("SRN005"), "{printed}");
    assert!(
        printed.ends_with("3 files checked, 3 errors, 0 warnings\n"),
        "{printed}"
    );
}

#[test]
fn a_large_file_is_refused_without_being_read_whole() {
    let mut text = vec![b'#'; document::FILE_BYTES_MAX];
    text.extend("ä".repeat(8).bytes());
    let (printed, exit) = lint(&args(&[Path::new("-")]), &text);
    assert_eq!(exit, ExitCode::from(1));
    assert!(printed.contains("SRN001"), "{printed}");
    assert!(!printed.contains("SRN002"), "{printed}");
}

#[test]
fn what_a_terminal_would_obey_is_not_drawn() {
    let (printed, _) = lint(&args(&[Path::new("-")]), b"kind: \x1b]0;owned\x07\xff\n");
    assert!(
        printed.contains("SRN002") && printed.contains("?]0;owned?"),
        "{printed}"
    );
    let (printed, _) = lint(&args(&[Path::new("-")]), b"kind: \"\\e[31m\"\n");
    assert!(
        printed.contains("SRN102") && !printed.contains('\x1b'),
        "{printed}"
    );
}

#[test]
fn warnings_are_refused_on_demand() {
    let mut strict = args(&[&Path::new(BAD).join("warnings-ladder.yaml")]);
    assert_eq!(lint(&strict, b"").1, ExitCode::SUCCESS);
    strict.deny_warnings = true;
    assert_eq!(lint(&strict, b"").1, ExitCode::from(1));
}

#[test]
fn codes_are_explained() {
    let explain = |code: &str| {
        let mut asked = args(&[]);
        asked.explain = Some(code.to_owned());
        lint(&asked, b"")
    };
    let (printed, exit) = explain("srn132");
    assert_eq!(exit, ExitCode::SUCCESS);
    insta::assert_snapshot!(printed, @"
    SRN132 (error): the last step is not 100%

    A rollout ends with everybody (all but the holdback) in treatment, so that promotion surprises nobody.
    ");
    let (printed, exit) = explain("SRN000");
    assert_eq!(exit, ExitCode::from(2));
    assert!(printed.starts_with("there is no code `SRN000`"), "{printed}");
}

/// What holds for every text, however broken.
fn assert_sane(text: &str) {
    let outcome = check("any.yaml", text);
    let problems = match &outcome {
        Ok(sound) => {
            assert!(
                sound
                    .warnings
                    .iter()
                    .all(|problem| problem.severity == Severity::Warning)
            );
            assert_eq!(&*sound.policy.source, text);
            let last = sound.policy.steps.last().unwrap();
            assert_eq!(last.exposure.ppm(), 1_000_000);
            &sound.warnings
        }
        Err(problems) => {
            assert!(problems.iter().any(|problem| problem.severity == Severity::Error));
            problems
        }
    };
    let (drawn, _) = lint(&args(&[Path::new("-")]), text.as_bytes());
    assert_eq!(
        drawn.matches("\nSRN").count() + usize::from(drawn.starts_with("SRN")),
        problems.len()
    );
    assert!(problems.len() <= PROBLEMS_PER_FILE_MAX + 1);
    assert!(problems.is_sorted_by_key(|problem| problem.span.offset));
    for problem in problems {
        let span = problem.span;
        let before = text.get(..span.offset).unwrap_or_else(|| panic!("{problem:?}"));
        assert!(
            text.get(span.offset..span.offset + span.length).is_some(),
            "{problem:?}"
        );
        assert!(
            !problem.message.contains('\n') && !problem.message.ends_with('.'),
            "{problem:?}"
        );
        assert!(span.line >= 1 && span.column >= 1, "{problem:?}");
        assert!(span.line <= before.split(['\n', '\r']).count(), "{problem:?}");
    }
}

/// A good policy with some places replaced, removed or repeated.
fn mutated() -> impl Strategy<Value = String> {
    const PIECES: &[&str] = &[
        "",
        " ",
        "\n",
        "\t",
        "- ",
        ": ",
        "{",
        "}",
        "[",
        "]",
        "&a ",
        "*a",
        "!!str ",
        "---\n",
        "'",
        "\"",
        "#",
        "|",
        ">",
        "?",
        "<<",
        "%",
        "0",
        "-1",
        "99999999999999999999",
        "1e400",
        ".nan",
        "100%",
        "0.00001%",
        "5pp",
        "1h30m",
        "ms",
        "null",
        "~",
        "true",
        "é",
        "\u{feff}",
        "\u{0}",
        "latency",
        "rollback",
        "latest",
        "steps",
        "metrics",
        "exposure",
    ];
    let texts: Vec<String> = files_in(GOOD, "yaml")
        .iter()
        .map(|path| fs::read_to_string(path).unwrap())
        .collect();
    let edit = (
        any::<prop::sample::Index>(),
        0..12_usize,
        prop::sample::select(PIECES),
    );
    (prop::sample::select(texts), prop::collection::vec(edit, 1..6)).prop_map(|(mut text, edits)| {
        for (place, removed, piece) in edits {
            let boundaries: Vec<usize> = text.char_indices().map(|(offset, _)| offset).collect();
            let start = place.index(boundaries.len());
            let end = (start + removed).min(boundaries.len() - 1);
            text.replace_range(boundaries[start]..boundaries[end], piece);
        }
        text
    })
}

proptest! {
    #[test]
    fn no_text_panics(text in "\\PC*|[ \\n\\t:{}\\[\\],&*!|>'\"%@`?#a-c0-9.-]{0,60}") {
        assert_sane(&text);
    }

    #[test]
    fn no_bytes_panic(bytes in prop::collection::vec(any::<u8>(), 0..60)) {
        let file = PolicyFile { name: "any.yaml", bytes: &bytes };
        prop_assert!(check_all(&[file, file]).iter().all(Result::is_err));
        prop_assert_eq!(lint(&args(&[Path::new("-")]), &bytes).1, ExitCode::from(1));
    }

    #[test]
    fn no_mutated_policy_panics(text in mutated()) {
        assert_sane(&text);
    }
}
