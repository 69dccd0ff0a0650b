//! The last resort for a callback while the database is away: it is appended to a local journal, flushed to disk, and
//! recorded properly when the database is back.
//!
//! One file of a fixed size, written full of zeros when it is made, so that a full disk cannot take the place away.
//! Records stand one after the other: length, checksum, content; a zero length ends them. A record that was being
//! written when the power failed was never acknowledged: its checksum does not match, and it is passed over. When all
//! records have been drained the file is zeroed and begins again. Draining twice is harmless: a nudge that is on file
//! already only asks for one more look.
//!
//! One thread owns the file and flushes once for all who wait, like the store's writer.

use std::fs::File;
use std::io::{BufReader, ErrorKind, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::JoinHandle;

use jiff::Timestamp;
use tokio::sync::oneshot;
use uuid::Uuid;

use self::record::{RECORD_BYTES_MAX, decode, encode, next_record};
use crate::domain::nudge::Nudge;

pub mod record;

pub use self::record::Spooled;

/// The name of the file that says whose the folder is.
const OWNER: &str = "replica";
/// Where the name of this machine stands.
const MACHINE: &str = "/proc/sys/kernel/hostname";
/// The journal's name inside its folder.
const FILE: &str = "callbacks.spool";
/// The zero length that ends the records, in bytes.
const END_BYTES: usize = 4;
/// Callbacks that may wait for the journal at once.
const QUEUE_MAX: usize = 16_384;
/// Records flushed together at most.
const GROUP_MAX: usize = 512;
/// Zeros written at once.
static ZEROS: [u8; 64 * 1024] = [0; 64 * 1024];

/// Where the journal is, and how large.
#[derive(Clone, Debug)]
pub struct Options {
    /// The folder; it is created.
    pub folder: PathBuf,
    /// The size of the file, in bytes; a callback takes about 200.
    pub bytes: u64,
}

/// Why the spool did not do something.
#[derive(Clone, Debug, thiserror::Error)]
pub enum SpoolError {
    /// The folder or the file cannot be used.
    #[error("{0}: {1}")]
    File(String, String),
    /// Another process has it.
    #[error("{0} is in use by another `reinstate serve`; give each its own store.spool_dir")]
    InUse(String),
    /// Every byte is taken.
    #[error("the spool is full")]
    Full,
    /// It was closed, or its thread ended.
    #[error("the spool is closed")]
    Closed,
}

/// Some records, and where the next ones begin.
#[derive(Clone, Debug)]
pub struct Page {
    /// In the order in which they were appended.
    pub records: Vec<Spooled>,
    /// Where to read on.
    pub next: u64,
}

type Reply<T> = oneshot::Sender<Result<T, SpoolError>>;

enum Request {
    Append { record: Vec<u8>, reply: Reply<()> },
    Read { from: u64, most: usize, reply: Reply<Page> },
    Clear { upto: u64, reply: Reply<bool> },
    Stop,
}

/// What is told outside the thread without asking it.
#[derive(Debug, Default)]
struct Sign {
    records: AtomicU64,
    bytes: AtomicU64,
    has_room: AtomicBool,
    detour: AtomicBool,
}

/// A handle to the journal.
#[derive(Debug)]
pub struct Spool {
    requests: SyncSender<Request>,
    sign: Arc<Sign>,
    owner: String,
    thread: Mutex<Option<JoinHandle<()>>>,
}

impl Spool {
    /// Opens the journal, making it if it is not there, and finds out what waits in it. A disk without room for the
    /// whole file is only warned about: what fits is still worth having.
    pub fn open(options: &Options) -> Result<Self, SpoolError> {
        let path = options.folder.join(FILE);
        let file = open_alone(&options.folder, &path)?;
        let owner = owner(&options.folder)?;
        if let Err(error) = fill_with_zeros(&file, options.bytes) {
            tracing::warn!(path = %path.display(), %error, "the spool could not be given all of its space");
        }
        let found = scan(&file).map_err(|error| cannot(&path, &error))?;
        if found.damaged > 0 {
            tracing::error!(damaged = found.damaged, path = %path.display(), "spooled callbacks cannot be read");
        }
        if found.records > 0 {
            tracing::warn!(waiting = found.records, "callbacks of an earlier process wait in the spool");
        }
        let sign = Arc::new(Sign::default());
        let mut desk = Desk {
            file,
            tail: found.tail,
            records: found.records,
            bytes: options.bytes,
            sign: Arc::clone(&sign),
        };
        desk.show(true);
        let (requests, inbox) = sync_channel(QUEUE_MAX);
        let thread = std::thread::Builder::new()
            .name("spool".to_owned())
            .spawn(move || desk.serve(&inbox))
            .map_err(|error| cannot(&path, &error))?;
        Ok(Self { requests, sign, owner, thread: Mutex::new(Some(thread)) })
    }

    /// The name of whoever has this journal: the same after a restart, and nobody else's while we have it.
    #[must_use]
    pub fn owner(&self) -> &str {
        &self.owner
    }

    /// Law: when this returns, the nudge is on disk.
    pub async fn append(&self, nudge: &Nudge, at: Timestamp) -> Result<(), SpoolError> {
        let record = encode(nudge, at)?;
        let (reply, answer) = oneshot::channel();
        self.send(Request::Append { record, reply })?;
        answer.await.map_err(|_| SpoolError::Closed)?
    }

    /// At most `most` records from `from` on; 0 is the beginning.
    pub async fn read(&self, from: u64, most: usize) -> Result<Page, SpoolError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Read { from, most, reply })?;
        answer.await.map_err(|_| SpoolError::Closed)?
    }

    /// Law: forgets all records if none stands at or after `upto`; otherwise nothing changes, and false is returned.
    pub async fn clear(&self, upto: u64) -> Result<bool, SpoolError> {
        let (reply, answer) = oneshot::channel();
        self.send(Request::Clear { upto, reply })?;
        answer.await.map_err(|_| SpoolError::Closed)?
    }

    /// Records that wait to be drained.
    #[must_use]
    pub fn waiting(&self) -> u64 {
        self.sign.records.load(Ordering::Relaxed)
    }

    /// Bytes that they take.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.sign.bytes.load(Ordering::Relaxed)
    }

    /// Whether one more callback would be taken, as far as is known without trying.
    #[must_use]
    pub fn has_room(&self) -> bool {
        self.sign.has_room.load(Ordering::Relaxed)
    }

    /// Whether callbacks go here first, since the store failed and has not been seen well since.
    #[must_use]
    pub fn on_detour(&self) -> bool {
        self.sign.detour.load(Ordering::Relaxed)
    }

    /// Says whether callbacks go here first.
    pub fn set_detour(&self, detour: bool) {
        self.sign.detour.store(detour, Ordering::Relaxed);
    }

    /// Finishes what waits and ends the thread. Blocks until it has ended.
    pub fn close(&self) {
        let _ = self.requests.send(Request::Stop);
        if let Some(thread) = self.thread.lock().unwrap_or_else(PoisonError::into_inner).take()
            && thread.join().is_err()
        {
            tracing::error!("the spool's thread panicked");
        }
    }

    fn send(&self, request: Request) -> Result<(), SpoolError> {
        self.requests.try_send(request).map_err(|error| match error {
            TrySendError::Full(_) => SpoolError::Full,
            TrySendError::Disconnected(_) => SpoolError::Closed,
        })
    }
}

