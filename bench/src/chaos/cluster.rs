//! The nodes of one topology, and the proxies around them.

use std::{net::SocketAddr, path::Path};

use anyhow::Context as _;
use base64::{Engine as _, prelude::BASE64_STANDARD};
use url::Url;
use uuid::Uuid;

use super::{
    node::Node,
    options::{ChaosOptions, Fault, Place, Topology},
    proxy::{Mode, Proxy},
    services::Services,
};
use crate::target::Target;

/// Name and roles of each process.
const CLUSTER: [(&str, &str); 5] = [
    ("api", "api"),
    ("gateway-1", "gateway"),
    ("gateway-2", "gateway"),
    ("workers-1", "workers"),
    ("workers-2", "workers"),
];
const EMBEDDED: [(&str, &str); 1] = [("all", "api,gateway,workers")];

/// Nodes that run, with an account.
pub(crate) struct Cluster {
    pub(crate) nodes: Vec<Node>,
    pub(crate) target: Target,
    /// The gateways' own addresses, with no proxy before them.
    pub(crate) gateways: Vec<SocketAddr>,
    proxies: Vec<(Place, Proxy)>,
}

impl Cluster {
    /// Starts the nodes; with proxies around them when connections are to be broken.
    pub(crate) async fn start(
        options: &ChaosOptions,
        folder: &Path,
        services: Option<&Services>,
        faketime: Option<&Faketime>,
    ) -> anyhow::Result<Self> {
        let sid = format!("AC{}", Uuid::new_v4().simple());
        let token = Uuid::new_v4().simple().to_string();
        let key = [Uuid::new_v4().into_bytes(), Uuid::new_v4().into_bytes()].concat();
        let mut shared = vec![
            ("HUBBUB_ACCOUNT_SID".to_owned(), sid.clone()),
            ("HUBBUB_AUTH_TOKEN".to_owned(), token.clone()),
            ("HUBBUB_WEBHOOK_ALLOW_PRIVATE".to_owned(), "true".to_owned()),
        ];
        if services.is_some() {
            shared.push(("HUBBUB_MASTER_KEY".to_owned(), BASE64_STANDARD.encode(key)));
        }
        let layout = match options.topology {
            Topology::Embedded => &EMBEDDED[..],
            Topology::Cluster => &CLUSTER[..],
        };
        let proxied = options.has(Fault::Proxy);
        let mut cluster = Self {
            nodes: Vec::new(),
            target: Target::with_credentials(&sid, &token),
            gateways: Vec::new(),
            proxies: Vec::new(),
        };
        for (name, roles) in layout {
            let mut settings = shared.clone();
            settings.push(("HUBBUB_ROLES".to_owned(), (*roles).to_owned()));
            if let Some(services) = services {
                for (variable, url, place) in [
                    ("HUBBUB_DATABASE_URL", &services.database, Place::Database),
                    ("HUBBUB_AMQP_URL", &services.broker, Place::Broker),
                ] {
                    let url = if proxied {
                        cluster.stand_between(place, url).await?
                    } else {
                        url.clone()
                    };
                    settings.push((variable.to_owned(), url.into()));
                }
            }
            if let Some(faketime) = faketime {
                settings.extend(faketime.settings(name)?);
            }
            let node = Node::new(name, &options.server, folder, settings)?;
            let mut door = node.address;
            if proxied {
                let proxy = Proxy::open(node.address).await?;
                door = proxy.address;
                cluster.proxies.push((Place::Doors, proxy));
            }
            if roles.contains("api") {
                cluster.target.rest = door;
            }
            if roles.contains("gateway") {
                cluster.target.gateways.push(door);
                cluster.gateways.push(node.address);
            }
            cluster.nodes.push(node);
        }
        for node in &mut cluster.nodes {
            node.start()?;
        }
        for node in &mut cluster.nodes {
            node.ready().await?;
        }
        Ok(cluster)
    }

    /// A proxy before the address in the URL; the URL by which it is reached.
    async fn stand_between(&mut self, place: Place, url: &Url) -> anyhow::Result<Url> {
        let target = url
            .socket_addrs(|| None)?
            .pop()
            .with_context(|| format!("{url} has no address"))?;
        let proxy = Proxy::open(target).await?;
        let mut by = url.clone();
        by.set_port(Some(proxy.address.port()))
            .map_err(|()| anyhow::anyhow!("{url} takes no port"))?;
        self.proxies.push((place, proxy));
        Ok(by)
    }

    /// The proxies at that place.
    pub(crate) fn at(&self, place: Place) -> Vec<&Proxy> {
        self.proxies
            .iter()
            .filter(|(stands, _)| *stands == place)
            .map(|(_, proxy)| proxy)
            .collect()
    }

    /// Everything passes again.
    pub(crate) fn heal(&self) {
        for (_, proxy) in &self.proxies {
            proxy.set(Mode::Pass);
        }
    }

    /// Those that have ended though nobody told them to, with their last words.
    pub(crate) fn fallen(&mut self) -> Vec<String> {
        self.nodes
            .iter_mut()
            .filter_map(|node| {
                (!node.is_alive()).then(|| format!("{} has ended: {}", node.name, node.log_tail()))
            })
            .collect()
    }

    /// Ends every node as an operator would.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<()> {
        let mut ended = Ok(());
        for node in &mut self.nodes {
            ended = match (ended, node.stop().await) {
                (Ok(()), Ok(status)) if !status.success() => Err(anyhow::anyhow!(
                    "{} ended with {status}; {}",
                    node.name,
                    node.log_tail()
                )),
                (Ok(()), Err(error)) => Err(error),
                (ended, _) => ended,
            };
        }
        ended
    }
}

/// A wall clock for each node, that can be moved.
pub(crate) struct Faketime {
    library: std::path::PathBuf,
    folder: std::path::PathBuf,
}

impl Faketime {
    /// `None` when there is no such library.
    pub(crate) fn find(given: Option<&Path>, folder: &Path) -> Option<Self> {
        let library = match given {
            Some(library) => library.to_owned(),
            None => std::fs::read_dir("/usr/lib")
                .ok()?
                .filter_map(|entry| Some(entry.ok()?.path().join("faketime/libfaketimeMT.so.1")))
                .find(|path| path.exists())?,
        };
        library.exists().then(|| Self {
            library,
            folder: folder.to_owned(),
        })
    }

    fn settings(&self, node: &str) -> anyhow::Result<Vec<(String, String)>> {
        self.shift(node, 0)?;
        let file = self.file(node).display().to_string();
        Ok([
            ("LD_PRELOAD", self.library.display().to_string()),
            ("FAKETIME_TIMESTAMP_FILE", file),
            // It looks into the file once a second.
            ("FAKETIME_CACHE_DURATION", "1".to_owned()),
            ("FAKETIME_DONT_FAKE_MONOTONIC", "1".to_owned()),
            ("FAKETIME_DISABLE_SHM", "1".to_owned()),
            ("NO_FAKE_STAT", "1".to_owned()),
        ]
        .map(|(name, value)| (name.to_owned(), value))
        .into())
    }

    fn file(&self, node: &str) -> std::path::PathBuf {
        self.folder.join(format!("{node}.time"))
    }

    /// Moves the node's wall clock to so many seconds from the true time.
    pub(crate) fn shift(&self, node: &str, seconds: i64) -> anyhow::Result<()> {
        let file = self.file(node);
        let new = file.with_extension("new");
        std::fs::write(&new, format!("{seconds:+}\n"))?;
        std::fs::rename(new, file)?;
        Ok(())
    }
}
