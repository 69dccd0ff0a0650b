//! The end of the chain is told to the log, where whoever administers the database does not write.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, BufReader};
use tokio::process::Command;

use crate::database::on_postgres;
use crate::restart::Ground;

#[tokio::test(flavor = "multi_thread")]
async fn every_checkpoint_is_a_line_of_the_log_with_its_signature() {
    let folder = tempfile::tempdir().unwrap();
    let ground = Ground::new(folder.path()).await.set("TELEMETRY__LOG", "info");
    let mut service = Command::new(env!("CARGO_BIN_EXE_reinstate"))
        .arg("serve")
        .envs(ground.env())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true)
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(service.stderr.take().unwrap()).lines();
    // The first row of a new record, the sweep at the start, is enough for the first checkpoint.
    let line = loop {
        let line = lines.next_line().await.unwrap().expect("the service ended without a checkpoint");
        if line.contains("audit checkpoint") {
            break line;
        }
    };
    service.start_kill().unwrap();
    service.wait().await.unwrap();
    let sql = if on_postgres() {
        "SELECT encode(signature, 'hex') FROM audit_checkpoint WHERE number = 1"
    } else {
        "SELECT lower(hex(signature)) FROM audit_checkpoint WHERE number = 1"
    };
    let signature = ground.database.text(sql);
    assert!(signature.trim().len() == 64 && line.contains(signature.trim()), "{signature} is not in {line}");
}
