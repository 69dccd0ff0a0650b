//! The command line: one file per command. Exit 0: done; 1: failed; 64: bad usage or configuration.

mod applications;
mod approvals;
mod audit;
mod bulk;
pub mod check_config;
mod client;
mod customers;
mod demo;
mod doctor;
mod events;
mod healthcheck;
mod jobs;
mod keys;
mod people;
mod privacy;
mod process;
mod sandbox;
mod search;
mod serve;
mod store;
mod sweep;
mod token;

use std::ffi::OsString;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::config::{Problems, Sources};

/// The release, the commit it was built from, and the commit's date.
pub const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("REINSTATE_BUILD"), ")");

/// Exit code for bad usage or configuration (`EX_USAGE`).
pub const USAGE: u8 = 64;

/// The service at a Nium client's compliance-callback address.
///
/// Examples:
///   reinstate demo --once                  watch a rejected customer come back
///   reinstate check-config                 say everything that is wrong with the configuration
///   reinstate serve                        take callbacks on 0.0.0.0:8080, answer operators on 127.0.0.1:9090
///   reinstate token create --role app --name backend
///   reinstate customers show ID            our case, and what Nium says
///   reinstate doctor                       say what is wrong, above all when callbacks do not come
#[derive(Parser, Debug)]
#[command(name = "reinstate", version = VERSION, verbatim_doc_comment, arg_required_else_help = true)]
struct Cli {
    /// The configuration file; default: config/reinstate.toml if it is there, else what is built in. Any key can also
    /// come from the environment, as `REINSTATE__SECTION__KEY`.
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand, Debug)]
#[expect(clippy::doc_markdown, reason = "these comments are the text of --help")]
enum Command {
    /// Take callbacks and bring rejected customers back.
    Serve,
    /// Watch it happen: a pretend Nium, the service, a rejected customer, and a kill -9 in the middle.
    Demo(demo::Args),
    /// Serve the pretend Nium alone, for trying things out.
    Sandbox(sandbox::Args),
    /// Say everything that is wrong with the configuration, all at once.
    CheckConfig,
    Doctor(doctor::Args),
    /// List, search and show customers; update, block, unblock, tag, decide, link.
    #[command(subcommand)]
    Customers(customers::Command),
    /// List what waits for a second person; approve or refuse it.
    #[command(subcommand)]
    Approvals(approvals::Command),
    /// List what the app backend was told; send it again; try an endpoint.
    #[command(subcommand)]
    Events(events::Command),
    /// List work that is stuck, and set it going again.
    #[command(subcommand)]
    Jobs(jobs::Command),
    /// Ask Nium for its whole customer list, for what callbacks did not say.
    #[command(subcommand)]
    Sweep(sweep::Command),
    /// Move everything to another database; back up and restore.
    #[command(subcommand)]
    Store(store::Command),
    /// Check the record of who did what for changes; export what is on file about one customer.
    #[command(subcommand)]
    Audit(audit::Command),
    /// Wrap the data keys by a new master key; say which master keys are in use.
    #[command(subcommand)]
    Keys(keys::Command),
    /// Add, change and remove people who sign in to the console; list and end sessions.
    #[command(subcommand)]
    People(people::Command),
    /// Make, list and revoke API tokens.
    #[command(subcommand)]
    Token(token::Command),
    /// Ask the running service whether it answers; for container health checks.
    Healthcheck,
    /// Write a completion script for a shell on standard output.
    ///
    /// Examples:
    ///   reinstate completions bash > /etc/bash_completion.d/reinstate
    ///   reinstate completions zsh > "${fpath[1]}/_reinstate"
    ///   reinstate completions fish > ~/.config/fish/completions/reinstate.fish
    #[command(verbatim_doc_comment)]
    Completions {
        /// Which shell.
        shell: Shell,
    },
}

/// Runs the command line and gives the exit code.
pub fn main(args: impl IntoIterator<Item = OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(args) {
        Ok(cli) => cli,
        Err(error) => {
            // Help and version are not errors; everything else is bad usage.
            let _ = error.print();
            return if error.use_stderr() { ExitCode::from(USAGE) } else { ExitCode::SUCCESS };
        }
    };
    if rustls::crypto::aws_lc_rs::default_provider().install_default().is_err() {
        eprintln!("reinstate: a TLS provider was installed before ours");
        return ExitCode::FAILURE;
    }
    match run(cli) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("reinstate: {error:#}");
            let misconfigured = error.downcast_ref::<Problems>().is_some();
            ExitCode::from(if misconfigured { USAGE } else { 1 })
        }
    }
}

fn run(cli: Cli) -> anyhow::Result<u8> {
    let sources = || Sources::from_process(cli.config.clone());
    match cli.command {
        Command::Serve => serve::run(cli.config.as_ref()),
        Command::Demo(args) => demo::run(&args),
        Command::Sandbox(args) => sandbox::run(&args),
        Command::CheckConfig => {
            Ok(check_config::run(&sources(), &mut std::io::stdout(), &mut std::io::stderr()))
        }
        Command::Approvals(command) => approvals::run(&sources(), command),
        Command::Audit(command) => audit::run(&sources(), command),
        Command::Customers(command) => customers::run(&sources(), command),
        Command::Doctor(args) => doctor::run(&sources(), &args),
        Command::Events(command) => events::run(&sources(), command),
        Command::Jobs(command) => jobs::run(&sources(), command),
        Command::Sweep(command) => sweep::run(&sources(), command),
        Command::Store(command) => store::run(&sources(), command),
        Command::Keys(command) => keys::run(&sources(), command),
        Command::People(command) => people::run(&sources(), command),
        Command::Token(command) => token::run(&sources(), command),
        Command::Healthcheck => healthcheck::run(&sources()),
        Command::Completions { shell } => {
            let mut script = Vec::new();
            clap_complete::generate(shell, &mut Cli::command(), "reinstate", &mut script);
            // A reader that has seen enough closes the pipe.
            match std::io::stdout().write_all(&script) {
                Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
                Ok(()) | Err(_) => Ok(0),
            }
        }
    }
}

/// The runtime that a command runs on.
fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_multi_thread().enable_all().build()?)
}
