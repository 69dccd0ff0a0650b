//! Checks of single values. Each gives the value back in the form in which it is kept, or says what is wrong with it.
//! `at` is the field's name, or the path of a part of it, for the problem.

use std::collections::BTreeSet;

use jiff::civil::Date;
use serde_json::{Map, Value, json};

use super::{FieldProblem, TEXT_CHARS_MAX};

/// Longest e-mail address, in characters (contract section 9).
pub const EMAIL_CHARS_MAX: usize = 60;
/// Most digits of a mobile number (contract section 9).
pub const MOBILE_DIGITS_MAX: usize = 20;
/// Most tags of a customer (contract section 12.3).
pub const TAGS_MAX: usize = 15;
/// Longest key of a tag, in characters (contract section 12.3).
pub const TAG_KEY_CHARS_MAX: usize = 128;
/// Longest value of a tag, in characters (contract section 12.3).
pub const TAG_VALUE_CHARS_MAX: usize = 256;
/// Most entries of a list for which Nium states no limit: one for every country is more than anybody needs.
pub const ENTRIES_MAX: usize = 249;

/// A real calendar date written `YYYY-MM-DD`, and no other of the forms that ISO 8601 knows.
#[must_use]
pub fn read_date(text: &str) -> Option<Date> {
    let digits = |(position, byte): (usize, u8)| match position {
        4 | 7 => byte == b'-',
        _ => byte.is_ascii_digit(),
    };
    if text.len() != 10 || !text.bytes().enumerate().all(digits) {
        return None;
    }
    text.parse().ok()
}

/// A text without its outer white space, or what is wrong with it. Lengths count Unicode scalar values.
pub(in crate::domain) fn text(
    at: &str,
    value: &Value,
    chars_min: usize,
    chars_max: usize,
) -> Result<String, FieldProblem> {
    let Value::String(text) = value else {
        return Err(FieldProblem::new(at, "give a text in quotes"));
    };
    let text = text.trim();
    let chars = text.chars().count();
    if chars < chars_min {
        return Err(FieldProblem::new(at, "fill in this field"));
    }
    if chars > chars_max {
        return Err(FieldProblem::new(at, format!("use at most {chars_max} characters")));
    }
    if text.chars().any(is_hidden) {
        return Err(FieldProblem::new(at, "leave out line breaks, control and text-direction characters"));
    }
    Ok(text.to_owned())
}

/// A country code, or what is wrong with it.
pub(in crate::domain) fn country(at: &str, value: &Value) -> Result<String, FieldProblem> {
    let wrong = || FieldProblem::new(at, "give an ISO 3166 country code of two capital letters, such as SG");
    let code = text(at, value, 0, TEXT_CHARS_MAX).map_err(|_| wrong())?;
    if is_listed(COUNTRIES, &code) { Ok(code) } else { Err(wrong()) }
}

/// A date in the form in which it came, or what is wrong with it.
pub(in crate::domain) fn date(at: &str, value: &Value) -> Result<String, FieldProblem> {
    let wrong = || FieldProblem::new(at, "give a date of the calendar as YYYY-MM-DD, such as 1990-02-03");
    let date = text(at, value, 0, TEXT_CHARS_MAX).map_err(|_| wrong())?;
    if read_date(&date).is_some() { Ok(date) } else { Err(wrong()) }
}

/// One of a few words, or what is wrong with it.
pub(in crate::domain) fn one_of(at: &str, value: &Value, words: &[&str]) -> Result<String, FieldProblem> {
    let word = value.as_str().map(str::trim).filter(|word| words.contains(word));
    let wrong = || FieldProblem::new(at, format!("choose one of {}", words.join(", ")));
    word.map(str::to_owned).ok_or_else(wrong)
}

/// The entries of an object that has no keys but these, or what is wrong with it.
pub(in crate::domain) fn entries<'a>(
    at: &str,
    value: &'a Value,
    keys: &[&str],
) -> Result<&'a Map<String, Value>, FieldProblem> {
    let Value::Object(entries) = value else {
        return Err(FieldProblem::new(at, format!("give an object with {}", keys.join(", "))));
    };
    match entries.keys().find(|key| !keys.contains(&key.as_str())) {
        Some(_) => Err(FieldProblem::new(at, format!("use no other keys than {}", keys.join(", ")))),
        None => Ok(entries),
    }
}

