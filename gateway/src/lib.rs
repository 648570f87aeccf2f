//! hubbub-gateway

pub mod engine_io;
pub mod socket_io;
