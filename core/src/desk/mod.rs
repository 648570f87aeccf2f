//! The desk: channels as cases that operators attend to.
//!
//! A case is open, snoozed or closed. While it is attached to a pool, the pool's operators reach the channel without
//! being members of it. Users' messages open cases by the rules of the service; closing detaches the pool.

mod cases;
mod list;
mod opening;
mod rules;
mod turn;
mod view;
mod waking;

pub use cases::CaseUpdate;
pub(crate) use cases::apply;
pub use list::{Case, DeskAsked, case_of, list};
pub(crate) use opening::{Candidate, Openings, store_opened};
pub use rules::CaseRules;
pub use turn::CaseTurn;
pub(crate) use turn::{read_subject as read_turn_subject, subject as turn_subject};
pub use view::{CaseView, view};
pub use waking::wake_due;

/// Somebody is to attend to it.
pub const OPEN: &str = "open";
/// It is left alone until a moment, or until its user writes.
pub const SNOOZED: &str = "snoozed";
/// It is done with.
pub const CLOSED: &str = "closed";
