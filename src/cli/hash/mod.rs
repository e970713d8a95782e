//! `serin hash`: where users lie on the hash line, without a server.

use super::figures::NOTHING;
use super::report::{Hinted, Usage};
use super::screen::{self, Cell, FAINT, Flush, Table};
use super::users::UserArgs;
use crate::assignment::bucket::{Bucket, Purpose, SECRET_BYTES, SplitKey, SplitSalt};
use crate::assignment::line::Line;
use crate::config;
use crate::ids::{Cluster, PolicyName, Salt, Scheme, UserKey, Version};
use clap::builder::{PossibleValuesParser, TypedValueParser as _};
use serde_json::json;
use std::path::PathBuf;

mod kinds;
mod row;
mod rows;

/// Users and rows that are held before they are printed.
const ROWS_HELD_MAX: usize = 1_000;

/// Show where users lie on the hash line, without a server
///
/// Computes what a server with the same secret computes, so that another implementation can be
/// checked against it, or a user's fate foretold: a user is in treatment from the exposure on that
/// is above their share, unless they are in the holdback at the top of the line.
///
/// The secret comes from the environment variable SERIN_SECRET or from a file, never from a flag,
/// because flags show in process lists. Only the scheme `serin` has one.
///
/// With the scheme of another system and no users, reads rows of JSON from standard input, each with
/// the fields of its `kind`, and writes each back with the `expect_…` fields that the other system's
/// SDKs compute: `hash`, `range`, `rollout`, `rollout-boundary`, `variation`, `namespace` (GrowthBook),
/// `bucket`, `rollout`, `variant` (Unleash), `bucket` (LaunchDarkly, Optimizely), `shorthand`,
/// `explicit` (flagd), `shard` (Eppo) and `pass` (Statsig).
#[derive(Debug, clap::Args)]
#[command(after_help = "\
Example:
  $ serin hash --secret-file secret.hex --policy order-status-answer --candidate 4 anna bob
  $ serin hash --secret-file secret.hex --salt order-status --users users.txt --json | head -1
  {\"user\":\"anna\",\"bucket\":\"9d3a61f0c2b8e754\",\"share\":0.614172,\"cluster\":17}
  $ echo '{\"kind\":\"hash\",\"seed\":\"checkout\",\"id\":\"anna\"}' | serin hash --scheme growthbook-v2
  {\"kind\":\"hash\",\"seed\":\"checkout\",\"id\":\"anna\",\"expect_bucket\":0.5713}")]
pub(crate) struct Hash {
    /// How users are hashed
    #[arg(
        long,
        default_value = Scheme::Serin.as_str(),
        value_parser = PossibleValuesParser::new(Scheme::ALL.map(Scheme::as_str))
            .try_map(|name| name.parse::<Scheme>()),
    )]
    scheme: Scheme,
    /// File with the server's secret, as 64 hexadecimal digits
    #[arg(long, env = "SERIN_SECRET_FILE", value_name = "FILE")]
    secret_file: Option<PathBuf>,
    /// The salt that the policy declares (`spec.assignment.salt`)
    #[arg(long, visible_alias = "policy-salt", value_name = "SALT")]
    salt: Option<Salt>,
    /// The policy, where it declares no salt
    #[arg(long, value_name = "NAME", conflicts_with = "salt", requires = "candidate")]
    policy: Option<PolicyName>,
    /// The candidate version, where the policy declares no salt
    #[arg(long, value_name = "VERSION", requires = "policy", value_parser = super::parse_version)]
    candidate: Option<Version>,
    #[command(flatten)]
    users: UserArgs,
    /// Print one JSON object a line, for programs
    #[arg(long)]
    json: bool,
}

/// What is shown of one user.
struct Place {
    user: String,
    bucket: Bucket,
    /// None for a scheme without a secret: clusters are Serin's own.
    cluster: Option<Cluster>,
}

