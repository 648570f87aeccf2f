//! `hubbub`: a chat platform for many tenants in one binary. This crate only wires the others together; each
//! subcommand has its file.

mod account;
mod config;
mod first_start;
mod migrate;
mod openapi;
mod serve;
mod store;
mod token;

use std::process::ExitCode;

use clap::{Parser, Subcommand};

use crate::config::{Config, Options};

/// A self-hosted chat platform for many tenants: REST control plane, real-time gateway, signed webhooks.
#[derive(Parser)]
#[command(name = "hubbub", version)]
struct Cli {
    #[command(flatten)]
    options: Options,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Subcommand)]
enum Command {
    /// Serve the roles of this process (the default).
    Serve,
    /// Bring the database's schema up to date.
    Migrate(migrate::Arguments),
    /// Make and list accounts.
    #[command(subcommand)]
    Account(account::Command),
    /// Print an access token of a user, for trying things out.
    Token(token::Arguments),
    /// Print the description of the REST API, or check the committed one.
    Openapi(openapi::Arguments),
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    match run(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("hubbub: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<()> {
    // The description of the API needs no configuration.
    if let Some(Command::Openapi(arguments)) = cli.command {
        return openapi::run(&arguments);
    }
    let config = Config::read(cli.options)?;
    log_to_stderr(&config);
    // The crypto of all outbound TLS. It fails only when it was installed before.
    let _ = rustls::crypto::ring::default_provider().install_default();
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        match cli.command {
            None | Some(Command::Serve) => serve::run(config).await,
            Some(Command::Migrate(arguments)) => migrate::run(&config, &arguments).await,
            Some(Command::Account(command)) => account::run(&config, command).await,
            Some(Command::Token(arguments)) => token::run(&config, &arguments).await,
            Some(Command::Openapi(_)) => Ok(()),
        }
    })
}

fn log_to_stderr(config: &Config) {
    use std::io::IsTerminal as _;
    let filter = tracing_subscriber::EnvFilter::new(&config.log);
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .init();
}