/// What the thread has in front of it.
struct Desk {
    file: File,
    /// Where the next record goes.
    tail: u64,
    records: u64,
    /// The size that the file may have.
    bytes: u64,
    sign: Arc<Sign>,
}

impl Desk {
    fn serve(&mut self, inbox: &Receiver<Request>) {
        while let Ok(first) = inbox.recv() {
            let mut appends = Vec::new();
            let mut next = Some(first);
            while let Some(Request::Append { record, reply }) = next {
                appends.push((record, reply));
                next = if appends.len() < GROUP_MAX { inbox.try_recv().ok() } else { None };
            }
            self.append(appends);
            match next {
                Some(Request::Read { from, most, reply }) => {
                    let _ = reply.send(self.read(from, most));
                }
                Some(Request::Clear { upto, reply }) => {
                    let _ = reply.send(self.clear(upto));
                }
                Some(Request::Stop) => break,
                Some(Request::Append { .. }) | None => {}
            }
        }
        // Closing alone leaves the lock with a child process that is just being started: it has all our files for a moment.
        let _ = self.file.unlock();
    }

    /// Writes what fits and flushes once; then everybody hears.
    fn append(&mut self, appends: Vec<(Vec<u8>, Reply<()>)>) {
        if appends.is_empty() {
            return;
        }
        let mut written = Vec::new();
        let (mut fitting, mut refused) = (Vec::new(), Vec::new());
        for (record, reply) in appends {
            let end = self.tail + length_of(written.len() + record.len() + END_BYTES);
            if end > self.bytes {
                refused.push(reply);
            } else {
                written.extend(record);
                fitting.push(reply);
            }
        }
        let taken = length_of(written.len());
        written.extend([0; END_BYTES]);
        let stored = match self.file.write_all_at(&written, self.tail).and_then(|()| self.file.sync_data()) {
            Ok(()) => {
                self.tail += taken;
                self.records += length_of(fitting.len());
                Ok(())
            }
            Err(error) => {
                // Once: the next callbacks of the same trouble are counted, not logged.
                if self.sign.has_room.load(Ordering::Relaxed) {
                    tracing::error!(%error, "the spool could not be written");
                }
                Err(SpoolError::File(FILE.to_owned(), error.to_string()))
            }
        };
        self.show(stored.is_ok());
        for reply in fitting {
            let _ = reply.send(stored.clone());
        }
        for reply in refused {
            let _ = reply.send(Err(SpoolError::Full));
        }
    }

