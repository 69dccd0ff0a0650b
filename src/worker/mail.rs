//! E-mail to customers, by SMTP. A message is an effect like any other: stored with the decision, sent until a server has
//! taken it, always with the same `Message-ID`, so that one that was sent and not written down arrives as the same.
//!
//! What stands in a message comes from the closed set of texts, and its address is looked up when it is sent: a customer who
//! has corrected their address is written to at the new one. The link's token is sealed in the effect until it is delivered.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::ArcSwap;
use askama::Template;
use jiff::Timestamp;
use lettre::Message;
use lettre::address::Address;
use lettre::message::header::{ContentType, HeaderName, HeaderValue};
use lettre::message::{Mailbox, MultiPart, SinglePart};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

use super::smtp::{Refused, Security, Server};
use super::{WorkError, Worker};
use crate::domain::application::Application;
use crate::domain::case::Case;
use crate::domain::correction::on_file;
use crate::domain::decision::Tell;
use crate::domain::effect::{EffectKey, Event};
use crate::domain::id::CustomerHashId;
use crate::domain::link::{open_until, stop_url_of, url_of};
use crate::domain::snapshot::{CustomerKind, Snapshot};
use crate::domain::texts::{Language, Mail, Texts};
use crate::flow::retry::backoff;
use crate::store::rows::events::{NewDelivery, NewMail, TellLane, TellLease, TellOutcome};
use crate::store::rows::links::NewLink;
use crate::vault::{Place, fresh_token};

/// The one destination of the lane: the mail server.
pub(super) const DESTINATION: &str = "smtp";
/// Who makes the links that stand in messages, in the timeline.
const MADE_BY: &str = "e-mail";
/// The longest wait between two attempts at one message.
const MAIL_BACKOFF_MAX: Duration = Duration::from_hours(1);
/// Attempts at one message: with the waits between them, about three days.
const MAIL_ATTEMPTS_MAX: u32 = 80;

/// Which mail server, and how messages look.
pub struct Options {
    /// The server's name.
    pub host: String,
    /// Its port.
    pub port: u16,
    /// How the connection is kept private.
    pub security: Security,
    /// User and password.
    pub credentials: Option<(String, Zeroizing<String>)>,
    /// An authority of the client's own, as PEM, beside those of the system.
    pub authority: Option<Vec<u8>>,
    /// Who writes: `Name <address>` or an address.
    pub from: String,
    /// The total time limit of one attempt.
    pub limit: Duration,
    /// Where customers reach the hosted page; no slash at the end.
    pub page_url: String,
    /// The client's name.
    pub name: String,
    /// The client's colour: red, green, blue.
    pub colour: [u8; 3],
    /// Where customers may ask.
    pub contact: Option<String>,
    /// The language of messages.
    pub language: Language,
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Options").field("port", &self.port).finish_non_exhaustive()
    }
}

/// Why a [`Mailer`] cannot be made.
#[derive(Debug, thiserror::Error)]
pub enum MailerError {
    /// The sender is no address.
    #[error("notify.email.from is no address: {0}")]
    From(#[from] lettre::address::AddressError),
    /// The connection cannot be set up.
    #[error("the connection to the mail server cannot be set up: {0}")]
    Smtp(#[from] lettre::transport::smtp::Error),
}

/// A mail server that messages can be handed to.
pub struct MailServer(Arc<Server>);

impl fmt::Debug for MailServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("MailServer")
    }
}

impl MailServer {
    /// The server that `options` name.
    pub fn new(options: &Options) -> Result<Self, MailerError> {
        let server = Server::new(
            (&options.host, options.port),
            options.security,
            options.authority.as_deref(),
            options.credentials.as_ref(),
            options.limit,
        )?;
        Ok(Self(Arc::new(server)))
    }
}

/// Writes to customers.
pub struct Mailer {
    server: ArcSwap<Server>,
    from: Mailbox,
    options: Options,
}

impl fmt::Debug for Mailer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Mailer")
    }
}

impl Mailer {
    /// A mailer for one server.
    pub fn new(options: Options) -> Result<Self, MailerError> {
        let from: Mailbox = options.from.parse()?;
        let server = MailServer::new(&options)?;
        Ok(Self { server: ArcSwap::new(server.0), from, options })
    }

