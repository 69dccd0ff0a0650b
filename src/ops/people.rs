//! Who works the console: people with a password, and sessions. A session is begun with a password, a token, or the word of
//! a proxy that knows who comes; its cookie is kept as a hash alone.

use std::collections::VecDeque;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use argon2::Argon2;
use argon2::password_hash::phc::PasswordHash;
use argon2::password_hash::{PasswordHasher, PasswordVerifier};
use jiff::Timestamp;
use zeroize::Zeroizing;

use super::{Ops, OpsError};
use crate::domain::audit::is_reserved;
use crate::domain::correction::FieldProblem;
use crate::domain::link::hash_of;
use crate::domain::role::Role;
use crate::store::rows::people::{NewPerson, NewSession, PersonRow, SessionRow, SessionSource};
use crate::vault::fresh_token;

/// A session that is not used for so long is over.
pub const SESSION_IDLE: Duration = Duration::from_hours(1);
/// A session lasts no longer than a working day, however busy it is.
pub const SESSION_SPAN: Duration = Duration::from_hours(12);
/// How exactly it is remembered when a session was used: each time would be a write for every page.
const SEEN_EVERY: Duration = Duration::from_mins(1);
/// Wrong passwords within a second, of everybody together: nobody guesses faster than this.
pub const WRONG_PASSWORDS_MAX: usize = 2;
const WRONG_PASSWORDS_SPAN: Duration = Duration::from_secs(1);
/// Characters of a password: fewer are guessed from a stolen database, more serve nobody.
const PASSWORD_CHARS: std::ops::RangeInclusive<usize> = 12..=256;
/// Random bytes beside a password, so that equal ones have different hashes.
const SALT_BYTES: usize = 16;
/// Longest name of a person, in characters.
const NAME_CHARS_MAX: usize = 100;
/// Sessions that are listed at most.
const SESSIONS_MAX: usize = 200;

/// Passwords that are being tried, or were wrong just now.
#[derive(Debug, Default)]
pub struct Attempts(Mutex<VecDeque<Instant>>);

impl Attempts {
    /// Takes a place; `None` while too many were wrong. A place counts as a wrong password until it is given back, so that
    /// many at once are no way around the limit.
    fn take(&self) -> Option<Instant> {
        let now = Instant::now();
        let mut tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        tried.retain(|at| now.duration_since(*at) < WRONG_PASSWORDS_SPAN);
        if tried.len() >= WRONG_PASSWORDS_MAX {
            return None;
        }
        tried.push_back(now);
        Some(now)
    }

    fn give_back(&self, place: Instant) {
        let mut tried = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(at) = tried.iter().position(|at| *at == place) {
            tried.remove(at);
        }
    }
}

/// Why nobody was let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NotLetIn {
    /// Name, password or token are not right; which of them is not said.
    Wrong,
    /// Too many were wrong just now; this one was not even looked at.
    TooMany,
    /// The role does not work the console.
    NotForPeople,
}

/// Who came, as a proxy or a check has it.
#[derive(Clone, Debug)]
pub struct Comer<'a> {
    /// Their name in the record.
    pub actor: &'a str,
    /// What they may do.
    pub role: Role,
    /// What they came with.
    pub source: SessionSource,
    /// The person or token.
    pub source_id: &'a str,
    /// The version of the person whose password it was; 0 for anything else.
    pub version: i64,
}

/// A session that began: the cookie, which nobody else ever sees, and the row.
pub struct Begun {
    /// What the browser keeps.
    pub cookie: Zeroizing<String>,
    /// The session.
    pub session: SessionRow,
}

impl Ops {
    /// Signs in with name and password.
    pub async fn sign_in(&self, name: &str, password: &str) -> Result<Result<Begun, NotLetIn>, OpsError> {
        let Some(place) = self.attempts.take() else { return Ok(Err(NotLetIn::TooMany)) };
        let Some((role, version)) = self.person_behind(name, password).await? else {
            return Ok(Err(NotLetIn::Wrong));
        };
        self.attempts.give_back(place);
        let comer = Comer { actor: name, role, source: SessionSource::Password, source_id: name, version };
        Ok(Ok(self.begin_session(&comer).await?))
    }

    /// Role and version of the person with this name and password. A name that nobody has takes as long.
    async fn person_behind(&self, name: &str, password: &str) -> Result<Option<(Role, i64)>, OpsError> {
        let kept = self.store.password(name).await?;
        let password = Zeroizing::new(password.to_owned());
        let checked = tokio::task::spawn_blocking(move || {
            let Some(kept) = kept else {
                let _ = hashed(&password);
                return None;
            };
            is_right(&password, &kept.password).then_some((kept.role, kept.version))
        });
        let person = checked.await.unwrap_or(None);
        Ok(person.and_then(|(role, version)| Some((Role::parse(&role)?, version))))
    }

    /// Signs in with an API token, by its hash.
    pub async fn sign_in_with_token(&self, hash: [u8; 32]) -> Result<Result<Begun, NotLetIn>, OpsError> {
        let Some(token) = self.store.token(hash).await? else { return Ok(Err(NotLetIn::Wrong)) };
        let role = match Role::parse(&token.role) {
            Some(role @ (Role::Viewer | Role::Officer | Role::Admin)) => role,
            Some(Role::App) | None => return Ok(Err(NotLetIn::NotForPeople)),
        };
        let comer = Comer {
            actor: &token.name,
            role,
            source: SessionSource::Token,
            source_id: &token.id,
            version: 0,
        };
        Ok(Ok(self.begin_session(&comer).await?))
    }

