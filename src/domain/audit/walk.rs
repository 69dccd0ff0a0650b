//! Reading a chain from its beginning, page by page, and saying what was changed and where.

use std::collections::BTreeMap;

use serde::Serialize;

use super::{BEGINNING, Checkpoint, ERASED, Entry, Head, Keys, Mac, commitment, link_text};

/// Findings that are told one by one; more are counted.
pub const FINDINGS_MAX: usize = 50;
/// Rows that do not fit among which is looked for rows that changed places.
const MOVED_AMONG: usize = 24;

/// What kind of change was found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum FindingKind {
    /// A row is not what was recorded.
    Edited,
    /// A row stands in another's place.
    Moved,
    /// Rows are missing in the middle.
    Missing,
    /// Rows are missing at the end.
    Truncated,
    /// A checkpoint is not what was signed, or is missing.
    Checkpoint,
    /// The chain is not the one that a checkpoint saw.
    Rewritten,
    /// The note of where the chain ends was changed.
    Head,
    /// More rows are erased than erasures were recorded.
    Erased,
    /// A row cannot be read.
    Unreadable,
    /// The key that is needed is not configured.
    UnknownKey,
}

/// One thing that was found.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Of what kind.
    pub kind: FindingKind,
    /// The place in the chain, if it is about one.
    pub seq: Option<i64>,
    /// A sentence.
    pub text: String,
}

/// What a walk came to.
#[derive(Clone, Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Verdict {
    /// Rows that were read.
    pub rows: u64,
    /// Those among them whose person was erased.
    pub erased: u64,
    /// Checkpoints that were compared.
    pub checkpoints: u64,
    /// What was found, at most [`FINDINGS_MAX`].
    pub findings: Vec<Finding>,
    /// Findings beyond those.
    pub more: u64,
}

impl Verdict {
    fn add(&mut self, kind: FindingKind, seq: Option<i64>, text: String) {
        if self.findings.len() < FINDINGS_MAX {
            self.findings.push(Finding { kind, seq, text });
        } else {
            self.more += 1;
        }
    }
}

/// Where a checkpoint comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Source {
    /// The database.
    Stored,
    /// A file beside it.
    File,
}

impl Source {
    fn name(self) -> &'static str {
        match self {
            Self::Stored => "the database's checkpoint",
            Self::File => "the file's checkpoint",
        }
    }
}

/// A row that is not what was recorded in its place.
struct Broken {
    entry: Entry,
    previous: Vec<u8>,
}

/// A walk under way.
pub struct Walk<'k> {
    keys: &'k Keys,
    /// The place that the next row should have.
    next: i64,
    /// The MAC of the row before it; `None` after a gap.
    previous: Option<Vec<u8>>,
    /// Checkpoints by the place that they are about.
    checkpoints: BTreeMap<i64, Vec<(Source, Checkpoint)>>,
    broken: Vec<Broken>,
    recorded_erasures: u64,
    verdict: Verdict,
}

impl<'k> Walk<'k> {
    /// A walk that compares with these checkpoints.
    pub fn new(keys: &'k Keys, checkpoints: impl IntoIterator<Item = (Source, Checkpoint)>) -> Self {
        let mut walk = Self {
            keys,
            next: 1,
            previous: Some(BEGINNING.to_vec()),
            checkpoints: BTreeMap::new(),
            broken: Vec::new(),
            recorded_erasures: 0,
            verdict: Verdict::default(),
        };
        let (mut stored, mut filed): (Vec<Checkpoint>, Vec<Checkpoint>) = (Vec::new(), Vec::new());
        for (source, checkpoint) in checkpoints {
            walk.verdict.checkpoints += 1;
            if walk.is_signed(source, &checkpoint) {
                walk.checkpoints.entry(checkpoint.seq).or_default().push((source, checkpoint.clone()));
            }
            match source {
                Source::Stored => stored.push(checkpoint),
                Source::File => filed.push(checkpoint),
            }
        }
        walk.no_checkpoint_is_missing(&mut stored, &filed);
        walk
    }

    fn is_signed(&mut self, source: Source, checkpoint: &Checkpoint) -> bool {
        let Checkpoint { number, seq, at, key_id, .. } = checkpoint;
        let name = format!("{} {number} of {at}", source.name());
        match (self.keys)(key_id, &checkpoint.text()) {
            Some(signature) if signature.as_slice() == checkpoint.signature => return true,
            Some(_) => {
                let text = format!("{name} (row {seq}) was changed: its signature does not fit it");
                self.verdict.add(FindingKind::Checkpoint, Some(*seq), text);
            }
            None => self.unknown_key(Some(*seq), &name, key_id),
        }
        false
    }

    /// A line of a file that is no checkpoint.
    pub fn strange_line(&mut self, place: &str) {
        let text = format!("{place} is not a checkpoint: it was changed");
        self.verdict.add(FindingKind::Checkpoint, None, text);
    }

