//! The command line. Every scenario is bounded in time and in count.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum, value_parser};

use crate::chaos::options::ChaosOptions;

/// Puts load on a running Hubbub on this machine, through its public doors.
#[derive(Parser)]
#[command(name = "hubbub-bench", version)]
pub(crate) struct Options {
    #[command(flatten)]
    pub(crate) common: Common,
    #[command(subcommand)]
    pub(crate) scenario: Scenario,
}

/// Where the server is and what is told about the run.
#[derive(Args)]
pub(crate) struct Common {
    /// The REST door. Only loopback addresses are put under load.
    #[arg(long, global = true, default_value = "http://127.0.0.1:8080")]
    pub(crate) url: String,
    /// A gateway, when it is not at the same address; repeat it to spread the sockets over several.
    #[arg(long, global = true, value_name = "URL")]
    pub(crate) gateway: Vec<String>,
    /// The account that the service is made in.
    #[arg(long, global = true, env = "HUBBUB_ACCOUNT_SID", value_name = "AC…")]
    pub(crate) account_sid: Option<String>,
    /// Its token.
    #[arg(
        long,
        global = true,
        env = "HUBBUB_AUTH_TOKEN",
        hide_env_values = true,
        value_name = "TOKEN"
    )]
    pub(crate) auth_token: Option<String>,
    /// The server's process, when it is not to be found by its port; repeat it for several.
    #[arg(long, global = true, value_name = "PID")]
    pub(crate) server_pid: Vec<u32>,
    /// Postgres' main process: its CPU and its children's is counted.
    #[arg(long, global = true, value_name = "PID")]
    pub(crate) database_pid: Option<u32>,
    /// RabbitMQ's process.
    #[arg(long, global = true, value_name = "PID")]
    pub(crate) broker_pid: Option<u32>,
    /// Threads of the load generator.
    #[arg(long, global = true, default_value_t = 1, value_parser = value_parser!(u32).range(1..=64))]
    pub(crate) threads: u32,
    /// Leave the service behind.
    #[arg(long, global = true)]
    pub(crate) keep: bool,
    /// Print one JSON object instead of a table.
    #[arg(long, global = true)]
    pub(crate) json: bool,
}

#[derive(Subcommand)]
pub(crate) enum Scenario {
    /// Users send in many rooms and wait for each ack.
    Send(SendOptions),
    /// A few users send to one large room.
    Fanout(FanoutOptions),
    /// Sockets come and stay idle.
    Idle(IdleOptions),
    /// A backend sends or fetches over REST.
    Rest(RestOptions),
    /// A user of many channels connects and asks for the first page of its list.
    Channels(ChannelsOptions),
    /// Users read pages of history.
    History(HistoryOptions),
    /// Sockets are dropped, miss messages and come back with their cursors.
    Resume(ResumeOptions),
    /// Everybody is dropped at once and comes back at once with cursors, while messages go on.
    Storm(StormOptions),
    /// Sockets that never read sit in rooms where others talk.
    Slow(SlowOptions),
    /// A backend filters and sorts the channels of a service that `bench/fill.py` has filled.
    Query(QueryOptions),
    /// A backend fetches, lists and makes channels in a service that `bench/fill.py` has filled.
    Rows(RowsOptions),
    /// One thing in a service grows, and what everybody does all day is measured at each size.
    Curves(CurvesOptions),
    /// A backend sends, and a receiver in this process is told by webhooks.
    Webhooks(WebhooksOptions),
    /// A campaign goes to many users, each in a channel of its own, while others may chat.
    Campaign(CampaignOptions),
    /// Starts nodes of its own, breaks one thing after the other under load, and checks what was acknowledged.
    Chaos(ChaosOptions),
    /// Prints what two runs told with `--json` side by side; `bench/run --compare PEER` makes both.
    Compare(CompareOptions),
}

impl Scenario {
    /// How many sockets are open at a time.
    pub(crate) fn sockets(&self) -> u32 {
        match self {
            Self::Send(options) => options.rooms * options.members,
            Self::Fanout(options) => options.members,
            Self::Idle(options) => options.sockets,
            Self::Rest(options) => options.connections,
            Self::Channels(_) => 1,
            Self::History(options) => options.readers,
            Self::Resume(options) => options.sockets,
            Self::Storm(options) => options.sockets,
            Self::Slow(options) => options.sockets + options.rooms * options.members,
            Self::Query(_) | Self::Rows(_) => 1,
            Self::Curves(options) => options.online + 16,
            // A connection to the door, and as many from the worker.
            Self::Webhooks(options) => 4 * options.connections + 256,
            Self::Campaign(options) => options.rooms * options.members,
            Self::Chaos(options) => options.sockets(),
            Self::Compare(_) => 0,
        }
    }
}

