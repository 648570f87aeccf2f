//! Declared indexes against real databases: whatever happens meanwhile, every resource has its one right entry.
//!
//! The Postgres half needs `HUBBUB_TEST_DATABASE_URL`, a database whose user may create databases: each test makes
//! one of its own and drops it. Without the variable those tests say `SKIPPED`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says when it is skipped"
)]

mod building;
#[macro_use]
mod stage;
mod sweeping;
mod truth;
mod upkeep;

on_both_databases! {
    upkeep::every_change_of_a_resource_is_in_its_indexes
    upkeep::a_change_of_other_fields_leaves_the_entries_alone
    upkeep::a_batch_of_sends_to_several_services_enters_each_ones_indexes
    building::what_was_there_before_the_declaration_is_entered
    building::an_index_is_right_whatever_happens_while_it_is_built
    building::another_worker_continues_where_one_stopped
    building::an_index_that_cannot_be_built_fails_and_says_so
    sweeping::an_index_that_is_taken_down_leaves_nothing
    sweeping::what_was_in_a_deleted_channel_is_swept
    sweeping::what_was_removed_during_the_building_is_swept_after_it
    sweeping::a_deleted_service_leaves_nothing
}

#[tokio::test(flavor = "multi_thread")]
async fn a_writer_that_does_not_know_of_the_index_is_waited_for() {
    stage::on_postgres(
        "a_writer_that_does_not_know_of_the_index_is_waited_for",
        building::a_writer_that_does_not_know_of_the_index_is_waited_for,
    )
    .await;
}