/// The entries of a list, or what is wrong with it.
pub(in crate::domain) fn list<'a>(
    at: &str,
    value: &'a Value,
    entries_max: usize,
) -> Result<&'a [Value], FieldProblem> {
    match value {
        Value::Array(list) if list.len() <= entries_max => Ok(list),
        Value::Array(_) => Err(FieldProblem::new(at, format!("give at most {entries_max} entries"))),
        _ => Err(FieldProblem::new(at, "give a list in square brackets")),
    }
}

/// An e-mail address, by its shape.
pub(super) fn email(at: &str, value: &Value) -> Result<String, FieldProblem> {
    let email = text(at, value, 1, EMAIL_CHARS_MAX)?;
    let shape = email.split_once('@').is_some_and(|(local, domain)| {
        let labels = domain.split('.').all(|label| !label.is_empty());
        !local.is_empty() && labels && domain.contains('.') && !domain.contains('@')
    });
    if shape && !email.contains(char::is_whitespace) {
        Ok(email)
    } else {
        Err(FieldProblem::new(at, "give an e-mail address, such as name@example.com"))
    }
}

/// Digits of a mobile number.
pub(super) fn mobile(at: &str, value: &Value) -> Result<String, FieldProblem> {
    let wrong = || {
        let message = format!("give 1 to {MOBILE_DIGITS_MAX} digits in quotes, without the country's prefix");
        FieldProblem::new(at, message)
    };
    let mobile = text(at, value, 1, MOBILE_DIGITS_MAX).map_err(|_| wrong())?;
    if mobile.bytes().all(|byte| byte.is_ascii_digit()) { Ok(mobile) } else { Err(wrong()) }
}

/// A currency code, by its shape.
pub(super) fn currency(at: &str, value: &Value) -> Result<String, FieldProblem> {
    let code = value.as_str().map(str::trim);
    let code = code.filter(|code| code.len() == 3 && code.bytes().all(|byte| byte.is_ascii_uppercase()));
    let wrong =
        || FieldProblem::new(at, "give an ISO 4217 currency code of three capital letters, such as SGD");
    code.map(str::to_owned).ok_or_else(wrong)
}

/// One of Nium's occupation codes.
pub(super) fn occupation(at: &str, value: &Value) -> Result<String, FieldProblem> {
    let code = value.as_str().map(str::trim);
    let code =
        code.filter(|code| code.strip_prefix("OC").is_some_and(|digits| is_listed(OCCUPATIONS, digits)));
    let wrong = || FieldProblem::new(at, "give one of Nium's occupation codes: OC and four digits");
    code.map(str::to_owned).ok_or_else(wrong)
}

/// A list of country codes.
pub(super) fn countries(at: &str, value: &Value) -> Result<Value, FieldProblem> {
    let list = list(at, value, ENTRIES_MAX)?.iter().enumerate();
    list.map(|(position, code)| country(&format!("{at}[{position}]"), code).map(Value::from)).collect()
}

/// A list of tax numbers by country.
pub(super) fn tax_details(at: &str, value: &Value) -> Result<Value, FieldProblem> {
    let list = list(at, value, ENTRIES_MAX)?.iter().enumerate();
    list.map(|(position, detail)| {
        let at = format!("{at}[{position}]");
        let detail = entries(&at, detail, &["countryOfResidence", "taxIdNumber"])?;
        // Half of one says nothing: a number belongs to a country.
        let part = |name: &str| detail.get(name).unwrap_or(&Value::Null);
        let country = country(&format!("{at}.countryOfResidence"), part("countryOfResidence"))?;
        let number = text(&format!("{at}.taxIdNumber"), part("taxIdNumber"), 1, TEXT_CHARS_MAX)?;
        Ok(json!({ "countryOfResidence": country, "taxIdNumber": number }))
    })
    .collect()
}

/// A list of tags, each key once.
pub(super) fn tags(at: &str, value: &Value) -> Result<Value, FieldProblem> {
    let mut seen = BTreeSet::new();
    let mut kept = Vec::new();
    for (position, tag) in list(at, value, TAGS_MAX)?.iter().enumerate() {
        let at = format!("{at}[{position}]");
        let tag = entries(&at, tag, &["key", "value"])?;
        let part = |name: &str, chars_min, chars_max| {
            text(&format!("{at}.{name}"), tag.get(name).unwrap_or(&Value::Null), chars_min, chars_max)
        };
        let (key, value) = (part("key", 1, TAG_KEY_CHARS_MAX)?, part("value", 0, TAG_VALUE_CHARS_MAX)?);
        kept.push(json!({ "key": key, "value": value }));
        if !seen.insert(key) {
            return Err(FieldProblem::new(&at, "give every tag once"));
        }
    }
    Ok(Value::Array(kept))
}

