//! Lists with `Filter` and `Sort` against real databases: whatever indexes there are and whichever way leads to a
//! page, the answer is the one that a plain loop over all documents gives.
//!
//! The Postgres half needs `HUBBUB_TEST_DATABASE_URL`, as in `attribute_indexes`.

#![allow(
    clippy::unwrap_used,
    clippy::print_stderr,
    reason = "a test fails by panicking and says when it is skipped"
)]

mod answers;
mod bounds;
mod documents;
mod plans;
#[path = "../attribute_indexes/stage.rs"]
#[allow(dead_code, reason = "the other suite needs more of it")]
#[macro_use]
mod stage;

on_both_databases! {
    answers::channels_are_found_alike_with_and_without_indexes
    answers::messages_are_found_alike_with_and_without_indexes
    answers::members_and_users_are_found_alike_with_and_without_indexes
    bounds::a_user_sees_with_a_filter_what_it_sees_without
    bounds::a_list_that_no_index_serves_is_refused_beyond_the_budget
    bounds::long_values_page_and_a_page_whose_end_has_moved_is_refused
    plans::the_plan_names_the_index_that_leads
    plans::every_way_to_a_page_is_taken
}
