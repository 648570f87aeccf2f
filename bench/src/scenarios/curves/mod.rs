//! `curves`: one thing in a service grows from size to size (`bench/grow.py` lets it), and at each size it is
//! measured what everybody does all day. Where cost stays flat, the largest size costs what the smallest does.

mod ground;
mod operations;
mod series;

use std::{process::Command, time::Duration};

use anyhow::ensure;

use crate::{
    Bench,
    options::{CurvesOptions, Dimension},
    report::{Report, Table, figure},
    rest::Backend,
};

use ground::Ground;
use series::Point;

/// Members of a channel and channels of a user are at most so many.
const BOUND: u64 = 100_000;
/// What happened less long ago counts as recent when a client comes back, and costs more: it is waited for.
const RECENT: Duration = Duration::from_secs(11);

pub(crate) async fn run(bench: &Bench, options: &CurvesOptions) -> anyhow::Result<Report> {
    let sizes = &options.sizes;
    ensure!(
        sizes.is_sorted_by(|one, next| one < next),
        "each of the sizes {sizes:?} must be larger than the one before"
    );
    let mut report = Report::new("curves")
        .setting("online", options.online)
        .setting("seconds", options.seconds);
    let all = [
        Dimension::Messages,
        Dimension::Members,
        Dimension::UserChannels,
        Dimension::Channels,
    ];
    for dimension in all {
        if options.dimension.is_empty() || options.dimension.contains(&dimension) {
            climb(bench, options, dimension, &mut report).await?;
        }
    }
    Ok(report)
}

/// Goes from size to size.
async fn climb(
    bench: &Bench,
    options: &CurvesOptions,
    dimension: Dimension,
    report: &mut Report,
) -> anyhow::Result<()> {
    let mut ground = Ground::make(bench, dimension).await?;
    let mut points: Vec<(u64, Vec<Point>)> = Vec::new();
    let mut size = 0;
    for next in sizes_of(dimension, &options.sizes) {
        grow(&options.grow, dimension, &ground, (size, next))?;
        ground.has_grown(next - size);
        size = next;
        tokio::time::sleep(RECENT).await;
        let measured = operations::measure(bench, options, &mut ground, report).await?;
        points.push((size, measured));
    }
    tell(dimension, &points, report);
    if !bench.keep {
        Backend::connect(&bench.target)
            .await?
            .delete_service(&ground.service)
            .await?;
    }
    Ok(())
}

fn sizes_of(dimension: Dimension, sizes: &[u64]) -> Vec<u64> {
    let most = match dimension {
        Dimension::Messages | Dimension::Channels => u64::MAX,
        Dimension::Members | Dimension::UserChannels => BOUND,
    };
    let mut sizes: Vec<u64> = sizes.iter().map(|size| *size.min(&most)).collect();
    sizes.dedup();
    sizes
}

fn grow(command: &str, dimension: Dimension, ground: &Ground, (from, to): (u64, u64)) -> anyhow::Result<()> {
    let name = name(dimension);
    let (service, channel, identity) = (&ground.service, &ground.channel, ground::READER);
    let command = format!(
        "{command} --service {service} --channel {channel} --identity {identity} --dimension {name} --from {from} --to {to}"
    );
    let began = std::time::Instant::now();
    let done = Command::new("sh").arg("-c").arg(&command).status()?;
    ensure!(done.success(), "{command} failed");
    eprintln!("{name} {from} to {to} in {:.1?}", began.elapsed());
    Ok(())
}

const fn name(dimension: Dimension) -> &'static str {
    match dimension {
        Dimension::Messages => "messages",
        Dimension::Members => "members",
        Dimension::UserChannels => "user-channels",
        Dimension::Channels => "channels",
    }
}

/// A table with a row for everything that was done and columns for each size.
fn tell(dimension: Dimension, points: &[(u64, Vec<Point>)], report: &mut Report) {
    let title = match dimension {
        Dimension::Messages => "messages of a channel",
        Dimension::Members => "members of a channel",
        Dimension::UserChannels => "channels of a user",
        Dimension::Channels => "channels of the service",
    };
    let mut columns = vec![title.to_owned()];
    for (size, _) in points {
        columns.push(format!("{size}: p50 / p99 ms"));
        columns.push("CPU us".to_owned());
    }
    columns.push("p50 x".to_owned());
    columns.push("CPU x".to_owned());
    let mut rows = Vec::new();
    let Some(((_, first), (_, last))) = points.first().zip(points.last()) else {
        return;
    };
    for (place, (small, large)) in first.iter().zip(last).enumerate() {
        let mut row = vec![small.what.to_owned()];
        for (size, measured) in points {
            let point = &measured[place];
            row.push(format!("{} / {}", figure(point.p50_ms), figure(point.p99_ms)));
            row.push(point.costs());
            let prefix = format!("{}_{size}_{}", name(dimension), small.what).replace([' ', '-', ','], "_");
            report.detail(format!("{prefix}_p50_ms"), point.p50_ms);
            report.detail(format!("{prefix}_p99_ms"), point.p99_ms);
            for (of, microseconds) in point.cpu() {
                report.detail(format!("{prefix}_{of}_cpu_us"), microseconds);
            }
        }
        row.push(figure(large.p50_ms / small.p50_ms));
        row.push(figure(large.total_us() / small.total_us()));
        rows.push(row);
    }
    report.table_of(Table { columns, rows });
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn members_of_a_channel_and_channels_of_a_user_are_bounded() {
        let sizes = [100, 10_000, 1_000_000];
        assert_eq!(sizes_of(Dimension::Messages, &sizes), sizes);
        assert_eq!(sizes_of(Dimension::Members, &sizes), [100, 10_000, 100_000]);
        assert_eq!(sizes_of(Dimension::UserChannels, &[200_000, 300_000]), [100_000]);
    }
}