    fn read(&mut self, from: u64, most: usize) -> Result<Page, SpoolError> {
        let failed = |error: std::io::Error| SpoolError::File(FILE.to_owned(), error.to_string());
        let mut reader = reader_at(&self.file, from).map_err(failed)?;
        let mut page = Page { records: Vec::new(), next: from };
        while page.records.len() < most && page.next < self.tail {
            let Some((content, length)) = next_record(&mut reader).map_err(failed)? else { break };
            page.next += length;
            page.records.extend(content.and_then(|content| decode(&content)));
        }
        Ok(page)
    }

    fn clear(&mut self, upto: u64) -> Result<bool, SpoolError> {
        if upto < self.tail {
            return Ok(false);
        }
        let zeroed = zero(&self.file, 0, self.tail).and_then(|()| self.file.sync_data());
        zeroed.map_err(|error| SpoolError::File(FILE.to_owned(), error.to_string()))?;
        self.tail = 0;
        self.records = 0;
        self.show(true);
        Ok(true)
    }

    fn show(&self, well: bool) {
        let longest = length_of(RECORD_BYTES_MAX + END_BYTES);
        self.sign.records.store(self.records, Ordering::Relaxed);
        self.sign.bytes.store(self.tail, Ordering::Relaxed);
        self.sign.has_room.store(well && self.tail + longest <= self.bytes, Ordering::Relaxed);
    }
}

#[derive(Debug, Default, PartialEq, Eq)]
struct Found {
    records: u64,
    damaged: u64,
    tail: u64,
}

fn scan(file: &File) -> std::io::Result<Found> {
    let mut reader = reader_at(file, 0)?;
    let mut found = Found::default();
    let mut torn = Found::default();
    while let Some((content, length)) = next_record(&mut reader)? {
        torn.tail += length;
        if content.as_deref().and_then(decode).is_some() {
            // What is damaged with a whole record after it was acknowledged; a damaged end never was.
            found = Found { records: found.records + 1, damaged: torn.damaged, tail: torn.tail };
        } else {
            torn.damaged += 1;
        }
    }
    Ok(found)
}

fn reader_at(file: &File, from: u64) -> std::io::Result<BufReader<File>> {
    let mut file = file.try_clone()?;
    file.seek(SeekFrom::Start(from))?;
    Ok(BufReader::new(file))
}

fn open_alone(folder: &Path, path: &Path) -> Result<File, SpoolError> {
    std::fs::create_dir_all(folder).map_err(|error| cannot(folder, &error))?;
    let file = File::options().read(true).write(true).create(true).truncate(false).open(path);
    let file = file.map_err(|error| cannot(path, &error))?;
    file.try_lock().map_err(|_| SpoolError::InUse(path.display().to_string()))?;
    // The name of a new file is only on disk when its folder is.
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(|error| cannot(folder, &error))?;
    Ok(file)
}

/// Reads whose the folder is, or makes that up. The machine's name is part of it: a folder that was copied to another
/// machine is another's.
fn owner(folder: &Path) -> Result<String, SpoolError> {
    let path = folder.join(OWNER);
    let failed = |error: std::io::Error| cannot(&path, &error);
    let id = match std::fs::read_to_string(&path) {
        Ok(text) if Uuid::try_parse(text.trim()).is_ok() => text.trim().to_owned(),
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(failed(error)),
        Ok(_) | Err(_) => {
            let (fresh, id) = (folder.join("replica.new"), Uuid::new_v4().to_string());
            std::fs::write(&fresh, &id).map_err(failed)?;
            File::open(&fresh).and_then(|file| file.sync_all()).map_err(failed)?;
            std::fs::rename(&fresh, &path).map_err(failed)?;
            id
        }
    };
    let machine = std::fs::read_to_string(MACHINE).unwrap_or_default();
    Ok(format!("{}/{id}", machine.trim()))
}

fn fill_with_zeros(file: &File, bytes: u64) -> std::io::Result<()> {
    let length = file.metadata()?.len();
    if length >= bytes {
        return Ok(());
    }
    zero(file, length, bytes)?;
    file.sync_all()
}

fn zero(file: &File, from: u64, upto: u64) -> std::io::Result<()> {
    let mut at = from;
    while at < upto {
        let zeros =
            ZEROS.get(..usize::try_from(upto - at).unwrap_or(ZEROS.len()).min(ZEROS.len())).unwrap_or(&ZEROS);
        file.write_all_at(zeros, at)?;
        at += length_of(zeros.len());
    }
    Ok(())
}

fn length_of(bytes: usize) -> u64 {
    u64::try_from(bytes).unwrap_or(u64::MAX)
}

fn cannot(path: &Path, error: &std::io::Error) -> SpoolError {
    SpoolError::File(path.display().to_string(), error.to_string())
}

#[cfg(test)]
mod tests;
