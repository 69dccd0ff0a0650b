//! `reinstate people …`: who signs in to the console with a password; opens the store itself, beside a running service.

use std::io::{IsTerminal, Read};
use std::path::{Path, PathBuf};

use anyhow::Context;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use clap::Subcommand;
use zeroize::Zeroizing;

use super::runtime;
use crate::app::open_store;
use crate::clock::Clock;
use crate::config::{Config, Sources};
use crate::domain::audit::COMMAND_LINE;
use crate::domain::role::Role;
use crate::ops::people::{SESSION_IDLE, new_person};
use crate::store::wake::Wake;
use crate::store::{Store, Use};

/// Sessions that are listed at most.
const SESSIONS_MAX: usize = 200;
/// Largest file with a password, in bytes.
const PASSWORD_BYTES_MAX: u64 = 4_096;

#[derive(Subcommand, Debug)]
pub(super) enum Command {
    /// Let somebody in.
    ///
    /// Without --password-file a password is made and printed, once.
    ///
    /// Examples:
    ///   reinstate people add ada --role officer
    ///   reinstate people add ada --role officer --password-file - < password.txt
    #[command(verbatim_doc_comment)]
    Add {
        /// The name to sign in with; the record of who did what has it.
        name: String,
        /// viewer: read; officer: read and decide; admin: everything.
        #[arg(long, value_parser = role)]
        role: Role,
        /// A file with the password in its first line; - reads standard input.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
    },
    /// Change somebody's role or password; they have to sign in again.
    Change {
        /// Whose.
        name: String,
        /// The new role.
        #[arg(long, value_parser = role)]
        role: Option<Role>,
        /// A file with the new password in its first line; - reads standard input.
        #[arg(long, value_name = "FILE")]
        password_file: Option<PathBuf>,
        /// Make a new password and print it, once.
        #[arg(long, conflicts_with = "password_file")]
        new_password: bool,
    },
    /// Let somebody in no more; their sessions end at once.
    Remove {
        /// Whom.
        name: String,
    },
    /// List everybody who has a password.
    List,
    /// List the sessions that last, of everybody who is signed in.
    Sessions,
    /// End a session, by the id that `people sessions` shows.
    EndSession {
        /// The id.
        id: String,
    },
}

fn role(text: &str) -> Result<Role, String> {
    Role::parse(text)
        .filter(|role| *role != Role::App)
        .ok_or_else(|| "use viewer, officer or admin; app is for tokens".to_owned())
}

pub(super) fn run(sources: &Sources, command: Command) -> anyhow::Result<u8> {
    let config = Config::load_for_store(sources)?;
    let store = open_store(&config.store, Use::Tool, Clock::System, Wake::default())?;
    let done = runtime()?.block_on(carry_out(&store, command));
    store.close();
    done
}

async fn carry_out(store: &Store, command: Command) -> anyhow::Result<u8> {
    match command {
        Command::Add { name, role, password_file } => add(store, &name, role, password_file).await?,
        Command::Change { name, role, password_file, new_password } => {
            let password = match (&password_file, new_password) {
                (Some(file), _) => Some(read_password(file)?),
                (None, true) => Some(fresh_password()?),
                (None, false) => None,
            };
            if role.is_none() && password.is_none() {
                anyhow::bail!("nothing to change: give --role, --password-file or --new-password");
            }
            let person = new_person(&name, role, password.as_ref().map(|password| password.as_str()));
            let person =
                person.map_err(|problem| anyhow::anyhow!("{} {}", problem.field, problem.message))?;
            if !store.change_person(person, COMMAND_LINE).await? {
                anyhow::bail!("there is nobody called {name}; `reinstate people list` shows everybody");
            }
            eprintln!("{name} is changed, and has to sign in again");
            show(password_file.as_deref(), password.as_ref());
        }
        Command::Remove { name } => {
            if !store.remove_person(&name, COMMAND_LINE).await? {
                anyhow::bail!("there is nobody called {name}; `reinstate people list` shows everybody");
            }
            eprintln!("{name} is let in no more");
        }
        Command::List => {
            for person in store.people().await? {
                println!(
                    "{:<8}  added {:.0}  changed {:.0}  {}",
                    person.role, person.made_at, person.changed_at, person.name
                );
            }
        }
        Command::Sessions => {
            for session in store.sessions(SESSION_IDLE, SESSIONS_MAX).await? {
                let (id, role, with) = (session.id, session.role, session.source.as_str());
                println!(
                    "{id}  {role:<8}  with {with:<9}  since {:.0}  until {:.0}  {}",
                    session.begun_at, session.ends_at, session.actor
                );
            }
        }
        Command::EndSession { id } => {
            let Some(whose) = store.end_session(&id, COMMAND_LINE).await? else {
                anyhow::bail!("there is no session {id}; `reinstate people sessions` shows those that last");
            };
            eprintln!("the session of {whose} is over");
        }
    }
    Ok(0)
}

async fn add(store: &Store, name: &str, role: Role, file: Option<PathBuf>) -> anyhow::Result<()> {
    let password = match &file {
        Some(file) => read_password(file)?,
        None => fresh_password()?,
    };
    let person = new_person(name, Some(role), Some(&password))
        .map_err(|problem| anyhow::anyhow!("{} {}", problem.field, problem.message))?;
    if !store.add_person(person, COMMAND_LINE).await? {
        anyhow::bail!("there is somebody called {name} already; `reinstate people change` changes them");
    }
    eprintln!("{name} may sign in with the role {} from now on", role.as_str());
    show(file.as_deref(), Some(&password));
    Ok(())
}

/// Prints a password that was made here; one that came from a file is known already.
fn show(file: Option<&Path>, password: Option<&Zeroizing<String>>) {
    if let (None, Some(password)) = (file, password) {
        eprintln!("the password is shown only this once:");
        println!("{}", password.as_str());
    }
}

/// 144 random bits: beyond guessing, and short enough to type.
fn fresh_password() -> anyhow::Result<Zeroizing<String>> {
    let mut bytes = Zeroizing::new([0_u8; 18]);
    aws_lc_rs::rand::fill(bytes.as_mut_slice())
        .map_err(|_| anyhow::anyhow!("the system gives no random bytes"))?;
    Ok(Zeroizing::new(URL_SAFE_NO_PAD.encode(bytes.as_slice())))
}

/// The first line of a file, or of standard input.
fn read_password(file: &Path) -> anyhow::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::new());
    if file == Path::new("-") {
        if std::io::stdin().is_terminal() {
            anyhow::bail!("a password would be seen while it is typed: pipe it in, or name a file");
        }
        std::io::stdin().take(PASSWORD_BYTES_MAX).read_to_string(&mut text)?;
    } else {
        let opened = std::fs::File::open(file).with_context(|| format!("opening {}", file.display()))?;
        opened.take(PASSWORD_BYTES_MAX).read_to_string(&mut text)?;
    }
    Ok(Zeroizing::new(text.lines().next().unwrap_or_default().to_owned()))
}
