//! Raw: what was written, key by key, the last layer winning.
//!
//! A *layer* is one source of values: the embedded file, the user's file, the environment. A later layer replaces a
//! key's value whole, lists too. Nothing is understood here; a value is only told apart by how it is spelt.

use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use toml::de::{DeInteger, DeTable, DeValue};
use zeroize::Zeroizing;

use super::keys::{self, ENV_PREFIX, Kind, Spelling};
use super::problem::{Problem, Problems};
use super::{DEFAULT_FILE, Sources};

/// Bytes of a configuration file; ours has 8 KiB, so a larger one is some other file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Bytes of a file that holds a secret; the longest list of keys takes a few KiB.
const SECRET_FILE_BYTES_MAX: u64 = 64 * 1024;

/// A value as it was spelt.
#[derive(Clone)]
pub(super) enum Raw {
    /// Text that a TOML string holds.
    Text(Zeroizing<String>),
    /// Text of the environment or a file: of whatever type the key wants.
    Word(Zeroizing<String>),
    /// A TOML integer.
    Whole(i64),
    /// A TOML float.
    Real(f64),
    /// A TOML boolean.
    Flag(bool),
    /// A list.
    List(Vec<Raw>),
    /// A TOML table.
    Table(BTreeMap<String, Raw>),
    /// The name of a file that holds the value.
    InFile(PathBuf),
    /// Something that no key holds, such as a date.
    Other(&'static str),
    /// Something whose problem has been told already.
    Told,
}

impl Raw {
    /// What this is, in a reader's words.
    pub(super) fn describe(&self) -> &'static str {
        match self {
            Self::Text(_) | Self::Word(_) => "text",
            Self::Whole(_) => "a whole number",
            Self::Real(_) => "a number",
            Self::Flag(_) => "true or false",
            Self::List(_) => "a list",
            Self::Table(_) => "a table",
            Self::InFile(_) => "a file",
            Self::Other(what) => what,
            Self::Told => "unreadable",
        }
    }
}

/// Where a value was found.
#[derive(Clone, Debug)]
pub(super) enum Place {
    /// The embedded file.
    Default,
    /// A line, counted from 1, of the user's file.
    Line(PathBuf, usize),
    /// A variable.
    Variable(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Line(file, line) => write!(f, "{} line {line}", file.display()),
            Self::Variable(name) => f.write_str(name),
        }
    }
}

/// A value and where it was found.
#[derive(Clone)]
pub(super) struct Written {
    pub(super) raw: Raw,
    pub(super) place: Place,
}

/// What was written, by key.
pub(super) type Values = BTreeMap<&'static str, Written>;

/// The layers, laid over one another.
pub(super) struct Layers {
    pub(super) values: Values,
    /// Whether every source could be read; if not, a key that has no value may have one there.
    pub(super) is_whole: bool,
}

/// Lays the three layers over one another and reads the files that winning secrets are in.
pub(super) fn collect(sources: &Sources, problems: &mut Problems) -> Layers {
    let embedded = from_toml(DEFAULT_FILE, None, problems);
    let users = sources.file.as_deref().map_or(Some(Values::new()), |path| from_file(path, problems));
    let is_whole = embedded.is_some() && users.is_some();
    let mut values = embedded.unwrap_or_default();
    values.extend(users.unwrap_or_default());
    values.extend(from_env(&sources.env, problems));
    for (path, written) in &mut values {
        if let Raw::InFile(file) = &written.raw {
            written.raw = from_secret_file(path, file).unwrap_or_else(|problem| {
                problems.push(problem.at(&written.place));
                Raw::Told
            });
        }
    }
    Layers { values, is_whole }
}

/// The layer of the user's file; `None` if it cannot be read.
fn from_file(path: &Path, problems: &mut Problems) -> Option<Values> {
    match read_file(path, FILE_BYTES_MAX) {
        Ok(text) => from_toml(&text, Some(path), problems),
        Err(why) => {
            problems.push(Problem::new(path.display().to_string(), format!("cannot be read: {why}")));
            None
        }
    }
}

