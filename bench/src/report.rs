//! What is told at the end: a table for people or one JSON object for programs.

use std::{fmt::Display, time::Duration};

use serde_json::{Map, Value, json};

use crate::{histogram::Histogram, meter::Measured, tally::Verdict};

/// The settings and figures of one run.
pub(crate) struct Report {
    scenario: &'static str,
    settings: Vec<(&'static str, String)>,
    figures: Vec<(String, f64)>,
    /// What the tables show already.
    details: Vec<(String, f64)>,
    tables: Vec<Table>,
    faults: Vec<String>,
    ends_with_verdict: bool,
}

/// Figures side by side. The first column names what they are of.
pub(crate) struct Table {
    pub(crate) columns: Vec<String>,
    pub(crate) rows: Vec<Vec<String>>,
}

impl Report {
    pub(crate) fn new(scenario: &'static str) -> Self {
        Self {
            scenario,
            settings: Vec::new(),
            figures: Vec::new(),
            details: Vec::new(),
            tables: Vec::new(),
            faults: Vec::new(),
            ends_with_verdict: false,
        }
    }

    /// Ends the table with one line that says how it went.
    pub(crate) fn with_verdict(mut self) -> Self {
        self.ends_with_verdict = true;
        self
    }

    pub(crate) fn setting(mut self, name: &'static str, value: impl Display) -> Self {
        self.settings.push((name, value.to_string()));
        self
    }

    /// Adds a figure. Its name ends in its unit.
    pub(crate) fn figure(&mut self, name: impl Into<String>, value: f64) {
        self.figures.push((name.into(), value));
    }

    /// Adds a figure that a table shows: it is told to programs only.
    pub(crate) fn detail(&mut self, name: impl Into<String>, value: f64) {
        self.details.push((name.into(), value));
    }

    /// Adds a table for people.
    pub(crate) fn table_of(&mut self, table: Table) {
        self.tables.push(table);
    }

    /// Adds the median and the 99th percentile, in milliseconds.
    pub(crate) fn latency(&mut self, of: &str, histogram: &Histogram) {
        for (name, share) in [("p50", 0.5), ("p99", 0.99)] {
            if let Some(value) = histogram.quantile(share) {
                self.figure(format!("{of}_{name}_ms"), milliseconds(value));
            }
        }
    }

    /// Adds how many a second there were, and what each (its name in the singular) cost in CPU.
    pub(crate) fn rate(&mut self, name: &str, each: &str, count: u64, measured: &Measured) {
        self.figure(format!("{name}_per_s"), count as f64 / measured.seconds);
        self.cost(each, count, measured);
    }

    /// Adds the CPU of every process that takes part, for each of so many.
    pub(crate) fn cost(&mut self, each: &str, count: u64, measured: &Measured) {
        if count == 0 {
            return;
        }
        let cpu = measured.cpu;
        for (name, time) in [
            ("server", Some(cpu.server)),
            ("database", cpu.database),
            ("broker", cpu.broker),
            ("generator", Some(cpu.own)),
        ] {
            if let Some(time) = time {
                let microseconds = time.as_secs_f64() * 1e6 / count as f64;
                self.figure(format!("{name}_cpu_us_per_{each}"), microseconds);
            }
        }
    }

    /// Adds how busy the server and the generator were, 100 being one core.
    pub(crate) fn load(&mut self, measured: &Measured) {
        for (name, time) in [("server", measured.cpu.server), ("generator", measured.cpu.own)] {
            self.figure(
                format!("{name}_cpu_percent"),
                100.0 * time.as_secs_f64() / measured.seconds,
            );
        }
    }

    /// Adds whether everybody got everything once and in order.
    pub(crate) fn verdict(&mut self, verdict: Verdict) {
        self.figure("deliveries_expected", verdict.expected as f64);
        self.figure("deliveries_missing", verdict.missing as f64);
        self.figure("deliveries_wrong", verdict.wrong as f64);
        if !verdict.is_sound() {
            self.fault(format!("deliveries: {verdict:?}"));
        }
    }

    /// Counts something that must not happen.
    pub(crate) fn none_of(&mut self, what: &str, count: u64) {
        if count > 0 {
            self.fault(format!("{count} {what}"));
        }
    }

