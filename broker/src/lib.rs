//! The broker of Hubbub: [`Bus`](hubbub_core::broker::Bus) and [`Jobs`](hubbub_core::broker::Jobs),
//! in process for an installation of one process and over RabbitMQ for a cluster.
//!
//! Both keep the same promises and pass the same tests (`tests/`). No other crate names an AMQP library.

mod in_process;
mod rabbitmq;

pub use in_process::InProcess;
pub use rabbitmq::{ConnectError, Options, RabbitMq, Start};
