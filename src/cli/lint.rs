//! `serin lint`: every problem of every policy file at once.

use super::cautions;
use super::conditions::{Traffic, VisitArgs};
use super::help::examples;
use super::policy_files::{self, PolicyText};
use super::report::{Reported, Usage};
use crate::analysis::power::{Conditions, forecast};
use crate::policy::Policy;
use crate::policy::check::{PolicyFile, Sound, check_all};
use crate::policy::code::Code;
use crate::policy::document::suggest::listed;
use crate::policy::problem::{Problem, Severity, Span};
use miette::{
    Diagnostic, GraphicalReportHandler, GraphicalTheme, LabeledSpan, MietteError, MietteSpanContents,
    SourceCode, SourceSpan, SpanContents,
};
use serde::Serialize;
use std::collections::BTreeMap;
use std::fmt;
use std::io::{self, IsTerminal as _, Read, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

pub use super::taken_in::LintServer;

/// Width that messages are wrapped at, in columns.
const WIDTH_COLUMNS: usize = 100;

/// Exit code for problems.
const EXIT_PROBLEMS: u8 = 1;

/// Exit code for wrong usage, and for files that cannot be read.
const EXIT_USAGE: u8 = 2;

/// Check policy files, and show every problem of all of them at once
///
/// Exit codes: 0 no problems, 1 problems, 2 wrong usage or a file that cannot be read.
#[derive(Debug, Clone, clap::Args)]
#[command(after_help = examples!(
    "$ serin lint policies/"
    "$ serin lint --deny-warnings --json policies/order-status-answer.yaml"
    "$ serin lint --traffic 40/s policies/"
    "$ serin lint --server http://127.0.0.1:8080 policies/"
    "$ cat policy.yaml | serin lint -"
    "$ serin lint --explain SRN012"
))]
pub struct LintArgs {
    /// Policy files, folders with *.yaml and *.yml, or - for standard input
    #[arg(value_name = "FILE", required_unless_present = "explain")]
    pub files: Vec<PathBuf>,
    /// Print a JSON array of problems instead of text
    #[arg(long)]
    pub json: bool,
    /// Exit with 1 for warnings, too
    #[arg(long)]
    pub deny_warnings: bool,
    /// Also warn of what so many observations (40/s, 2400/m, 144000/h) cannot show in time
    #[arg(long, value_name = "RATE")]
    pub traffic: Option<Traffic>,
    /// How often the same users come, for `traffic`.
    #[command(flatten)]
    pub visits: VisitArgs,
    /// A server to ask.
    #[command(flatten)]
    pub server: LintServer,
    /// Say what a code means, and how to mend it
    #[arg(long, value_name = "CODE", conflicts_with_all = ["files", "json", "deny_warnings", "traffic", "server"])]
    pub explain: Option<String>,
}

/// How problems are drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rendering {
    /// Wrapped, with lines, and with colours unless `NO_COLOR` is set.
    Terminal,
    /// ASCII around the text, no colours, one line per message.
    Plain,
}

/// Lints what `args` name, and writes the problems to `out`.
///
/// # Errors
/// When `out` cannot be written to, or the server that is named cannot be asked.
pub fn run(args: &LintArgs, out: &mut dyn Write) -> anyhow::Result<ExitCode> {
    let rendering = match io::stdout().is_terminal() {
        true => Rendering::Terminal,
        false => Rendering::Plain,
    };
    run_with(args, &mut io::stdin().lock(), rendering, out)
}

/// [`run`] with everything that it takes from the process as arguments.
///
/// # Errors
/// When `out` cannot be written to, or the server that is named cannot be asked.
pub fn run_with(
    args: &LintArgs,
    stdin: &mut dyn Read,
    rendering: Rendering,
    out: &mut dyn Write,
) -> anyhow::Result<ExitCode> {
    if let Some(code) = &args.explain {
        return Ok(explain(code, out)?);
    }
    let texts = policy_files::read(&args.files, stdin);
    let problems = problems_of(&texts, args)?;
    if args.json {
        write_json(&texts, &problems, out)?;
    } else {
        write_text(&texts, &problems, rendering, out)?;
    }
    let has = |code: Code| problems.iter().any(|problem| problem.code == code.as_str());
    let refused = problems
        .iter()
        .any(|problem| args.deny_warnings || problem.severity == Severity::Error);
    Ok(if has(Code::Unreadable) {
        ExitCode::from(EXIT_USAGE)
    } else if refused {
        ExitCode::from(EXIT_PROBLEMS)
    } else {
        ExitCode::SUCCESS
    })
}

