//! The real binary, as people and scripts meet it.
#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test fails by panicking"
)]

mod cli {
    mod hashing;
    mod live;
    mod offline;
    mod planning;
    mod ready;
    mod replay;
    mod serving;
    mod simulating;
    mod watching;
    mod world;
}
