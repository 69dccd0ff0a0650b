//! People who sign in with a password, and the sessions of everybody who signed in.

use std::time::Duration;

use jiff::Timestamp;

use super::Store;
use super::error::StoreError;
use super::rows::people::{KnownPerson, NewPerson, NewSession, PersonRow, SessionRow};
use super::sql::people;

impl Store {
    /// Law: a name is one person's. False: somebody has it.
    pub async fn add_person(&self, person: NewPerson, by: &str) -> Result<bool, StoreError> {
        let (by, now) = (by.to_owned(), self.clock.now());
        self.write(move |tx| people::add(tx, &person, &by, now)).await
    }

    /// Law: whoever's password or role is changed has to sign in again. False: there is no such person.
    pub async fn change_person(&self, person: NewPerson, by: &str) -> Result<bool, StoreError> {
        let (by, now) = (by.to_owned(), self.clock.now());
        self.write(move |tx| people::change(tx, &person, &by, now)).await
    }

    /// Law: whoever goes is out at once. False: there is no such person.
    pub async fn remove_person(&self, name: &str, by: &str) -> Result<bool, StoreError> {
        let (name, by, now) = (name.to_owned(), by.to_owned(), self.clock.now());
        self.write(move |tx| people::remove(tx, &name, &by, now)).await
    }

    /// The hash of a person's password, and their role.
    pub async fn password(&self, name: &str) -> Result<Option<KnownPerson>, StoreError> {
        let name = name.to_owned();
        self.read(move |tx| people::password(tx, &name)).await
    }

    /// Everybody who may sign in with a password, by name.
    pub async fn people(&self) -> Result<Vec<PersonRow>, StoreError> {
        self.read(people::list).await
    }

    /// Law: a session begins once, together with the row that records it.
    pub async fn begin_session(&self, session: NewSession) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(move |tx| people::begin(tx, &session, now)).await
    }

    /// The session whose cookie has this hash: while it lasts, was used within `idle`, and what it was opened with stands.
    pub async fn session(&self, hash: [u8; 32], idle: Duration) -> Result<Option<SessionRow>, StoreError> {
        let now = self.clock.now();
        self.read(move |tx| people::session(tx, &hash, before(now, idle), now)).await
    }

    /// Sessions that last, newest first.
    pub async fn sessions(&self, idle: Duration, most: usize) -> Result<Vec<SessionRow>, StoreError> {
        let now = self.clock.now();
        self.read(move |tx| people::sessions(tx, before(now, idle), most, now)).await
    }

    /// Remembers that a session is in use.
    pub async fn session_seen(&self, hash: [u8; 32]) -> Result<(), StoreError> {
        let now = self.clock.now();
        self.write(move |tx| people::seen(tx, &hash, now)).await
    }

    /// Law: a session that was ended opens nothing. `None`: there is none of this name; else whose it was.
    pub async fn end_session(&self, id: &str, by: &str) -> Result<Option<String>, StoreError> {
        let (id, by, now) = (id.to_owned(), by.to_owned(), self.clock.now());
        self.write(move |tx| people::end(tx, &id, &by, now)).await
    }

    /// Law: sessions that ended more than `age` ago go, at most `most` at a time. Gives how many.
    pub async fn drop_ended_sessions(&self, age: Duration, most: usize) -> Result<usize, StoreError> {
        let now = self.clock.now();
        self.write(move |tx| people::drop_ended(tx, before(now, age), most)).await
    }
}

fn before(now: Timestamp, span: Duration) -> Timestamp {
    now.checked_sub(span).unwrap_or(Timestamp::MIN)
}
