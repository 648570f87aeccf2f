//! What is the same at every size: a service, a channel whose messages and members may grow, and those who talk in it.

use std::sync::Arc;

use crate::{
    Bench,
    board::{Board, Ear},
    options::Dimension,
    rest::Backend,
    socket::Socket,
    stage::share_out,
    target::Target,
};

/// Who reads, sends, comes and goes.
pub(super) const READER: &str = "reader";
/// Further members of the channel, who are online.
const LISTENERS: u64 = 8;
/// Further channels of the reader.
const SIDE_CHANNELS: u64 = 10;
/// Nothing that grows here meets a limit of the service.
const LIMITS: &str = "Limits.ChannelMembers=1000000&Limits.UserChannels=1000000";

/// A service in which one thing grows; what is to be found in it is known.
pub(super) struct Ground {
    pub(super) target: Target,
    pub(super) dimension: Dimension,
    pub(super) service: String,
    /// The channel that everything is about.
    pub(super) channel: String,
    pub(super) reader_token: String,
    listener_tokens: Vec<String>,
    /// Messages of the channel.
    pub(super) messages: u64,
    /// Members of the channel.
    pub(super) members: u64,
    /// Channels of the reader.
    pub(super) channels: u64,
    /// How much it has grown: `grown-0` and so on are members, when members grow.
    pub(super) grown: u64,
    /// Who joined while it was measured.
    pub(super) joined: u64,
}

impl Ground {
    pub(super) async fn make(bench: &Bench, dimension: Dimension) -> anyhow::Result<Self> {
        let mut backend = Backend::connect(&bench.target).await?;
        let service = backend.create_service().await?;
        backend.set_service(&service, LIMITS).await?;
        let channel = backend.create_channel(&service, "subject").await?;
        backend.add_member(&service, &channel, READER).await?;
        for side in 0..SIDE_CHANNELS {
            let side = backend.create_channel(&service, &format!("side-{side}")).await?;
            backend.add_member(&service, &side, READER).await?;
        }
        let mut listener_tokens = Vec::new();
        for listener in 0..LISTENERS {
            let identity = format!("listener-{listener}");
            backend.add_member(&service, &channel, &identity).await?;
            listener_tokens.push(backend.mint_token(&service, &identity).await?);
        }
        backend.send(&service, &channel, "first").await?;
        Ok(Self {
            target: bench.target.clone(),
            dimension,
            reader_token: backend.mint_token(&service, READER).await?,
            service,
            channel,
            listener_tokens,
            messages: 1,
            members: 1 + LISTENERS,
            channels: 1 + SIDE_CHANNELS,
            grown: 0,
            joined: 0,
        })
    }

    /// Takes note of what was done past the doors.
    pub(super) fn has_grown(&mut self, by: u64) {
        self.grown += by;
        match self.dimension {
            Dimension::Messages => self.messages += by,
            Dimension::Members => self.members += by,
            Dimension::UserChannels => self.channels += by,
            Dimension::Channels => {}
        }
    }

    pub(super) async fn reader(&self, cursor: Option<&str>, ear: Ear) -> anyhow::Result<Socket> {
        Socket::connect(self.target.gateways[0], &self.reader_token, cursor, ear).await
    }

    pub(super) async fn listeners(&self, board: &Arc<Board>) -> anyhow::Result<Vec<Socket>> {
        let tokens = &self.listener_tokens;
        self.sockets(tokens, board).await
    }

    /// So many of those members who are there because members grow, online.
    pub(super) async fn crowd(&self, size: u64, board: &Arc<Board>) -> anyhow::Result<Vec<Socket>> {
        let tokens = share_out(&self.target, usize::try_from(size)?, async |backend, place| {
            backend.mint_token(&self.service, &format!("grown-{place}")).await
        })
        .await?;
        self.sockets(&tokens, board).await
    }

    async fn sockets(&self, tokens: &[String], board: &Arc<Board>) -> anyhow::Result<Vec<Socket>> {
        let gateways = &self.target.gateways;
        share_out(&self.target, tokens.len(), async |_, place| {
            let gateway = gateways[place % gateways.len()];
            Socket::connect(gateway, &tokens[place], None, Ear::new(board)).await
        })
        .await
    }
}

/// Ends connections at the transport.
pub(super) async fn drop_all(sockets: Vec<Socket>) -> anyhow::Result<Vec<Ear>> {
    let mut ears = Vec::with_capacity(sockets.len());
    for socket in sockets {
        ears.push(socket.drop_transport().await?);
    }
    Ok(ears)
}
