//! The webhooks of the channels that a change concerns.

use std::collections::HashMap;

use sea_orm::{ConnectionTrait, FromQueryResult};

use crate::{
    channel_webhooks::STUDIO,
    channels::ChannelKey,
    entities::{channel, channel_webhook},
    error::Result,
    events::Event,
    sql::Sql,
};

/// Channels' webhooks that call somebody, read where there are some.
#[derive(Default)]
pub(crate) struct ChannelHooks(HashMap<ChannelKey, Vec<channel_webhook::Model>>);

impl ChannelHooks {
    /// Reads those of these channels that are not known yet. Channels without any cost nothing.
    ///
    /// # Errors
    /// Whatever the database refuses.
    pub(crate) async fn read<'c>(
        &mut self,
        db: &impl ConnectionTrait,
        channels: impl IntoIterator<Item = &'c channel::Model>,
    ) -> Result<()> {
        let wanted: Vec<ChannelKey> = channels
            .into_iter()
            .filter(|channel| channel.webhooks > 0)
            .map(|channel| (channel.service_id, channel.id))
            .filter(|key| !self.0.contains_key(key))
            .collect();
        if wanted.is_empty() {
            return Ok(());
        }
        let mut sql = Sql::new("SELECT * FROM channel_webhooks WHERE (service_id, channel_id) IN ");
        sql.values(
            wanted
                .iter()
                .map(|(service, channel)| [service.into(), channel.into()]),
        );
        sql.push(" AND kind <> ")
            .bind(STUDIO)
            .push(" ORDER BY service_id, channel_id, id");
        for key in wanted {
            self.0.insert(key, Vec::new());
        }
        for row in sql.all(db).await? {
            let row = channel_webhook::Model::from_query_result(&row, "")?;
            self.0
                .entry((row.service_id, row.channel_id))
                .or_default()
                .push(row);
        }
        Ok(())
    }

    /// Those of the event's channel.
    pub(crate) fn of(&self, event: &Event) -> &[channel_webhook::Model] {
        event
            .channel
            .and_then(|channel| self.0.get(&(event.service, channel)))
            .map_or(&[], Vec::as_slice)
    }
}
