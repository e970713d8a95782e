//! What a server's registries know against policy files: prompts that take in what a policy steers.

use super::client::{Client, Connection, view};
use super::wire::PromptParents;
use crate::ids::{InvalidId, Label, PromptName};
use crate::policy::Policy;
use crate::policy::lint::taken_in;
use crate::policy::problem::Problem;
use crate::rollout::Parents;
use crate::rollout::explain::parents::sentence;
use anyhow::Context as _;

/// A server that lint asks, beside reading files.
#[derive(Debug, Clone, Default, clap::Args)]
pub struct LintServer {
    /// Ask this server, too, which other prompts take in what the policies steer
    #[arg(long, value_name = "URL", value_parser = super::client::server_url)]
    server: Option<reqwest::Url>,
    /// Token to show to that server
    // It may be in the environment for other verbs, so that it must not ask for a server.
    #[arg(long, env = "SERIN_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    token: Option<String>,
}

impl LintServer {
    /// What there is to say of each policy, in their order; nothing where no server is named.
    ///
    /// # Errors
    /// When the server cannot be asked.
    pub(super) fn problems(&self, policies: &[(&str, &Policy)]) -> anyhow::Result<Vec<Vec<Problem>>> {
        let Some(server) = &self.server else {
            return Ok(vec![Vec::new(); policies.len()]);
        };
        let client = Client::new(&Connection::with(server.clone(), self.token.clone()), None)?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        runtime.context("cannot set up the runtime")?.block_on(async {
            let mut all = Vec::with_capacity(policies.len());
            for (file, policy) in policies {
                all.push(ask(&client, file, policy).await?);
            }
            Ok(all)
        })
    }
}

async fn ask(client: &Client, file: &str, policy: &Policy) -> anyhow::Result<Vec<Problem>> {
    let path = ["v1", "prompts", policy.prompt.as_str(), "parents"];
    let answer = client
        .get(&path, &[("registry", policy.registry.as_str())])
        .await?;
    let answer: PromptParents = view(&answer)?;
    let mut problems = Vec::new();
    for label in [&policy.labels.control, &policy.labels.treatment] {
        let parents = parents(&answer, label)?;
        if let Some(told) = sentence(label, &parents) {
            problems.push(taken_in(file, policy, label, told));
        }
    }
    Ok(problems)
}

fn parents(answer: &PromptParents, label: &Label) -> Result<Parents, InvalidId> {
    let of_label = answer.labels.iter().find(|of| of.label == label.as_str());
    let Some(of_label) = of_label else {
        return Ok(Parents::new([], answer.gap.as_deref()));
    };
    let places = of_label.parents.labels.iter().map(|place| {
        let prompt = PromptName::new(&place.prompt)?;
        Ok((prompt, Label::new(&place.label)?))
    });
    let places: Vec<_> = places.collect::<Result<_, InvalidId>>()?;
    Ok(Parents {
        more: of_label.parents.more,
        ..Parents::new(places, answer.gap.as_deref())
    })
}
