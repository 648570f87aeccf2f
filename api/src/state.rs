//! What handlers share.

use std::sync::Arc;

use hubbub_core::{BaseUrl, Core};

use crate::{
    demo::Demo,
    metrics::Metrics,
    rate_limits::{Buckets, RateLimits},
};

/// The state of the REST door. Cheap to clone; made once, outside the server's per-thread closure.
#[derive(Clone)]
pub struct ApiState(Arc<Inner>);

struct Inner {
    core: Arc<Core>,
    fallback_base: BaseUrl,
    metrics: Metrics,
    buckets: Buckets,
    demo: Option<Demo>,
}

impl ApiState {
    /// `fallback_base` is the base of URLs for a request that names no host, when no public URL is set; `demo` is
    /// whether the demo is served.
    #[must_use]
    pub fn new(
        core: Arc<Core>,
        fallback_base: BaseUrl,
        metrics: Metrics,
        limits: RateLimits,
        demo: bool,
    ) -> Self {
        Self(Arc::new(Inner {
            core,
            fallback_base,
            metrics,
            buckets: Buckets::new(limits),
            demo: demo.then(Demo::new),
        }))
    }

    /// The process's handles.
    pub(crate) fn core(&self) -> &Arc<Core> {
        &self.0.core
    }

    /// How many requests are left to whom.
    pub(crate) fn buckets(&self) -> &Buckets {
        &self.0.buckets
    }

    /// The demo, where it is served.
    pub(crate) fn demo(&self) -> Option<&Demo> {
        self.0.demo.as_ref()
    }

    /// For a request that names no host.
    pub(crate) fn fallback_base(&self) -> &BaseUrl {
        &self.0.fallback_base
    }

    /// What is measured.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }
}
