//! The thresholds by which a way to a page is chosen.

/// Where one way of finding a page gives way to another. They change what a page costs and nothing else.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// `HUBBUB_SCAN_BUDGET`: how many rows a list may read and evaluate one by one when no index serves its filter.
    pub scan_budget: usize,
    /// So few items are read whole and sorted in memory.
    pub few: usize,
    /// So many items are kept as a set to look others up in.
    pub many: usize,
    /// How far a walk goes before anything is known of how many match: what it finds tells how dense they lie.
    pub glance: usize,
    /// How far a walk goes that looks each item up in the database, when a glance tells that it will do.
    pub nearby: usize,
    /// How far it goes when no condition is small enough to be read as a set.
    pub stroll: usize,
    /// How far a walk goes that looks items up in sets.
    pub walk: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            scan_budget: 10_000,
            few: 1_000,
            many: 20_000,
            glance: 64,
            nearby: 1_024,
            stroll: 4_096,
            walk: 50_000,
        }
    }
}