    /// Messages go to this server from now on; those under way go on where they are.
    pub fn renew(&self, server: MailServer) {
        self.server.store(server.0);
    }

    /// Whether the server talks to us and takes our login; nothing is sent. The error is a sentence.
    pub async fn knock(&self) -> Result<(), String> {
        self.server.load_full().knock().await
    }
}

/// What a message is about; the word is kept in the database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Topic {
    Offer,
    Reminder,
    Refused,
    Rfi,
    Received,
    Reinstated,
    Closed,
}

impl Topic {
    /// What a customer is written about; most of what the backend hears is not for them.
    fn of(tell: &Tell) -> Option<Self> {
        match (tell.event, tell.reason) {
            (Event::CorrectionRequested, "reminder") => Some(Self::Reminder),
            (Event::CorrectionRequested, "content_refused") => Some(Self::Refused),
            (Event::CorrectionRequested, _) => Some(Self::Offer),
            (Event::RfiRequested, _) => Some(Self::Rfi),
            (Event::CorrectionReceived, _) => Some(Self::Received),
            (Event::Reinstated, _) => Some(Self::Reinstated),
            (Event::FinallyRejected, _) => Some(Self::Closed),
            _ => None,
        }
    }

    fn text(self, texts: &'static Texts) -> &'static Mail {
        let mails = &texts.mails;
        match self {
            Self::Offer => &mails.offer,
            Self::Reminder => &mails.reminder,
            Self::Refused => &mails.refused,
            Self::Rfi => &mails.rfi,
            Self::Received => &mails.received,
            Self::Reinstated => &mails.reinstated,
            Self::Closed => &mails.closed,
        }
    }

    /// Whether it asks the customer for something: then a link stands in it, and it is of no use once that is over.
    fn asks(self) -> bool {
        matches!(self, Self::Offer | Self::Reminder | Self::Refused | Self::Rfi)
    }
}

/// What is stored with a message and may lie open.
#[derive(Serialize, Deserialize)]
struct Payload {
    topic: Topic,
    /// Until when it is of use.
    until: Option<Timestamp>,
}

/// The client, as a message shows it.
struct Brand<'a> {
    name: &'a str,
    contact: Option<&'a str>,
    colour: String,
    on_colour: &'static str,
}

#[derive(Template)]
#[template(path = "mail.txt")]
struct PlainText<'a> {
    texts: &'static Texts,
    mail: &'static Mail,
    brand: &'a Brand<'a>,
    url: Option<&'a str>,
    until: Option<&'a str>,
    stop: Option<&'a str>,
}

#[derive(Template)]
#[template(path = "mail.html")]
struct Html<'a> {
    texts: &'static Texts,
    mail: &'static Mail,
    brand: &'a Brand<'a>,
    url: Option<&'a str>,
    until: Option<&'a str>,
    stop: Option<&'a str>,
}

/// Why a message does not go out.
enum Held {
    /// It is not wanted any more.
    Overtaken(&'static str),
    /// It can never go out.
    Never(String),
    /// The server is in trouble, or ours is.
    Trouble(String),
}

impl Worker {
    /// What is written to the customer about a decision, with links whose tokens nobody has seen.
    pub(super) async fn mails(&self, case: &Case, tells: &[Tell]) -> Result<Vec<NewMail>, WorkError> {
        let mut mails = Vec::new();
        if self.mailer.is_none() {
            return Ok(mails);
        }
        for (position, tell) in (0_u32..).zip(tells) {
            let Some(topic) = Topic::of(tell) else { continue };
            let key = EffectKey::new(case.id, case.version, &position.to_string()).at(DESTINATION);
            let until = open_until(case, self.clock.now()).filter(|_| topic.asks());
            let (mut link, mut sealed) = (None, None);
            if let Some(expires_at) = until {
                let (token, hash) = fresh_token()?;
                let data_key = self.data_key(case.id).await?;
                sealed = Some(data_key.seal(&token_place(&key), token.as_bytes())?);
                let id = self.chance.uuid().to_string();
                let made_by = MADE_BY.to_owned();
                link = Some(NewLink { id, customer: case.id, hash, made_by, expires_at });
            }
            let payload = serde_json::to_vec(&Payload { topic, until })?;
            let delivery = NewDelivery {
                key,
                lane: TellLane::Email,
                destination: DESTINATION.to_owned(),
                kind: tell.event.as_str().to_owned(),
                event_id: None,
                payload: Some(payload),
                sealed,
            };
            mails.push(NewMail { delivery, link });
        }
        Ok(mails)
    }

