//! Whatever happens to its connection, a client hears of every channel exactly what was said while it was a member: each
//! `seq` once, in order, nothing after its own removal. Random histories on two gateways are held against a model.
//!
//! A history is a list of steps, shrunk to a short one when it fails. They are the same ones each time, unless
//! `HUBBUB_RECOVERY_SECONDS` says for how long new ones are to be made.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    reason = "a failed test says it best"
)]

mod client;
mod history;
mod model;
#[path = "../support/mod.rs"]
mod support;
mod world;

use std::{
    cell::Cell,
    env,
    time::{Duration, Instant},
};

use actix_web::rt::System;
use proptest::{
    prelude::*,
    test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner},
};

use self::{
    history::{History, Step},
    world::World,
};

/// How many histories are played unless it is told for how long, the same each time.
const HISTORIES: u32 = 24;
const SEED: [u8; 32] = *b"whatever happens to a connection";

/// How many people and channels there are.
const PEOPLE: usize = 3;
const CHANNELS: usize = 2;
/// Why no more histories are made.
const ENOUGH: &str = "enough";

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
    let seconds: Option<u64> = env::var("HUBBUB_RECOVERY_SECONDS")
        .ok()
        .map(|text| text.parse().expect("seconds"));
    let has_failed = Cell::new(false);
    let system = System::new();
    let world = system.block_on(World::new());
    let end = seconds.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let config = Config {
        cases: if end.is_some() { u32::MAX } else { HISTORIES },
        failure_persistence: None,
        max_shrink_iters: 400,
        max_shrink_time: 240_000,
        ..Config::default()
    };
    let mut runner = if end.is_some() {
        TestRunner::new(config)
    } else {
        TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &SEED))
    };
    let played = Cell::new(0);
    let outcome = runner.run(&prop::collection::vec(step(), 1..40), |steps| {
        // There is no other way to have no more of them; while one is being shrunk, the others are few.
        if end.is_some_and(|end| Instant::now() > end) && !has_failed.get() {
            return Err(TestCaseError::fail(ENOUGH));
        }
        played.set(played.get() + 1);
        system
            .block_on(History::plays(&world, &steps))
            .map_err(|problem| {
                has_failed.set(true);
                TestCaseError::fail(problem)
            })
    });
    let played = played.get();
    if let Err(TestError::Fail(why, steps)) = outcome
        && has_failed.get()
    {
        panic!("{why}\nafter\n{steps:#?}\n({played} histories were played)");
    }
    assert!(played >= HISTORIES, "only {played} histories");
    println!("{played} histories");
}

/// Somebody joined at the other node and left again, of which this one did not hear as the bus was down, and came here
/// afterwards: what it is told then begins there.
#[test]
fn a_membership_that_ended_before_the_client_came_is_not_told_to_it() {
    let join_or_leave = |node| Step::JoinOrLeave {
        person: 1,
        channel: 1,
        node,
        itself: false,
    };
    let back = |person| Step::Back {
        person,
        gateway: 0,
        cursor: 0,
        meanwhile: 0,
    };
    let steps = [
        back(2),
        Step::Bus { is_down: true },
        join_or_leave(1),
        join_or_leave(0),
        back(1),
    ];
    let system = System::new();
    system
        .block_on(async { History::plays(&World::new().await, &steps).await })
        .unwrap();
}

/// Somebody who is here joined at the other node, of which this one did not hear as the bus was down, and another member
/// came here afterwards: the room begins behind the join.
#[test]
fn a_join_that_was_lost_is_told_though_another_member_came_after_it() {
    let back = |person| Step::Back {
        person,
        gateway: 0,
        cursor: 7,
        meanwhile: 0,
    };
    let says = |node| Step::Say {
        by: PEOPLE,
        channel: 0,
        node,
    };
    let steps = [
        back(0),
        Step::Bus { is_down: true },
        Step::JoinOrLeave {
            person: 0,
            channel: 0,
            node: 1,
            itself: false,
        },
        says(1),
        back(2),
        says(0),
        Step::Bus { is_down: false },
        says(1),
    ];
    let system = System::new();
    system
        .block_on(async { History::plays(&World::new().await, &steps).await })
        .unwrap();
}
