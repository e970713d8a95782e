//! `serin prompt …`: prompts of the embedded registry, their versions and labels.

mod create;
mod labels;
mod render;
mod show;

/// Make, show and compare versions of prompts, and move their labels
#[derive(Debug, clap::Subcommand)]
pub(crate) enum Prompt {
    Create(create::Create),
    List(show::List),
    Show(show::Show),
    Diff(show::Diff),
    Label(labels::SetLabel),
    Protect(labels::Protect),
    History(labels::History),
    Evaluate(create::Evaluate),
}

/// Runs the verb.
pub(crate) async fn run(verb: &Prompt) -> anyhow::Result<()> {
    match verb {
        Prompt::Create(args) => create::create(args).await,
        Prompt::List(args) => show::list(args).await,
        Prompt::Show(args) => show::show(args).await,
        Prompt::Diff(args) => show::diff(args).await,
        Prompt::Label(args) => labels::set(args).await,
        Prompt::Protect(args) => labels::protect(args).await,
        Prompt::History(args) => labels::history(args).await,
        Prompt::Evaluate(args) => create::evaluate(args).await,
    }
}
