//! `[admin]` `sign_on_…`: people who come through a proxy that knows who they are.

use ipnet::IpNet;

use super::address::range;
use super::callback::parse_header_name;
use super::reader::{Reader, Told};

/// Characters of a name or group.
const NAME_CHARS: std::ops::RangeInclusive<usize> = 1..=200;

/// Whose word is taken for who comes, and what they may do.
#[derive(Clone, Debug)]
pub struct SignOn {
    /// The header with the name.
    pub header: String,
    /// The header with the groups.
    pub groups_header: Option<String>,
    /// Where the proxy is.
    pub from: Vec<IpNet>,
    /// Names and groups of administrators; `*` is everybody.
    pub admins: Vec<String>,
    /// Names and groups of officers.
    pub officers: Vec<String>,
    /// Names and groups of those who only read.
    pub viewers: Vec<String>,
}

pub(super) fn read(reader: &mut Reader) -> Result<Option<SignOn>, Told> {
    const HEADER: &str = "admin.sign_on_header";
    const FROM: &str = "admin.sign_on_from";
    let header = reader.optional(HEADER, parse_header_name);
    let groups_header = reader.optional("admin.sign_on_groups_header", parse_header_name);
    let from = reader.list(FROM, proxies);
    let admins = reader.list("admin.sign_on_admins", name);
    let officers = reader.list("admin.sign_on_officers", name);
    let viewers = reader.list("admin.sign_on_viewers", name);
    let (header, from) = (header?, from?);
    let Some(header) = header else {
        if !from.is_empty() {
            return Err(reader.tell(HEADER, format!("is missing: {FROM} needs it")));
        }
        return Ok(None);
    };
    if from.is_empty() {
        let message = format!("is missing: {HEADER} is believed from named addresses only");
        let hint = "name the proxy's address, such as [\"10.0.0.7/32\"]; whoever else can reach the admin listener \
            could claim to be anybody";
        return Err(reader.tell_with_hint(FROM, message, hint));
    }
    let (admins, officers, viewers) = (admins?, officers?, viewers?);
    Ok(Some(SignOn { header, groups_header: groups_header?, from, admins, officers, viewers }))
}

fn proxies(text: &str) -> Result<IpNet, String> {
    let range = range(text)?;
    if range.prefix_len() == 0 {
        return Err("names every address there is: anybody could claim to be anybody".to_owned());
    }
    Ok(range)
}

fn name(text: &str) -> Result<String, String> {
    if NAME_CHARS.contains(&text.chars().count()) && !text.chars().any(char::is_control) {
        return Ok(text.to_owned());
    }
    Err(format!("must have {} to {} characters", NAME_CHARS.start(), NAME_CHARS.end()))
}
