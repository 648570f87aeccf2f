//! Whatever happens to its connection, a client hears of every channel exactly what was said while it was a member: each
//! `seq` once, in order, nothing after its own removal. Random histories on two gateways are held against a model.
//!
//! A history is a list of steps, shrunk to a short one when it fails. `HUBBUB_RECOVERY_SECONDS` says for how long histories
//! are made (12).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a failed test says it best"
)]

mod client;
mod history;
mod model;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::{
    env,
    time::{Duration, Instant},
};

use actix_web::rt::System;
use proptest::{
    prelude::*,
    test_runner::{Config, TestError, TestRunner},
};

use self::{
    history::{History, Step},
    world::World,
};

/// How many people and channels there are.
const PEOPLE: usize = 3;
const CHANNELS: usize = 2;

fn step() -> impl Strategy<Value = Step> {
    let (person, channel, node) = (0..PEOPLE, 0..CHANNELS, 0..2_usize);
    let at = (channel.clone(), node.clone());
    prop_oneof![
        4 => (0..=PEOPLE, at.clone()).prop_map(|(by, (channel, node))| Step::Say { by, channel, node }),
        2 => (any::<u8>(), any::<bool>(), at.clone()).prop_map(|(which, removes, (channel, node))| {
            if removes {
                Step::Remove { which, channel, node }
            } else {
                Step::Edit { which, channel, node }
            }
        }),
        3 => (person.clone(), any::<bool>(), at).prop_map(|(person, itself, (channel, node))| {
            Step::JoinOrLeave { person, channel, node, itself }
        }),
        2 => (person.clone(), any::<bool>()).prop_map(|(person, unread)| Step::Cut { person, unread }),
        5 => (person.clone(), node, 0..8_u8, 0..6_u8).prop_map(|(person, gateway, cursor, meanwhile)| {
            Step::Back { person, gateway, cursor, meanwhile }
        }),
        1 => (person, 0..6_u8).prop_map(|(person, cursor)| Step::Sync { person, cursor }),
        1 => any::<bool>().prop_map(|is_down| Step::Bus { is_down }),
    ]
}

#[test]
fn whatever_happens_every_client_hears_everything_once_and_in_order() {
    let seconds = env::var("HUBBUB_RECOVERY_SECONDS").map_or(12, |text| text.parse().expect("seconds"));
    let system = System::new();
    let world = system.block_on(World::new());
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut runner = TestRunner::new(Config {
        cases: u32::MAX,
        failure_persistence: None,
        max_shrink_iters: 400,
        max_shrink_time: 240_000,
        ..Config::default()
    });
    let (mut played, mut has_failed) = (0, false);
    let played = std::cell::RefCell::new((&mut played, &mut has_failed));
    let outcome = runner.run(&prop::collection::vec(step(), 1..40), |steps| {
        let mut played = played.borrow_mut();
        if Instant::now() > end && !*played.1 {
            // There is no other way to have no more of them.
            return Err(TestCaseError::Fail("enough".into()));
        }
        *played.0 += 1;
        system
            .block_on(History::plays(&world, &steps))
            .map_err(|problem| {
                *played.1 = true;
                TestCaseError::fail(problem)
            })
    });
    let (played, has_failed) = played.into_inner();
    match outcome {
        Err(TestError::Fail(why, steps)) if *has_failed => {
            panic!("{why}\nafter\n{steps:#?}\n(the history number {played})");
        }
        _ => assert!(*played > 5, "only {played} histories in {seconds} s"),
    }
}
