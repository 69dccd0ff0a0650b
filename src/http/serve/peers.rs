//! Who is here, and what one peer may hold on to: connections, requests a second and at once, and bytes of bodies that are being
//! read.
//!
//! A *peer* is an IPv4 address, or the first 64 bits of an IPv6 address, since whoever has one of those has them all. Those
//! whose address stands for many (our own proxies, Nium, this machine) are *known* and held to the totals alone.

use std::collections::{BTreeMap, HashMap};
use std::net::{IpAddr, Ipv6Addr};
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use arc_swap::ArcSwap;
use ipnet::IpNet;

/// Most connections open at once. Each costs some 10 KiB when idle, so that all of them stay within 200 MiB; a callback
/// sender needs a few dozen.
pub const CONNECTIONS_MAX: usize = 20_000;

/// Most connections of one peer. An office behind one address has some hundred people.
pub const PEER_CONNECTIONS_MAX: usize = 1_000;

/// Most requests of one peer in a second, on average. Nium may be a peer whom nobody has named, and sends a callback once:
/// what all of its customers at once would bring is far below this.
pub const PEER_REQUESTS_PER_SECOND: u32 = 5_000;

/// Most requests that are being answered at once. What is more would wait for the database anyway, and hold memory.
pub const REQUESTS_MAX: usize = 10_000;

/// Most bytes of bodies in memory at once, of all requests that are being answered: a few dozen of the largest uploads, or
/// thousands of the largest webhooks.
pub const BODY_BYTES_MAX: usize = 512 * 1024 * 1024;

/// The share of requests and of bytes of bodies that one peer may have is one part of so many: nobody alone can keep others out.
const PEER_SHARE: usize = 4;

/// How long a peer may save up requests that it did not send.
const SAVED_UP: Duration = Duration::from_secs(2);

/// Peers that are remembered although they have no connection; then those that could do what they like again are forgotten.
const PEERS_KEPT_MAX: usize = 10_000;

/// Ranges of addresses that can be exchanged while the service runs.
pub type Known = Arc<ArcSwap<Vec<IpNet>>>;

/// What peers may hold on to.
#[derive(Clone, Debug)]
pub struct Limits {
    /// Connections open at once; at least 1.
    pub connections_max: usize,
    /// Connections of one peer.
    pub peer_connections_max: usize,
    /// Requests of one peer in a second, on average; at least 1.
    pub peer_requests_per_second: u32,
    /// Requests that are being answered at once.
    pub requests_max: usize,
    /// Bytes of bodies in memory at once.
    pub body_bytes_max: usize,
    /// Whose address stands for many; they can be exchanged.
    pub known: Known,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            connections_max: CONNECTIONS_MAX,
            peer_connections_max: PEER_CONNECTIONS_MAX,
            peer_requests_per_second: PEER_REQUESTS_PER_SECOND,
            requests_max: REQUESTS_MAX,
            body_bytes_max: BODY_BYTES_MAX,
            known: Known::default(),
        }
    }
}

/// Why a request is turned away before any route sees it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Busy {
    /// This peer asks too often.
    Peer,
    /// Too many requests of this peer are being answered.
    PeerRequests,
    /// Too many requests are being answered.
    Requests,
    /// Too many bodies are being read, of this peer or of all.
    Bodies,
}

impl Busy {
    pub(super) const ALL: [Self; 4] = [Self::Peer, Self::PeerRequests, Self::Requests, Self::Bodies];

    /// The word used as a metric's label.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Peer => "peer_rate",
            Self::PeerRequests => "peer_requests",
            Self::Requests => "requests",
            Self::Bodies => "body_bytes",
        }
    }
}

/// Everybody who is here.
pub(super) struct Peers {
    limits: Limits,
    began: Instant,
    here: Mutex<HashMap<IpAddr, Arc<Peer>>>,
    /// One for all of those who are known.
    known: Arc<Peer>,
    requests: AtomicUsize,
    body_bytes: AtomicUsize,
}

