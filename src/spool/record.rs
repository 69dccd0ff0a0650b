//! One record of the spool: length, checksum, content.

use std::io::{ErrorKind, Read};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::SpoolError;
use crate::domain::id::{CustomerHashId, RequestId};
use crate::domain::nudge::{Nudge, Source, Template};

/// Content of one record at most, in bytes; the longest that the intake makes is under 400.
const CONTENT_BYTES_MAX: usize = 1024;
/// Length and checksum before the content, in bytes.
pub(super) const HEAD_BYTES: usize = 8;
/// A whole record at most, in bytes.
pub const RECORD_BYTES_MAX: usize = HEAD_BYTES + CONTENT_BYTES_MAX;

/// A nudge as it was spooled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spooled {
    /// What knocked.
    pub nudge: Nudge,
    /// When.
    pub at: Timestamp,
}

/// The content of a record.
#[derive(Serialize, Deserialize)]
struct Content {
    at: i64,
    customer: Option<[u8; 16]>,
    looks: bool,
    source: String,
    request_id: Option<String>,
    template: Option<String>,
}

/// One record, as it is appended. Fails if it is longer than [`RECORD_BYTES_MAX`].
pub fn encode(nudge: &Nudge, at: Timestamp) -> Result<Vec<u8>, SpoolError> {
    let content = Content {
        at: at.as_millisecond(),
        customer: nudge.customer.as_ref().map(|customer| *customer.as_bytes()),
        looks: nudge.looks,
        source: nudge.source.as_str().to_owned(),
        request_id: nudge.request_id.as_ref().map(|id| id.as_str().to_owned()),
        template: nudge.template.as_ref().map(|template| template.as_str().to_owned()),
    };
    let content = serde_json::to_vec(&content).ok().filter(|content| content.len() <= CONTENT_BYTES_MAX);
    let content = content
        .ok_or_else(|| SpoolError::File(super::FILE.to_owned(), "a callback is too long".to_owned()))?;
    let length = u32::try_from(content.len()).unwrap_or(u32::MAX);
    let mut record = Vec::with_capacity(HEAD_BYTES + content.len());
    record.extend(length.to_le_bytes());
    record.extend(crc32fast::hash(&content).to_le_bytes());
    record.extend(content);
    Ok(record)
}

/// The nudge in the content of a record; `None` if it is none.
#[must_use]
pub fn decode(content: &[u8]) -> Option<Spooled> {
    let content: Content = serde_json::from_slice(content).ok()?;
    let nudge = Nudge {
        customer: content.customer.map(CustomerHashId::from_bytes),
        looks: content.looks,
        source: Source::parse(&content.source)?,
        request_id: content.request_id.as_deref().and_then(RequestId::parse),
        template: content.template.as_deref().map(Template::keep),
    };
    Some(Spooled { nudge, at: Timestamp::from_millisecond(content.at).ok()? })
}

/// The next record: its content, unless the checksum says that it is damaged, and how many bytes it takes. `None` at
/// the end, which is also where nothing sensible can be read.
pub fn next_record(reader: &mut impl Read) -> std::io::Result<Option<(Option<Vec<u8>>, u64)>> {
    let mut head = [0; HEAD_BYTES];
    if !read_whole(reader, &mut head)? {
        return Ok(None);
    }
    let [a, b, c, d, checksum @ ..] = head;
    let length = usize::try_from(u32::from_le_bytes([a, b, c, d])).unwrap_or(usize::MAX);
    if length == 0 || length > CONTENT_BYTES_MAX {
        return Ok(None);
    }
    let mut content = vec![0; length];
    if !read_whole(reader, &mut content)? {
        return Ok(None);
    }
    let whole = crc32fast::hash(&content) == u32::from_le_bytes(checksum);
    Ok(Some((whole.then_some(content), super::length_of(HEAD_BYTES + length))))
}

/// False if the file ends before `buffer` is full.
fn read_whole(reader: &mut impl Read, buffer: &mut [u8]) -> std::io::Result<bool> {
    match reader.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}
