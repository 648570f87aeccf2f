//! A process of the server: started, watched, killed, by this program alone.

use std::{
    fs::{File, OpenOptions},
    io::{BufRead as _, BufReader},
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Command, ExitStatus, Stdio},
    sync::atomic::{AtomicU32, Ordering},
    time::{Duration, Instant},
};

use anyhow::{Context as _, bail};
use tokio::{sync::oneshot, task::spawn_blocking, time::timeout};

/// How long a node may take until every door of its answers.
const START: Duration = Duration::from_secs(30);
/// How long a node that was asked to end may take.
const END: Duration = Duration::from_secs(15);
/// Below the ports that the kernel gives to connections: nobody takes a port while its node is away.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
static NEXT_PORT: AtomicU32 = AtomicU32::new(0);
/// What a process has of this one's environment.
const INHERITED: [&str; 5] = ["PATH", "HOME", "LANG", "TMPDIR", "RUST_BACKTRACE"];

/// A serving process at an address that stays.
pub(crate) struct Node {
    pub(crate) name: String,
    pub(crate) address: SocketAddr,
    program: PathBuf,
    settings: Vec<(String, String)>,
    log: PathBuf,
    running: Option<Running>,
}

struct Running {
    child: Child,
    began: Instant,
    ready: Option<oneshot::Receiver<()>>,
}

impl Node {
    /// A node that does not run yet. Its log and its data go to the folder.
    pub(crate) fn new(
        name: &str,
        program: &Path,
        folder: &Path,
        mut settings: Vec<(String, String)>,
    ) -> anyhow::Result<Self> {
        let address = free_address()?;
        settings.push(("HUBBUB_LISTEN".to_owned(), address.to_string()));
        let data = folder.join(format!("{name}-data"));
        settings.push(("HUBBUB_DATA_DIR".to_owned(), data.display().to_string()));
        Ok(Self {
            name: name.to_owned(),
            address,
            program: program.to_owned(),
            settings,
            log: folder.join(format!("{name}.log")),
            running: None,
        })
    }

    pub(crate) fn start(&mut self) -> anyhow::Result<()> {
        let log = OpenOptions::new().create(true).append(true).open(&self.log)?;
        let mut command = Command::new(&self.program);
        command.env_clear();
        for name in INHERITED {
            if let Ok(value) = std::env::var(name) {
                command.env(name, value);
            }
        }
        command
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log)
            // Whoever interrupts this program does not interrupt the nodes: they end with it.
            .process_group(0);
        let began = Instant::now();
        let mut child = command
            .spawn()
            .with_context(|| format!("{} did not start", self.program.display()))?;
        let (told, ready) = oneshot::channel();
        if let Some(output) = child.stdout.take() {
            std::thread::spawn(move || {
                let mut told = Some(told);
                for line in BufReader::new(output).lines().map_while(Result::ok) {
                    if line.starts_with("hubbub listening on ")
                        && let Some(told) = told.take()
                    {
                        let _ = told.send(());
                    }
                }
            });
        }
        self.running = Some(Running {
            child,
            began,
            ready: Some(ready),
        });
        Ok(())
    }

    /// Waits until every door answers; how long that took from the start.
    pub(crate) async fn ready(&mut self) -> anyhow::Result<Duration> {
        let running = self.running.as_mut().context("the node was not started")?;
        if let Some(ready) = running.ready.take() {
            let told = timeout(START, ready).await;
            if !matches!(told, Ok(Ok(()))) {
                bail!(
                    "{} is not ready after {:?}; {}",
                    self.name,
                    running.began.elapsed(),
                    self.log_tail()
                );
            }
        }
        Ok(running.began.elapsed())
    }

    /// Whether it runs, as far as it was not told to end.
    pub(crate) fn is_alive(&mut self) -> bool {
        match &mut self.running {
            Some(running) => matches!(running.child.try_wait(), Ok(None)),
            None => false,
        }
    }

    /// kill -9.
    pub(crate) fn kill(&mut self) -> anyhow::Result<()> {
        if let Some(mut running) = self.running.take() {
            running.child.kill()?;
            running.child.wait()?;
        }
        Ok(())
    }

    /// Asks it to end by SIGTERM, and waits.
    pub(crate) async fn stop(&mut self) -> anyhow::Result<ExitStatus> {
        let Running { child, .. } = self.running.take().context("the node does not run")?;
        let asked = Command::new("sh")
            .args(["-c", "kill -TERM \"$0\"", &child.id().to_string()])
            .status()?;
        anyhow::ensure!(asked.success(), "{} could not be asked to end", self.name);
        let name = self.name.clone();
        spawn_blocking(move || {
            let mut child = child;
            let deadline = Instant::now() + END;
            loop {
                if let Some(status) = child.try_wait()? {
                    return Ok(status);
                }
                if Instant::now() > deadline {
                    child.kill()?;
                    child.wait()?;
                    bail!("{name} still ran {END:?} after SIGTERM");
                }
                std::thread::sleep(Duration::from_millis(10));
            }
        })
        .await?
    }

    /// The end of what it logged.
    pub(crate) fn log_tail(&self) -> String {
        let Ok(log) = File::open(&self.log) else {
            return String::new();
        };
        let lines: Vec<String> = BufReader::new(log).lines().map_while(Result::ok).collect();
        lines[lines.len().saturating_sub(10)..].join("\n")
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        let _ = self.kill();
    }
}

/// A port that nobody listens at, and that no connection will be given.
fn free_address() -> anyhow::Result<SocketAddr> {
    let range = u32::from(PORTS.end - PORTS.start);
    let first = std::process::id().wrapping_mul(37);
    (0..range)
        .find_map(|_| {
            // No port is tried twice: its node may not listen yet.
            let step = NEXT_PORT.fetch_add(1, Ordering::Relaxed);
            let port = PORTS.start + u16::try_from(first.wrapping_add(step) % range).ok()?;
            TcpListener::bind((Ipv4Addr::LOCALHOST, port))
                .ok()?
                .local_addr()
                .ok()
        })
        .context("no port is free")
}
