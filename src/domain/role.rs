//! What people and tokens may do.

/// What a person or a token may do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Role {
    /// Reads.
    Viewer,
    /// Reads, and decides about cases.
    Officer,
    /// Everything.
    Admin,
    /// The app backend's own calls: reads, applications and corrections.
    App,
}

impl Role {
    /// Every role.
    pub const ALL: [Role; 4] = [Role::Viewer, Role::Officer, Role::Admin, Role::App];

    /// The word used on the command line, in the configuration and in the database.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Officer => "officer",
            Self::Admin => "admin",
            Self::App => "app",
        }
    }

    /// Reads [`Role::as_str`] back.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|role| role.as_str() == text)
    }

    /// Whether a route that needs this is open.
    #[must_use]
    pub fn may(self, need: Need) -> bool {
        match need {
            Need::Read => true,
            Need::Correct => matches!(self, Self::Officer | Self::Admin | Self::App),
            Need::Decide => matches!(self, Self::Officer | Self::Admin),
            Need::Manage => matches!(self, Self::Admin),
        }
    }
}

/// What a route needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Need {
    /// See customers and evidence.
    Read,
    /// Hand in applications and corrections.
    Correct,
    /// Decide about a case.
    Decide,
    /// Settle who may do what.
    Manage,
}