    /// One attempt at one claimed message.
    pub(super) async fn write_to_customer(&self, lease: TellLease) {
        let spent = lease.attempts.saturating_sub(lease.forgiven).saturating_add(1);
        let outcome = match self.try_to_write(&lease).await {
            Ok(()) => TellOutcome::Delivered,
            Err(Held::Overtaken(why)) => TellOutcome::Overtaken(why.to_owned()),
            Err(Held::Never(why)) => TellOutcome::GivenUp(why),
            Err(Held::Trouble(why)) if spent >= MAIL_ATTEMPTS_MAX => TellOutcome::GivenUp(why),
            Err(Held::Trouble(why)) => {
                let wait = backoff(spent, MAIL_BACKOFF_MAX, self.chance.roll());
                TellOutcome::Later(self.later(wait), why)
            }
        };
        let (customer, id, attempt) = (lease.customer, &lease.key, lease.attempts.saturating_add(1));
        let word = match &outcome {
            TellOutcome::Delivered => {
                tracing::info!(%customer, event = lease.event, %id, attempt, "wrote to the customer");
                "delivered"
            }
            TellOutcome::Overtaken(why) => {
                tracing::info!(%customer, event = lease.event, %id, why, "a message to the customer is not wanted any more");
                "overtaken"
            }
            TellOutcome::Later(at, why) => {
                tracing::warn!(%customer, event = lease.event, %id, attempt, why, again_at = %at, "the customer was not written to yet");
                "later"
            }
            TellOutcome::GivenUp(why) => {
                tracing::error!(%customer, event = lease.event, %id, attempt, why, "writing to the customer was given up");
                "given_up"
            }
        };
        self.metrics.mail(word);
        self.finish_telling(&lease, outcome).await;
    }

    async fn try_to_write(&self, lease: &TellLease) -> Result<(), Held> {
        let Some(mailer) = &self.mailer else {
            return Err(Held::Trouble("no mail server is set".to_owned()));
        };
        let unreadable = |_| Held::Never("the message cannot be read".to_owned());
        let payload: Payload = serde_json::from_slice(&lease.body).map_err(unreadable)?;
        let ours = |error: &WorkError| Held::Trouble(format!("on our side: {error}"));
        let to = self.recipient(lease.customer, &payload).await.map_err(|error| ours(&error))??;
        let token = match &lease.sealed {
            Some(sealed) => {
                let key = self.data_key(lease.customer).await.map_err(|error| ours(&error))?;
                let token = key.open(&token_place(&lease.key), sealed);
                let token = token.map_err(|_| Held::Never("the link cannot be read".to_owned()))?;
                Some(String::from_utf8_lossy(&token).into_owned())
            }
            None => None,
        };
        let message = mailer.message(&lease.key, to, &payload, token.as_deref())?;
        mailer.server.load_full().send(&message).await.map_err(|refused| match refused {
            Refused::Address(why) => Held::Never(why),
            Refused::Trouble(why) => Held::Trouble(why),
        })
    }

