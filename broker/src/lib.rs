//! hubbub-broker