/// How long, and how large the messages are.
#[derive(Args)]
pub(crate) struct Load {
    /// Seconds that are measured.
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
    /// Seconds before, which are not.
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u64).range(0..=60))]
    pub(crate) warmup: u64,
    /// Bytes of a message's body.
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(16..=32_768))]
    pub(crate) body: u32,
}

#[derive(Args)]
pub(crate) struct SendOptions {
    /// How many sends are in flight.
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) senders: u32,
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) rooms: u32,
    /// Members of each room, all of them online.
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) members: u32,
    /// Sends a second of all senders together, evenly spaced; without it each sends as soon as it may.
    #[arg(long, value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: Option<u32>,
    /// Give each send a client id, as an app does that repeats a send whose ack was lost.
    #[arg(long)]
    pub(crate) client_ids: bool,
    #[command(flatten)]
    pub(crate) load: Load,
}

#[derive(Args)]
pub(crate) struct FanoutOptions {
    /// Members of the room, all of them online.
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u32).range(2..=20_000))]
    pub(crate) members: u32,
    #[arg(long, default_value_t = 1, value_parser = value_parser!(u32).range(1..=64))]
    pub(crate) senders: u32,
    /// Messages on their way to the members before a sender waits: 1 shows the latency, more the throughput.
    #[arg(long, default_value_t = 16, value_parser = value_parser!(u32).range(1..=256))]
    pub(crate) in_flight: u32,
    #[command(flatten)]
    pub(crate) load: Load,
}

#[derive(Args)]
pub(crate) struct IdleOptions {
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u32).range(1..=20_000))]
    pub(crate) sockets: u32,
    /// How many of them share a room.
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) members: u32,
    /// How many connect at a time.
    #[arg(long, default_value_t = 64, value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) concurrency: u32,
    /// Seconds that they stay; a heartbeat comes every 25.
    #[arg(long, default_value_t = 30, value_parser = value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
}

#[derive(Args)]
pub(crate) struct RestOptions {
    /// What each request does.
    #[arg(long, value_enum, default_value_t = RestAction::Send)]
    pub(crate) action: RestAction,
    /// Connections kept alive, each with one request at a time.
    #[arg(long, default_value_t = 16, value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) connections: u32,
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) rooms: u32,
    /// Give what is made attributes, and declare indexes over so many of them first.
    #[arg(long, value_parser = value_parser!(u32).range(0..=32))]
    pub(crate) indexes: Option<u32>,
    #[command(flatten)]
    pub(crate) load: Load,
}

/// What a backend asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RestAction {
    /// Sends a message.
    Send,
    /// Makes a channel.
    Create,
    /// Fetches a channel.
    Fetch,
}

#[derive(Args)]
pub(crate) struct ChannelsOptions {
    /// Channels that the user is in, each with a message.
    #[arg(long, default_value_t = 10_000, value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) channels: u32,
    /// Channels of a page.
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=100))]
    pub(crate) page: u32,
    /// How often the first page is asked for and measured.
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) rounds: u32,
    /// A command that is run before, such as a database's own upkeep.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) before_asking: Option<String>,
}

#[derive(Args)]
pub(crate) struct HistoryOptions {
    /// Users who read, each with one page at a time.
    #[arg(long, default_value_t = 16, value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) readers: u32,
    /// Messages in the channel.
    #[arg(long, default_value_t = 2_000, value_parser = value_parser!(u32).range(100..=1_000_000))]
    pub(crate) messages: u32,
    /// Messages of a page.
    #[arg(long, default_value_t = 30, value_parser = value_parser!(u32).range(1..=100))]
    pub(crate) page: u32,
    #[command(flatten)]
    pub(crate) load: Load,
}

#[derive(Args)]
pub(crate) struct ResumeOptions {
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u32).range(1..=20_000))]
    pub(crate) sockets: u32,
    /// How many of them share a room.
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) members: u32,
    /// Messages that each room gets while nobody is there.
    #[arg(long, default_value_t = 5, value_parser = value_parser!(u32).range(0..=1_000))]
    pub(crate) missed: u32,
    /// How many come back at a time.
    #[arg(long, default_value_t = 256, value_parser = value_parser!(u32).range(1..=5_000))]
    pub(crate) concurrency: u32,
}

#[derive(Args)]
pub(crate) struct StormOptions {
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u32).range(1..=20_000))]
    pub(crate) sockets: u32,
    /// How many of them share a room.
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) members: u32,
    /// Milliseconds between two messages of a room.
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u64).range(10..=60_000))]
    pub(crate) every: u64,
    /// Seconds of messages before the storm, and again when all are back.
    #[arg(long, default_value_t = 3, value_parser = value_parser!(u64).range(1..=600))]
    pub(crate) seconds: u64,
}

