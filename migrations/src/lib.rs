//! hubbub-migrations
