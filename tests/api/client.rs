//! The client of `serin::client` against the real server, on a real port.

use crate::world::{Setting, World};
use serde_json::{Value, json};
use serin::api::serve;
use serin::api::views::assignment::reason_word;
use serin::client::{AssignError, Client, Origin, Settings, Status, User};
use serin::ids::Version;
use serin::targeting::{Attribute, Attributes};
use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

macro_rules! ladder {
    ($assignment:literal) => {
        concat!(
            "\napiVersion: serin/v1\nkind: RolloutPolicy\nmetadata: {name: greeting}\nspec:\n",
            "  prompt: team/greeting\n  registry: embedded\n  labels: {control: production, treatment: canary}\n",
            "  assignment: {",
            $assignment,
            ", holdback: 10%, force: {treatment: [qa-7], control: [probe]}}\n",
            "  steps: [{exposure: 5%, bake: 1h, samples: 5}, {exposure: 25%, bake: 1h}, {exposure: 50%, bake: 1h}, \
             {exposure: 100%, bake: 1h}]\n",
            "  metrics: [{name: errors, kind: rate, better: lower, margin: 1pp}]\n",
        )
    };
}

const OWN: &[&str] = &[ladder!("hash: serin")];

async fn world(policies: &'static [&'static str]) -> World {
    World::of(policies).await.with_rollout().await
}

/// A world's server on a port, until it is told to stop.
struct Listening {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    serving: JoinHandle<std::io::Result<()>>,
}

impl Listening {
    /// Port 0 is any.
    async fn begin(world: &World, port: u16) -> Self {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.unwrap();
        let address = listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let (app, front) = (world.app.clone(), world.front.clone());
        let shutdown = async move { drop(stopped.await) };
        let serving = tokio::spawn(serve(listener, app, front, shutdown, Duration::from_secs(60)));
        Self {
            address,
            stop,
            serving,
        }
    }

    async fn end(self) {
        self.stop.send(()).unwrap();
        self.serving.await.unwrap().unwrap();
    }

    fn settings(&self) -> Settings {
        Settings::new(&format!("http://{}", self.address)).unwrap()
    }
}

async fn tag(world: &World) -> String {
    let answer = world.get("/v1/route-table").await;
    let tag = answer.headers["etag"].to_str().unwrap().to_owned();
    answer.ok(200);
    tag
}

async fn until(client: &Client, holds: impl FnMut(&Status) -> bool) {
    client.changes().wait_for(holds).await.unwrap();
}

/// Waits until the client has the table that the server has now.
async fn hears(client: &Client, world: &World) {
    let tag = tag(world).await;
    until(client, |status| status.tag.as_ref() == Some(&tag)).await;
}

fn users() -> Vec<String> {
    let numbered = (0..998).map(|number| format!("user-{number}"));
    numbered.chain(["qa-7".to_owned(), "probe".to_owned()]).collect()
}

/// Both say the same of every user; those whom the client treats.
async fn agree(client: &Client, world: &World) -> BTreeSet<String> {
    agree_on(client, world, "", &Attributes::default(), None).await
}

/// Likewise of users of whom `query` tells the server what the client is told by the rest.
async fn agree_on(
    client: &Client,
    world: &World,
    query: &str,
    attributes: &Attributes<'_>,
    anonymous: Option<&str>,
) -> BTreeSet<String> {
    let mut treated = BTreeSet::new();
    for user in users() {
        let path = format!("/v1/assignments/greeting?user={user}{query}");
        let mut expected = world.ask(&path, &[]).await.ok(200);
        for theirs in ["policy", "receipt"] {
            expected.as_object_mut().unwrap().remove(theirs);
        }
        let known = User::new(&user).with_attributes(attributes);
        let known = anonymous.map_or(known, |key| known.with_anonymous(key));
        let assigned = client.assign("greeting", known).unwrap();
        let mut found = json!({
            "arm": assigned.arm.as_str(), "label": assigned.label.as_str(), "version": assigned.version.map(Version::get),
            "exposure": assigned.exposure.ratio(), "reason": reason_word(assigned.reason),
            "rollout": assigned.rollout.map(|rollout| rollout.to_string()),
        });
        if let Some(attribute) = &assigned.attribute {
            found["attribute"] = json!(attribute.as_str());
        }
        assert_eq!(found, expected, "{user}");
        if assigned.label.as_str() == "canary" {
            treated.insert(user);
        }
    }
    treated
}

