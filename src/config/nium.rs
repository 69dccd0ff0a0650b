//! `[nium]`: whom to ask, as whom, and how fast.

use std::ops::RangeInclusive;
use std::time::Duration;

use uuid::Uuid;

use super::address::{base_url, is_plain_abroad, without_end_slash};
use super::problem::shown;
use super::reader::{HowTo, Reader, Told, choice, token};
use crate::secret::Secret;

/// Characters of an API key; Nium's have about 40.
const API_KEY_CHARS: RangeInclusive<usize> = 1..=512;

/// Characters of a client's name; it travels in a header.
const CLIENT_NAME_CHARS: RangeInclusive<usize> = 0..=64;

/// Requests a second; below one in a hundred seconds nothing would ever be done.
const REQUESTS_PER_SECOND: RangeInclusive<f64> = 0.01..=1000.0;

/// Requests that may go out at once after a quiet time.
const BURST: RangeInclusive<u64> = 1..=10_000;

/// Requests under way at the same time.
const CONCURRENCY: RangeInclusive<u64> = 1..=64;

/// Milliseconds to wait for a connection.
const CONNECT_MS: RangeInclusive<u64> = 100..=60_000;

/// Milliseconds for a whole request; a lease on a customer must outlive it, so it cannot be long.
const TIMEOUT_MS: RangeInclusive<u64> = 100..=120_000;

/// Milliseconds before an unclear write is looked at; more than ten minutes would keep the customer waiting.
const SETTLE_MS: RangeInclusive<u64> = 100..=600_000;

/// Minutes that an address at a vendor can be used, when Nium does not say; a week is longer than any vendor's.
const REDIRECT_MINUTES: RangeInclusive<u64> = 1..=10_080;

/// Nium, as seen by one client.
#[derive(Clone, Debug)]
pub struct Nium {
    /// Where Nium's API is, without a slash at its end. Plain http only towards this machine.
    pub base_url: String,
    /// Our id with Nium, part of every path.
    pub client_hash_id: Uuid,
    /// The key sent with every request.
    pub api_key: Secret,
    /// Our name with Nium for the header `x-client-name`; empty sends none.
    pub client_name: String,
    /// Under whose rules customers are onboarded.
    pub region: Option<Region>,
    /// Requests a second, on average.
    pub requests_per_second: f64,
    /// Requests that may go out at once after a quiet time.
    pub burst: u32,
    /// Requests under way at the same time.
    pub concurrency: u32,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// How long a request may take from its beginning to the last byte of the answer.
    pub timeout: Duration,
    /// Whether delivery and correspondence addresses of completed customers are sent to Nium.
    pub addresses_when_completed: bool,
    /// Whether reasons for a permanent block are sent that are newer than the ordered document.
    pub newer_block_reasons: bool,
    /// How long an address at a vendor can be used, when Nium does not say.
    pub redirect_lives: Duration,
    /// How long to let Nium settle after a write of unclear outcome before looking.
    pub settle: Duration,
}

/// Nium's regulatory region of a client.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Region {
    /// Singapore.
    Sg,
    /// The European Union.
    Eu,
    /// Australia.
    Au,
    /// Hong Kong.
    Hk,
    /// The United Kingdom.
    Uk,
    /// The United States.
    Us,
    /// Canada.
    Ca,
}

impl Region {
    /// Every region, by the word Nium uses.
    const ALL: [(&'static str, Self); 7] = [
        ("SG", Self::Sg),
        ("EU", Self::Eu),
        ("AU", Self::Au),
        ("HK", Self::Hk),
        ("UK", Self::Uk),
        ("US", Self::Us),
        ("CA", Self::Ca),
    ];

    /// The word Nium uses.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Sg => "SG",
            Self::Eu => "EU",
            Self::Au => "AU",
            Self::Hk => "HK",
            Self::Uk => "UK",
            Self::Us => "US",
            Self::Ca => "CA",
        }
    }
}

