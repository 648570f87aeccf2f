//! A TCP proxy that misbehaves when it is told to.

use std::{
    io,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use socket2::SockRef;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::watch,
    task::AbortHandle,
};

/// How much is carried at once.
const CHUNK: usize = 16 * 1024;
/// How late a connection closes that closes late.
const LATE: Duration = Duration::from_secs(3);

/// What the proxy does with connections.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Carries everything as it comes.
    Pass,
    /// Carries everything so much later, chunk by chunk.
    Delay(Duration),
    /// Resets what is open, and whatever comes.
    Cut,
    /// Carries half of the next chunk of each connection, then resets it; new ones fare no better.
    Torn,
    /// Keeps everything open, takes what it gets and lets nothing through. Such a connection never works again.
    HalfOpen,
    /// Stops carrying and closes, but only after seconds in which nobody is told.
    SlowClose,
}

/// A door in front of an address.
pub(crate) struct Proxy {
    pub(crate) address: SocketAddr,
    mode: watch::Sender<Mode>,
    accepting: AbortHandle,
}

impl Proxy {
    pub(crate) async fn open(target: SocketAddr) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let (mode, heard) = watch::channel(Mode::Pass);
        let accepting = tokio::spawn(async move {
            while let Ok((near, _)) = listener.accept().await {
                tokio::spawn(serve(near, target, heard.clone()));
            }
        });
        Ok(Self {
            address,
            mode,
            accepting: accepting.abort_handle(),
        })
    }

    pub(crate) fn set(&self, mode: Mode) {
        self.mode.send_replace(mode);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}

async fn serve(near: TcpStream, target: SocketAddr, mode: watch::Receiver<Mode>) {
    let current = *mode.borrow();
    if current == Mode::Cut {
        reset(&near);
        return;
    }
    if matches!(current, Mode::HalfOpen) {
        let (mut reader, _writer) = near.into_split();
        swallow(&mut reader, mode).await;
        return;
    }
    let Ok(far) = TcpStream::connect(target).await else {
        reset(&near);
        return;
    };
    let _ = (near.set_nodelay(true), far.set_nodelay(true));
    let (near_reader, near_writer) = near.into_split();
    let (far_reader, far_writer) = far.into_split();
    let there = carry(near_reader, far_writer, mode.clone());
    let back = carry(far_reader, near_writer, mode);
    // One direction's end is the connection's, unless it was ended in order: the other may still have something to say.
    let (mut there, mut back) = (std::pin::pin!(there), std::pin::pin!(back));
    let ended = tokio::select! {
        ended = &mut there => (ended, false),
        ended = &mut back => (ended, true),
    };
    if let (Ok(()), far_was_first) = ended {
        let _ = if far_was_first { there.await } else { back.await };
    }
}

/// Carries one direction until its end; an error when the connection is to be broken off.
async fn carry(
    mut from: OwnedReadHalf,
    mut to: OwnedWriteHalf,
    mut mode: watch::Receiver<Mode>,
) -> io::Result<()> {
    let mut chunk = vec![0; CHUNK];
    loop {
        let read = tokio::select! {
            biased;
            broken = leaves_order(&mut mode) => match broken {
                Mode::HalfOpen => None,
                Mode::SlowClose => {
                    tokio::time::sleep(LATE).await;
                    let _ = to.shutdown().await;
                    return Err(io::ErrorKind::ConnectionAborted.into());
                }
                _ => {
                    let _ = SockRef::from(from.as_ref()).set_linger(Some(Duration::ZERO));
                    let _ = SockRef::from(to.as_ref()).set_linger(Some(Duration::ZERO));
                    return Err(io::ErrorKind::ConnectionReset.into());
                }
            },
            read = from.read(&mut chunk) => Some(read?),
        };
        let Some(read) = read else {
            swallow(&mut from, mode).await;
            return Err(io::ErrorKind::ConnectionAborted.into());
        };
        if read == 0 {
            return to.shutdown().await;
        }
        let current = *mode.borrow();
        match current {
            Mode::Delay(by) => tokio::time::sleep(by).await,
            Mode::Torn => {
                let _ = to.write_all(&chunk[..read / 2]).await;
                let _ = SockRef::from(to.as_ref()).set_linger(Some(Duration::ZERO));
                return Err(io::ErrorKind::ConnectionReset.into());
            }
            _ => {}
        }
        to.write_all(&chunk[..read]).await?;
    }
}

/// Waits for a mode in which nothing is carried.
async fn leaves_order(mode: &mut watch::Receiver<Mode>) -> Mode {
    let out_of_order = |mode: &Mode| matches!(mode, Mode::Cut | Mode::HalfOpen | Mode::SlowClose);
    match mode.wait_for(out_of_order).await.map(|mode| *mode) {
        Ok(mode) => mode,
        // The proxy is gone; what is open stays as it is.
        Err(_) => std::future::pending().await,
    }
}

/// Takes and loses what is said, until whoever says it gives up or everything is cut.
async fn swallow(from: &mut OwnedReadHalf, mut mode: watch::Receiver<Mode>) {
    let mut chunk = vec![0; CHUNK];
    let ignored = async { while from.read(&mut chunk).await.is_ok_and(|read| read > 0) {} };
    let cut = async {
        let _ = mode.wait_for(|mode| *mode == Mode::Cut).await.map(|mode| *mode);
    };
    tokio::select! {
        () = ignored => {}
        () = cut => {}
    }
}

fn reset(stream: &TcpStream) {
    let _ = SockRef::from(stream).set_linger(Some(Duration::ZERO));
}
