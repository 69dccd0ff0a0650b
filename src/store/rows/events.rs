//! Rows about what the app backend and the customer are told.

use jiff::Timestamp;
use serde::Serialize;

use crate::domain::effect::{EffectKey, Event};
use crate::domain::id::CustomerHashId;
use crate::store::rows::links::NewLink;

/// The lanes whose effects have leases of their own: notifications.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum TellLane {
    /// Events to an endpoint of the app backend.
    Webhook,
    /// Messages to a customer.
    Email,
}

impl TellLane {
    /// Every lane.
    pub const ALL: [Self; 2] = [Self::Webhook, Self::Email];

    /// The word in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Email => "email",
        }
    }
}

/// An event, with the bytes that it will always have. It is written once, and delivered to each endpoint that wants it.
#[derive(Clone, Debug)]
pub struct NewTell {
    /// Its id, which is also its `webhook-id`.
    pub key: EffectKey,
    /// What it tells.
    pub event: Event,
    /// The version of the case it tells about; 0 where it is about the service itself.
    pub version: u64,
    /// The body; nothing personal.
    pub body: Vec<u8>,
    /// The endpoints that want it. With none it can still be asked for.
    pub to: Vec<String>,
}

/// A notification for one destination, to be stored before it is sent.
#[derive(Clone, Debug)]
pub struct NewDelivery {
    /// Its key: nobody else's, whatever the destination.
    pub key: EffectKey,
    /// Its lane.
    pub lane: TellLane,
    /// Where it goes within the lane: what goes to one destination about one customer goes in order.
    pub destination: String,
    /// What it is, as a word.
    pub kind: String,
    /// The event it delivers; always there in the `webhook` lane.
    pub event_id: Option<EffectKey>,
    /// What is needed to send it, if it may lie open.
    pub payload: Option<Vec<u8>>,
    /// What is needed to send it, sealed. It goes when the delivery has ended.
    pub sealed: Option<Vec<u8>>,
}

/// A message to the customer, with the link that stands in it.
#[derive(Clone, Debug)]
pub struct NewMail {
    /// The message.
    pub delivery: NewDelivery,
    /// The link; its token is sealed in the message.
    pub link: Option<NewLink>,
}

/// Room for notifications to one destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TellSeats {
    /// The lane.
    pub lane: TellLane,
    /// The destination.
    pub destination: String,
    /// How many may be claimed.
    pub most: usize,
}

/// A claim on one notification.
#[derive(Clone, Debug)]
pub struct TellLease {
    /// The row.
    pub seq: i64,
    /// The fencing token.
    pub epoch: i64,
    /// Its key.
    pub key: EffectKey,
    /// The event it delivers, which is its `webhook-id`: the same for every destination. Its own key, where it delivers none.
    pub event_id: EffectKey,
    /// Its lane.
    pub lane: TellLane,
    /// Where it goes.
    pub destination: String,
    /// About whom.
    pub customer: CustomerHashId,
    /// What it tells.
    pub event: String,
    /// The body, the same bytes every time: the event's, or else what was stored with the notification.
    pub body: Vec<u8>,
    /// What was stored sealed with the notification.
    pub sealed: Option<Vec<u8>>,
    /// Attempts made before this one.
    pub attempts: u32,
    /// Those among them that a retry has forgiven.
    pub forgiven: u32,
    /// Its endpoint is disabled, and this is the one event that tries it: it is not given up.
    pub probe: bool,
}

/// What became of one attempt to notify.
#[derive(Clone, Debug)]
pub enum TellOutcome {
    /// The receiver took it.
    Delivered,
    /// Try again then; the text says what went wrong.
    Later(Timestamp, String),
    /// Given up; the text says what went wrong.
    GivenUp(String),
    /// Not wanted any more; the text says why.
    Overtaken(String),
}

/// Which events are meant; what is `None` does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EventFilter {
    /// About this customer.
    pub customer: Option<CustomerHashId>,
    /// Of this type.
    pub event: Option<Event>,
}

