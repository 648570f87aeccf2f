//! The hub's ear on the bus.

use std::sync::Weak;

use hubbub_core::{
    broker::BusSignal,
    events::publisher::{Told, decode},
};
use tokio::sync::mpsc;

use super::Hub;

/// Hands on what other processes publish, until the subscription or the hub ends.
pub(super) async fn run(hub: Weak<Hub>, mut signals: mpsc::Receiver<BusSignal>) {
    while let Some(signal) = signals.recv().await {
        let Some(hub) = hub.upgrade() else { return };
        match signal {
            // What this process published it has delivered already.
            BusSignal::Message(message) if message.origin == hub.core.node => {}
            BusSignal::Message(message) => {
                // Without topics it is for everybody.
                if !message.topics.is_empty() && !hub.buckets.concerns(&message.topics) {
                    continue;
                }
                match decode(&message.payload) {
                    Ok(Told::Events(events)) => hub.take(&events),
                    Ok(Told::Control(control)) => hub.act(&control),
                    Err(error) => tracing::warn!(
                        ?error,
                        "a bus message of another version was dropped; the audit heals it"
                    ),
                }
            }
            BusSignal::Reconnected => {
                tracing::info!("the bus is back; reading what it lost");
                tokio::spawn(async move { hub.audit().await });
            }
        }
    }
}