/// One peer.
#[derive(Default)]
struct Peer {
    is_known: bool,
    connections: AtomicUsize,
    /// When its next request would be on time, in nanoseconds since we began.
    next: AtomicU64,
    requests: AtomicUsize,
    body_bytes: AtomicUsize,
}

impl Peers {
    pub(super) fn new(limits: Limits) -> Arc<Self> {
        Arc::new(Self {
            limits,
            began: Instant::now(),
            here: Mutex::default(),
            known: Arc::new(Peer { is_known: true, ..Peer::default() }),
            requests: AtomicUsize::new(0),
            body_bytes: AtomicUsize::new(0),
        })
    }

    /// A connection of `address`; `None` if it has too many already.
    pub(super) fn enter(self: &Arc<Self>, address: IpAddr) -> Option<Arc<Visit>> {
        let address = address.to_canonical();
        let peer = if self.limits.known.load().iter().any(|range| range.contains(&address)) {
            Arc::clone(&self.known)
        } else {
            let mut here = self.here.lock().unwrap_or_else(PoisonError::into_inner);
            if here.len() >= PEERS_KEPT_MAX {
                let now = self.now();
                here.retain(|_, peer| peer.is_here() || peer.next.load(Ordering::Relaxed) > now);
            }
            let peer = Arc::clone(here.entry(key_of(address)).or_default());
            // Counted under the lock: nobody is forgotten between being found and being counted.
            if peer.connections.load(Ordering::Relaxed) >= self.limits.peer_connections_max {
                return None;
            }
            peer.connections.fetch_add(1, Ordering::Relaxed);
            peer
        };
        let visit = Visit {
            peers: Arc::clone(self),
            peer,
            begun: AtomicU64::new(0),
            running: AtomicUsize::new(0),
            leaving: Mutex::default(),
            was_told: AtomicBool::new(false),
        };
        Some(Arc::new(visit))
    }

    fn now(&self) -> u64 {
        nanos(self.began.elapsed())
    }
}

impl Peer {
    fn is_here(&self) -> bool {
        self.connections.load(Ordering::Relaxed) > 0
    }

    /// Whether a request is on time. Nothing is locked: this stands before every callback.
    fn may_ask(&self, now: u64, per_second: u32) -> bool {
        let every = nanos(Duration::from_secs(1)) / u64::from(per_second.max(1));
        let latest = now.saturating_add(nanos(SAVED_UP));
        let turn = self.next.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |next| {
            let after = next.max(now).saturating_add(every);
            (after <= latest).then_some(after)
        });
        turn.is_ok()
    }
}

fn nanos(span: Duration) -> u64 {
    u64::try_from(span.as_nanos()).unwrap_or(u64::MAX)
}

/// What an address is counted under.
fn key_of(address: IpAddr) -> IpAddr {
    match address {
        IpAddr::V4(_) => address,
        IpAddr::V6(v6) => {
            let [a, b, c, d, ..] = v6.segments();
            Ipv6Addr::new(a, b, c, d, 0, 0, 0, 0).into()
        }
    }
}

/// One connection of a peer.
pub(super) struct Visit {
    peers: Arc<Peers>,
    peer: Arc<Peer>,
    /// Requests that it began.
    begun: AtomicU64,
    /// Requests of it that are being answered.
    running: AtomicUsize,
    /// Answers whose bodies are on their way: when more of each was last asked for, by its number.
    leaving: Mutex<BTreeMap<u64, Instant>>,
    was_told: AtomicBool,
}

impl Drop for Visit {
    fn drop(&mut self) {
        self.peer.connections.fetch_sub(usize::from(!self.peer.is_known), Ordering::Relaxed);
    }
}

impl Visit {
    /// Requests begun so far.
    pub(super) fn begun(&self) -> u64 {
        self.begun.load(Ordering::Relaxed)
    }

    /// Whether a request is being answered.
    pub(super) fn is_busy(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
    }

    /// Whether an answer waits whose peer has made no room for more of it since `wait` ago. HTTP/2 lets a peer do that to one
    /// answer and go on with others, so each is looked at.
    pub(super) fn is_stuck(&self, wait: Duration) -> bool {
        self.leaving().values().any(|asked| asked.elapsed() > wait)
    }

