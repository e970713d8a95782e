//! Caches of applications, from settings to keepers.

use crate::caches::{Keeper, Manner, Parts, Reach, Redis, Then};
use crate::config::{self, Settings};
use anyhow::Context as _;
use jiff::SignedDuration;

/// A keeper for each cache of the settings.
pub(super) fn keepers(settings: &Settings, parts: &Parts) -> anyhow::Result<Vec<Keeper>> {
    let keepers = settings.redis.iter().map(|cache| {
        let reach = Reach {
            url: cache.url.to_string(),
            username: cache.username.clone(),
            password: cache.password.as_ref().map(|password| password.0.clone()),
            timeout: cache.timeout,
        };
        let redis = Redis::new(&reach).with_context(|| format!("cannot use the cache `{}`", cache.name))?;
        let manner = Manner {
            pattern: cache.pattern.clone(),
            then: match cache.then {
                config::Then::Delete => Then::Delete,
                config::Then::Rewrite => Then::Rewrite,
            },
            sweep: SignedDuration::try_from(cache.sweep).unwrap_or(SignedDuration::MAX),
        };
        Ok(Keeper::new(cache.name.clone(), redis, manner, parts.clone()))
    });
    keepers.collect()
}