fn explain(text: &str, out: &mut dyn Write) -> io::Result<ExitCode> {
    let Some(code) = Code::from_text(text) else {
        let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        writeln!(out, "there is no code `{text}`; the codes are {}", listed(&codes))?;
        return Ok(ExitCode::from(EXIT_USAGE));
    };
    let severity = severity_word(code.severity());
    writeln!(
        out,
        "{code} ({severity}): {}\n",
        code.title(),
        code = code.as_str()
    )?;
    writeln!(out, "{}", code.explanation())?;
    Ok(ExitCode::SUCCESS)
}

/// The policy in a file, or in standard input for `-`.
///
/// # Errors
/// When it cannot be read, or is refused; its problems are then on standard error.
pub(super) fn policy_in(path: &Path) -> anyhow::Result<Policy> {
    let texts = policy_files::read(&[path.to_path_buf()], &mut io::stdin().lock());
    let [text] = &texts[..] else {
        return Err(Usage(format!("`{}` is not one policy file", path.display())).into());
    };
    let bytes = text
        .bytes
        .as_ref()
        .map_err(|reason| Usage(format!("`{}` cannot be read: {reason}", text.name)))?;
    let file = PolicyFile {
        name: &text.name,
        bytes,
    };
    let problems = match check_all(&[file]).into_iter().next() {
        Some(Ok(sound)) => return Ok(sound.policy),
        Some(Err(problems)) => problems,
        None => Vec::new(),
    };
    let rendering = match io::stderr().is_terminal() {
        true => Rendering::Terminal,
        false => Rendering::Plain,
    };
    write_text(&texts, &problems, rendering, &mut io::stderr().lock())?;
    Err(Reported.into())
}

/// What the traffic cannot show in time; nothing without `--traffic`.
fn foreseen(args: &LintArgs, file: &str, policy: &Policy) -> Vec<Problem> {
    let Some(traffic) = args.traffic else {
        return Vec::new();
    };
    let conditions = Conditions {
        observations_per_hour: traffic.per_hour,
        visits: args.visits.visits(),
        baselines: BTreeMap::new(),
    };
    let forecast = forecast(policy, &conditions, &[]);
    let cautions = forecast.map(|forecast| forecast.cautions).unwrap_or_default();
    let problems = cautions.iter();
    problems
        .filter_map(|caution| cautions::problem(caution, policy, file))
        .collect()
}

/// All problems: those of files that could not be read, then file by file.
fn problems_of(texts: &[PolicyText], args: &LintArgs) -> anyhow::Result<Vec<Problem>> {
    let unreadable = texts.iter().filter_map(|text| {
        let reason = text.bytes.as_ref().err()?;
        Some(Problem {
            code: Code::Unreadable.as_str(),
            severity: Code::Unreadable.severity(),
            file: text.name.as_str().into(),
            span: Span {
                line: 1,
                column: 1,
                ..Span::default()
            },
            message: format!("`{}` cannot be read: {reason}", text.name),
            help: None,
        })
    });
    let files: Vec<PolicyFile<'_>> = readable(texts)
        .map(|(name, bytes)| PolicyFile { name, bytes })
        .collect();
    let results = check_all(&files);
    let sound = results.iter().zip(&files);
    let sound = sound.filter_map(|(result, file)| Some((file.name, &result.as_ref().ok()?.policy)));
    let sound: Vec<(&str, &Policy)> = sound.collect();
    let mut told = args.server.problems(&sound)?.into_iter();
    let found = results
        .into_iter()
        .zip(&files)
        .flat_map(|(result, file)| match result {
            Ok(Sound { policy, mut warnings }) => {
                warnings.extend(foreseen(args, file.name, &policy));
                warnings.extend(told.next().unwrap_or_default());
                warnings.sort_by_key(|problem| (problem.span.offset, problem.code));
                warnings
            }
            Err(problems) => problems,
        });
    Ok(unreadable.chain(found).collect())
}

fn readable(texts: &[PolicyText]) -> impl Iterator<Item = (&str, &[u8])> {
    texts
        .iter()
        .filter_map(|text| Some((text.name.as_str(), text.bytes.as_deref().ok()?)))
}

fn severity_word(severity: Severity) -> &'static str {
    match severity {
        Severity::Warning => "warning",
        Severity::Error => "error",
    }
}

/// A problem in `serin lint --json`.
#[derive(Debug, Serialize)]
struct ProblemView<'a> {
    code: &'a str,
    severity: &'static str,
    file: &'a str,
    /// From 1.
    line: usize,
    /// From 1, in characters.
    column: usize,
    /// In characters.
    length: usize,
    message: &'a str,
    help: Option<&'a str>,
}

