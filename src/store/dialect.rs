//! What the two databases say in different words. Everything else of SQL is the same for both, see [`super::sql`].

/// Words of one database. The same words stand in its migrations, where an index is made of them.
pub(super) struct Dialect {
    /// After a query that claims: rows that another replica is about to claim are passed over.
    pub(super) skip_locked: &'static str,
    /// Makes that what is deleted is overwritten in the file, and ends it, where the database can.
    pub(super) overwrite: Option<(&'static str, &'static str)>,
    /// Name and version of the database, and the number of its schema.
    pub(super) version: &'static str,
    /// How many callbacks wait in the log for the fold.
    pub(super) unfolded: &'static str,
    /// When the oldest of those came.
    pub(super) oldest_unfolded: &'static str,
    /// When the last callback or webhook came, if one has.
    pub(super) last_callback: &'static str,
    /// Drops log rows between two ids from before a moment, if folded rows stay in the log.
    pub(super) drop_log: Option<&'static str>,
    /// Nium's compliance status in the facts of a snapshot.
    pub(super) compliance: &'static str,
    /// Nium's platform status in the facts of a snapshot.
    pub(super) status: &'static str,
    /// Person or company, in the facts of a snapshot.
    pub(super) kind: &'static str,
    /// The verdict on the remarks, in the data of a case; null where the state has none.
    pub(super) class: &'static str,
    /// Until when the customer can answer an offer, or else a request for information: its first 19 characters, which
    /// sort as the moments do. Null where nothing is open.
    pub(super) deadline: &'static str,
}
