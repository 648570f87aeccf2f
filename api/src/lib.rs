//! hubbub-api
