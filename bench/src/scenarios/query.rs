//! `query`: a backend asks a service of many channels (see `bench/fill.py`) for first pages, filtered and sorted by
//! declared attributes. Every answer is looked at: what it holds must match and be in order.

use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use serde_json::Value;

use super::upkeep;
use crate::{Bench, histogram::Histogram, options::QueryOptions, report::Report, rest::Backend};

/// How long an index may take to be built.
const BUILDING: Duration = Duration::from_secs(3600);
/// How often it is asked whether it is ready.
const PACE: Duration = Duration::from_millis(200);
const INDEXES: [(&str, &str); 4] = [
    ("category", "string"),
    ("priority", "number"),
    ("score", "number"),
    ("tags", "string"),
];
const CATEGORIES: [&str; 3] = ["rare", "middling", "frequent"];
/// A name, and what `Sort` is.
const SORTS: [(&str, &str); 4] = [
    ("unsorted", ""),
    ("by_score", r#"[{"attributes.score": -1}]"#),
    (
        "by_priority_and_date",
        r#"[{"attributes.priority": -1}, {"date_updated": -1}]"#,
    ),
    (
        "by_priority_and_score",
        r#"[{"attributes.priority": 1}, {"attributes.score": 1}]"#,
    ),
];

pub(crate) async fn run(bench: &Bench, options: &QueryOptions) -> anyhow::Result<Report> {
    let mut backend = Backend::connect(&bench.target).await?;
    let mut report = Report::new("query")
        .setting("service", &options.service)
        .setting("rounds", options.rounds);
    build(&mut backend, options, &mut report).await?;
    upkeep(options.before_asking.as_deref())?;
    for (name, sort) in SORTS {
        for category in CATEGORIES {
            let filter = format!(r#"{{"attributes.category": "{category}"}}"#);
            let question = Question::new(&options.service, &filter, sort);
            question
                .measure(&mut backend, options, &mut report, &format!("{category}_{name}"))
                .await?;
        }
    }
    for (name, filter, sort) in [
        (
            "range_by_date",
            r#"{"attributes.score": {"$gte": 900000}}"#,
            r#"[{"date_created": -1}]"#,
        ),
        (
            "contains_by_score",
            r#"{"attributes.tags": {"$contains": "t7"}}"#,
            r#"[{"attributes.score": 1}]"#,
        ),
        (
            "two_conditions_by_score",
            r#"{"attributes.category": "frequent", "attributes.priority": 5, "type": "public"}"#,
            r#"[{"attributes.score": -1}]"#,
        ),
        (
            "two_middling_by_score",
            r#"{"attributes.category": "middling", "attributes.tags": {"$contains": "t7"}}"#,
            r#"[{"attributes.score": -1}]"#,
        ),
        (
            "never_together_by_score",
            r#"{"attributes.category": "frequent", "attributes.tags": {"$contains": "odd"}}"#,
            r#"[{"attributes.score": -1}]"#,
        ),
        ("only_sorted_by_date", "{}", r#"[{"date_updated": -1}]"#),
    ] {
        let question = Question::new(&options.service, filter, sort);
        question.measure(&mut backend, options, &mut report, name).await?;
    }
    Ok(report)
}

/// Declares the indexes that are not there yet, and waits until they answer.
async fn build(backend: &mut Backend, options: &QueryOptions, report: &mut Report) -> anyhow::Result<()> {
    let list = format!("/v2/Services/{}/AttributeIndexes", options.service);
    let began = Instant::now();
    let known = backend.get(&list).await?;
    for (path, kind) in INDEXES {
        let is_there = indexes(&known).any(|index| index["path"] == path);
        if !is_there {
            let form = format!("Resource=channels&Path={path}&Type={kind}");
            backend.post(&list, &form).await?;
        }
    }
    while !indexes(&backend.get(&list).await?).all(|index| index["status"] == "ready") {
        ensure!(began.elapsed() < BUILDING, "the indexes are not ready");
        tokio::time::sleep(PACE).await;
    }
    report.figure("building_four_indexes_s", began.elapsed().as_secs_f64());
    Ok(())
}

fn indexes(list: &Value) -> impl Iterator<Item = &Value> {
    list["attribute_indexes"].as_array().into_iter().flatten()
}

/// A first page of 50 that is asked for again and again.
struct Question {
    url: String,
    filter: Value,
    /// Field and direction.
    sort: Vec<(String, i64)>,
}

impl Question {
    fn new(service: &str, filter: &str, sort: &str) -> Self {
        let encode = |text: &str| {
            text.bytes()
                .map(|byte| format!("%{byte:02X}"))
                .collect::<String>()
        };
        let mut url = format!(
            "/v2/Services/{service}/Channels?PageSize=50&Filter={}",
            encode(filter)
        );
        if !sort.is_empty() {
            url.push_str("&Sort=");
            url.push_str(&encode(sort));
        }
        let parsed: Value = serde_json::from_str(sort).unwrap_or_default();
        let by = |by: &Value| {
            let (field, direction) = by.as_object()?.iter().next()?;
            Some((field.clone(), direction.as_i64()?))
        };
        Self {
            url,
            filter: serde_json::from_str(filter).unwrap_or_default(),
            sort: parsed.as_array().into_iter().flatten().filter_map(by).collect(),
        }
    }

    async fn measure(
        &self,
        backend: &mut Backend,
        options: &QueryOptions,
        report: &mut Report,
        name: &str,
    ) -> anyhow::Result<()> {
        let answers = Histogram::new();
        for round in 0..options.rounds + options.rounds / 5 {
            let began = Instant::now();
            let page = match backend.get_raw(&self.url).await {
                Ok(page) => page,
                Err(refused) => {
                    report.fault(format!("{name}: {refused}"));
                    break;
                }
            };
            // The first ones read what later ones find in memory.
            if round >= options.rounds / 5 {
                answers.record(began.elapsed());
            }
            let page: Value = serde_json::from_slice(&page)?;
            if let Err(wrong) = self.check(&page) {
                report.fault(format!("{name}: {wrong}"));
                break;
            }
        }
        report.latency(name, &answers);
        Ok(())
    }

    /// What is there matches, and is in order.
    fn check(&self, page: &Value) -> anyhow::Result<()> {
        let channels = page["channels"].as_array().context("no channels")?;
        let nothing = self.filter["attributes.tags"]["$contains"] == "odd";
        ensure!(
            channels.is_empty() == nothing,
            "{} channels were found",
            channels.len()
        );
        let mut before: Option<Vec<(Value, i64)>> = None;
        for channel in channels {
            let attributes: Value = serde_json::from_str(channel["attributes"].as_str().unwrap_or_default())?;
            let at = |field: &str| match field.strip_prefix("attributes.") {
                Some(path) => attributes[path].clone(),
                None => channel[field].clone(),
            };
            if let Some(category) = self.filter["attributes.category"].as_str() {
                ensure!(
                    at("attributes.category") == category,
                    "{attributes} does not match"
                );
            }
            let place: Vec<(Value, i64)> = self
                .sort
                .iter()
                .map(|(field, direction)| (at(field), *direction))
                .collect();
            if let Some(before) = &before {
                ensure!(is_in_order(before, &place), "{attributes} is out of order");
            }
            before = Some(place);
        }
        Ok(())
    }
}

fn is_in_order(before: &[(Value, i64)], place: &[(Value, i64)]) -> bool {
    for ((one, direction), (other, _)) in before.iter().zip(place) {
        let order = match (one.as_i64(), other.as_i64()) {
            (Some(one), Some(other)) => one.cmp(&other),
            _ => one.as_str().cmp(&other.as_str()),
        };
        let order = if *direction < 0 { order.reverse() } else { order };
        if order.is_ne() {
            return order.is_lt();
        }
    }
    true
}