    /// Adds something that was wrong.
    pub(crate) fn fault(&mut self, fault: String) {
        if self.ends_with_verdict {
            // Such a run takes long: what is wrong is told at once, too.
            eprintln!("FAULT: {fault}");
        }
        self.faults.push(fault);
    }

    /// Whether nothing was wrong.
    pub(crate) fn is_sound(&self) -> bool {
        self.faults.is_empty()
    }

    #[expect(clippy::print_stdout, reason = "the report is what the program is for")]
    pub(crate) fn print(&self, json: bool) {
        if json {
            println!("{}", self.json());
        } else {
            print!("{}", self.table());
        }
    }

    fn json(&self) -> Value {
        let settings: Map<String, Value> = self
            .settings
            .iter()
            .map(|(name, value)| ((*name).to_owned(), json!(value)))
            .collect();
        let figures: Map<String, Value> = self
            .figures
            .iter()
            .chain(&self.details)
            .map(|(name, value)| (name.clone(), json!(value)))
            .collect();
        json!({
            "scenario": self.scenario,
            "sound": self.is_sound(),
            "settings": settings,
            "figures": figures,
            "faults": self.faults,
        })
    }

    fn table(&self) -> String {
        let settings: Vec<String> = self
            .settings
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        let mut table = format!("{}: {}\n", self.scenario, settings.join(", "));
        let width = self.figures.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
        for (name, value) in &self.figures {
            table.push_str(&format!(
                "  {:width$} {:>12}\n",
                name.replace('_', " "),
                figure(*value)
            ));
        }
        for figures in &self.tables {
            table.push_str(&figures.markdown());
        }
        for fault in &self.faults {
            table.push_str(&format!("  FAULT: {fault}\n"));
        }
        if self.ends_with_verdict {
            table.push_str(&match self.faults.len() {
                0 => "SOUND: nothing was lost, nothing came twice, nothing out of order\n".to_owned(),
                faults => format!("UNSOUND: {faults} kinds of faults\n"),
            });
        }
        table
    }
}

impl Table {
    /// As Markdown has it, so that it can go into a page as it is.
    fn markdown(&self) -> String {
        let line = |cells: &[String]| format!("| {} |\n", cells.join(" | "));
        let mut text = format!(
            "\n{}|---|{}\n",
            line(&self.columns),
            "--:|".repeat(self.columns.len() - 1)
        );
        for row in &self.rows {
            text.push_str(&line(row));
        }
        text
    }
}

/// In as many digits as mean something.
pub(crate) fn figure(value: f64) -> String {
    match value.abs() {
        0.0 => "0".to_owned(),
        size if size < 10.0 => format!("{value:.2}"),
        size if size < 1000.0 => format!("{value:.1}"),
        _ => format!("{value:.0}"),
    }
}

/// For a figure in milliseconds.
pub(crate) fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_of_a_table_are_told_to_programs_by_name() {
        let mut report = Report::new("curves");
        report.detail("small_ms", 1.0);
        report.table_of(Table {
            columns: vec!["messages".to_owned(), "100".to_owned()],
            rows: vec![vec!["send".to_owned(), "1.00".to_owned()]],
        });
        assert_eq!(
            report.table(),
            "curves: \n\n| messages | 100 |\n|---|--:|\n| send | 1.00 |\n"
        );
        assert_eq!(report.json()["figures"], json!({"small_ms": 1.0}));
    }

    #[test]
    fn a_table_and_an_object_say_the_same() {
        let mut report = Report::new("send").setting("rooms", 3);
        report.figure("sends_per_s", 12_345.6);
        report.figure("ack_p50_ms", 0.514);
        assert_eq!(
            report.table(),
            "send: rooms 3\n  sends per s        12346\n  ack p50 ms          0.51\n"
        );
        assert!(report.is_sound());
        report.none_of("sends refused", 0);
        report.none_of("sends lost", 2);
        assert_eq!(
            report.json(),
            json!({
                "scenario": "send",
                "sound": false,
                "settings": {"rooms": "3"},
                "figures": {"sends_per_s": 12_345.6, "ack_p50_ms": 0.514},
                "faults": ["2 sends lost"],
            })
        );
    }
}
