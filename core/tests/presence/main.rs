//! Presence against real databases: whatever gateways say, die and sweep at once, a coming or going is told once.
//!
//! The Postgres half needs `HUBBUB_TEST_DATABASE_URL`, as in `attribute_indexes`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says when it is skipped"
)]

mod house;
mod leases;
#[path = "../attribute_indexes/stage.rs"]
#[allow(dead_code, reason = "the other suite needs more of it")]
#[macro_use]
mod stage;
mod telling;

on_both_databases! {
    telling::a_user_is_online_while_it_is_at_any_gateway
    telling::two_gateways_that_a_user_leaves_at_once_tell_it_once
    telling::many_come_and_go_in_few_transactions
    telling::it_is_told_by_way_of_small_channels_only
    telling::it_reaches_another_process_once
    telling::a_service_that_does_not_tell_tells_nothing
    leases::what_a_dead_gateway_left_is_swept_once_by_many
    leases::a_successor_clears_what_was_left
}

/// Where leases run out by themselves.
macro_rules! on_postgres {
    ($($module:ident::$test:ident)*) => {$(
        #[tokio::test(flavor = "multi_thread")] async fn $test() {
            stage::on_postgres(stringify!($test), $module::$test).await;
        }
    )*};
}

on_postgres! {
    leases::a_gateway_whose_lease_ran_out_is_told_so
    leases::a_lease_that_holds_is_not_swept
    telling::a_user_whose_row_is_held_comes_later
}
