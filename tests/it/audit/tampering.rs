//! Every way to change the record behind the service's back, and what `audit verify` says about it.

use reqwest::Method;
use serde_json::{Value, json};

use super::{busy, done, linked, run, said, verify, with_tables};
use crate::house::{House, TOKEN};

/// What is done to the tables, what must be said.
struct Tampering {
    sql: String,
    says: Vec<String>,
}

fn tampering(sql: impl Into<String>, says: &[&str]) -> Tampering {
    Tampering { sql: sql.into(), says: says.iter().map(|text| (*text).to_owned()).collect() }
}

fn swapped(one: i64, other: i64) -> String {
    format!(
        "UPDATE audit SET seq = -1 WHERE seq = {one}; UPDATE audit SET seq = {one} WHERE seq = {other};
         UPDATE audit SET seq = {other} WHERE seq = -1"
    )
}

/// Every way to change the record that its tables allow; `end` is the last place.
fn every_tampering(end: i64) -> Vec<Tampering> {
    let content = "row 5 was edited: its customer or its detail";
    let rest = "row 5 was edited, or stands in another's place";
    let cut = format!("rows {} to {end} are missing", end - 1);
    let head_before = format!(
        "UPDATE audit_head SET seq = {0}, mac = (SELECT mac FROM audit WHERE seq = {0});
         DELETE FROM audit WHERE seq > {0}",
        end - 2
    );
    let ends_early = format!("it ends at row {}, and the database's checkpoint", end - 2);
    vec![
        tampering("UPDATE audit SET detail = '{\"word\":\"offer\"}' WHERE seq = 5", &[content]),
        tampering("UPDATE audit SET customer = NULL WHERE seq = 5", &[content]),
        tampering("UPDATE audit SET salt = commitment WHERE seq = 5", &[content]),
        tampering("UPDATE audit SET actor = 'somebody' WHERE seq = 5", &[rest]),
        tampering("UPDATE audit SET what = 'nothing' WHERE seq = 5", &[rest]),
        tampering("UPDATE audit SET at = at + 1 WHERE seq = 5", &[rest]),
        tampering("UPDATE audit SET mac = commitment WHERE seq = 5", &[rest]),
        tampering("UPDATE audit SET key_id = 'k9' WHERE seq = 5", &["row 5 needs the master key `k9`"]),
        tampering(swapped(3, 6), &["row 3 was recorded as row 6", "row 6 was recorded as row 3"]),
        tampering(swapped(4, 5), &["row 4 was recorded as row 5", "row 5 was recorded as row 4"]),
        tampering("DELETE FROM audit WHERE seq = 4", &["row 4 is missing"]),
        tampering("DELETE FROM audit WHERE seq = 1", &["row 1 is missing"]),
        tampering("DELETE FROM audit WHERE seq BETWEEN 3 AND 6", &["rows 3 to 6 are missing"]),
        tampering(format!("DELETE FROM audit WHERE seq >= {}", end - 1), &[&cut]),
        tampering(head_before, &["where the chain ends was changed", &ends_early]),
        tampering("DELETE FROM audit_head", &["the note of where the chain ends is missing"]),
        tampering("DELETE FROM audit", &["the chain was cut off"]),
        tampering(
            format!("UPDATE audit SET seq = {} WHERE seq = {end}", end + 7),
            &["are missing", "the service has linked"],
        ),
        tampering(
            "UPDATE audit SET customer = NULL, detail = NULL, salt = NULL, erased_at = 1 WHERE seq = 5",
            &["1 rows are erased, and erasures of 0 are recorded"],
        ),
        tampering(
            "UPDATE audit_checkpoint SET seq = seq - 1 WHERE number = 1",
            &["checkpoint 1 of", "was changed"],
        ),
        tampering("UPDATE audit_checkpoint SET at = at + 1 WHERE number = 1", &["was changed"]),
        tampering("UPDATE audit_checkpoint SET mac = signature WHERE number = 1", &["was changed"]),
        tampering("DELETE FROM audit_checkpoint WHERE number = 1", &["checkpoints 1 to 1 are missing"]),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn whatever_is_changed_in_the_tables_is_found_and_named() {
    let folder = tempfile::tempdir().unwrap();
    let (house, _) = busy(folder.path()).await;
    let end = house.database.number("SELECT max(seq) FROM audit");
    let whole = || {
        let (code, told) = verify(&house, &[]);
        assert!(code == 0 && told.contains("the audit record is whole"), "{code} {told}");
    };
    whole();
    for Tampering { sql, says } in every_tampering(end) {
        with_tables(&house, &sql, || {
            let (code, told) = verify(&house, &[]);
            assert_eq!(code, 1, "{sql}: {told}");
            for text in says {
                assert!(told.contains(&text), "{sql}: no `{text}` in\n{told}");
            }
            // Nobody who did nothing is accused: of two rows that changed places both are named, and no third.
            if sql.contains("seq = -1") {
                assert_eq!(
                    told.matches("was recorded as").count() + told.matches("edited").count(),
                    2,
                    "{told}"
                );
            }
        });
    }
    whole();
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_only_the_file_of_checkpoints_knows_is_found_with_it() {
    let folder = tempfile::tempdir().unwrap();
    let (house, file) = busy(folder.path()).await;
    let with_file = ["--checkpoints", file.to_str().unwrap()];
    let (code, told) = verify(&house, &with_file);
    assert_eq!(code, 0, "{told}");
    let text = std::fs::read_to_string(&file).unwrap();
    assert!(text.lines().count() >= 2, "{text}");
    // A backup of everything from before that is put back: only the file remembers.
    let early = "DELETE FROM audit_checkpoint WHERE number > 1;
         DELETE FROM audit WHERE seq > (SELECT seq FROM audit_checkpoint);
         UPDATE audit_head SET seq = (SELECT seq FROM audit_checkpoint), mac = (SELECT mac FROM audit_checkpoint)";
    with_tables(&house, early, || {
        let (code, told) = verify(&house, &with_file);
        assert_eq!(code, 1, "{told}");
        assert!(told.contains("the chain was cut off") && told.contains("the file's checkpoint"), "{told}");
        assert!(told.contains("is in the file and not in the database"), "{told}");
    });
    let mut first: Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
    first["seq"] = json!(first["seq"].as_i64().unwrap() + 1);
    let half = text.lines().last().unwrap();
    for (changed, wanted) in [
        (format!("{first}\n"), "the file's checkpoint 1"),
        ("{\"number\": 1}\n".to_owned(), "is not a checkpoint"),
        ("hello\n".to_owned(), "line 1 of"),
    ] {
        std::fs::write(&file, changed).unwrap();
        let (code, told) = verify(&house, &with_file);
        assert!(code == 1 && told.contains(wanted), "{told}");
    }
    // A crash in the middle of a line is no crime.
    std::fs::write(&file, format!("{text}{}", &half[..half.len() / 2])).unwrap();
    let (code, told) = verify(&house, &with_file);
    assert!(code == 0 && told.contains("was cut short"), "{told}");
    // And what comes next stands on a line of its own; what was lost is written again.
    std::fs::write(&file, format!("{}\n{}", text.lines().next().unwrap(), &half[..half.len() / 2])).unwrap();
    let house = house.restart().await;
    let lines = || std::fs::read_to_string(&file).unwrap().lines().count();
    house.eventually("the file has caught up", async || lines() > text.lines().count()).await;
    let (code, told) = verify(&house, &with_file);
    assert_eq!(code, 0, "{told}");
    let missing = run(&house, &["audit", "verify", "--checkpoints", "nowhere.jsonl"], &[]);
    assert!(
        missing.status.code() == Some(1) && said(&missing).contains("nowhere.jsonl"),
        "{}",
        said(&missing)
    );
    house.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_changed_end_is_not_built_upon_and_the_service_goes_on() {
    let house = House::start().await;
    let id = house.rejected("Ana").await;
    linked(&house).await;
    let before = house.database.number("SELECT seq FROM audit_head");
    house.database.sql("UPDATE audit_head SET seq = seq - 1").unwrap();
    let path = format!("/v1/customers/{id}/decision");
    done(&house, TOKEN, Method::POST, &path, json!({ "decision": "final" })).await;
    house.until(&id, "finally_rejected").await;
    let house = house.restart().await;
    assert!(house.metric("reinstate_audit_unlinked").await > 0, "nothing follows an end that nobody signed");
    assert_eq!(verify(&house, &[]).0, 1);
    house.database.sql(&format!("UPDATE audit_head SET seq = {before}")).unwrap();
    linked(&house).await;
    let (code, told) = verify(&house, &[]);
    assert_eq!(code, 0, "{told}");
    house.close().await;
}
