//! `unthrottled healthcheck`: for containers without a shell, whether the daemon beside this process is healthy.

use super::exit::Exit;
use super::frame::Frame;
use crate::edge::http;
use std::io::Write;
use std::net::SocketAddr;
use std::process::ExitCode;

/// Ask the daemon beside this process whether it is healthy
///
/// Asks for `/healthz` at the address of `daemon.http_listen`, and exits with 0 if the daemon's loop is alive, with 1
/// if it is not or does not answer. Meant for the health check of a container, whose image has no shell and no curl.
#[derive(Debug, clap::Args)]
#[command(after_long_help = "\
Examples:
  unthrottled healthcheck
  unthrottled healthcheck --address 127.0.0.1:9000
  \"healthCheck\": {\"command\": [\"CMD\", \"/unthrottled\", \"healthcheck\"]}   in an ECS task definition")]
pub struct Args {
    /// Where to ask [default: `daemon.http_listen` of the settings]
    #[arg(long)]
    pub address: Option<SocketAddr>,
}

/// Runs the command.
pub async fn run(args: Args, frame: &Frame) -> anyhow::Result<ExitCode> {
    let address = match args.address {
        Some(address) => address,
        None => frame.settings()?.daemon.http_listen,
    };
    http::probe(&address.to_string()).await?;
    writeln!(frame.out(), "healthy")?;
    Ok(Exit::Done.into())
}