    /// Begins a session for whom somebody else has let in.
    pub async fn begin_session(&self, comer: &Comer<'_>) -> Result<Begun, OpsError> {
        let (cookie, hash) = fresh_token()?;
        let begun_at = self.clock.now();
        let session = SessionRow {
            id: (self.fresh_id)().to_string(),
            actor: comer.actor.to_owned(),
            role: comer.role.as_str().to_owned(),
            source: comer.source,
            source_id: comer.source_id.to_owned(),
            begun_at,
            seen_at: begun_at,
            ends_at: begun_at.checked_add(SESSION_SPAN).unwrap_or(Timestamp::MAX),
        };
        let SessionRow { id, actor, role, source, source_id, ends_at, .. } = session.clone();
        let version = comer.version;
        let new = NewSession { hash, id, actor, role, source, source_id, version, ends_at };
        self.store.begin_session(new).await?;
        Ok(Begun { cookie, session })
    }

    /// The session of this cookie, while it lasts. That it is `used` is remembered: by a person, not by a page that reads itself
    /// anew.
    pub async fn session(&self, cookie: &str, used: bool) -> Result<Option<SessionRow>, OpsError> {
        let Some(hash) = hash_of(cookie) else { return Ok(None) };
        let Some(session) = self.store.session(hash, SESSION_IDLE).await? else { return Ok(None) };
        let unseen = self.clock.now().duration_since(session.seen_at);
        if used && unseen.unsigned_abs() >= SEEN_EVERY {
            self.store.session_seen(hash).await?;
        }
        Ok(Some(session))
    }

    /// Sessions that last, newest first.
    pub async fn sessions(&self) -> Result<Vec<SessionRow>, OpsError> {
        Ok(self.store.sessions(SESSION_IDLE, SESSIONS_MAX).await?)
    }

    /// Ends a session. `None`: there is none of this name; else whose it was.
    pub async fn end_session(&self, id: &str, by: &str) -> Result<Option<String>, OpsError> {
        Ok(self.store.end_session(id, by).await?)
    }

    /// Everybody who may sign in with a password.
    pub async fn people(&self) -> Result<Vec<PersonRow>, OpsError> {
        Ok(self.store.people().await?)
    }
}

/// A person as they are stored: name and password are checked, the password becomes its hash. Takes a while on purpose:
/// not for a thread that others wait for.
pub fn new_person(name: &str, role: Option<Role>, password: Option<&str>) -> Result<NewPerson, FieldProblem> {
    let is_name = (1..=NAME_CHARS_MAX).contains(&name.chars().count())
        && name.trim() == name
        && !name.chars().any(char::is_control);
    if !is_name {
        let message = format!("has 1 to {NAME_CHARS_MAX} characters, and no blanks around them");
        return Err(FieldProblem::new("name", message));
    }
    if is_reserved(name) {
        return Err(FieldProblem::new("name", "means somebody else in the audit record; choose another"));
    }
    if role == Some(Role::App) {
        return Err(FieldProblem::new("role", "is one of: viewer, officer, admin; app is for tokens"));
    }
    let password = password.map(checked_hash).transpose()?;
    Ok(NewPerson { name: name.to_owned(), role: role.map(|role| role.as_str().to_owned()), password })
}

fn checked_hash(password: &str) -> Result<String, FieldProblem> {
    let (least, most) = PASSWORD_CHARS.into_inner();
    if !(least..=most).contains(&password.chars().count()) {
        return Err(FieldProblem::new("password", format!("has {least} to {most} characters")));
    }
    hashed(password).ok_or_else(|| FieldProblem::new("password", "could not be hashed on this machine"))
}

/// Argon2id with 19 MiB and two passes, and a salt of its own; `None` where the machine has no room or randomness for it.
fn hashed(password: &str) -> Option<String> {
    let mut salt = [0_u8; SALT_BYTES];
    aws_lc_rs::rand::fill(&mut salt).ok()?;
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt).ok()?;
    Some(hash.to_string())
}

fn is_right(password: &str, hash: &str) -> bool {
    PasswordHash::new(hash)
        .is_ok_and(|hash| Argon2::default().verify_password(password.as_bytes(), &hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_password_opens_and_another_does_not() {
        let hash = hashed("correct horse battery").unwrap();
        assert!(hash.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"), "{hash}");
        assert!(is_right("correct horse battery", &hash));
        assert!(!is_right("correct horse batter", &hash));
        assert!(!is_right("correct horse battery", "no hash"));
        assert_ne!(hashed("correct horse battery").unwrap(), hash, "each has a salt of its own");
    }

    #[test]
    fn the_third_wrong_password_within_a_second_is_not_looked_at() {
        let attempts = Attempts::default();
        let first = attempts.take().unwrap();
        attempts.take().unwrap();
        assert_eq!(attempts.take(), None);
        attempts.give_back(first);
        assert!(attempts.take().is_some(), "a right one does not count");
        assert_eq!(attempts.take(), None);
    }

    #[test]
    fn names_and_passwords_have_bounds() {
        let long = "x".repeat(PASSWORD_CHARS.end() + 1);
        for (name, password) in [
            ("", None),
            (" ada", None),
            ("service", None),
            ("a\nb", None),
            ("ada", Some("short")),
            ("ada", Some(&*long)),
        ] {
            assert!(new_person(name, Some(Role::Officer), password).is_err(), "{name:?}");
        }
        assert!(new_person("ada", Some(Role::App), None).is_err());
        assert!(new_person("ada", Some(Role::Viewer), Some("long enough!")).is_ok());
    }
}
