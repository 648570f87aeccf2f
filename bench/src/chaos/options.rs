//! The command line of `chaos`.

use std::{path::PathBuf, time::Duration};

use clap::{Args, ValueEnum, value_parser};

/// What runs, what is done to it, and for how long.
#[derive(Args)]
pub(crate) struct ChaosOptions {
    /// The server's program: `chaos` starts its own nodes.
    #[arg(long, env = "HUBBUB_BIN", default_value = "target/release/hubbub")]
    pub(crate) server: PathBuf,
    /// How the nodes are laid out.
    #[arg(long, value_enum, default_value_t = Topology::Embedded)]
    pub(crate) topology: Topology,
    /// What is done to them, one after the other; repeat it, or separate with commas.
    #[arg(long, value_enum, value_delimiter = ',', default_value = "kill")]
    pub(crate) fault: Vec<Fault>,
    /// Where the proxies of `--fault proxy` misbehave; without it wherever there are some.
    #[arg(long, value_enum, value_delimiter = ',')]
    pub(crate) place: Vec<Place>,
    /// How often a process is killed.
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) kills: u32,
    /// How often each of the other faults happens.
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) rounds: u32,
    /// Seconds that a fault other than a kill lasts.
    #[arg(long, default_value_t = 6, value_parser = value_parser!(u64).range(1..=120))]
    pub(crate) seconds: u64,
    /// Chance is drawn from this: the same seed chooses the same victims, pauses and faults.
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Rooms, each with two who talk over sockets, a backend that talks over REST and two who listen.
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u32).range(1..=100))]
    pub(crate) rooms: u32,
    /// Milliseconds between an acknowledgement and the same sender's next message.
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u64).range(0..=10_000))]
    pub(crate) every: u64,
    /// Sockets of the crowd that a rolling restart moves.
    #[arg(long, default_value_t = 5_000, value_parser = value_parser!(u32).range(10..=20_000))]
    pub(crate) sockets: u32,
    /// The script that starts Postgres and RabbitMQ.
    #[arg(long, default_value = "deploy/services")]
    pub(crate) services: PathBuf,
    /// Its folder, of instances that may be broken; without it they are made for the run.
    #[arg(long, value_name = "FOLDER")]
    pub(crate) services_dir: Option<PathBuf>,
    /// Where data and logs go; without it a folder under /var/tmp, which stays when something was wrong.
    #[arg(long)]
    pub(crate) folder: Option<PathBuf>,
    /// The library that moves a process' wall clock; without it where Debian has it.
    #[arg(long, value_name = "FILE")]
    pub(crate) faketime: Option<PathBuf>,
}

impl ChaosOptions {
    pub(crate) fn outage(&self) -> Duration {
        Duration::from_secs(self.seconds)
    }

    pub(crate) fn has(&self, fault: Fault) -> bool {
        self.fault.contains(&fault)
    }

    /// Descriptors that the sockets need: through a proxy each takes two more.
    pub(crate) fn sockets(&self) -> u32 {
        let crowd = if self.has(Fault::Rolling) { self.sockets } else { 0 };
        crowd + 32 * self.rooms + 1_024
    }
}

/// How the nodes are laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Topology {
    /// One process with all roles, on SQLite.
    Embedded,
    /// A process for the control plane, two gateways and two workers, on Postgres and RabbitMQ.
    Cluster,
}

/// What stands between whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Place {
    /// Between clients and the nodes.
    Doors,
    /// Between the nodes and Postgres.
    Database,
    /// Between the nodes and RabbitMQ.
    Broker,
}

/// What can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Fault {
    /// kill -9 of one process after the other; each eighth time of all at once.
    Kill,
    /// RabbitMQ is stopped or killed, and comes back.
    Rabbitmq,
    /// Postgres is stopped, or stopped as by a crash, and comes back.
    Postgres,
    /// Connections are slow, cut, cut in the middle of something, swallow what they get, or close late.
    Proxy,
    /// The disk of the data is full.
    Disk,
    /// The wall clock jumps, forwards and backwards.
    Clock,
    /// The gateways are restarted one after the other by SIGTERM, with a crowd on them.
    Rolling,
}