/// An object of texts.
pub(super) fn texts(at: &str, value: &Value) -> Result<Value, FieldProblem> {
    let Value::Object(object) = value else {
        return Err(FieldProblem::new(at, "give an object of texts"));
    };
    if object.len() > ENTRIES_MAX {
        return Err(FieldProblem::new(at, format!("give at most {ENTRIES_MAX} entries")));
    }
    let mut kept = Map::new();
    for (key, value) in object {
        if key.chars().count() > TAG_KEY_CHARS_MAX || key.chars().any(is_hidden) {
            let message =
                format!("use keys of at most {TAG_KEY_CHARS_MAX} characters, without control characters");
            return Err(FieldProblem::new(at, message));
        }
        kept.insert(key.clone(), text(&format!("{at}.{key}"), value, 0, TEXT_CHARS_MAX)?.into());
    }
    Ok(Value::Object(kept))
}

/// Control characters, line separators, and the marks that make a text read in another order than it is written.
pub(in crate::domain) fn is_hidden(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn is_listed(list: &str, code: &str) -> bool {
    list.split_ascii_whitespace().any(|listed| listed == code)
}

/// ISO 3166-1 alpha-2: the 249 codes that are assigned.
const COUNTRIES: &str = "
    AD AE AF AG AI AL AM AO AQ AR AS AT AU AW AX AZ BA BB BD BE BF BG BH BI BJ BL BM BN BO BQ BR BS BT BV BW
    BY BZ CA CC CD CF CG CH CI CK CL CM CN CO CR CU CV CW CX CY CZ DE DJ DK DM DO DZ EC EE EG EH ER ES ET FI
    FJ FK FM FO FR GA GB GD GE GF GG GH GI GL GM GN GP GQ GR GS GT GU GW GY HK HM HN HR HT HU ID IE IL IM IN
    IO IQ IR IS IT JE JM JO JP KE KG KH KI KM KN KP KR KW KY KZ LA LB LC LI LK LR LS LT LU LV LY MA MC MD ME
    MF MG MH MK ML MM MN MO MP MQ MR MS MT MU MV MW MX MY MZ NA NC NE NF NG NI NL NO NP NR NU NZ OM PA PE PF
    PG PH PK PL PM PN PR PS PT PW PY QA RE RO RS RU RW SA SB SC SD SE SG SH SI SJ SK SL SM SN SO SR SS ST SV
    SX SY SZ TC TD TF TG TH TJ TK TL TM TN TO TR TT TV TW TZ UA UG UM US UY UZ VA VC VE VG VI VN VU WF WS YE
    YT ZA ZM ZW
";

/// Nium's occupation codes, without the `OC` before each.
const OCCUPATIONS: &str = "
    0001 1001 1002 1003 1110 1120 1201 1210 1211 1220 1310 1311 1320 1410 1411 1420 1430 1440 2001 2110 2111
    2112 2120 2121 2122 2123 2130 2131 2132 2133 2139 2210 2211 2221 2222 2223 2230 2231 3001 3110 3111 3112
    3120 3130 3210 3211 3212 3220 3310 4001 4002 4003 4004 4110 4120 4121 4122 4130 4131 4132 4140 4210 4220
    4310 4320 4410 4420 4510 5001 5110 5111 5112 5210 5211 5212 5310 5311 5312 5320 5410 5510 6001 6002 6003
    6004 6201 6202 6210 6220 6310 6320 6321 6322 6410 6420 6430 6431 6432 6440 6441 6510 6520 6521 6522 6531
    6532 7001 7002 7201 7202 7210 7220 7230 7231 7232 7240 7241 7242 7250 7260 7299 7310 7311 7320 7330 7331
    7340 7410 7420 7510 7511 7520 7521 8001 8002 8201 8202 8203 8310 8311 8312 8410 8411 8412 8510 8511 8512
    9001 9201 9202 9210 9310 9320 9410 9411 9412 9413 9414 9415 9420 9421 9510
";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lists_of_codes_are_whole() {
        assert_eq!(COUNTRIES.split_ascii_whitespace().count(), 249);
        assert_eq!(OCCUPATIONS.split_ascii_whitespace().count(), 162);
    }
}