/// Runs the verb.
pub(crate) fn run(args: &Hash) -> anyhow::Result<()> {
    if args.users.is_empty() && args.scheme != Scheme::Serin {
        if args.salt.is_some() || args.policy.is_some() {
            return Err(Usage("a salt is for users: name some, or `-` to read them".into()).into());
        }
        return rows::run(args.scheme, std::io::stdin().lock());
    }
    let mut places = places(args)?.peekable();
    while places.peek().is_some() {
        let batch = places
            .by_ref()
            .take(ROWS_HELD_MAX)
            .collect::<anyhow::Result<Vec<Place>>>()?;
        if args.json {
            screen::print_exactly(&batch.into_iter().map(line).collect::<String>())?;
        } else {
            screen::print(&table(&batch).render(""))?;
        }
    }
    Ok(())
}

fn line(
    Place {
        user,
        bucket,
        cluster,
    }: Place,
) -> String {
    let share = share_billionths(bucket) as f64 / 1e9;
    let bucket = format!("{:016x}", bucket.get());
    let cluster = cluster.map(Cluster::get);
    let line = json!({"user": user, "bucket": bucket, "share": share, "cluster": cluster});
    format!("{line}\n")
}

fn table(places: &[Place]) -> Table {
    let mut table = Table::new(&[
        ("USER", Flush::Left),
        ("BUCKET", Flush::Left),
        ("SHARE", Flush::Right),
        ("CLUSTER", Flush::Right),
    ]);
    for Place {
        user,
        bucket,
        cluster,
    } in places
    {
        table.row([
            Cell::plain(user),
            Cell::plain(format!("{:016x}", bucket.get())),
            Cell::plain(shown_share(*bucket)),
            cluster.map_or_else(
                || Cell::new(FAINT, NOTHING),
                |cluster| Cell::plain(cluster.get().to_string()),
            ),
        ]);
    }
    table
}

fn places(args: &Hash) -> anyhow::Result<impl Iterator<Item = anyhow::Result<Place>>> {
    let keys = args.users.keys()?;
    let salt = match (&args.salt, &args.policy, args.candidate) {
        (Some(salt), _, _) => SplitSalt::Declared(salt),
        (None, Some(policy), Some(candidate)) => SplitSalt::Candidate { policy, candidate },
        (None, _, _) => return Err(Usage("give `--salt`, or `--policy` with `--candidate`".into()).into()),
    };
    let (line, cluster) = match Line::open(args.scheme, args.policy.as_ref(), &salt) {
        Some(line) => (line, None),
        None => {
            let secret = secret(args)?;
            let line = Line::Serin(SplitKey::derive(&secret, Purpose::Split, &salt));
            (line, Some(SplitKey::derive(&secret, Purpose::Cluster, &salt)))
        }
    };
    Ok(keys.map(move |user| {
        let user = user?;
        let key = UserKey::new(&user)?;
        Ok(Place {
            bucket: line.bucket(key),
            cluster: cluster.map(|cluster| cluster.cluster(key)),
            user,
        })
    }))
}

fn secret(args: &Hash) -> anyhow::Result<[u8; SECRET_BYTES]> {
    let environment = config::secret_from_environment();
    let secret = config::secret(environment.as_deref(), args.secret_file.as_deref())?;
    let secret = secret.ok_or_else(|| {
        let hint = format!(
            "set {} or name a file with `--secret-file`",
            config::SECRET_VARIABLE
        );
        Hinted::new("the secret that users are hashed with is needed", hint)
    })?;
    Ok(secret.0)
}

/// How much of the hash line lies below `bucket`, in parts per billion, rounded down.
fn share_billionths(bucket: Bucket) -> u64 {
    // The product is below 10⁹ · 2⁶⁴, and what is left of it below 10⁹.
    u64::try_from((u128::from(bucket.get()) * 1_000_000_000) >> u64::BITS).unwrap_or(u64::MAX)
}

/// A percentage with seven decimals: exposures have four, so that rounding never hides an arm.
fn shown_share(bucket: Bucket) -> String {
    let billionths = share_billionths(bucket);
    format!("{}.{:07}%", billionths / 10_000_000, billionths % 10_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shares_are_cut_and_never_rounded_up() {
        let shown = [0, 1 << 63, u64::MAX].map(|hash| shown_share(Bucket::new(hash)));
        assert_eq!(shown, ["0.0000000%", "50.0000000%", "99.9999999%"]);
    }
}
