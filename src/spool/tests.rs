use std::os::unix::fs::FileExt;

use proptest::prelude::*;

use super::record::HEAD_BYTES;
use super::*;
use crate::domain::id::{CustomerHashId, RequestId};
use crate::domain::nudge::Source;

const BYTES: u64 = 64 * 1024;

fn nudge(number: u8) -> Nudge {
    Nudge {
        customer: Some(CustomerHashId::from_bytes([number; 16])),
        looks: true,
        source: Source::Callback,
        request_id: RequestId::parse(&format!("request-{number}")),
        template: None,
    }
}

fn at(number: u8) -> Timestamp {
    Timestamp::from_millisecond(1_700_000_000_000 + i64::from(number)).unwrap()
}

fn open(folder: &Path) -> Spool {
    Spool::open(&Options { folder: folder.to_owned(), bytes: BYTES }).unwrap()
}

async fn everything(spool: &Spool) -> Vec<u8> {
    let mut found = Vec::new();
    let mut from = 0;
    loop {
        let page = spool.read(from, 3).await.unwrap();
        if page.next == from {
            return found;
        }
        from = page.next;
        for record in page.records {
            let number = record.nudge.customer.unwrap().as_bytes()[0];
            assert_eq!(record, Spooled { nudge: nudge(number), at: at(number) });
            found.push(number);
        }
    }
}

#[tokio::test]
async fn what_was_appended_is_there_after_a_restart_and_in_order() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    for number in 0..10 {
        spool.append(&nudge(number), at(number)).await.unwrap();
    }
    spool.close();
    drop(spool);
    let spool = open(folder.path());
    assert_eq!(spool.waiting(), 10);
    assert_eq!(everything(&spool).await, (0..10).collect::<Vec<_>>());
}

#[tokio::test]
async fn it_is_cleared_only_when_everything_was_read() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    spool.append(&nudge(1), at(1)).await.unwrap();
    let read = spool.read(0, 9).await.unwrap();
    spool.append(&nudge(2), at(2)).await.unwrap();
    assert!(!spool.clear(read.next).await.unwrap());
    assert_eq!(everything(&spool).await, [1, 2]);
    let read = spool.read(read.next, 9).await.unwrap();
    assert!(spool.clear(read.next).await.unwrap());
    assert_eq!((spool.waiting(), spool.bytes(), spool.has_room()), (0, 0, true));
    spool.append(&nudge(3), at(3)).await.unwrap();
    spool.close();
    drop(spool);
    assert_eq!(everything(&open(folder.path())).await, [3]);
}

#[tokio::test]
async fn a_full_spool_says_so_and_keeps_what_it_has() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut kept = 0_u64;
    let refused = loop {
        match spool.append(&nudge(7), at(7)).await {
            Ok(()) => kept += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, SpoolError::Full), "{refused}");
    assert!(!spool.has_room());
    assert_eq!(std::fs::metadata(folder.path().join(FILE)).unwrap().len(), BYTES);
    spool.close();
    drop(spool);
    assert_eq!(u64::try_from(everything(&open(folder.path())).await.len()).unwrap(), kept);
}

#[tokio::test]
async fn what_was_drained_takes_no_room_any_more() {
    let folder = tempfile::tempdir().unwrap();
    let spool = open(folder.path());
    let mut fills = Vec::new();
    for _ in 0..3 {
        let mut kept = 0;
        while spool.append(&nudge(7), at(7)).await.is_ok() {
            kept += 1;
        }
        fills.push(kept);
        let read = spool.read(0, usize::MAX).await.unwrap();
        assert!(spool.clear(read.next).await.unwrap());
    }
    assert!(fills[0] > 0 && fills.iter().all(|kept| *kept == fills[0]), "{fills:?}");
}

#[test]
fn two_processes_do_not_share_one() {
    let folder = tempfile::tempdir().unwrap();
    let _first = open(folder.path());
    let second = Spool::open(&Options { folder: folder.path().to_owned(), bytes: BYTES }).unwrap_err();
    assert!(matches!(second, SpoolError::InUse(_)), "{second}");
}

/// A journal of `count` records as it is on disk, and where each ends.
fn journal(count: u8) -> (Vec<u8>, Vec<usize>) {
    let mut bytes = Vec::new();
    let mut ends = Vec::new();
    for number in 0..count {
        bytes.extend(encode(&nudge(number), at(number)).unwrap());
        ends.push(bytes.len());
    }
    bytes.extend([0; 64]);
    (bytes, ends)
}

fn scanned(bytes: &[u8]) -> (Found, Vec<u8>) {
    let file = tempfile::tempfile().unwrap();
    file.write_all_at(bytes, 0).unwrap();
    let found = scan(&file).unwrap();
    let mut desk =
        Desk { file, tail: found.tail, records: found.records, bytes: BYTES, sign: Arc::default() };
    let page = desk.read(0, 1_000).unwrap();
    (found, page.records.iter().map(|record| record.nudge.customer.unwrap().as_bytes()[0]).collect())
}

proptest! {
    #[test]
    fn a_journal_cut_anywhere_gives_every_whole_record(count in 1_u8..20, cut in 0_usize..4_000) {
        let (bytes, ends) = journal(count);
        let cut = cut.min(bytes.len());
        let whole = ends.iter().filter(|end| **end <= cut).count();
        let (found, records) = scanned(&bytes[..cut]);
        prop_assert_eq!(found.damaged, 0);
        prop_assert_eq!(records, (0..u8::try_from(whole).unwrap()).collect::<Vec<_>>());
    }

    #[test]
    fn a_damaged_content_costs_only_its_own_record(count in 2_u8..20, hit in 0_u8..20, byte in 0_usize..100) {
        let (mut bytes, ends) = journal(count);
        let hit = hit % (count - 1);
        let begin = if hit == 0 { 0 } else { ends[usize::from(hit) - 1] };
        bytes[begin + HEAD_BYTES + byte % 100] ^= 0x20;
        let (found, records) = scanned(&bytes);
        prop_assert_eq!(found.damaged, 1);
        prop_assert_eq!(records, (0..count).filter(|number| *number != hit).collect::<Vec<_>>());
    }

    #[test]
    fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..3_000)) {
        let _ = scanned(&bytes);
    }
}