    /// Stored checkpoints are numbered from 1 without a gap, and a file holds none that was not stored.
    fn no_checkpoint_is_missing(&mut self, stored: &mut [Checkpoint], filed: &[Checkpoint]) {
        stored.sort_by_key(|checkpoint| checkpoint.number);
        let mut next = 1;
        for checkpoint in stored.iter() {
            if checkpoint.number > next {
                let last = checkpoint.number - 1;
                let text = format!("checkpoints {next} to {last} are missing in the database");
                self.verdict.add(FindingKind::Checkpoint, None, text);
            }
            next = checkpoint.number.saturating_add(1);
        }
        for checkpoint in filed.iter().filter(|filed| filed.number >= next) {
            let text = format!(
                "checkpoint {} (row {}) is in the file and not in the database",
                checkpoint.number, checkpoint.seq
            );
            self.verdict.add(FindingKind::Checkpoint, Some(checkpoint.seq), text);
        }
    }

    fn unknown_key(&mut self, seq: Option<i64>, what: &str, key_id: &str) {
        let text = format!(
            "{what} needs the master key `{key_id}`, which is not configured; put it back into privacy.master_keys"
        );
        self.verdict.add(FindingKind::UnknownKey, seq, text);
    }

    /// The next row, in the order of `seq`.
    pub fn row(&mut self, entry: Entry) {
        self.verdict.rows += 1;
        self.reach(entry.seq);
        self.has_its_content(&entry);
        let previous = self.previous.take();
        // After a gap the MAC before is not known: the row is taken as it is, and the next is compared with it.
        if let Some(previous) = previous {
            self.has_its_place(&entry, previous);
        }
        self.is_as_checkpointed(&entry);
        self.next = entry.seq.saturating_add(1);
        self.previous = Some(entry.mac);
    }

    /// A row that cannot be read.
    pub fn unreadable(&mut self, seq: i64, why: &str) {
        self.verdict.rows += 1;
        self.reach(seq);
        self.verdict.add(FindingKind::Unreadable, Some(seq), format!("row {seq} cannot be read: {why}"));
        self.next = seq.saturating_add(1);
        self.previous = None;
    }

    fn reach(&mut self, seq: i64) {
        if seq > self.next {
            let (first, last) = (self.next, seq - 1);
            self.verdict.add(FindingKind::Missing, Some(first), missing(first, last));
            self.previous = None;
        } else if seq < self.next {
            let text = format!("row {seq} stands where no row can stand");
            self.verdict.add(FindingKind::Edited, Some(seq), text);
        }
    }

    /// The commitment fits whom the row is about and its particulars.
    fn has_its_content(&mut self, entry: &Entry) {
        let seq = entry.seq;
        if entry.erased_at.is_some() {
            self.verdict.erased += 1;
            if entry.customer.is_some() || entry.detail.is_some() || entry.salt.is_some() {
                let text = format!("row {seq} was edited: it says that it is erased and still has content");
                self.verdict.add(FindingKind::Edited, Some(seq), text);
            }
            return;
        }
        let salt = entry.salt.as_deref().unwrap_or_default();
        let fits = commitment(salt, entry.customer.as_deref(), entry.detail.as_deref()).as_slice()
            == entry.commitment;
        if !fits {
            let text = format!("row {seq} was edited: its customer or its detail is not what was recorded");
            self.verdict.add(FindingKind::Edited, Some(seq), text);
        } else if entry.what == ERASED {
            self.erasure(entry.detail.as_deref());
        }
    }

    /// What a row says that tells of erased rows; also one that waits for its place yet.
    pub fn erasure(&mut self, detail: Option<&str>) {
        let detail: Option<serde_json::Value> = detail.and_then(|text| serde_json::from_str(text).ok());
        let rows = detail.as_ref().and_then(|detail| detail.get("rows")?.as_u64());
        self.recorded_erasures = self.recorded_erasures.saturating_add(rows.unwrap_or_default());
    }

    /// The MAC fits the place, the row before, and what is never erased.
    fn has_its_place(&mut self, entry: &Entry, previous: Vec<u8>) {
        match self.mac_of(entry, entry.seq, &previous) {
            Some(mac) if mac.as_slice() == entry.mac => {}
            // Said at the end, when it is known whether the row stood elsewhere.
            Some(_) if self.broken.len() < MOVED_AMONG => {
                self.broken.push(Broken { entry: entry.clone(), previous });
            }
            Some(_) => self.edited(entry),
            None => self.unknown_key(Some(entry.seq), &format!("row {}", entry.seq), &entry.key_id),
        }
    }

