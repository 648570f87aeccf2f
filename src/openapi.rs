//! `hubbub openapi`: the description of the REST API, made from the served routes.

use anyhow::Context as _;
use clap::Args;

/// The committed description, relative to the project's folder.
const FILE: &str = "openapi/hubbub.json";

/// Print, or check.
#[derive(Args)]
pub(crate) struct Arguments {
    /// Fail when the committed openapi/hubbub.json differs from the served routes.
    #[arg(long)]
    check: bool,
}

/// Runs the subcommand.
#[expect(clippy::print_stdout, reason = "the answer of the command")]
pub(crate) fn run(arguments: &Arguments) -> anyhow::Result<()> {
    let made = hubbub_api::openapi_json();
    if !arguments.check {
        print!("{made}");
        return Ok(());
    }
    let committed = std::fs::read_to_string(FILE).with_context(|| format!("cannot read {FILE}"))?;
    if committed != made {
        anyhow::bail!("{FILE} differs from the served routes: write it anew with `hubbub openapi > {FILE}`");
    }
    println!("{FILE} is what is served");
    Ok(())
}
