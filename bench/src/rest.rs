//! The control plane, as a tenant's backend uses it.

use std::fmt::Write as _;

use anyhow::{Context as _, bail, ensure};
use serde::Deserialize;

use crate::{http::Connection, target::Target};

/// A backend with account credentials, on a connection of its own.
pub(crate) struct Backend {
    connection: Connection,
    authorization: String,
}

#[derive(Deserialize)]
struct Made {
    sid: String,
}

#[derive(Deserialize)]
struct Minted {
    token: String,
}

/// What an upload is answered with.
#[derive(Deserialize)]
struct Uploaded {
    accepted: u64,
}

/// What a send is answered with.
#[derive(Deserialize)]
struct Stored {
    index: i64,
}

impl Backend {
    pub(crate) async fn connect(target: &Target) -> anyhow::Result<Self> {
        Ok(Self {
            connection: Connection::open(target.rest).await?,
            authorization: target.authorization.clone(),
        })
    }

    /// A service whose limits do not stand in the way.
    pub(crate) async fn create_service(&mut self) -> anyhow::Result<String> {
        let Made { sid } = self.create("/v2/Services", "FriendlyName=bench").await?;
        let limits = "Limits.ChannelMembers=100000&Limits.UserChannels=100000";
        self.set_service(&sid, limits).await?;
        Ok(sid)
    }

    /// Changes a service.
    pub(crate) async fn set_service(&mut self, service: &str, form: &str) -> anyhow::Result<()> {
        self.expect("POST", &format!("/v2/Services/{service}"), form, 200)
            .await?;
        Ok(())
    }

    pub(crate) async fn delete_service(&mut self, service: &str) -> anyhow::Result<()> {
        self.expect("DELETE", &format!("/v2/Services/{service}"), "", 204)
            .await?;
        Ok(())
    }

    pub(crate) async fn create_channel(&mut self, service: &str, name: &str) -> anyhow::Result<String> {
        let path = format!("/v2/Services/{service}/Channels");
        let Made { sid } = self.create(&path, &format!("UniqueName={name}")).await?;
        Ok(sid)
    }

    /// Fetches a channel.
    pub(crate) async fn fetch_channel(&mut self, service: &str, channel: &str) -> anyhow::Result<()> {
        self.expect(
            "GET",
            &format!("/v2/Services/{service}/Channels/{channel}"),
            "",
            200,
        )
        .await?;
        Ok(())
    }

    /// Adds a member; the user springs up.
    pub(crate) async fn add_member(&mut self, service: &str, channel: &str, who: &str) -> anyhow::Result<()> {
        let path = format!("/v2/Services/{service}/Channels/{channel}/Members");
        self.expect("POST", &path, &format!("Identity={who}"), 201)
            .await?;
        Ok(())
    }

    /// A user's token, good for longer than any scenario takes.
    pub(crate) async fn mint_token(&mut self, service: &str, who: &str) -> anyhow::Result<String> {
        let path = format!("/v2/Services/{service}/AccessTokens");
        let Minted { token } = self.create(&path, &format!("Identity={who}&Ttl=14400")).await?;
        Ok(token)
    }

    /// Sends a message; answers its index. The body must need no escaping.
    pub(crate) async fn send(&mut self, service: &str, channel: &str, body: &str) -> anyhow::Result<i64> {
        let path = format!("/v2/Services/{service}/Channels/{channel}/Messages");
        let Stored { index } = self.create(&path, &format!("From=backend&Body={body}")).await?;
        Ok(index)
    }

    /// Has messages told to this address; answers the endpoint's path.
    pub(crate) async fn create_endpoint(&mut self, service: &str, url: &str) -> anyhow::Result<String> {
        let path = format!("/v2/Services/{service}/WebhookEndpoints");
        let form = format!("Url={url}&Events=onMessageSent");
        let Made { sid } = self.create(&path, &form).await?;
        Ok(format!("{path}/{sid}"))
    }

    /// Changes an endpoint.
    pub(crate) async fn set_endpoint(&mut self, endpoint: &str, form: &str) -> anyhow::Result<()> {
        self.expect("POST", endpoint, form, 200).await?;
        Ok(())
    }

    /// Sends many messages at once.
    pub(crate) async fn send_batch(
        &mut self,
        service: &str,
        channel: &str,
        bodies: &[&str],
    ) -> anyhow::Result<()> {
        let path = format!("/v2/Services/{service}/Channels/{channel}/Messages/Batch");
        let items: Vec<_> = bodies
            .iter()
            .map(|body| format!("%7B%22body%22%3A%22{body}%22%7D"))
            .collect();
        let form = format!("Items=%5B{}%5D", items.join("%2C"));
        self.expect("POST", &path, &form, 200).await?;
        Ok(())
    }