    fn leaving(&self) -> MutexGuard<'_, BTreeMap<u64, Instant>> {
        self.leaving.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// True the first time.
    pub(super) fn first_told(&self) -> bool {
        !self.was_told.swap(true, Ordering::Relaxed)
    }

    /// Leave to answer a request whose body has at least so many bytes.
    pub(super) fn ask(self: &Arc<Self>, body_bytes: u64) -> Result<Stay, Busy> {
        self.begun.fetch_add(1, Ordering::Relaxed);
        let peers = &self.peers;
        if !self.peer.is_known && !self.peer.may_ask(peers.now(), peers.limits.peer_requests_per_second) {
            return Err(Busy::Peer);
        }
        // What declares too much is for the route to refuse, which knows how much is too much; it reads none of it.
        let declared = usize::try_from(body_bytes)
            .unwrap_or(usize::MAX)
            .min(peers.limits.body_bytes_max / PEER_SHARE / 2);
        if body_bytes > 0 && !self.has_room_for(declared) {
            return Err(Busy::Bodies);
        }
        self.place()
    }

    fn place(self: &Arc<Self>) -> Result<Stay, Busy> {
        let max = self.peers.limits.requests_max;
        let all = self.peers.requests.fetch_add(1, Ordering::Relaxed);
        let own = self.peer.requests.fetch_add(1, Ordering::Relaxed);
        self.running.fetch_add(1, Ordering::Relaxed);
        // Taken before it is looked at, so that two do not share the last one; dropped, it is given back.
        let stay = Stay(Arc::clone(self));
        if !self.peer.is_known && own >= (max / PEER_SHARE).max(1) {
            return Err(Busy::PeerRequests);
        }
        if all >= max { Err(Busy::Requests) } else { Ok(stay) }
    }

    fn has_room_for(&self, bytes: usize) -> bool {
        let max = self.peers.limits.body_bytes_max;
        let within =
            |held: &AtomicUsize, max: usize| held.load(Ordering::Relaxed).saturating_add(bytes) <= max;
        within(&self.peers.body_bytes, max)
            && (self.peer.is_known || within(&self.peer.body_bytes, max / PEER_SHARE))
    }
}

/// A request that is being answered; over when it is dropped.
pub(super) struct Stay(Arc<Visit>);

impl Drop for Stay {
    fn drop(&mut self) {
        self.0.running.fetch_sub(1, Ordering::Relaxed);
        self.0.peer.requests.fetch_sub(1, Ordering::Relaxed);
        self.0.peers.requests.fetch_sub(1, Ordering::Relaxed);
    }
}

/// An answer whose body is on its way; over when it is dropped.
pub(super) struct Leave {
    stay: Stay,
    number: u64,
}

impl Leave {
    pub(super) fn of(stay: Stay) -> Self {
        let mut leaving = stay.0.leaving();
        let number = leaving.last_key_value().map_or(0, |(last, _)| last.saturating_add(1));
        leaving.insert(number, Instant::now());
        drop(leaving);
        Self { stay, number }
    }

    /// More of it is asked for.
    pub(super) fn asked(&self) {
        self.visit().leaving().insert(self.number, Instant::now());
    }

    fn visit(&self) -> &Visit {
        &self.stay.0
    }
}

impl Drop for Leave {
    fn drop(&mut self) {
        self.visit().leaving().remove(&self.number);
    }
}

/// The body of one request as far as it was read; given back when the last of those who hold it is gone.
pub(super) struct Weight {
    visit: Arc<Visit>,
    bytes: AtomicUsize,
}

impl Weight {
    pub(super) fn of(visit: &Arc<Visit>) -> Arc<Self> {
        Arc::new(Self { visit: Arc::clone(visit), bytes: AtomicUsize::new(0) })
    }

    /// Adds what was read; false if that is too much for now.
    pub(super) fn add(&self, bytes: usize) -> bool {
        if !self.visit.has_room_for(bytes) {
            return false;
        }
        self.visit.peers.body_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.visit.peer.body_bytes.fetch_add(bytes, Ordering::Relaxed);
        self.bytes.fetch_add(bytes, Ordering::Relaxed);
        true
    }
}

