//! What is measured, in the text format that Prometheus reads.

use std::{fmt, sync::Arc, time::Duration};

use prometheus_client::{
    collector::Collector,
    encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric, text},
    metrics::{
        counter::{ConstCounter, Counter},
        family::Family,
        gauge::ConstGauge,
        histogram::Histogram,
        info::Info,
    },
    registry::Registry,
};

/// The media type of [`Metrics::render`].
pub(crate) const MEDIA_TYPE: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";

/// Upper bounds in seconds.
const LATENCIES: [f64; 11] = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0];

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Answered {
    method: String,
    route: String,
    status: u16,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct Asked {
    method: String,
    route: String,
}

/// The process's measurements. Whoever knows a figure lends a closure that reads it.
pub struct Metrics {
    registry: Registry,
    answers: Family<Answered, Counter>,
    latencies: Family<Asked, Histogram>,
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl Metrics {
    /// The REST door's own measurements and the build.
    #[must_use]
    pub fn new() -> Self {
        let mut registry = Registry::with_prefix("hubbub");
        let answers = Family::<Answered, Counter>::default();
        registry.register(
            "http_requests",
            "REST requests that were answered",
            answers.clone(),
        );
        let latencies = Family::<Asked, Histogram>::new_with_constructor(|| Histogram::new(LATENCIES));
        registry.register(
            "http_request_duration_seconds",
            "Time from a REST request's head to its answer",
            latencies.clone(),
        );
        registry.register(
            "build",
            "What is running",
            Info::new(vec![("version", env!("CARGO_PKG_VERSION"))]),
        );
        Self {
            registry,
            answers,
            latencies,
        }
    }

    /// Adds a figure that goes up and down: `hubbub_<name>`.
    #[must_use]
    pub fn with_gauge(
        mut self,
        name: &str,
        help: &str,
        read: impl Fn() -> i64 + Send + Sync + 'static,
    ) -> Self {
        self.register(name, help, move |encoder, name, help| {
            let gauge = ConstGauge::new(read());
            gauge.encode(encoder.encode_descriptor(name, help, None, gauge.metric_type())?)
        });
        self
    }

    /// Adds a figure that only goes up: `hubbub_<name>_total`.
    #[must_use]
    pub fn with_counter(
        mut self,
        name: &str,
        help: &str,
        read: impl Fn() -> u64 + Send + Sync + 'static,
    ) -> Self {
        self.register(name, help, move |encoder, name, help| {
            let counter = ConstCounter::new(read());
            counter.encode(encoder.encode_descriptor(name, help, None, counter.metric_type())?)
        });
        self
    }

    fn register(
        &mut self,
        name: &str,
        help: &str,
        encode: impl Fn(&mut DescriptorEncoder<'_>, &str, &str) -> fmt::Result + Send + Sync + 'static,
    ) {
        self.registry.register_collector(Box::new(Lent {
            name: name.to_owned(),
            help: help.to_owned(),
            encode: Arc::new(encode),
        }));
    }

    /// Counts an answer and its time.
    pub(crate) fn answered(&self, method: &str, route: &str, status: u16, took: Duration) {
        let (method, route) = (method.to_owned(), route.to_owned());
        let asked = Asked {
            method: method.clone(),
            route: route.clone(),
        };
        self.latencies.get_or_create(&asked).observe(took.as_secs_f64());
        let answered = Answered {
            method,
            route,
            status,
        };
        self.answers.get_or_create(&answered).inc();
    }

    /// Everything, as text.
    pub(crate) fn render(&self) -> Result<String, fmt::Error> {
        let mut text = String::new();
        text::encode(&mut text, &self.registry)?;
        Ok(text)
    }
}

type Encode = dyn Fn(&mut DescriptorEncoder<'_>, &str, &str) -> fmt::Result + Send + Sync;

/// A figure that somebody else keeps.
struct Lent {
    name: String,
    help: String,
    encode: Arc<Encode>,
}

impl Collector for Lent {
    fn encode(&self, mut encoder: DescriptorEncoder<'_>) -> fmt::Result {
        (self.encode)(&mut encoder, &self.name, &self.help)
    }
}

impl fmt::Debug for Lent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lent")
            .field("name", &self.name)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_and_lent_figures_are_rendered() {
        let metrics = Metrics::new()
            .with_gauge("sockets", "Open sockets", || 7)
            .with_counter("messages_sent", "Messages sent", || 9);
        metrics.answered("GET", "/v2/Services/{Sid}", 200, Duration::from_millis(3));
        let text = metrics.render().unwrap();
        for line in [
            "# TYPE hubbub_sockets gauge",
            "hubbub_sockets 7",
            "hubbub_messages_sent_total 9",
            "hubbub_http_requests_total{method=\"GET\",route=\"/v2/Services/{Sid}\",status=\"200\"} 1",
            "hubbub_http_request_duration_seconds_bucket{le=\"0.005\",method=\"GET\",route=\"/v2/Services/{Sid}\"} 1",
            "hubbub_build_info{version=\"0.1.0\"} 1",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "{line}\nis not in\n{text}"
            );
        }
    }
}
