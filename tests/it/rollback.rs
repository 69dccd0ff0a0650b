//! The release before and this one on one database, one after the other and side by side: an upgrade, a rolling update, and
//! both taken back, while customers are on their way. `tests/rollback` builds the release before and runs this;
//! without it these tests are counted as ignored. What CI holds of it in each run is `releases` and `replay`.

use std::path::PathBuf;
use std::sync::Arc;

use tokio::process::Command;

use crate::database::on_postgres;
use crate::replicas::{Fleet, PATIENCE, PAUSE, Traffic, seed, shared};
use crate::restart::Ground;
use crate::serve::signal;

/// Customers who come back between two changes.
const SOME: usize = 10;

fn this() -> PathBuf {
    env!("CARGO_BIN_EXE_reinstate").into()
}

fn before() -> PathBuf {
    let named =
        std::env::var_os("REINSTATE_TEST_BEFORE").expect("REINSTATE_TEST_BEFORE names the release before");
    let named = PathBuf::from(named);
    assert!(std::fs::read(&named).unwrap() != std::fs::read(this()).unwrap(), "that is this release");
    named
}

async fn the_record_is_whole(ground: &Ground) {
    let verified = Command::new(this()).args(["audit", "verify"]).envs(ground.env()).output().await.unwrap();
    assert!(verified.status.success(), "{}", String::from_utf8_lossy(&verified.stderr));
}

/// What the release before says of a newer file; it changes nothing. With PostgreSQL it runs.
async fn it_refuses_a_newer_file(ground: &Ground) {
    let program = before();
    let mut serve = Command::new(&program);
    serve.arg("serve").current_dir(program.parent().unwrap()).envs(ground.env()).kill_on_drop(true);
    let refused =
        tokio::time::timeout(PATIENCE, serve.output()).await.expect("it refuses at its start").unwrap();
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(!refused.status.success() && said.contains("the database has schema"), "{said}");
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tests/rollback builds the release before, and runs this"]
async fn an_upgrade_is_taken_back_and_made_again_and_nobody_is_lost() {
    let seed = seed();
    let folder = tempfile::tempdir().unwrap();
    let ground = Arc::new(Ground::new(folder.path()).await);
    ground.nium_is_behind().await;
    let mut service = ground.start_as(&before(), 0);
    ground.first_sweep_is_over().await;
    let mut traffic = Traffic::start(&ground, PAUSE);
    for upgraded in [true, false, true] {
        traffic.until_more_came_back(&ground, SOME).await;
        signal(&service, "TERM");
        assert!(service.wait().await.unwrap().success());
        service = if upgraded {
            ground.start()
        } else if on_postgres() {
            ground.start_as(&before(), 0)
        } else {
            it_refuses_a_newer_file(&ground).await;
            ground.start()
        };
    }
    traffic.until_more_came_back(&ground, SOME).await;
    traffic.end(&ground, seed).await;
    the_record_is_whole(&ground).await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "tests/rollback builds the release before, and runs this"]
async fn a_fleet_is_updated_taken_back_and_updated_again_one_by_one() {
    let seed = seed();
    let (mut fleet, _folder) = Fleet::start(3, shared(), &[("PUBLIC__DRAIN_SECONDS", "1")]).await;
    let mut traffic = Traffic::start(&fleet.ground, PAUSE);
    for program in [before(), this()] {
        for number in 0..3 {
            traffic.until_more_came_back(&fleet.ground, SOME).await;
            fleet.replace(number, &program).await;
        }
    }
    traffic.until_more_came_back(&fleet.ground, SOME).await;
    traffic.end(&fleet.ground, seed).await;
    the_record_is_whole(&fleet.ground).await;
}