impl Drop for Weight {
    fn drop(&mut self) {
        let bytes = self.bytes.load(Ordering::Relaxed);
        self.visit.peers.body_bytes.fetch_sub(bytes, Ordering::Relaxed);
        self.visit.peer.body_bytes.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(limits: &Limits) -> Arc<Peers> {
        let known = Arc::new(ArcSwap::from_pointee(vec!["10.0.0.0/8".parse().unwrap()]));
        Peers::new(Limits { known, ..*limits })
    }

    fn enter(peers: &Arc<Peers>, address: &str) -> Option<Arc<Visit>> {
        peers.enter(address.parse().unwrap())
    }

    #[test]
    fn a_peer_has_so_many_connections_and_whoever_is_known_any_number() {
        let peers = peers(&Limits { peer_connections_max: 2, ..Limits::default() });
        let held = [enter(&peers, "203.0.113.9"), enter(&peers, "::ffff:203.0.113.9")];
        assert!(held.iter().all(Option::is_some));
        assert!(enter(&peers, "203.0.113.9").is_none() && enter(&peers, "203.0.113.10").is_some());
        let v6 = [enter(&peers, "2001:db8:1:2::1"), enter(&peers, "2001:db8:1:2:ffff::1")];
        assert!(v6.iter().all(Option::is_some) && enter(&peers, "2001:db8:1:2::2").is_none());
        assert!(enter(&peers, "2001:db8:1:3::1").is_some());
        let known: Vec<_> = (0..9).map(|_| enter(&peers, "10.1.2.3")).collect();
        assert!(known.iter().all(Option::is_some));
        drop(held);
        assert!(enter(&peers, "203.0.113.9").is_some());
    }

    #[test]
    fn a_peer_that_comes_again_has_not_saved_up_anything_by_leaving() {
        let peers = peers(&Limits { peer_requests_per_second: 5, ..Limits::default() });
        let mut taken = 0;
        for _ in 0..50 {
            taken += usize::from(enter(&peers, "203.0.113.9").unwrap().ask(0).is_ok());
        }
        assert!((10..=12).contains(&taken), "{taken}");
        assert!(enter(&peers, "10.0.0.1").unwrap().ask(0).is_ok());
    }

    #[test]
    fn strangers_are_forgotten_and_those_who_are_here_are_not() {
        let peers = peers(&Limits::default());
        let stays = enter(&peers, "203.0.113.9").unwrap();
        for number in 0..30_000_u32 {
            let _ = peers.enter(IpAddr::from(number.to_be_bytes()));
        }
        let here = peers.here.lock().unwrap();
        assert!(here.len() <= PEERS_KEPT_MAX && here.contains_key(&"203.0.113.9".parse().unwrap()));
        drop(stays);
    }

    #[test]
    fn requests_and_bodies_are_given_back() {
        let peers = peers(&Limits { requests_max: 2, body_bytes_max: 400, ..Limits::default() });
        let visit = enter(&peers, "203.0.113.9").unwrap();
        let stay = visit.ask(0).unwrap();
        assert!(visit.is_busy() && matches!(visit.ask(0), Err(Busy::PeerRequests)), "one peer has its share");
        let known = enter(&peers, "10.0.0.1").unwrap();
        let other = known.ask(0).unwrap();
        assert!(matches!(known.ask(0), Err(Busy::Requests)));
        drop(other);
        drop(stay);
        assert!(!visit.is_busy() && visit.ask(0).is_ok());
        let weight = Weight::of(&visit);
        assert!(weight.add(100) && !weight.add(1), "a quarter is one peer's");
        assert!(matches!(visit.ask(1), Err(Busy::Bodies)) && visit.ask(0).is_ok());
        let theirs = Weight::of(&known);
        assert!(theirs.add(300) && !theirs.add(1));
        drop((weight, theirs));
        assert!(visit.ask(1).is_ok() && peers.body_bytes.load(Ordering::Relaxed) == 0);
    }
}
