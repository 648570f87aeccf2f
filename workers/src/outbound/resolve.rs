//! Names to vetted addresses, at the moment of the connection.

use std::{
    io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use async_trait::async_trait;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::vet::{Policy, vet_address};

/// Asks for the addresses of a name.
#[async_trait]
pub trait Lookup: Send + Sync {
    /// All addresses of `name`, in the order in which to try them.
    ///
    /// # Errors
    /// When the name does not exist or nobody answers.
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>>;
}

/// The resolver of the operating system.
#[derive(Debug, Clone, Copy, Default)]
pub struct SystemLookup;

#[async_trait]
impl Lookup for SystemLookup {
    async fn lookup(&self, name: &str) -> io::Result<Vec<IpAddr>> {
        Ok(tokio::net::lookup_host((name, 0))
            .await?
            .map(|address| address.ip())
            .collect())
    }
}

/// Gives reqwest only addresses that were vetted. It connects to these and asks nobody again, so a name that changes
/// its mind between check and connection (DNS rebinding) gains nothing.
pub(super) struct VettingResolver {
    pub(super) lookup: Arc<dyn Lookup>,
    pub(super) policy: Policy,
}

impl Resolve for VettingResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let (lookup, policy) = (self.lookup.clone(), self.policy);
        Box::pin(async move {
            let addresses = lookup.lookup(name.as_str()).await?;
            // One bad address spoils the name: whoever mixes them is up to something.
            addresses
                .iter()
                .try_for_each(|address| vet_address(*address, policy))?;
            // Port 0 stands for the port of the URL.
            let addresses: Addrs = Box::new(addresses.into_iter().map(|address| SocketAddr::new(address, 0)));
            Ok(addresses)
        })
    }
}