    /// Where the customer is written to now, if they still are.
    async fn recipient(
        &self,
        customer: CustomerHashId,
        payload: &Payload,
    ) -> Result<Result<Address, Held>, WorkError> {
        let Some(row) = self.store.case(customer).await? else {
            return Ok(Err(Held::Overtaken("the customer is not known any more")));
        };
        if payload.topic.asks() && open_until(&row.case, self.clock.now()).is_none() {
            return Ok(Err(Held::Overtaken("what it asks for is not open any more")));
        }
        if payload.topic == Topic::Reminder && self.store.wants_no_reminders(customer).await? {
            return Ok(Err(Held::Overtaken("the customer wants no reminders")));
        }
        let key = self.data_key(customer).await?;
        let mut profile = Map::new();
        if let Some(kept) = &row.snapshot {
            if kept.facts.kind == CustomerKind::Corporate {
                return Ok(Err(Held::Overtaken("companies are not written to")));
            }
            let place = Place { table: "snapshot", column: "sealed", row: customer.to_string() };
            let snapshot: Snapshot = serde_json::from_slice(&key.open(&place, &kept.sealed)?)?;
            profile = snapshot.profile;
        }
        let mut application = None;
        if let Some(sealed) = self.store.application(customer).await? {
            let place = Place { table: "application", column: "sealed", row: customer.to_string() };
            let value: Value = serde_json::from_slice(&key.open(&place, &sealed)?)?;
            application = Application::parse(&value).ok();
        }
        let known = on_file(application.as_ref(), &profile);
        let address = known.get("email").and_then(Value::as_str).map(str::parse::<Address>);
        Ok(match address {
            Some(Ok(address)) => Ok(address),
            Some(Err(_)) => Err(Held::Never("the address on file is not one".to_owned())),
            None => Err(Held::Never("no address is on file".to_owned())),
        })
    }
}

impl Mailer {
    fn message(
        &self,
        key: &EffectKey,
        to: Address,
        payload: &Payload,
        token: Option<&str>,
    ) -> Result<Message, Held> {
        let options = &self.options;
        let texts = options.language.texts();
        let mail = payload.topic.text(texts);
        let url = token.map(|token| url_of(&options.page_url, token, Some(options.language)));
        let stop = token.map(|token| stop_url_of(&options.page_url, token, options.language));
        let until = payload.until.map(|until| until.to_zoned(jiff::tz::TimeZone::UTC).date().to_string());
        let [red, green, blue] = options.colour;
        let brand = Brand {
            name: &options.name,
            contact: options.contact.as_deref(),
            colour: format!("#{red:02x}{green:02x}{blue:02x}"),
            on_colour: if is_light(options.colour) { "#000000" } else { "#ffffff" },
        };
        let (url, until, stop) = (url.as_deref(), until.as_deref(), stop.as_deref());
        let ours = |error: askama::Error| Held::Never(format!("the message cannot be made: {error}"));
        let plain = PlainText { texts, mail, brand: &brand, url, until, stop }.render().map_err(ours)?;
        let html = Html { texts, mail, brand: &brand, url, until, stop }.render().map_err(ours)?;
        let mut builder = Message::builder()
            .message_id(Some(self.message_id(key)))
            .from(self.from.clone())
            .to(Mailbox::new(None, to))
            .subject(mail.subject)
            .raw_header(raw("Auto-Submitted", "auto-generated"));
        if let Some(stop) = stop {
            // Mail programs offer it beside the message (RFC 8058).
            builder = builder
                .raw_header(raw("List-Unsubscribe", &format!("<{stop}>")))
                .raw_header(raw("List-Unsubscribe-Post", "List-Unsubscribe=One-Click"));
        }
        let part = |kind, text: String| SinglePart::builder().header(kind).body(text);
        let both = MultiPart::alternative()
            .singlepart(part(ContentType::TEXT_PLAIN, plain))
            .singlepart(part(ContentType::TEXT_HTML, html));
        builder.multipart(both).map_err(|error| Held::Never(format!("the message cannot be made: {error}")))
    }

    /// The same at every attempt, and no way back to the customer's id.
    fn message_id(&self, key: &EffectKey) -> String {
        let digest = Sha256::digest(key.as_str().as_bytes());
        format!("<{}@{}>", hex::encode(digest), self.from.email.domain())
    }
}

fn raw(name: &'static str, value: &str) -> HeaderValue {
    HeaderValue::new(HeaderName::new_from_ascii_str(name), value.to_owned())
}

/// Whether black is read better on this colour than white (WCAG 2.2).
fn is_light(colour: [u8; 3]) -> bool {
    let [red, green, blue] = colour.map(|part| (f64::from(part) / 255.0).powf(2.2));
    0.2126 * red + 0.7152 * green + 0.0722 * blue > 0.179
}

fn token_place(key: &EffectKey) -> Place {
    Place { table: "effect", column: "sealed", row: key.to_string() }
}
