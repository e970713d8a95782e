//! What supervisors ask.

use super::world::Live;

#[test]
fn whoever_watches_over_a_server_needs_no_token() {
    let mut live = Live::start(&[]);
    live.run("token create --name ops --scope admin").good();
    assert_eq!(live.run("status").code, 1);
    // It is ready once its first second has been worked off.
    let mut asked = live.run("status --ready");
    while asked.code != 0 {
        assert_eq!(asked.stderr, "error: 503 Service Unavailable\n");
        asked = live.run("status --ready");
    }
    assert_eq!(asked.stdout, "ready\n");
    assert_eq!(live.run("status --ready --json").json()["ready"], true);
    assert_eq!(live.stop(), Some(0));
    assert_eq!(live.run("status --ready").code, 1);
}