#[derive(Args)]
pub(crate) struct SlowOptions {
    /// Sockets that never read: further devices of the members, in turn.
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u32).range(1..=20_000))]
    pub(crate) sockets: u32,
    #[arg(long, default_value_t = 20, value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) rooms: u32,
    /// Members of each room who read; one of them sends.
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(2..=1_000))]
    pub(crate) members: u32,
    /// Sends a second in all rooms together, evenly spaced.
    #[arg(long, default_value_t = 200, value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: u32,
    /// What the server was told may wait for all sockets together, in MiB (`HUBBUB_SOCKET_QUEUE_TOTAL`).
    #[arg(long, default_value_t = 256, value_parser = value_parser!(u32).range(1..=1_048_576))]
    pub(crate) total: u32,
    #[command(flatten)]
    pub(crate) load: Load,
}

#[derive(Args)]
pub(crate) struct QueryOptions {
    /// The service that was filled.
    #[arg(long, value_name = "IS…")]
    pub(crate) service: String,
    /// How often each question is asked and measured.
    #[arg(long, default_value_t = 50, value_parser = value_parser!(u32).range(1..=10_000))]
    pub(crate) rounds: u32,
    /// A command that is run when the indexes are built, such as a database's own upkeep.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) before_asking: Option<String>,
}

#[derive(Args)]
pub(crate) struct RowsOptions {
    /// The service that was filled.
    #[arg(long, value_name = "IS…")]
    pub(crate) service: String,
    /// With how many channels.
    #[arg(long, value_parser = value_parser!(u64).range(1..=100_000_000))]
    pub(crate) channels: u64,
    /// How many requests of each kind.
    #[arg(long, default_value_t = 1_000, value_parser = value_parser!(u64).range(1..=100_000))]
    pub(crate) requests: u64,
}

#[derive(Args)]
pub(crate) struct CurvesOptions {
    /// The command that lets something grow: `bench/grow.py` with a database.
    #[arg(long, value_name = "COMMAND")]
    pub(crate) grow: String,
    /// What grows; without it everything, one after the other.
    #[arg(long, value_enum)]
    pub(crate) dimension: Vec<Dimension>,
    /// The sizes that are gone to, each larger than the one before. Members of a channel and channels of a user are
    /// at most 100,000.
    #[arg(long, value_delimiter = ',', default_values_t = [100, 10_000, 1_000_000],
        value_parser = value_parser!(u64).range(1..=10_000_000))]
    pub(crate) sizes: Vec<u64>,
    /// Members of the large channel that are online at most.
    #[arg(long, default_value_t = 2_000, value_parser = value_parser!(u32).range(1..=20_000))]
    pub(crate) online: u32,
    /// Seconds for which each thing is done again and again.
    #[arg(long, default_value_t = 2, value_parser = value_parser!(u64).range(1..=60))]
    pub(crate) seconds: u64,
}

/// What grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Dimension {
    /// Messages of one channel.
    Messages,
    /// Members of one channel.
    Members,
    /// Channels of one user.
    UserChannels,
    /// Channels of the service.
    Channels,
}

#[derive(Args)]
pub(crate) struct WebhooksOptions {
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) rooms: u32,
    /// Connections over which a tenant sends.
    #[arg(long, default_value_t = 32, value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) connections: u32,
    /// Sends a second of a tenant, evenly spaced; without it each connection sends as soon as it may.
    #[arg(long, value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) rate: Option<u32>,
    /// A second tenant sends as much, and its receiver takes so many milliseconds to answer.
    #[arg(long, value_name = "MILLISECONDS", value_parser = value_parser!(u64).range(1..=4_900))]
    pub(crate) slow: Option<u64>,
    /// Instead, let so many deliveries wait, and measure how fast they go when they may.
    #[arg(long, value_parser = value_parser!(u32).range(50..=2_000_000))]
    pub(crate) backlog: Option<u32>,
    #[command(flatten)]
    pub(crate) load: Load,
}

#[derive(Args)]
pub(crate) struct CampaignOptions {
    #[arg(long, default_value_t = 100_000, value_parser = value_parser!(u32).range(1..=10_000_000))]
    pub(crate) recipients: u32,
    /// Meanwhile others send so many messages a second, evenly spaced; without it nobody does.
    #[arg(long, value_parser = value_parser!(u32).range(1..=100_000))]
    pub(crate) live: Option<u32>,
    /// Rooms of those others.
    #[arg(long, default_value_t = 100, value_parser = value_parser!(u32).range(1..=1_000))]
    pub(crate) rooms: u32,
    /// Members of each of their rooms, all of them online.
    #[arg(long, default_value_t = 10, value_parser = value_parser!(u32).range(2..=1_000))]
    pub(crate) members: u32,
    /// How long they are measured alone before, and at most among the campaign.
    #[command(flatten)]
    pub(crate) load: Load,
}

#[derive(Args)]
pub(crate) struct CompareOptions {
    /// One report a line.
    pub(crate) ours: PathBuf,
    /// The same scenarios of another server.
    pub(crate) theirs: PathBuf,
}