    /// Declares an index over an attribute.
    pub(crate) async fn declare_index(
        &mut self,
        service: &str,
        resource: &str,
        path: &str,
    ) -> anyhow::Result<()> {
        let to = format!("/v2/Services/{service}/AttributeIndexes");
        let form = format!("Resource={resource}&Path={path}&Type=string");
        self.expect("POST", &to, &form, 201).await?;
        Ok(())
    }

    /// Makes an audience of those identities, who all get the attribute `name`; answers its SID.
    pub(crate) async fn upload_audience(
        &mut self,
        service: &str,
        identities: impl Iterator<Item = String>,
    ) -> anyhow::Result<String> {
        let path = format!("/v2/Services/{service}/Audiences");
        let Made { sid } = self.create(&path, "FriendlyName=bench").await?;
        let mut rows = String::from("identity,name\n");
        let mut count = 0_u64;
        for identity in identities {
            writeln!(rows, "{identity},Name of {identity}")?;
            count += 1;
        }
        let path = format!("{path}/{sid}/Upload");
        let authorization = &self.authorization;
        let response = self
            .connection
            .request_with("POST", &path, authorization, "text/csv", &rows)
            .await?;
        let told = String::from_utf8_lossy(&response.body);
        let Ok(Uploaded { accepted }) = serde_json::from_slice(&response.body) else {
            bail!("POST {path} was answered {}: {told}", response.status);
        };
        ensure!(
            accepted == count,
            "{accepted} of {count} rows were accepted: {told}"
        );
        Ok(sid)
    }

    /// Makes a campaign; answers its path.
    pub(crate) async fn create_campaign(&mut self, service: &str, form: &str) -> anyhow::Result<String> {
        let path = format!("/v2/Services/{service}/Campaigns");
        let Made { sid } = self.create(&path, form).await?;
        Ok(format!("{path}/{sid}"))
    }

    /// Changes a campaign.
    pub(crate) async fn set_campaign(&mut self, campaign: &str, form: &str) -> anyhow::Result<()> {
        self.expect("POST", campaign, form, 200).await?;
        Ok(())
    }

    /// What is at the path, as it comes.
    pub(crate) async fn get_raw(&mut self, path: &str) -> anyhow::Result<Vec<u8>> {
        self.expect("GET", path, "", 200).await
    }

    /// What is at the path.
    pub(crate) async fn get(&mut self, path: &str) -> anyhow::Result<serde_json::Value> {
        Ok(serde_json::from_slice(&self.get_raw(path).await?)?)
    }

    /// Makes something.
    pub(crate) async fn post(&mut self, path: &str, form: &str) -> anyhow::Result<()> {
        self.expect("POST", path, form, 201).await?;
        Ok(())
    }

    async fn create<T: for<'de> Deserialize<'de>>(&mut self, path: &str, form: &str) -> anyhow::Result<T> {
        let body = self.expect("POST", path, form, 201).await?;
        serde_json::from_slice(&body).with_context(|| format!("the answer to POST {path}"))
    }

    async fn expect(&mut self, method: &str, path: &str, form: &str, status: u16) -> anyhow::Result<Vec<u8>> {
        let response = self
            .connection
            .request(method, path, &self.authorization, form)
            .await?;
        if response.status != status {
            let told = String::from_utf8_lossy(&response.body);
            bail!("{method} {path} was answered {}: {told}", response.status);
        }
        Ok(response.body)
    }
}

/// Counters or gauges of those names, summed over their series and over every node; `None` where there is none.
pub(crate) async fn metrics<const N: usize>(
    target: &Target,
    names: [&str; N],
) -> anyhow::Result<[Option<f64>; N]> {
    let mut sums = [None; N];
    for address in target.addresses() {
        let mut connection = Connection::open(address).await?;
        let response = connection
            .request("GET", "/metrics", &target.authorization, "")
            .await?;
        anyhow::ensure!(
            response.status == 200,
            "/metrics was answered {}",
            response.status
        );
        let text = String::from_utf8(response.body)?;
        for (sum, name) in sums.iter_mut().zip(names) {
            if let Some(value) = series(&text, name) {
                *sum = Some(sum.unwrap_or(0.0) + value);
            }
        }
    }
    Ok(sums)
}

fn series(metrics: &str, name: &str) -> Option<f64> {
    metrics
        .lines()
        .filter_map(|line| {
            let rest = line.strip_prefix(name)?;
            if !rest.starts_with([' ', '{']) {
                return None;
            }
            rest.rsplit(' ').next()?.parse::<f64>().ok()
        })
        .reduce(|sum, value| sum + value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_series_of_a_metric_are_added_up() {
        let text = "# TYPE a counter\na_total 3\na_total_more 9\nb{x=\"1\"} 1.5\nb{x=\"2\"} 2\n# EOF\n";
        assert_eq!(series(text, "a_total"), Some(3.0));
        assert_eq!(series(text, "b"), Some(3.5));
        assert_eq!(series(text, "c"), None);
    }
}
