//! What is asked for. Whoever adds a page adds its address here.

/// The token of the requests.
pub(crate) const TOKEN: &str = "bench-token-that-opens-nothing-else";

/// One page.
pub(crate) struct Page {
    /// Its path and query.
    pub(crate) address: &'static str,
}

const fn page(address: &'static str) -> Page {
    Page { address }
}

/// Every page: the console's, then the API's. `i` of the customer is 14, see `fill`.
pub(crate) const PAGES: &[Page] = &[
    page("/"),
    page("/?days=90"),
    page("/journeys"),
    page("/journeys?step=reinstated&days=90"),
    page("/journeys?step=under_way"),
    page("/cases"),
    page("/cases?state=approved&olderThan=10d"),
    page("/cases?state=awaiting_correction&class=fixable"),
    page("/cases?view=needs_officer"),
    page("/cases?view=needs_officer&kind=corporate"),
    page("/cases?view=deadline"),
    page("/cases?view=stuck"),
    page("/cases/00000000-0000-0000-0000-00000001b112"),
    page("/bulk"),
    page("/approvals"),
    page("/callbacks"),
    page("/jobs"),
    page("/jobs?kind=look&status=waiting"),
    page("/jobs?kind=look&status=failing"),
    page("/jobs?status=failed"),
    page("/sweeps"),
    page("/audit"),
    page("/audit?actor=ana"),
    page("/settings"),
    page("/v1/overview"),
    page("/v1/overview?days=90"),
    page("/v1/journeys"),
    page("/v1/journeys?step=reinstated&days=90&limit=200"),
    page("/v1/journeys?step=finally_rejected"),
    page("/v1/journeys?step=under_way"),
    page("/v1/journeys?step=unaided&days=90"),
    page("/v1/customers"),
    page("/v1/customers?state=approved"),
    page("/v1/customers?class=fixable&olderThan=10d"),
    page("/v1/customers?view=stuck"),
    page("/v1/views"),
    page("/v1/customers?state=needs_officer"),
    page("/v1/customers?state=awaiting_correction&olderThan=10d"),
    page("/v1/customers?complianceStatus=REJECT"),
    page("/v1/customers/00000000-0000-0000-0000-00000001b112"),
    page("/v1/customers/00000000-0000-0000-0000-00000001b112/timeline"),
    page("/v1/callbacks"),
    page("/v1/callbacks?customerHashId=00000000-0000-0000-0000-00000001b112"),
    page("/v1/jobs"),
    page("/v1/jobs?kind=decision"),
    page("/v1/jobs?kind=look"),
    page("/v1/jobs?status=failing"),
    page("/v1/jobs?status=failed"),
    page("/v1/jobs?kind=webhook&status=waiting"),
    page("/v1/approvals"),
    page("/v1/sweeps"),
    page("/v1/audit"),
    page("/v1/audit?actor=ana"),
    page("/v1/audit?what=officer"),
    page("/v1/events?after=0"),
    page("/v1/deliveries"),
    page("/v1/deliveries?status=failed"),
    page("/v1/endpoints"),
    page("/readyz"),
    page("/readyz?verbose"),
    page("/metrics"),
    page("/docs"),
];