/// One layer of values from a TOML text; `path` is `None` for the embedded one. `None` if it is not TOML.
fn from_toml(text: &str, path: Option<&Path>, problems: &mut Problems) -> Option<Values> {
    let place = |at: usize| match path {
        None => Place::Default,
        Some(path) => Place::Line(path.to_owned(), line_of(text, at)),
    };
    let name = path.map_or_else(|| "the embedded file".to_owned(), |path| path.display().to_string());
    let (document, errors) = DeTable::parse_recoverable(text);
    if !errors.is_empty() {
        let tell = |error: &toml::de::Error| {
            let problem = Problem::new(&name, format!("is not TOML: {}", error.message()));
            let line = error.span().map(|span| format!("line {}", line_of(text, span.start)));
            Problem { place: line, ..problem }
        };
        // The parser's own rendering quotes the line, and the line may hold a secret: only its sentence is told.
        problems.0.extend(errors.iter().map(tell));
        return None;
    }
    let mut found = Vec::new();
    flatten("", document.get_ref(), &mut found);
    found.sort_by_key(|leaf| leaf.at);
    let mut values = Values::new();
    for leaf in found {
        let place = place(leaf.at);
        match (keys::find(&leaf.path), leaf.value) {
            (Some(spelling), Some(value)) => {
                let raw = raw(value);
                lay(&mut values, spelling, Written { raw, place }, problems);
            }
            (_, None) => problems.push(Problem::new(leaf.path, "is a section, not a value").at(place)),
            (None, Some(_)) => problems.push(unknown(&leaf.path, "is not a key", Some).at(place)),
        }
    }
    Some(values)
}

/// Something written in a file: a value, or (`None`) a section's name used as one.
struct Leaf<'a> {
    path: String,
    value: Option<&'a DeValue<'a>>,
    at: usize,
}

fn flatten<'a>(section: &str, table: &'a DeTable<'a>, found: &mut Vec<Leaf<'a>>) {
    for (key, value) in table {
        let name = key.get_ref();
        let path = if section.is_empty() { name.to_string() } else { format!("{section}.{name}") };
        match (keys::is_section(&path), value.get_ref()) {
            (true, DeValue::Table(inner)) => flatten(&path, inner, found),
            (true, _) => found.push(Leaf { path, value: None, at: key.span().start }),
            (false, leaf) => found.push(Leaf { path, value: Some(leaf), at: key.span().start }),
        }
    }
}

/// Puts a value into its layer, unless the layer has one for the same key in the other spelling.
fn lay(values: &mut Values, spelling: Spelling, written: Written, problems: &mut Problems) {
    let path = spelling.key.path;
    let place = written.place;
    let raw = match (spelling.in_file, written.raw) {
        (true, Raw::Text(file) | Raw::Word(file)) => Raw::InFile(PathBuf::from(file.trim())),
        (true, other) => {
            let message = format!("must be the name of a file, not {}", other.describe());
            problems.push(Problem::new(format!("{path}_file"), message).at(&place));
            Raw::Told
        }
        (false, raw) => raw,
    };
    if let Some(first) = values.get(path) {
        let message = format!("is set twice, as a value and as a file ({} and {place})", first.place);
        problems.push(Problem::new(path, message).hint("keep one of the two"));
    }
    values.insert(path, Written { raw, place });
}

/// The layer of the environment. Only names that begin as ours do are looked at.
fn from_env(env: &BTreeMap<String, String>, problems: &mut Problems) -> Values {
    let mut values = Values::new();
    for (name, text) in env.iter().filter(|(name, _)| name.starts_with(ENV_PREFIX)) {
        let Some(spelling) = keys::find_env(name) else {
            let path = name.trim_start_matches(ENV_PREFIX).replace("__", ".");
            // A section has no variable of its own.
            let spell = |near: String| keys::find(&near).map(|_| keys::env_name(&near));
            problems.push(unknown(&path, "is not a variable of ours", spell).called(name));
            continue;
        };
        let raw = from_variable(spelling, text).unwrap_or_else(|problem| {
            problems.push(problem.at(name));
            Raw::Told
        });
        let place = Place::Variable(name.clone());
        lay(&mut values, spelling, Written { raw, place }, problems);
    }
    values
}

fn from_variable(spelling: Spelling, text: &str) -> Result<Raw, Problem> {
    let path = spelling.key.path;
    if text.contains(char::REPLACEMENT_CHARACTER) {
        return Err(Problem::new(path, "is not UTF-8"));
    }
    if text.trim().is_empty() {
        // A substitution that came out empty must not open a door or drop a setting without a word.
        return Err(Problem::new(path, "is empty").hint("remove the variable to keep what the file says"));
    }
    Ok(match spelling.key.kind {
        _ if spelling.in_file => word(text),
        Kind::One => word(text.trim()),
        Kind::Secret => word(text),
        Kind::List | Kind::SecretList => entries(text.split(',')),
        Kind::Tables => {
            let value = DeValue::parse(text).map_err(|error| {
                Problem::new(path, format!("is not TOML: {}", error.message())).hint(match path {
                    "flow.rules" => {
                        r#"write a list of tables: [{ name = "…", class = "final", contains = ["…"] }]"#
                    }
                    _ => r#"write a list of tables: [{ name = "…", url = "https://…", secrets = ["…"] }]"#,
                })
            })?;
            raw(value.get_ref())
        }
    })
}

