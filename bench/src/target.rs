//! The server under load: on this machine, or not at all.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use anyhow::{Context as _, bail};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use url::{Host, Url};

use crate::options::Common;

/// Addresses and credentials. The account's `Authorization` is made once.
#[derive(Clone)]
pub(crate) struct Target {
    pub(crate) rest: SocketAddr,
    pub(crate) gateways: Vec<SocketAddr>,
    pub(crate) authorization: String,
}

impl Target {
    pub(crate) fn new(options: &Common) -> anyhow::Result<Self> {
        let rest = loopback(&options.url)?;
        let mut gateways = options
            .gateway
            .iter()
            .map(|url| loopback(url))
            .collect::<anyhow::Result<Vec<_>>>()?;
        if gateways.is_empty() {
            gateways.push(rest);
        }
        let sid = options
            .account_sid
            .as_deref()
            .context("--account-sid or HUBBUB_ACCOUNT_SID is missing")?;
        let token = options
            .auth_token
            .as_deref()
            .context("--auth-token or HUBBUB_AUTH_TOKEN is missing")?;
        Ok(Self {
            rest,
            gateways,
            authorization: basic(sid, token),
        })
    }

    /// Credentials for nodes whose addresses are still to come.
    pub(crate) fn with_credentials(sid: &str, token: &str) -> Self {
        Self {
            rest: SocketAddr::from((Ipv4Addr::LOCALHOST, 0)),
            gateways: Vec::new(),
            authorization: basic(sid, token),
        }
    }

    /// Every address, once.
    pub(crate) fn addresses(&self) -> Vec<SocketAddr> {
        let mut addresses = self.gateways.clone();
        addresses.push(self.rest);
        addresses.sort_unstable();
        addresses.dedup();
        addresses
    }
}

fn basic(sid: &str, token: &str) -> String {
    format!("Basic {}", BASE64_STANDARD.encode(format!("{sid}:{token}")))
}

/// The address in the URL, if it is this machine's own.
fn loopback(text: &str) -> anyhow::Result<SocketAddr> {
    let url = Url::parse(text).with_context(|| format!("{text} is not a URL"))?;
    if url.scheme() != "http" {
        bail!("{text}: only http is spoken here");
    }
    let address: IpAddr = match url.host() {
        Some(Host::Domain("localhost")) => Ipv4Addr::LOCALHOST.into(),
        Some(Host::Ipv4(address)) => address.into(),
        Some(Host::Ipv6(address)) => address.into(),
        _ => bail!("{text}: the host must be a loopback address"),
    };
    if !address.is_loopback() {
        bail!("{text}: only loopback addresses are put under load");
    }
    Ok(SocketAddr::new(
        address,
        url.port_or_known_default().unwrap_or(80),
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_loopback_addresses_are_put_under_load() {
        assert_eq!(
            loopback("http://localhost:81").unwrap().to_string(),
            "127.0.0.1:81"
        );
        assert_eq!(loopback("http://127.9.0.1").unwrap().to_string(), "127.9.0.1:80");
        assert_eq!(loopback("http://[::1]:8080/").unwrap().to_string(), "[::1]:8080");
        for refused in [
            "http://10.0.0.1:80",
            "http://0.0.0.0:80",
            "http://chat.example.com",
            "http://localhost.example.com",
            "https://127.0.0.1",
            "127.0.0.1:8080",
        ] {
            assert!(loopback(refused).is_err(), "{refused}");
        }
    }
}
