//! hubbub-gateway
