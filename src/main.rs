//! Parses the command line, calls what it names, turns the result into an exit code.

use std::process::ExitCode;

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    reinstate::cli::main(std::env::args_os())
}
