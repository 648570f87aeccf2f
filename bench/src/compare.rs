//! `compare`: two runs' reports side by side, figure by figure.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context as _, ensure};
use serde::Deserialize;

use crate::report::figure;

/// What `--json` printed, as far as it is compared.
#[derive(Deserialize)]
struct Reported {
    scenario: String,
    sound: bool,
    settings: BTreeMap<String, String>,
    figures: serde_json::Map<String, serde_json::Value>,
}

/// A setting that is measured: how long everybody was away.
const MEASURED: &str = "away";

impl Reported {
    /// The settings that were chosen.
    fn chosen(&self) -> Vec<(&String, &String)> {
        self.settings
            .iter()
            .filter(|(name, _)| *name != MEASURED)
            .collect()
    }
}

/// Of these, everything else being equal, the sum counts: what one does itself another leaves to its database.
const PARTIES: [&str; 3] = ["server_cpu_us_per_", "database_cpu_us_per_", "broker_cpu_us_per_"];

/// Prints the reports of both files, which hold one JSON object a line, in turn.
#[expect(clippy::print_stdout, reason = "the comparison is what the command is for")]
pub(crate) fn run(ours: &Path, theirs: &Path) -> anyhow::Result<()> {
    let (ours, theirs) = (read(ours)?, read(theirs)?);
    ensure!(
        ours.len() == theirs.len(),
        "{} reports against {}",
        ours.len(),
        theirs.len()
    );
    for (ours, theirs) in ours.iter().zip(&theirs) {
        ensure!(
            ours.scenario == theirs.scenario && ours.chosen() == theirs.chosen(),
            "{} with {:?} cannot be compared with {} with {:?}",
            ours.scenario,
            ours.settings,
            theirs.scenario,
            theirs.settings
        );
        print!("{}", table(ours, theirs));
    }
    Ok(())
}

fn read(path: &Path) -> anyhow::Result<Vec<Reported>> {
    let text = fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("{} holds {line}", path.display())))
        .collect()
}

fn table(ours: &Reported, theirs: &Reported) -> String {
    let settings: Vec<String> = ours
        .settings
        .iter()
        .map(|(name, value)| format!("{name} {value}"))
        .collect();
    let mut table = format!(
        "{}: {}\n  {:36} {:>12} {:>12} {:>8}\n",
        ours.scenario,
        settings.join(", "),
        "",
        "ours",
        "theirs",
        "ratio"
    );
    for (name, ours, theirs) in rows(ours, theirs) {
        let ratio = if theirs == 0.0 {
            "–".to_owned()
        } else {
            format!("{:.2}", ours / theirs)
        };
        table.push_str(&format!(
            "  {:36} {:>12} {:>12} {ratio:>8}\n",
            name.replace('_', " "),
            figure(ours),
            figure(theirs)
        ));
    }
    for (whose, report) in [("ours", ours), ("theirs", theirs)] {
        if !report.sound {
            table.push_str(&format!("  {whose} was not sound\n"));
        }
    }
    table
}

/// The figures that both have, with the parties' CPU added up in front.
fn rows(ours: &Reported, theirs: &Reported) -> Vec<(String, f64, f64)> {
    let value = |report: &Reported, name: &str| report.figures.get(name).and_then(serde_json::Value::as_f64);
    let mut rows = Vec::new();
    for name in ours.figures.keys() {
        if let Some(each) = name.strip_prefix(PARTIES[0]) {
            let sum = |report: &Reported| -> f64 {
                PARTIES
                    .iter()
                    .filter_map(|party| value(report, &format!("{party}{each}")))
                    .sum()
            };
            rows.push((format!("cpu_us_per_{each}"), sum(ours), sum(theirs)));
        }
    }
    for name in ours.figures.keys() {
        if let (Some(ours), Some(theirs)) = (value(ours, name), value(theirs, name)) {
            rows.push((name.clone(), ours, theirs));
        }
    }
    rows
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reported(figures: &serde_json::Value) -> Reported {
        serde_json::from_value(serde_json::json!({
            "scenario": "send", "sound": true, "settings": {"rooms": "100"}, "figures": figures, "faults": [],
        }))
        .unwrap()
    }

    #[test]
    fn what_each_leaves_to_its_database_counts() {
        let ours = reported(&serde_json::json!({"server_cpu_us_per_send": 30.0, "sends_per_s": 9000.0}));
        let theirs = reported(&serde_json::json!({
            "server_cpu_us_per_send": 100.0, "database_cpu_us_per_send": 50.0, "sends_per_s": 3000.0,
        }));
        assert_eq!(
            rows(&ours, &theirs),
            [
                ("cpu_us_per_send".to_owned(), 30.0, 150.0),
                ("sends_per_s".to_owned(), 9000.0, 3000.0),
                ("server_cpu_us_per_send".to_owned(), 30.0, 100.0),
            ]
        );
        assert!(table(&ours, &theirs).contains("3.00"));
    }
}
