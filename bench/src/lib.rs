//! hubbub-bench