    fn edited(&mut self, entry: &Entry) {
        let seq = entry.seq;
        let text = format!(
            "row {seq} was edited, or stands in another's place: its time, actor, what, commitment or MAC is not what \
             was recorded there"
        );
        self.verdict.add(FindingKind::Edited, Some(seq), text);
    }

    fn mac_of(&self, entry: &Entry, seq: i64, previous: &[u8]) -> Option<Mac> {
        let text = link_text(seq, previous, entry.at, &entry.actor, &entry.what, &entry.commitment);
        (self.keys)(&entry.key_id, &text)
    }

    fn is_as_checkpointed(&mut self, entry: &Entry) {
        for (source, checkpoint) in self.checkpoints.remove(&entry.seq).unwrap_or_default() {
            if checkpoint.mac != entry.mac {
                let text = format!(
                    "row {} is not the one that {} {} of {} saw: the chain was written anew",
                    entry.seq,
                    source.name(),
                    checkpoint.number,
                    checkpoint.at
                );
                self.verdict.add(FindingKind::Rewritten, Some(entry.seq), text);
            }
        }
    }

    /// The end of the chain: whether everything is there that the head and the checkpoints saw.
    #[must_use]
    pub fn finish(mut self, head: Option<&Head>) -> Verdict {
        self.tell_broken();
        let last = self.next.saturating_sub(1);
        self.ends_at_head(head, last);
        let beyond: Vec<_> = self.checkpoints.split_off(&self.next).into_values().flatten().collect();
        if let Some((source, checkpoint)) = beyond.last() {
            let text = format!(
                "the chain was cut off: it ends at row {last}, and {} {} of {} saw row {}",
                source.name(),
                checkpoint.number,
                checkpoint.at,
                checkpoint.seq
            );
            self.verdict.add(FindingKind::Truncated, Some(self.next), text);
        }
        if self.verdict.erased > self.recorded_erasures {
            let text = format!(
                "{} rows are erased, and erasures of {} are recorded: the others were cleared by somebody else",
                self.verdict.erased, self.recorded_erasures
            );
            self.verdict.add(FindingKind::Erased, None, text);
        }
        self.verdict
    }

    fn ends_at_head(&mut self, head: Option<&Head>, last: i64) {
        let Some(head) = head else {
            if last > 0 {
                let text = "the note of where the chain ends is missing".to_owned();
                self.verdict.add(FindingKind::Head, None, text);
            }
            return;
        };
        match (self.keys)(&head.key_id, &head.text()) {
            Some(signature) if signature.as_slice() == head.signature => {}
            Some(_) => {
                let text = "the note of where the chain ends was changed: its signature does not fit it";
                self.verdict.add(FindingKind::Head, Some(head.seq), text.to_owned());
            }
            None => self.unknown_key(Some(head.seq), "the note of where the chain ends", &head.key_id),
        }
        if head.seq > last {
            let text = format!("the chain was cut off: {}", missing(self.next, head.seq));
            self.verdict.add(FindingKind::Truncated, Some(self.next), text);
        } else if head.seq < last {
            let text = format!("the chain has {last} rows, and the service has linked {}", head.seq);
            self.verdict.add(FindingKind::Head, Some(head.seq), text);
        } else if self.previous.as_ref().is_some_and(|mac| *mac != head.mac) {
            let text = format!("the last row, {last}, is not the one that the service linked");
            self.verdict.add(FindingKind::Head, Some(last), text);
        }
    }

    /// Rows that do not fit their places: each was edited, or has its place elsewhere among them, or only follows one of
    /// those.
    fn tell_broken(&mut self) {
        let broken = std::mem::take(&mut self.broken);
        // What may have stood before one of them: what stands there, what they carry, and what they should carry.
        let mut before: Vec<Vec<u8>> = Vec::new();
        for Broken { entry, previous } in &broken {
            let should = self.mac_of(entry, entry.seq, previous).map(|mac| mac.to_vec());
            before.extend([Some(previous.clone()), Some(entry.mac.clone()), should].into_iter().flatten());
        }
        let stood_at = |walk: &Self, entry: &Entry, seq: i64| {
            let mut macs = before.iter().filter_map(|previous| walk.mac_of(entry, seq, previous));
            macs.any(|mac| mac.as_slice() == entry.mac)
        };
        for Broken { entry, .. } in &broken {
            if stood_at(self, entry, entry.seq) {
                continue;
            }
            match broken.iter().map(|other| other.entry.seq).find(|seq| stood_at(self, entry, *seq)) {
                Some(was) => {
                    let text = format!("row {} was recorded as row {was}: the order was changed", entry.seq);
                    self.verdict.add(FindingKind::Moved, Some(entry.seq), text);
                }
                None => self.edited(entry),
            }
        }
    }
}

fn missing(first: i64, last: i64) -> String {
    if first == last {
        format!("row {first} is missing")
    } else {
        format!("rows {first} to {last} are missing")
    }
}
