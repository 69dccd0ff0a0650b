//! What the service asks of the system for its own process before it holds a secret or a connection.

use rustix::process::{DumpableBehavior, Resource, Rlimit, getrlimit, set_dumpable_behavior, setrlimit};

/// Files that are open besides connections: databases, the spool, logs, calls to others.
const OTHER_FILES: u64 = 512;

/// Keeps what is in memory out of core dumps, and away from debuggers of the same user: master keys and personal data are
/// there in the open.
pub(super) fn keep_memory_private() {
    let nothing = Rlimit { current: Some(0), maximum: Some(0) };
    if let Err(error) = setrlimit(Resource::Core, nothing) {
        tracing::warn!(%error, "core dumps could not be turned off");
    }
    if let Err(error) = set_dumpable_behavior(DumpableBehavior::NotDumpable) {
        tracing::warn!(%error, "debuggers of the same user could not be kept away");
    }
}

/// Takes as many open files as the system allows; most systems begin with far fewer.
pub(super) fn open_many_files(connections: usize) {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    if let Err(error) = setrlimit(Resource::Nofile, raised) {
        tracing::warn!(%error, "the number of open files could not be raised");
    }
    let allowed = getrlimit(Resource::Nofile).current;
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OTHER_FILES);
    if let Some(allowed) = allowed.filter(|allowed| *allowed < wanted) {
        tracing::warn!(
            allowed,
            wanted,
            "this process may open fewer files than public.connections_max needs: raise LimitNOFILE"
        );
    }
}
