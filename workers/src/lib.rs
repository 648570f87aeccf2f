//! hubbub-workers