async fn command(world: &mut World, verb: &str) {
    let path = format!("/v1/rollouts/r1/{verb}");
    world.post(&path, json!({"reason": "a test"})).await.ok(200);
    world.tick(1).await;
}

/// Up every step and back, as the server says.
async fn climbs(policies: &'static [&'static str]) {
    let mut world = world(policies).await;
    let listening = Listening::begin(&world, 0).await;
    let client = Client::start(listening.settings()).unwrap();
    client.ready().await;
    let mut before = BTreeSet::new();
    for (at, share) in [50, 250, 500, 900].into_iter().enumerate() {
        if at > 0 {
            command(&mut world, "step").await;
        }
        hears(&client, &world).await;
        let treated = agree(&client, &world).await;
        // Four standard errors of a thousand are 64 at most; holdback and force are in it.
        assert!(treated.len().abs_diff(share) < 64, "{} of {share}", treated.len());
        assert!(before.is_subset(&treated), "{:?}", before.difference(&treated));
        before = treated;
    }
    command(&mut world, "rollback").await;
    hears(&client, &world).await;
    assert_eq!(agree(&client, &world).await, BTreeSet::new());
    drop(client);
    listening.end().await;
}

#[tokio::test]
async fn it_assigns_as_the_server_does_with_its_own_hash() {
    climbs(OWN).await;
}

#[tokio::test]
async fn it_assigns_as_the_server_does_with_another_hash() {
    climbs(&[ladder!("hash: growthbook-v2, salt: checkout/2026")]).await;
    climbs(&[ladder!("hash: flagd-v3, salt: greeting")]).await;
}

/// Targeting, a group and a reserve at once; what one of them keeps out, both sides keep out by the same word.
#[tokio::test]
async fn it_assigns_for_some_users_only_as_the_server_does() {
    const SOME: &[&str] = &[ladder!(
        "hash: serin, group: {name: page, from: 20%, to: 100%}, \
         targeting: [{share: 60%}, {attribute: region, in: [eu]}, {attribute: seats, number: '>=10'}]"
    )];
    let setting = Setting {
        policies: SOME,
        reserve_ppm: 100_000,
        ..Setting::default()
    };
    let mut world = World::with(setting).await.with_rollout().await;
    command(&mut world, "step").await;
    let listening = Listening::begin(&world, 0).await;
    let client = Client::start(listening.settings()).unwrap();
    client.ready().await;
    hears(&client, &world).await;
    let forced = BTreeSet::from(["qa-7".to_owned()]);
    assert_eq!(agree(&client, &world).await, forced);
    let attributes = |region: &'static str| {
        let mut attributes = Attributes::default();
        let region = Attribute::Text(region.into());
        attributes.add("region".into(), region).unwrap();
        attributes.add("seats".into(), Attribute::Number(12.0)).unwrap();
        attributes
    };
    let (inside, outside) = (attributes("eu"), attributes("us"));
    let query = "&attribute.region=us&attribute.seats=12";
    assert_eq!(agree_on(&client, &world, query, &outside, None).await, forced);
    let query = "&attribute.region=eu&attribute.seats=12";
    let treated = agree_on(&client, &world, query, &inside, None).await;
    // 25% of the 43% who pass all three draws, and four standard errors.
    assert!(treated.len().abs_diff(108) < 40, "{}", treated.len());
    let query = format!("{query}&anonymous=visitor-1");
    let treated = agree_on(&client, &world, &query, &inside, Some("visitor-1")).await;
    // Everybody has the arm of the one visitor, but those who are forced.
    assert!([1, 999].contains(&treated.len()), "{}", treated.len());
    drop(client);
    listening.end().await;
}

#[tokio::test]
async fn the_table_comes_once_and_names_no_user() {
    let mut world = world(OWN).await;
    let first = world.get("/v1/route-table").await;
    let tag = first.headers["etag"].to_str().unwrap().to_owned();
    for user in ["qa-7", "probe"] {
        assert!(!first.text.contains(user), "{}", first.text);
    }
    let table = first.ok(200);
    assert_eq!(table["format"], "serin/route-table/v1");
    let line = &table["routes"][0]["treatment"]["line"];
    assert_eq!((&line["scheme"], &line["salt"]), (&json!("serin"), &Value::Null));
    assert_eq!(line["key"].as_str().unwrap().len(), 22);
    let known = [("if-none-match", tag.as_str())];
    world.ask("/v1/route-table", &known).await.ok(304);
    command(&mut world, "rollback").await;
    let after = world.ask("/v1/route-table", &known).await.ok(200);
    assert_eq!(after["routes"][0]["treatment"], Value::Null);
}

