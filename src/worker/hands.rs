//! What this process has in hand. A claim whose answer was lost on the way from the database holds a customer for nobody:
//! whatever stands there under our name and is not in our hands is given back.

use std::collections::HashSet;
use std::hash::Hash;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::Worker;
use crate::domain::id::CustomerHashId;
use crate::store::error::StoreError;

/// How long after trouble with the database it is still doubted what it holds for us: a commit that was on its way may
/// take effect after its connection is gone.
const DOUBT: Duration = Duration::from_secs(10);

/// Customers and notifications in hand.
#[derive(Debug, Default)]
pub(super) struct Hands {
    customers: Mutex<HashSet<CustomerHashId>>,
    tells: Mutex<HashSet<i64>>,
    doubted: Mutex<Option<Instant>>,
}

/// Something in hand, until this is dropped.
pub(super) struct Grip<T: Eq + Hash + Copy> {
    hands: Arc<Hands>,
    set: fn(&Hands) -> &Mutex<HashSet<T>>,
    what: T,
}

impl<T: Eq + Hash + Copy> Grip<T> {
    fn new(hands: &Arc<Hands>, set: fn(&Hands) -> &Mutex<HashSet<T>>, what: T) -> Self {
        set(hands).lock().unwrap_or_else(PoisonError::into_inner).insert(what);
        Self { hands: Arc::clone(hands), set, what }
    }
}

impl<T: Eq + Hash + Copy> Drop for Grip<T> {
    fn drop(&mut self) {
        (self.set)(&self.hands).lock().unwrap_or_else(PoisonError::into_inner).remove(&self.what);
    }
}

impl Hands {
    pub(super) fn customer(self: &Arc<Self>, customer: CustomerHashId) -> Grip<CustomerHashId> {
        Grip::new(self, |hands| &hands.customers, customer)
    }

    pub(super) fn tell(self: &Arc<Self>, seq: i64) -> Grip<i64> {
        Grip::new(self, |hands| &hands.tells, seq)
    }

    /// The database was in trouble while something was claimed or given back.
    pub(super) fn doubt(&self) {
        *self.doubted.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
    }

    fn is_in_doubt(&self) -> bool {
        let doubted = *self.doubted.lock().unwrap_or_else(PoisonError::into_inner);
        doubted.is_some_and(|at| at.elapsed() < DOUBT)
    }
}

impl Worker {
    /// Gives back what is held under our name and is not in our hands. Only the one loop that claims may call this:
    /// what it has claimed is in its hands by then.
    pub(super) async fn let_go(&self) -> Result<(), StoreError> {
        if !self.hands.is_in_doubt() {
            return Ok(());
        }
        let customers = self.hands.customers.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let tells = self.hands.tells.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let released = self.store.release_lost(customers, tells).await?;
        if released > 0 {
            tracing::info!(released, "claims whose answers were lost are given back");
        }
        Ok(())
    }
}
