//! An officer's word to many customers at once.

use jiff::Timestamp;
use serde_json::Value;
use uuid::Uuid;

use super::officer::NewNote;
use crate::domain::decision::OfficerWord;
use crate::domain::id::CustomerHashId;

/// Customers whom one act takes at most.
pub const BULK_MAX: usize = 10_000;

/// A customer as they were when the act was confirmed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Chosen {
    /// Who.
    pub customer: CustomerHashId,
    /// The version of their case.
    pub version: u64,
}

/// An act ready to be stored.
#[derive(Clone, Debug)]
pub struct NewBulk {
    /// Its id.
    pub id: Uuid,
    /// The word.
    pub word: OfficerWord,
    /// What was looked for, without anything personal.
    pub filter: Value,
    /// Whose word it is.
    pub by: String,
    /// Why, sealed for the id.
    pub note: Option<Vec<u8>>,
    /// To whom, in the order of their ids.
    pub chosen: Vec<Chosen>,
}

/// An act as it stands.
#[derive(Clone, Debug)]
pub struct BulkRow {
    /// Its place in the order of asking.
    pub seq: i64,
    /// Its id.
    pub id: String,
    /// The word.
    pub word: OfficerWord,
    /// What was looked for.
    pub filter: Value,
    /// Whose word it is.
    pub by: String,
    /// When it was confirmed.
    pub asked_at: Timestamp,
    /// Why, sealed.
    pub note: Option<Vec<u8>>,
    /// Customers it is for.
    pub total: usize,
    /// Those among them who are done, in order.
    pub place: usize,
    /// Those among these to whom the word was said.
    pub said: usize,
    /// When it ended.
    pub ended_at: Option<Timestamp>,
    /// Who ended it before it was through.
    pub cancelled_by: Option<String>,
}

/// The next few customers of an act.
#[derive(Clone, Debug)]
pub struct BulkStep {
    /// The act as it was when they were read.
    pub bulk: BulkRow,
    /// The customers, in the order of their ids; none where all are done.
    pub chosen: Vec<Chosen>,
}

/// What is written of a step.
#[derive(Clone, Debug)]
pub struct NewStep {
    /// The step.
    pub step: BulkStep,
    /// The note for each customer, in the same order; empty where there is none.
    pub notes: Vec<Option<NewNote>>,
    /// Overriding a final rejection takes a second person.
    pub takes_two: bool,
}

/// A customer to whom the word was not said.
#[derive(Clone, Debug)]
pub struct LeftOut {
    /// Who.
    pub customer: CustomerHashId,
    /// Why.
    pub why: String,
}

/// One act with what became of its customers.
#[derive(Clone, Debug)]
pub struct BulkShown {
    /// The act.
    pub row: BulkRow,
    /// Why customers were left out, and how many.
    pub reasons: Vec<(String, usize)>,
    /// The first of them.
    pub left_out: Vec<LeftOut>,
}

/// What became of cancelling.
#[derive(Clone, Debug)]
pub enum Cancelled {
    /// It goes no further.
    Done(Box<BulkRow>),
    /// There is no such act.
    NoSuch,
    /// It was through before.
    Ended,
}