/// The value of a secret that is in a file: all of it without its last line's end, or one entry a line.
fn from_secret_file(path: &str, file: &Path) -> Result<Raw, Problem> {
    let text = read_file(file, SECRET_FILE_BYTES_MAX)
        .map_err(|why| Problem::new(path, format!("the file {} cannot be read: {why}", file.display())))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.trim().is_empty() {
        return Err(Problem::new(path, format!("the file {} is empty", file.display())));
    }
    let is_list = keys::find(path).is_some_and(|spelling| spelling.key.kind == Kind::SecretList);
    Ok(if is_list { entries(text.lines()) } else { word(text) })
}

/// The entries, one a line, of a file that holds secrets and is named inside a table.
pub(super) fn secrets_in(file: &Path) -> Result<Vec<Zeroizing<String>>, String> {
    let text = read_file(file, SECRET_FILE_BYTES_MAX)
        .map_err(|why| format!("names the file {}, which cannot be read: {why}", file.display()))?;
    let lines = text.lines().map(str::trim).filter(|line| !line.is_empty());
    Ok(lines.map(|line| Zeroizing::new(line.to_owned())).collect())
}

fn word(text: &str) -> Raw {
    Raw::Word(Zeroizing::new(text.to_owned()))
}

fn entries<'a>(parts: impl Iterator<Item = &'a str>) -> Raw {
    Raw::List(parts.map(str::trim).filter(|part| !part.is_empty()).map(word).collect())
}

fn raw(value: &DeValue<'_>) -> Raw {
    match value {
        DeValue::String(text) => Raw::Text(Zeroizing::new(text.to_string())),
        DeValue::Integer(number) => whole(number).map_or(Raw::Other("a number too large"), Raw::Whole),
        DeValue::Float(number) => {
            number.as_str().parse().map_or(Raw::Other("an unreadable number"), Raw::Real)
        }
        DeValue::Boolean(flag) => Raw::Flag(*flag),
        DeValue::Array(items) => Raw::List(items.iter().map(|item| raw(item.get_ref())).collect()),
        DeValue::Table(table) => Raw::Table(
            table.iter().map(|(key, value)| (key.get_ref().to_string(), raw(value.get_ref()))).collect(),
        ),
        DeValue::Datetime(_) => Raw::Other("a date"),
    }
}

fn whole(number: &DeInteger<'_>) -> Option<i64> {
    i64::from_str_radix(number.as_str(), number.radix()).ok()
}

/// A name that spells no key, with the spelling that was probably meant, if `spell` has one for it.
fn unknown(path: &str, message: &str, spell: impl Fn(String) -> Option<String>) -> Problem {
    let problem = Problem::new(path.escape_debug().to_string(), message);
    match keys::nearest(path).and_then(spell) {
        Some(near) => problem.hint(format!("did you mean {near}?")),
        None => problem.hint("config/reinstate.toml lists every key"),
    }
}

impl Problem {
    /// The same problem under the name by which the reader knows it.
    fn called(self, name: &str) -> Self {
        Self { key: name.to_owned(), ..self }
    }
}

/// The text of a file that is no larger than `bytes_max`; the error is the end of a sentence.
fn read_file(path: &Path, bytes_max: u64) -> Result<Zeroizing<String>, String> {
    let file = File::open(path).map_err(|error| error.to_string())?;
    // With room from the start, a vector that grows leaves no copies of secrets behind.
    let size = file.metadata().map(|found| found.len()).unwrap_or_default().min(bytes_max);
    let mut bytes =
        Zeroizing::new(Vec::with_capacity(usize::try_from(size).unwrap_or_default().saturating_add(32)));
    file.take(bytes_max.saturating_add(1)).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    if u64::try_from(bytes.len()).is_ok_and(|length| length > bytes_max) {
        return Err(format!("it is larger than {} KiB", bytes_max / 1024));
    }
    let text = str::from_utf8(&bytes).map_err(|_| "it is not UTF-8".to_owned())?;
    Ok(Zeroizing::new(text.to_owned()))
}

/// The line, counted from 1, that holds the byte at `at`.
fn line_of(text: &str, at: usize) -> usize {
    text.bytes().take(at).filter(|byte| *byte == b'\n').count().saturating_add(1)
}