#[tokio::test]
async fn without_the_server_it_goes_on_and_takes_over_what_comes_back() {
    let before = world(OWN).await;
    let listening = Listening::begin(&before, 0).await;
    let port = listening.address.port();
    let client = Client::start(listening.settings()).unwrap();
    until(&client, |status| status.is_following).await;
    listening.end().await;
    until(&client, |status| !status.is_following && status.trouble.is_some()).await;
    let treated = agree(&client, &before).await;
    assert!(!treated.is_empty());

    let mut after = world(OWN).await;
    command(&mut after, "step").await;
    let listening = Listening::begin(&after, port).await;
    hears(&client, &after).await;
    until(&client, |status| status.is_following).await;
    assert!(treated.is_subset(&agree(&client, &after).await));
    assert_eq!(client.status().trouble, None);
    drop(client);
    listening.end().await;
}

async fn file_of(listening: &Listening, file: &Path) -> (Client, Status) {
    let client = Client::start(listening.settings().with_file(file)).unwrap();
    let at_start = client.status();
    (client, at_start)
}

#[tokio::test]
async fn with_a_file_it_starts_without_the_server() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serin.json");
    let mut world = world(OWN).await;
    let listening = Listening::begin(&world, 0).await;
    let (client, at_start) = file_of(&listening, &file).await;
    assert_eq!(
        (at_start.origin, client.assign("greeting", "anna")),
        (Origin::Nowhere, Err(AssignError::NoTable))
    );
    until(&client, |status| status.is_following).await;
    command(&mut world, "step").await;
    hears(&client, &world).await;
    let tag = client.status().tag;
    // The file is written after the table is in use.
    while !std::fs::read_to_string(&file).is_ok_and(|text| text.contains("250000")) {
        tokio::task::yield_now().await;
    }
    drop(client);

    let (client, at_start) = file_of(&listening, &file).await;
    assert_eq!((at_start.origin, &at_start.tag), (Origin::File, &tag));
    until(&client, |status| status.origin == Origin::Server).await;
    assert_eq!(client.status().tag, tag);
    drop(client);

    let address = listening.settings();
    listening.end().await;
    let client = Client::start(address.with_file(&file)).unwrap();
    client.ready().await;
    assert!(!agree(&client, &world).await.is_empty());
    assert_eq!(client.status().origin, Origin::File);
}

#[tokio::test]
async fn a_token_needs_its_scope_and_ends_the_stream_with_itself() {
    let world = world(OWN).await;
    let body = json!({"name": "root", "scopes": ["admin"]});
    let root = world.post("/v1/tokens", body).await.ok(201)["token"]
        .as_str()
        .unwrap()
        .to_owned();
    let make = async |name: &str, scope: &str| {
        let body = json!({"name": name, "scopes": [scope]});
        let made = world
            .send(World::authorized("POST", "/v1/tokens", &root, &body))
            .await
            .ok(201);
        made["token"].as_str().unwrap().to_owned()
    };
    let (sdk, observer) = (make("sdk", "assign").await, make("observer", "observe").await);
    let listening = Listening::begin(&world, 0).await;
    let refused = Client::start(listening.settings().with_token(&observer)).unwrap();
    until(&refused, |status| {
        status
            .trouble
            .as_ref()
            .is_some_and(|trouble| trouble.contains("403"))
    })
    .await;
    let client = Client::start(listening.settings().with_token(&sdk)).unwrap();
    until(&client, |status| status.is_following).await;
    let request = World::authorized("DELETE", "/v1/tokens/sdk", &root, &Value::Null);
    world.send(request).await.ok(204);
    let mut world = world;
    world.tick(1).await;
    // Changes are what a stream wakes up for; then it sees that its token is gone.
    let pause = World::authorized(
        "POST",
        "/v1/rollouts/r1/rollback",
        &root,
        &json!({"reason": "a test"}),
    );
    world.send(pause).await.ok(200);
    until(&client, |status| {
        status
            .trouble
            .as_ref()
            .is_some_and(|trouble| trouble.contains("401"))
    })
    .await;
    assert_eq!(
        client.assign("greeting", "qa-7").unwrap().label.as_str(),
        "canary"
    );
    drop((client, refused));
    listening.end().await;
}
