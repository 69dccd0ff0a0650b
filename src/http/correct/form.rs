//! Reads what a browser sends: `multipart/form-data` with files. Everything has a limit; a file over its limit is read to
//! its end and thrown away, so that the browser gets an answer and not a broken connection.

use axum::extract::Multipart;
use axum::extract::multipart::Field;

use crate::domain::documents::{FILE_BYTES_MAX, FILE_NAME_CHARS_MAX};

/// Most parts of a form; ours have fewer than a hundred.
const PARTS_MAX: usize = 400;
/// Largest entry that is not a file, in bytes.
const TEXT_BYTES_MAX: usize = 4 * 1024;

/// A file that was sent with a form.
pub(super) enum File {
    /// Its name and its bytes.
    Whole(String, Vec<u8>),
    /// It has more bytes than Nium takes.
    TooLarge,
}

/// What a form held, in its order.
#[derive(Default)]
pub(super) struct Form {
    texts: Vec<(String, String)>,
    files: Vec<(String, File)>,
}

/// Why a form was not read.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum FormFault {
    /// It is larger than the route takes.
    TooLarge,
    /// It is none of ours, or broke off.
    Broken,
}

impl Form {
    /// Reads a form to its end.
    pub(super) async fn read(mut parts: Multipart) -> Result<Self, FormFault> {
        let fault = |error: axum::extract::multipart::MultipartError| {
            if error.status() == axum::http::StatusCode::PAYLOAD_TOO_LARGE {
                FormFault::TooLarge
            } else {
                FormFault::Broken
            }
        };
        let mut form = Self::default();
        let mut count = 0;
        while let Some(part) = parts.next_field().await.map_err(fault)? {
            count += 1;
            let Some(name) = part.name().map(str::to_owned).filter(|_| count <= PARTS_MAX) else {
                return Err(FormFault::Broken);
            };
            if let Some(file_name) = part.file_name().map(str::to_owned) {
                let bytes = up_to(part, FILE_BYTES_MAX).await.map_err(fault)?;
                match bytes {
                    // A control in which no file was chosen sends an empty one.
                    Some(bytes) if bytes.is_empty() => {}
                    Some(bytes) => form.files.push((name, File::Whole(plain_name(&file_name), bytes))),
                    None => form.files.push((name, File::TooLarge)),
                }
            } else {
                let bytes = up_to(part, TEXT_BYTES_MAX).await.map_err(fault)?;
                let text = bytes.and_then(|bytes| String::from_utf8(bytes).ok());
                form.texts.push((name, text.ok_or(FormFault::Broken)?));
            }
        }
        Ok(form)
    }

    /// One entry, without its outer white space.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.texts.iter().find(|(known, _)| known == name).map(|(_, text)| text.trim())
    }

    /// Every entry of this name.
    pub(super) fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        self.texts.iter().filter(move |(known, _)| known == name).map(|(_, text)| text.trim())
    }

    /// The names of entries that begin like this, without the beginning.
    pub(super) fn names<'a>(&'a self, prefix: &'a str) -> impl Iterator<Item = &'a str> {
        self.texts.iter().filter_map(move |(name, _)| name.strip_prefix(prefix))
    }

    /// Takes the files of these names out.
    pub(super) fn take_files(&mut self, names: &[String]) -> Vec<File> {
        let (taken, left) =
            std::mem::take(&mut self.files).into_iter().partition(|(name, _)| names.contains(name));
        self.files = left;
        let taken: Vec<(String, File)> = taken;
        taken.into_iter().map(|(_, file)| file).collect()
    }
}

/// The bytes of a part; `None` if there are more than `most`.
async fn up_to(
    mut part: Field<'_>,
    most: usize,
) -> Result<Option<Vec<u8>>, axum::extract::multipart::MultipartError> {
    let mut bytes = Vec::new();
    let mut whole = true;
    while let Some(chunk) = part.chunk().await? {
        whole = whole && bytes.len().saturating_add(chunk.len()) <= most;
        if whole {
            bytes.extend_from_slice(&chunk);
        } else {
            bytes = Vec::new();
        }
    }
    Ok(whole.then_some(bytes))
}

/// The name of a file without folders and without what could mislead; some browsers send a whole path.
fn plain_name(name: &str) -> String {
    let last = name.rsplit(['/', '\\']).next().unwrap_or_default();
    let plain: String = last
        .chars()
        .filter(|c| c.is_alphanumeric() || " ._-()".contains(*c))
        .take(FILE_NAME_CHARS_MAX)
        .collect();
    let plain = plain.trim().trim_start_matches('.').to_owned();
    if plain.is_empty() { "document".to_owned() } else { plain }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_has_no_folders_and_misleads_nobody() {
        assert_eq!(plain_name("C:\\fakepath\\pass port.jpg"), "pass port.jpg");
        assert_eq!(plain_name("../../etc/passwd"), "passwd");
        assert_eq!(plain_name("a\u{202e}gpj.exe<script>"), "agpj.exescript");
        assert_eq!(plain_name("...."), "document");
        assert_eq!(plain_name(&"n".repeat(500)).len(), FILE_NAME_CHARS_MAX);
    }
}