const CLIENT_HASH_ID: HowTo =
    HowTo { example: r#""1b2f7c1e-…""#, origin: "Nium gives it to you with the API key, as clientHashId" };

const API_KEY: HowTo =
    HowTo { example: r#""…""#, origin: "Nium gives it to you; it belongs into a secret store" };

pub(super) fn read(reader: &mut Reader) -> Result<Nium, Told> {
    let base_url = reader.value("nium.base_url", parse_base_url);
    let client_hash_id = reader.required("nium.client_hash_id", &CLIENT_HASH_ID, parse_client_hash_id);
    let api_key =
        reader.required("nium.api_key", &API_KEY, |text| token(text, &API_KEY_CHARS).map(Secret::from));
    let client_name = reader.value("nium.client_name", |text| token(text, &CLIENT_NAME_CHARS));
    let region = reader.optional("nium.region", |text| choice(text, &Region::ALL));
    let requests_per_second = reader.real("nium.requests_per_second", &REQUESTS_PER_SECOND);
    let burst = reader.whole("nium.burst", &BURST);
    let concurrency = reader.whole("nium.concurrency", &CONCURRENCY);
    let connect_timeout = reader.millis("nium.connect_timeout_ms", &CONNECT_MS);
    let timeout = reader.millis("nium.timeout_ms", &TIMEOUT_MS);
    let settle = reader.millis("nium.settle_ms", &SETTLE_MS);
    let addresses_when_completed = reader.flag("nium.addresses_when_completed");
    let newer_block_reasons = reader.flag("nium.newer_block_reasons");
    let redirect_minutes = reader.whole::<u64>("nium.redirect_minutes", &REDIRECT_MINUTES);
    if let (Ok(connect), Ok(whole)) = (connect_timeout, timeout)
        && whole < connect
    {
        let message = "is shorter than nium.connect_timeout_ms, so no slow connection would ever be used";
        reader.tell("nium.timeout_ms", message);
    }
    Ok(Nium {
        base_url: base_url?,
        client_hash_id: client_hash_id?,
        api_key: api_key?,
        client_name: client_name?,
        region: region?,
        requests_per_second: requests_per_second?,
        burst: burst?,
        concurrency: concurrency?,
        connect_timeout: connect_timeout?,
        timeout: timeout?,
        settle: settle?,
        addresses_when_completed: addresses_when_completed?,
        newer_block_reasons: newer_block_reasons?,
        redirect_lives: Duration::from_secs(redirect_minutes? * 60),
    })
}

fn parse_base_url(text: &str) -> Result<String, String> {
    let url = base_url(text)?;
    if is_plain_abroad(&url) {
        return Err(
            "must begin with https://: plain http is for this machine only, the API key would travel open"
                .to_owned(),
        );
    }
    Ok(without_end_slash(&url))
}

fn parse_client_hash_id(text: &str) -> Result<Uuid, String> {
    /// Characters of a hyphenated UUID; the parser would take other spellings too, Nium's paths do not.
    const UUID_CHARS: usize = 36;
    let id = Uuid::try_parse(text).ok().filter(|id| text.len() == UUID_CHARS && !id.is_nil());
    id.ok_or_else(|| format!("must be a UUID with hyphens, as Nium wrote it, not {}", shown(text)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_region_reads_back_as_it_is_written() {
        for (word, region) in Region::ALL {
            assert_eq!(word, region.as_str());
        }
    }

    #[test]
    fn a_client_hash_id_is_a_hyphenated_uuid() {
        assert!(parse_client_hash_id("0d6a1c54-7c1b-4b0e-8f38-3f1f2f6f9a01").is_ok());
        for text in
            ["", "0d6a1c547c1b4b0e8f383f1f2f6f9a01", "00000000-0000-0000-0000-000000000000", "client1"]
        {
            assert!(parse_client_hash_id(text).is_err(), "{text}");
        }
    }

    #[test]
    fn the_key_never_travels_in_plain() {
        assert_eq!(parse_base_url("http://127.0.0.1:4010/").as_deref(), Ok("http://127.0.0.1:4010"));
        assert!(parse_base_url("http://gateway.example.test").unwrap_err().contains("https://"));
    }
}