/// One event of the feed.
#[derive(Clone, Debug)]
pub struct EventRow {
    /// Its id: the `webhook-id` of its deliveries.
    pub id: String,
    /// Where it stands in the feed.
    pub position: i64,
    /// The bytes that are sent.
    pub body: Vec<u8>,
}

/// A page of the feed.
#[derive(Clone, Debug)]
pub struct EventPage {
    /// Events in order.
    pub items: Vec<EventRow>,
    /// Where to go on: nothing that will ever be in the feed stands before it unseen.
    pub next: i64,
    /// There is more already.
    pub more: bool,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DeliveryStatus {
    /// It has its turn, or waits for an older one of its customer.
    Waiting,
    /// It is being sent.
    Held,
    /// It failed, and is tried again.
    Failing,
    /// It was given up.
    Failed,
    /// The endpoint took it.
    Delivered,
}

impl DeliveryStatus {
    /// Every status.
    pub const ALL: [Self; 5] = [Self::Waiting, Self::Held, Self::Failing, Self::Failed, Self::Delivered];

    /// The word used in the API.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Held => "held",
            Self::Failing => "failing",
            Self::Failed => "failed",
            Self::Delivered => "delivered",
        }
    }

    /// Reads [`DeliveryStatus::as_str`] back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|status| status.as_str() == text)
    }
}

/// Which deliveries are meant; what is `None` does not restrict.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeliveryFilter {
    /// To this endpoint.
    pub endpoint: Option<String>,
    /// Standing so.
    pub status: Option<DeliveryStatus>,
    /// About this customer.
    pub customer: Option<CustomerHashId>,
    /// Of this type.
    pub event: Option<Event>,
    /// Of events from then on.
    pub from: Option<Timestamp>,
    /// Of events before then.
    pub to: Option<Timestamp>,
}

impl DeliveryFilter {
    /// Deliveries that one redelivery takes at most, the oldest first.
    pub const REDELIVER_MAX: usize = 1_000;
}

/// One attempt at a delivery.
#[derive(Clone, Debug, Serialize)]
pub struct AttemptRow {
    /// Its number, from 1.
    pub number: u32,
    /// When it ended.
    pub at: Timestamp,
    /// What the endpoint said, or why it said nothing.
    pub answer: String,
}

/// One delivery as it is listed.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct DeliveryRow {
    /// Its number.
    #[serde(skip)]
    pub seq: i64,
    /// The event's id.
    pub id: String,
    /// To whom.
    pub endpoint: String,
    /// The event's type.
    pub r#type: String,
    /// About whom; nobody, where it is about the service itself.
    pub customer_hash_id: Option<CustomerHashId>,
    /// How it stands.
    pub status: DeliveryStatus,
    /// When it was stored.
    pub created_at: Timestamp,
    /// When it is tried next, if it has its turn then.
    pub due_at: Option<Timestamp>,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// What the last attempt came to.
    pub last_answer: Option<String>,
    /// How often it was tried.
    pub attempt_count: u32,
    /// The newest attempts, the last one first.
    pub attempts: Vec<AttemptRow>,
}

/// A page of deliveries.
#[derive(Clone, Debug)]
pub struct DeliveryPage {
    /// Deliveries, newest first; there may be fewer than asked for, and still a next page.
    pub items: Vec<DeliveryRow>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<i64>,
}

/// How an endpoint has been doing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct EndpointRow {
    /// Its name.
    pub name: String,
    /// When it took something last.
    pub last_success_at: Option<Timestamp>,
    /// Since when it has taken nothing, if something failed after the last success.
    pub failing_since: Option<Timestamp>,
    /// Since when nothing but a probe is sent.
    pub disabled_at: Option<Timestamp>,
    /// When the next probe goes out.
    pub probe_at: Option<Timestamp>,
    /// When the oldest delivery that waits was stored, and whether it has failed.
    pub oldest: Option<(Timestamp, bool)>,
    /// Since when the alarm about it stands.
    pub alarm_since: Option<Timestamp>,
}
