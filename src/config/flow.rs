//! `[flow]`: how often and how long a rejected customer may try, and what Nium's remarks mean.

use std::ops::RangeInclusive;

use super::problem::shown;
use super::reader::{Reader, Told, choice};
use super::tables::{self, Table, keep, text, texts};

/// Submissions of one customer; Nium rejects a hopeless one again at once, so ten is far beyond use.
const MAX_SUBMISSIONS: RangeInclusive<u64> = 1..=10;

/// Days an offer stays open; after a year the documents on file are stale.
const CORRECTION_DAYS: RangeInclusive<u64> = 1..=365;

/// Days that a request for information may stay unanswered.
const RFI_DAYS: RangeInclusive<u64> = 1..=365;

/// Reminders of one offer.
const REMINDERS_MAX: usize = 10;

/// Characters of a phrase; a remark has a few hundred.
const PHRASE_CHARS_MAX: usize = 200;

/// Characters of a rule's name; it appears in metrics and in a case's history.
const NAME_CHARS_MAX: usize = 64;

/// What to do with rejected customers.
#[derive(Clone, Debug)]
pub struct Flow {
    /// How many submissions a customer has.
    pub max_submissions: u32,
    /// How many days an offer stays open.
    pub correction_days: u32,
    /// Days after an offer on which the customer is reminded of it.
    pub remind_after_days: Vec<u32>,
    /// How many days a request for information may stay unanswered before an officer is asked.
    pub rfi_days: u32,
    /// What to do when no rule knows Nium's remark.
    pub unknown_remark: UnknownRemark,
    /// What takes a second person's approval.
    pub second_person: Vec<SecondPerson>,
    /// What remarks mean; the first rule that matches decides.
    pub rules: Vec<Rule>,
}

/// What happens to a customer whose rejection no rule explains.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum UnknownRemark {
    /// The customer is told and offered reinstatement.
    Offer,
    /// An officer decides first.
    Officer,
}

/// Something that one officer alone may not do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondPerson {
    /// Blocking an account for good.
    PermanentBlock,
    /// Offering a way back after a final rejection.
    OverrideFinal,
}

/// What a remark means if it holds one of these phrases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rule {
    /// The name under which the rule appears in a case's history.
    pub name: String,
    /// Whether the customer can do something about it.
    pub class: RuleClass,
    /// Phrases, any of which is enough. They match whole words in any case; punctuation counts as a space.
    pub contains: Vec<String>,
    /// Fields of Unified Add Customer to correct, likeliest first; empty opens the whole application. Empty for a final
    /// rule.
    pub fields: Vec<String>,
}

/// Whether a rejected customer can do something about it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleClass {
    /// A correction may help.
    Fixable,
    /// Resubmitting does not help.
    Final,
}

const RULES: &str = "flow.rules";

pub(super) fn read(reader: &mut Reader) -> Result<Flow, Told> {
    let max_submissions = reader.whole("flow.max_submissions", &MAX_SUBMISSIONS);
    let correction_days = reader.whole("flow.correction_days", &CORRECTION_DAYS);
    let remind_after_days = read_reminders(reader);
    let rfi_days = reader.whole("flow.rfi_days", &RFI_DAYS);
    let unknown_remark = reader.value("flow.unknown_remark", |text| {
        choice(text, &[("offer", UnknownRemark::Offer), ("officer", UnknownRemark::Officer)])
    });
    let second_person = reader.list("flow.second_person", |text| {
        choice(
            text,
            &[
                ("permanent_block", SecondPerson::PermanentBlock),
                ("override_final", SecondPerson::OverrideFinal),
            ],
        )
    });
    let rules = read_rules(reader);
    Ok(Flow {
        max_submissions: max_submissions?,
        correction_days: correction_days?,
        remind_after_days: remind_after_days?,
        rfi_days: rfi_days?,
        unknown_remark: unknown_remark?,
        second_person: second_person?,
        rules: rules?,
    })
}

fn read_reminders(reader: &mut Reader) -> Result<Vec<u32>, Told> {
    const KEY: &str = "flow.remind_after_days";
    let days = reader.whole_list(KEY, &CORRECTION_DAYS)?;
    if days.len() > REMINDERS_MAX {
        return Err(reader.tell(KEY, format!("has more than {REMINDERS_MAX} entries; nobody reads so many")));
    }
    Ok(days)
}

fn read_rules(reader: &mut Reader) -> Result<Vec<Rule>, Told> {
    tables::each(reader, RULES, "rule", &[], read_rule, |rule| &rule.name)
}

/// One rule; every fault of it is collected, and `None` means that there was one.
fn read_rule(table: &Table, faults: &mut Vec<String>) -> Option<Rule> {
    const KEYS: [&str; 4] = ["name", "class", "contains", "fields"];
    tables::only(table, &KEYS, "a rule", faults);
    let name = keep(faults, text(table, "name").and_then(|text| tables::name(text, NAME_CHARS_MAX)));
    let class = keep(faults, text(table, "class").and_then(parse_class));
    let contains = keep(faults, texts(table, "contains").and_then(|phrases| parse_phrases(&phrases)));
    let fields = keep(faults, texts(table, "fields").and_then(|fields| parse_fields(&fields)));
    if class == Some(RuleClass::Final) && fields.as_ref().is_some_and(|fields| !fields.is_empty()) {
        faults.push("is final, so its fields would never be asked for".to_owned());
    }
    Some(Rule { name: name?, class: class?, contains: contains?, fields: fields? })
}

fn parse_class(text: &str) -> Result<RuleClass, String> {
    choice(text, &[("fixable", RuleClass::Fixable), ("final", RuleClass::Final)])
        .map_err(|why| format!("has a class that {why}"))
}

fn parse_phrases(phrases: &[&str]) -> Result<Vec<String>, String> {
    if phrases.is_empty() {
        return Err("contains no phrase, so it would never match".to_owned());
    }
    let sound = |phrase: &&str| phrase.len() <= PHRASE_CHARS_MAX && phrase.chars().any(char::is_alphanumeric);
    match phrases.iter().find(|phrase| !sound(phrase)) {
        Some(phrase) => {
            Err(format!("contains the phrase {}, which has no word or is too long", shown(phrase)))
        }
        None => Ok(phrases.iter().map(|&phrase| phrase.to_owned()).collect()),
    }
}

fn parse_fields(fields: &[&str]) -> Result<Vec<String>, String> {
    let sound = |field: &&str| {
        field.starts_with(|first: char| first.is_ascii_lowercase())
            && field.bytes().all(|byte| byte.is_ascii_alphanumeric())
    };
    match fields.iter().find(|field| !sound(field)) {
        Some(field) => Err(format!("has the field {}, which is not a name such as firstName", shown(field))),
        None => Ok(fields.iter().map(|&field| field.to_owned()).collect()),
    }
}