fn write_json(texts: &[PolicyText], problems: &[Problem], out: &mut dyn Write) -> io::Result<()> {
    let sources: BTreeMap<&str, &[u8]> = readable(texts).collect();
    let views = problems.iter().map(|problem| {
        let Span { offset, length, .. } = problem.span;
        let source = sources.get(&*problem.file).copied().unwrap_or_default();
        let marked = source.get(offset..offset + length).unwrap_or_default();
        ProblemView {
            code: problem.code,
            severity: severity_word(problem.severity),
            file: &problem.file,
            line: problem.span.line,
            column: problem.span.column,
            length: String::from_utf8_lossy(marked).chars().count(),
            message: &problem.message,
            help: problem.help.as_deref(),
        }
    });
    let views: Vec<_> = views.collect();
    serde_json::to_writer_pretty(&mut *out, &views)?;
    writeln!(out)
}

fn write_text(
    texts: &[PolicyText],
    problems: &[Problem],
    rendering: Rendering,
    out: &mut dyn Write,
) -> io::Result<()> {
    let handler = match rendering {
        Rendering::Terminal => {
            GraphicalReportHandler::new_themed(GraphicalTheme::default()).with_width(WIDTH_COLUMNS)
        }
        // Whatever reads a pipe searches by line.
        Rendering::Plain => GraphicalReportHandler::new_themed(GraphicalTheme::none()).with_wrap_lines(false),
    };
    let sources: BTreeMap<&str, Source<'_>> = readable(texts)
        .map(|(name, bytes)| (name, Source::new(name, bytes)))
        .collect();
    for problem in problems {
        let report = Report {
            problem,
            source: sources.get(&*problem.file),
        };
        let mut drawn = String::new();
        handler
            .render_report(&mut drawn, &report)
            .map_err(io::Error::other)?;
        writeln!(out, "{drawn}")?;
    }
    writeln!(out, "{}", summary(texts.len(), problems))
}

fn summary(files: usize, problems: &[Problem]) -> String {
    let errors = problems
        .iter()
        .filter(|problem| problem.severity == Severity::Error)
        .count();
    let files = counted(files, "file");
    match (errors, problems.len() - errors) {
        (0, 0) => format!("{files} checked, no problems"),
        (errors, warnings) => format!(
            "{files} checked, {}, {}",
            counted(errors, "error"),
            counted(warnings, "warning")
        ),
    }
}

fn counted(count: usize, noun: &str) -> String {
    let plural = if count == 1 { "" } else { "s" };
    format!("{count} {noun}{plural}")
}

/// A file as miette draws it, with columns in characters: miette itself counts bytes.
#[derive(Debug)]
struct Source<'a> {
    name: &'a str,
    text: String,
}

impl<'a> Source<'a> {
    /// The text without what a terminal would obey; places stay what they are up to the first byte
    /// that is not UTF-8, behind which there is no problem.
    fn new(name: &'a str, bytes: &[u8]) -> Self {
        let shown = |c: char| match c {
            '\n' | '\r' | '\t' => c,
            c if c.is_ascii_control() => '?',
            c => c,
        };
        let text = String::from_utf8_lossy(bytes).chars().map(shown).collect();
        Self { name, text }
    }
}

impl SourceCode for Source<'_> {
    fn read_span<'a>(
        &'a self,
        span: &SourceSpan,
        context_lines_before: usize,
        context_lines_after: usize,
    ) -> Result<Box<dyn SpanContents<'a> + 'a>, MietteError> {
        let inner = self
            .text
            .read_span(span, context_lines_before, context_lines_after)?;
        let start = inner.span().offset();
        let before = self.text.get(start.saturating_sub(inner.column())..start);
        let column = before.unwrap_or_default().chars().count();
        Ok(Box::new(MietteSpanContents::new_named(
            self.name.to_owned(),
            inner.data(),
            *inner.span(),
            inner.line(),
            column,
            inner.line_count(),
        )))
    }
}

/// A problem as miette draws it.
#[derive(Debug)]
struct Report<'a> {
    problem: &'a Problem,
    source: Option<&'a Source<'a>>,
}

impl fmt::Display for Report<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem.message)
    }
}

impl std::error::Error for Report<'_> {}

impl Diagnostic for Report<'_> {
    fn code<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        Some(Box::new(self.problem.code))
    }

    fn severity(&self) -> Option<miette::Severity> {
        Some(match self.problem.severity {
            Severity::Warning => miette::Severity::Warning,
            Severity::Error => miette::Severity::Error,
        })
    }

    fn help<'a>(&'a self) -> Option<Box<dyn fmt::Display + 'a>> {
        let help = self.problem.help.as_ref()?;
        Some(Box::new(help))
    }

    fn source_code(&self) -> Option<&dyn SourceCode> {
        self.source.map(|source| source as &dyn SourceCode)
    }

    fn labels(&self) -> Option<Box<dyn Iterator<Item = LabeledSpan> + '_>> {
        self.source?;
        let Span { offset, length, .. } = self.problem.span;
        let label = LabeledSpan::new_primary_with_span(None, (offset, length));
        Some(Box::new(std::iter::once(label)))
    }
}
