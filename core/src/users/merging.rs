//! Many users and what is set in their attributes, at once. Who is not there springs up.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{
    Reach, UserNews,
    making::{fresh, insert_missing, locked},
};
use crate::{
    attribute_indexes::upkeep,
    audit::Edit,
    change::Change,
    ctx::Ctx,
    entities::user,
    error::{ErrorCode, Result},
    events::{EventKind, Resource},
    input, presence,
    sql::Sql,
    timestamp::Timestamp,
};

/// A value to set in attributes; null takes away what is there.
#[derive(Debug, Clone, PartialEq)]
pub struct Setting {
    /// The way there: names of objects, and of the field at last.
    pub path: Vec<String>,
    /// What to set.
    pub value: Value,
}

impl Setting {
    fn apply(&self, into: &mut Map<String, Value>) {
        let Some((last, objects)) = self.path.split_last() else {
            return;
        };
        let mut object = into;
        for name in objects {
            let inner = object.entry(name.clone()).or_insert(Value::Null);
            if !inner.is_object() {
                *inner = Value::Object(Map::new());
            }
            match inner {
                Value::Object(inner) => object = inner,
                _ => return,
            }
        }
        if self.value.is_null() {
            object.remove(last);
        } else {
            object.insert(last.clone(), self.value.clone());
        }
    }
}

/// A user while its attributes are put together.
struct Draft {
    attributes: Map<String, Value>,
    text: String,
    /// Whether it has been named by somebody whose settings fit.
    wanted: bool,
}

/// Sets what is asked for in the attributes of these users, in the order given, within the change; makes those who are
/// not there. Answers for each why it was left out, if it was.
///
/// # Errors
/// 20503 when others make the same users at this moment; whatever the database refuses.
pub(crate) async fn merge_all(
    ctx: &Ctx,
    change: &mut Change<'_>,
    wanted: &[(&str, &[Setting])],
) -> Result<Vec<Option<String>>> {
    let names: BTreeSet<&str> = wanted.iter().map(|(identity, _)| *identity).collect();
    let names: Vec<&str> = names.into_iter().collect();
    let known = locked(change, ctx.scope(), &names).await?;
    let mut drafts: BTreeMap<&str, Draft> = BTreeMap::new();
    let mut problems = Vec::with_capacity(wanted.len());
    for (identity, settings) in wanted {
        let draft = match drafts.entry(identity) {
            std::collections::btree_map::Entry::Occupied(entry) => entry.into_mut(),
            std::collections::btree_map::Entry::Vacant(entry) => {
                let text = known.get(*identity).map_or("{}", |row| row.attributes.as_str());
                let Ok(Value::Object(attributes)) = serde_json::from_str(text) else {
                    problems.push((!settings.is_empty()).then(|| {
                        "the user's attributes are no JSON object to set anything in; update the user first".to_owned()
                    }));
                    continue;
                };
                entry.insert(Draft {
                    attributes,
                    text: text.to_owned(),
                    wanted: false,
                })
            }
        };
        problems.push(draft.set(settings));
    }
    let (mut missing, mut changed) = (Vec::new(), Vec::new());
    for (identity, draft) in drafts.into_iter().filter(|(_, draft)| draft.wanted) {
        match known.get(identity) {
            None => {
                let mut row = fresh(ctx, identity, ctx.service.default_service_role_id);
                row.attributes = draft.text;
                missing.push(row);
            }
            Some(before) if before.attributes != draft.text => {
                let after = user::Model {
                    attributes: draft.text,
                    date_updated: Timestamp::now(),
                    ..before.clone()
                };
                changed.push((before, after));
            }
            Some(_) => {}
        }
    }
    let wanted = missing.len();
    let made = insert_missing(change, missing).await?;
    if made.len() < wanted {
        // What somebody else has made at this moment is to be merged with: whoever tries again finds it.
        return Err(ErrorCode::Unavailable.into());
    }
    for row in &made {
        change.audit(Edit::Created(row))?;
    }
    store_changed(ctx, change, &changed).await?;
    Ok(problems)
}

impl Draft {
    /// Sets these, unless that would not fit; answers why it does not.
    fn set(&mut self, settings: &[Setting]) -> Option<String> {
        if settings.is_empty() {
            self.wanted = true;
            return None;
        }
        let mut attributes = self.attributes.clone();
        for setting in settings {
            setting.apply(&mut attributes);
        }
        if attributes != self.attributes {
            let text = Value::Object(attributes.clone()).to_string();
            if let Err(refused) = input::small_attributes(&text) {
                return Some(refused.message().to_owned());
            }
            (self.attributes, self.text) = (attributes, text);
        }
        self.wanted = true;
        None
    }
}

async fn store_changed(
    ctx: &Ctx,
    change: &mut Change<'_>,
    changed: &[(&user::Model, user::Model)],
) -> Result<()> {
    if changed.is_empty() {
        return Ok(());
    }
    let mut sql = Sql::new("WITH merged (id, attributes, moment) AS (VALUES ");
    sql.rows(changed.iter().map(|(_, row)| {
        [
            row.id.into(),
            row.attributes.as_str().into(),
            row.date_updated.into(),
        ]
    }));
    sql.push(
        ") UPDATE users SET attributes = merged.attributes, date_updated = merged.moment FROM merged \
         WHERE users.id = merged.id AND users.service_id = ",
    )
    .bind(ctx.scope());
    sql.execute(&change.tx).await?;
    let rows: Vec<&user::Model> = changed.iter().map(|(_, row)| row).collect();
    upkeep::changed_all(&change.tx, rows.iter().copied()).await?;
    let reach = Reach::within(&change.tx, ctx, &rows).await?;
    let limit = ctx.core.settings.presence_channel_limit;
    let mut channels = presence::shared_channels(&change.tx, &rows, limit).await?;
    for (before, after) in changed {
        change.audit(Edit::Updated {
            before: *before,
            after,
        })?;
        let news = UserNews {
            notifiable: reach.notifiable(after),
            channels: channels
                .remove(&(after.service_id, after.identity.clone()))
                .unwrap_or_default(),
            of_presence: false,
            user: after.clone(),
        };
        change.tell(EventKind::UserUpdated, Resource::User(Box::new(news)));
    }
    Ok(())
}
