//! CPU and memory of the processes that take part, from /proc.

use std::{collections::HashSet, fs, net::SocketAddr, time::Duration};

use anyhow::Context as _;

use crate::{options::Common, target::Target};

/// Clock ticks a second in /proc: the same on every Linux.
const TICKS: u64 = 100;

/// Who takes part.
pub(crate) struct Processes {
    pub(crate) server: Vec<u32>,
    pub(crate) database: Option<u32>,
    pub(crate) broker: Option<u32>,
}

/// CPU time since each process began.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Cpu {
    pub(crate) server: Duration,
    pub(crate) database: Option<Duration>,
    pub(crate) broker: Option<Duration>,
    /// The load generator itself.
    pub(crate) own: Duration,
}

impl Processes {
    /// Those that the options name; the server's also by the ports it listens on.
    pub(crate) fn find(options: &Common, target: &Target) -> anyhow::Result<Self> {
        let server = if options.server_pid.is_empty() {
            let found = listeners(&target.addresses());
            anyhow::ensure!(
                !found.is_empty(),
                "no process of ours listens at {}: is the server running, and this user's? Otherwise give --server-pid",
                target.rest
            );
            found
        } else {
            options.server_pid.clone()
        };
        let processes = Self {
            server,
            database: options.database_pid,
            broker: options.broker_pid,
        };
        // Better now than after the run.
        processes.cpu()?;
        Ok(processes)
    }

    pub(crate) fn cpu(&self) -> anyhow::Result<Cpu> {
        let of = |pid: u32| Stat::read(pid).map(|stat| ticks(stat.own));
        let mut server = Duration::ZERO;
        for pid in &self.server {
            server += of(*pid)?;
        }
        Ok(Cpu {
            server,
            database: self.database.map(family).transpose()?,
            broker: self.broker.map(of).transpose()?,
            own: of(std::process::id())?,
        })
    }

    /// Resident memory of the server, in bytes.
    pub(crate) fn server_memory(&self) -> anyhow::Result<u64> {
        self.server.iter().map(|pid| resident(*pid)).sum()
    }
}

impl Cpu {
    pub(crate) fn since(self, before: Self) -> Self {
        let between = |now: Option<Duration>, before: Option<Duration>| Some(now?.saturating_sub(before?));
        Self {
            server: self.server.saturating_sub(before.server),
            database: between(self.database, before.database),
            broker: between(self.broker, before.broker),
            own: self.own.saturating_sub(before.own),
        }
    }
}

/// A line of /proc/PID/stat.
struct Stat {
    parent: u32,
    own: u64,
    /// Of children that have ended.
    ended_children: u64,
}

impl Stat {
    fn read(pid: u32) -> anyhow::Result<Self> {
        let line = fs::read_to_string(format!("/proc/{pid}/stat"))
            .with_context(|| format!("process {pid} is not there"))?;
        Self::parse(&line).with_context(|| format!("/proc/{pid}/stat reads {line}"))
    }

    fn parse(line: &str) -> Option<Self> {
        // The name, in parentheses, may hold anything.
        let fields: Vec<&str> = line.get(line.rfind(')')? + 2..)?.split(' ').collect();
        let number = |at: usize| fields.get(at)?.parse::<u64>().ok();
        Some(Self {
            parent: u32::try_from(number(1)?).ok()?,
            own: number(11)? + number(12)?,
            ended_children: number(13)? + number(14)?,
        })
    }
}

fn ticks(count: u64) -> Duration {
    Duration::from_millis(count * 1000 / TICKS)
}

/// A process with its children, ended ones included: Postgres has one for each connection.
fn family(parent: u32) -> anyhow::Result<Duration> {
    let head = Stat::read(parent)?;
    let children: u64 = pids()
        .filter_map(|pid| Stat::read(pid).ok())
        .filter(|stat| stat.parent == parent)
        .map(|stat| stat.own)
        .sum();
    Ok(ticks(head.own + head.ended_children + children))
}

fn resident(pid: u32) -> anyhow::Result<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status"))
        .with_context(|| format!("process {pid} is not there"))?;
    let kibibytes: u64 = status
        .lines()
        .find_map(|line| {
            line.strip_prefix("VmRSS:")?
                .trim()
                .strip_suffix(" kB")?
                .parse()
                .ok()
        })
        .with_context(|| format!("/proc/{pid}/status tells no VmRSS"))?;
    Ok(kibibytes * 1024)
}

fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
}

/// The processes that listen on the addresses' ports.
fn listeners(addresses: &[SocketAddr]) -> Vec<u32> {
    let ports: HashSet<u16> = addresses.iter().map(SocketAddr::port).collect();
    let mut links = HashSet::new();
    for table in ["/proc/net/tcp", "/proc/net/tcp6"] {
        let table = fs::read_to_string(table).unwrap_or_default();
        links.extend(table.lines().skip(1).filter_map(|line| listening(line, &ports)));
    }
    pids()
        .filter(|pid| {
            fs::read_dir(format!("/proc/{pid}/fd"))
                .into_iter()
                .flatten()
                .filter_map(|entry| fs::read_link(entry.ok()?.path()).ok())
                .any(|link| link.to_str().is_some_and(|link| links.contains(link)))
        })
        .collect()
}

/// The link that a process has to the socket of this line, when it listens on one of the ports.
fn listening(line: &str, ports: &HashSet<u16>) -> Option<String> {
    const LISTEN: &str = "0A";
    let mut fields = line.split_whitespace();
    let (_, port) = fields.nth(1)?.rsplit_once(':')?;
    let port = u16::from_str_radix(port, 16).ok()?;
    if fields.nth(1)? != LISTEN || !ports.contains(&port) {
        return None;
    }
    Some(format!("socket:[{}]", fields.nth(5)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stat_line_is_read_whatever_the_name() {
        let line = "42 (a) b (c) S 7 1 1 0 -1 4 0 0 0 0 120 30 8 4 20 0 1 0 5 6 7";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.parent, stat.own, stat.ended_children), (7, 150, 12));
        assert!(Stat::parse("42 (a) S 7").is_none());
    }

    #[test]
    fn a_listening_socket_is_found_by_its_port() {
        let line = "   0: 0100007F:1F90 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 12345 1";
        assert_eq!(
            listening(line, &HashSet::from([8080])),
            Some("socket:[12345]".to_owned())
        );
        assert_eq!(listening(line, &HashSet::from([8081])), None);
        assert_eq!(
            listening(&line.replace(" 0A ", " 01 "), &HashSet::from([8080])),
            None
        );
    }

    #[test]
    fn this_process_has_used_memory_and_time() {
        let own = std::process::id();
        assert!(resident(own).unwrap() > 0);
        assert!(Stat::read(own).unwrap().parent > 0);
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        assert_eq!(listeners(&[listener.local_addr().unwrap()]), [own]);
    }
}
