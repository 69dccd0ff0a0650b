//! The only place that knows everybody: a [`Config`] in, a running service out. `main` and the tests build the same
//! [`App`]; the listeners come from outside, so that a test can bind port 0.

mod faces;
mod keys;
mod outside;
mod reload;

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use axum::Router;
use tokio_util::sync::CancellationToken;

use self::faces::{callback_state, console_state, listener_options, page_state};
use self::keys::Comparison;
pub use self::keys::{adopt_audit_keys, check_keys};
use self::outside::{endpoints, known_endpoints, nium_client, shared_turns, start_traces};
pub use self::outside::{knock_at_collector, knock_at_mail_server, knock_at_nium};
pub use self::reload::Reloader;
use self::reload::{Shared, mail_options};
use crate::clock::Clock;
use crate::config::{self, Config, StoreUrl};
use crate::domain::application::Region;
use crate::domain::decision::{Policy, UnknownRemark};
use crate::domain::remark::RemarkClass;
use crate::flow::classify::Rule;
use crate::http::api::ApiState;
use crate::http::health::HealthState;
use crate::http::serve::{self, Handle, serve};
use crate::lifecycle::Lifecycle;
use crate::metrics::Metrics;
use crate::nium::Nium;
use crate::ops::Ops;
use crate::ops::approvals::SecondPerson;
use crate::ops::events::Endpoints;
use crate::ops::people::Attempts;
use crate::spool::{self, Spool};
use crate::store::wake::Wake;
use crate::store::{self, Place, Store, Use};
use crate::traces::Traces;
use crate::vault::{MasterKey, Vault};
use crate::worker::mail::Mailer;
use crate::worker::{self, Chance, Parts, Worker};

/// How long requests under way may take to finish once the listeners are closed.
const GRACE: Duration = Duration::from_secs(10);
/// How long a stopping replica waits for the database to hear that it leaves.
const LEAVE_WAIT: Duration = Duration::from_secs(2);
/// Customers attended to at once: more than the calls to Nium that may run at once, so that storing and sealing go on
/// while others wait for the pace.
const CUSTOMERS_AT_ONCE: usize = 8;

/// The file of erasures in the spool's folder.
const ERASURE_FILE: &str = "erasures.jsonl";

/// What an [`App`] is built from, besides its configuration.
#[derive(Debug)]
pub struct Surroundings {
    /// Where `now` comes from.
    pub clock: Clock,
    /// The public listener, bound.
    pub public: TcpListener,
    /// The admin listener, bound.
    pub admin: TcpListener,
    /// Wake-ups; a silent one proves that the poll alone suffices.
    pub wake: Wake,
}

/// A service that is put together and not yet running.
pub struct App {
    public: Listener,
    admin: Listener,
    worker: Arc<Worker>,
    store: Arc<Store>,
    spool: Arc<Spool>,
    traces: Traces,
    stopping: Arc<AtomicBool>,
    /// What is still to be done if the database was away and could not be compared with the keys.
    unchecked: Option<Comparison>,
    drain: Duration,
    reloader: Arc<Reloader>,
}

struct Listener {
    socket: TcpListener,
    router: Router,
    options: serve::Options,
    handle: Handle,
}

impl Listener {
    fn new(socket: TcpListener, router: Router, options: serve::Options) -> Self {
        Self { socket, router, options, handle: Handle::new() }
    }
}

impl App {
    /// Opens the store and the spool, and wires everything together.
    pub async fn build(config: &Config, surroundings: Surroundings) -> anyhow::Result<Self> {
        let Surroundings { clock, public, admin, wake } = surroundings;
        let (store, vault, spool) = open_places(config, &clock, &wake)?;
        let metrics = Arc::new(Metrics::new());
        let unchecked = compared(config, &store, &vault, &metrics).await?;
        let stopping = Arc::new(AtomicBool::new(false));
        let traces = start_traces(config, &metrics, spool.owner())?;
        let nium = Arc::new(nium_client(config, (&*metrics, &traces, &clock), shared_turns(&store))?);
        let api_url = config.admin.url.clone();
        let endpoints = endpoints(config)?;
        let known = known_endpoints(config, &endpoints, &clock);
        let mailer = mail_options(config).map(Mailer::new).transpose().context("notify.email")?.map(Arc::new);
        let shared = Shared::new(config)?;
        let parts = Parts {
            options: worker_options(config, &api_url),
            store: Arc::clone(&store),
            spool: Arc::clone(&spool),
            nium: Arc::clone(&nium),
            vault: Arc::clone(&vault),
            endpoints: Arc::clone(&endpoints),
            mailer: mailer.clone(),
            clock: clock.clone(),
            chance: Chance::new(uuid::Uuid::new_v4),
            wake,
            metrics: metrics.work.clone(),
            traces: traces.clone(),
        };
        let seen = (&*metrics, &traces);
        let callbacks = callback_state(config, (&store, &spool), seen, clock.clone(), &shared);
        let health = Arc::new(HealthState {
            store: Arc::clone(&store),
            spool: Arc::clone(&spool),
            metrics,
            clock,
            stopping: Arc::clone(&stopping),
            last_knock: Arc::clone(&shared.last_knock),
            undeclared_proxy: Arc::clone(&shared.undeclared_proxy),
        });
        let api = Arc::new(api_state(config, (vault, Arc::clone(&nium)), &health, api_url, known, &shared));
        let options = listener_options(config, &health.metrics, &shared).await?;
        let console = console_state(config, &api, &health, &shared)?;
        let reloader = Reloader::new(reload::Parts {
            config: config.clone(),
            shared,
            nium,
            endpoints,
            mailer,
            certificates: reload::certificates(&options),
            metrics: health.metrics.reload.clone(),
        });
        let [public_options, admin_options] = options;
        Ok(Self {
            public: Listener::new(
                public,
                crate::http::public_router(callbacks, page_state(config, &api.ops), &health),
                public_options,
            ),
            admin: Listener::new(admin, crate::http::admin_router(&api, &console, &health), admin_options),
            worker: Arc::new(Worker::new(parts)),
            store,
            spool,
            traces,
            stopping,
            unchecked,
            drain: config.public.drain,
            reloader: Arc::new(reloader),
        })
    }

    /// What the public and the admin listener serve, for whoever asks without a connection.
    pub fn routers(&self) -> [Router; 2] {
        [self.public.router.clone(), self.admin.router.clone()]
    }

    /// The address of the public listener.
    pub fn public_addr(&self) -> std::io::Result<SocketAddr> {
        self.public.socket.local_addr()
    }

    /// The address of the admin listener.
    pub fn admin_addr(&self) -> std::io::Result<SocketAddr> {
        self.admin.socket.local_addr()
    }

    /// What takes a new configuration while the service runs.
    #[must_use]
    pub fn reloader(&self) -> Arc<Reloader> {
        Arc::clone(&self.reloader)
    }

    /// Runs until `stop` resolves, then stops as the design says (4.1): readiness turns false, intake stays open for
    /// the drain time, listeners close, loops finish, the writer thread stops last. `stop` is asked again meanwhile; a
    /// second signal ends the waiting. True if nothing failed.
    pub async fn run<S, F>(self, stop: S) -> bool
    where
        S: Fn() -> F,
        F: Future<Output = ()>,
    {
        let life = Lifecycle::new();
        let handles = [self.public.handle.clone(), self.admin.handle.clone()];
        for (name, listener) in [("public listener", self.public), ("admin listener", self.admin)] {
            let Listener { socket, router, options, handle } = listener;
            life.spawn(name, async move {
                serve(socket, router, options, handle).await.map_err(|error| error.to_string())
            });
        }
        let checked = stand_guard(&life, self.reloader, self.unchecked);
        let hard = life.hard();
        let by_the_side = ByTheSide { life: &life, worker: &self.worker, checked: &checked };
        by_the_side.start("worker", |worker, soft| worker::run(worker, soft, hard));
        by_the_side.start("housekeeping", worker::house::keep);
        by_the_side.start("marks", worker::marks::mark);
        by_the_side.start("bulk", worker::bulk::carry_out);
        by_the_side.start("drain", worker::drain::drain);
        by_the_side.start("sweep", worker::sweep::sweep);
        by_the_side.start("silence", worker::silence::watch);
        by_the_side.start("endpoints", worker::endpoints::watch);
        by_the_side.start("audit", worker::audit::keep);
        by_the_side.start("retention", worker::retain::keep);
        by_the_side.start("erasures", worker::erasures::keep);
        by_the_side.start("tally", worker::tally::count);

        tokio::select! {
            () = stop() => tracing::info!("stopping: readiness is off, intake stays open while traffic moves away"),
            () = life.soft().cancelled_owned() => {}
        }
        self.stopping.store(true, Ordering::Relaxed);
        tokio::select! {
            () = tokio::time::sleep(self.drain) => {}
            () = stop() => {}
            () = life.soft().cancelled_owned() => {}
        }
        life.soft().cancel();
        for handle in &handles {
            handle.graceful_shutdown(GRACE);
        }
        let finished = life.finished();
        tokio::pin!(finished);
        let well = tokio::select! {
            well = &mut finished => well,
            () = late(stop()) => {
                life.hard().cancel();
                handles.iter().for_each(Handle::shutdown);
                finished.await
            }
        };
        // Another replica need not wait for what we do not do any more.
        let _ = tokio::time::timeout(LEAVE_WAIT, self.store.leave_duty()).await;
        let (store, spool, traces) = (Arc::clone(&self.store), Arc::clone(&self.spool), self.traces.clone());
        let close = move || {
            traces.close();
            spool.close();
            store.close();
        };
        let closed = tokio::task::spawn_blocking(close).await.is_ok();
        tracing::info!(well, "stopped");
        well && closed
    }
}

/// The store, what opens what is sealed in it, and the spool beside it.
fn open_places(
    config: &Config,
    clock: &Clock,
    wake: &Wake,
) -> anyhow::Result<(Arc<Store>, Arc<Vault>, Arc<Spool>)> {
    let store = Arc::new(open_store(&config.store, Use::Serve, clock.clone(), wake.clone())?);
    let vault = Arc::new(open_vault(&config.privacy.master_keys)?);
    let spool = Arc::new(open_spool(config)?);
    store.serves_as(spool.owner().to_owned());
    Ok((store, vault, spool))
}

/// Compares keys and erasures with the database; gives what is still to be done if it cannot be used yet.
async fn compared(
    config: &Config,
    store: &Arc<Store>,
    vault: &Arc<Vault>,
    metrics: &Metrics,
) -> anyhow::Result<Option<Comparison>> {
    let comparison = Comparison {
        store: Arc::clone(store),
        vault: Arc::clone(vault),
        erasure_file: erasure_file(config),
        metrics: metrics.work.clone(),
    };
    Ok(if comparison.now().await? { None } else { Some(comparison) })
}

/// Starts what watches over files and keys beside the service. What is given back opens once the keys are known to be right.
fn stand_guard(
    life: &Lifecycle,
    reloader: Arc<Reloader>,
    unchecked: Option<Comparison>,
) -> CancellationToken {
    let checked = CancellationToken::new();
    match unchecked {
        Some(comparison) => life.spawn("keys", comparison.later(checked.clone(), life.soft())),
        None => checked.cancel(),
    }
    let soft = life.soft();
    life.spawn("certificates", async move {
        reloader.watch_certificates(soft).await;
        Ok(())
    });
    checked
}

/// Starts the loops that run until the soft stop.
struct ByTheSide<'a> {
    life: &'a Lifecycle,
    worker: &'a Arc<Worker>,
    /// None begins before this: with a wrong key it would seal what nobody can open.
    checked: &'a CancellationToken,
}

impl ByTheSide<'_> {
    fn start<F: Future<Output = ()> + Send + 'static>(
        &self,
        name: &'static str,
        run: impl FnOnce(Arc<Worker>, CancellationToken) -> F + Send + 'static,
    ) {
        let (worker, soft, checked) = (Arc::clone(self.worker), self.life.soft(), self.checked.clone());
        self.life.spawn(name, async move {
            tokio::select! {
                () = checked.cancelled_owned() => run(worker, soft).await,
                () = soft.clone().cancelled_owned() => {}
            }
            Ok(())
        });
    }
}

/// The end of patience: a second signal, or the grace period and a little more.
async fn late(again: impl Future<Output = ()>) {
    tokio::select! {
        () = again => {}
        () = tokio::time::sleep(GRACE + Duration::from_secs(2)) => {}
    }
}

fn api_state(
    config: &Config,
    (vault, nium): (Arc<Vault>, Arc<Nium>),
    health: &Arc<HealthState>,
    api_url: String,
    endpoints: Endpoints,
    shared: &Shared,
) -> ApiState {
    let ops = Ops {
        store: Arc::clone(&health.store),
        vault,
        nium,
        clock: health.clock.clone(),
        region: config.nium.region.map(region),
        api_url,
        page_url: config.public.url.clone(),
        submissions_max: config.flow.max_submissions,
        client_hash_id: config.nium.client_hash_id.to_string(),
        newer_block_reasons: config.nium.newer_block_reasons,
        second_person: SecondPerson {
            permanent_block: takes_two(config, config::SecondPerson::PermanentBlock),
            override_final: takes_two(config, config::SecondPerson::OverrideFinal),
        },
        fresh_id: uuid::Uuid::now_v7,
        endpoints,
        attempts: Attempts::default(),
        requests_per_second: config.nium.requests_per_second,
        work: health.metrics.work.clone(),
    };
    ApiState { ops: Arc::new(ops), bootstrap: Arc::clone(&shared.bootstrap), health: Arc::clone(health) }
}

fn database_tls(tls: &config::PostgresTls) -> store::PostgresTls {
    match tls {
        config::PostgresTls::Off => store::PostgresTls::Off,
        config::PostgresTls::Verified(root) => store::PostgresTls::Verified(root.clone()),
    }
}

/// Opens the store that the configuration names.
pub fn open_store(config: &config::Store, used: Use, clock: Clock, wake: Wake) -> anyhow::Result<Store> {
    let place = match &config.url {
        StoreUrl::Sqlite(path) => Place::Sqlite(path.clone()),
        StoreUrl::Postgres(address) => Place::Postgres(Box::new(store::PostgresOptions {
            url: address.url.expose().to_owned(),
            tls: database_tls(&address.tls),
            listen: address
                .listen
                .as_ref()
                .map(|listen| (listen.url.expose().to_owned(), database_tls(&listen.tls))),
            wake_ups: config.wake_ups,
            connections: config.connections,
        })),
    };
    Store::open(&place, used, clock, wake).with_context(|| format!("opening the store at {}", config.url))
}

/// A vault with these master keys; without any it is an error.
pub fn open_vault(keys: &[config::MasterKeyText]) -> anyhow::Result<Vault> {
    let keys =
        keys.iter().map(|key| MasterKey::new(&key.id, key.key.expose())).collect::<Result<Vec<_>, _>>()?;
    Vault::new(keys).context("privacy.master_keys")
}

fn region(region: config::Region) -> Region {
    match region {
        config::Region::Sg => Region::Sg,
        config::Region::Eu => Region::Eu,
        config::Region::Au => Region::Au,
        config::Region::Hk => Region::Hk,
        config::Region::Uk => Region::Uk,
        config::Region::Us => Region::Us,
        config::Region::Ca => Region::Ca,
    }
}

fn worker_options(config: &Config, api_url: &str) -> worker::Options {
    let rules = config.flow.rules.iter().map(|rule| {
        let class = match rule.class {
            config::RuleClass::Fixable => RemarkClass::Fixable,
            config::RuleClass::Final => RemarkClass::Final,
        };
        Rule::new(&rule.name, class, &rule.contains, &rule.fields)
    });
    worker::Options {
        policy: Policy {
            submissions_max: config.flow.max_submissions,
            correction_days: config.flow.correction_days,
            remind_after_days: config.flow.remind_after_days.clone(),
            rfi_days: config.flow.rfi_days,
            active_every: signed(config.sweep.active_every),
            unknown_remark: match config.flow.unknown_remark {
                config::UnknownRemark::Offer => UnknownRemark::Offer,
                config::UnknownRemark::Officer => UnknownRemark::Officer,
            },
            settle: signed(config.nium.settle),
        },
        rules: rules.collect(),
        call_limit: config.nium.timeout,
        customers_at_once: CUSTOMERS_AT_ONCE,
        api_url: api_url.to_owned(),
        disable_after: config.notify.disable_after,
        sweep: worker::SweepOptions {
            full_every: config.sweep.full_every,
            page_size: config.sweep.page_size,
            grace: config.sweep.grace,
        },
        audit: worker::audit::Options {
            every: config.audit.checkpoint_every,
            file: config.audit.checkpoint_file.clone(),
        },
        override_needs_approval: takes_two(config, config::SecondPerson::OverrideFinal),
        addresses_when_completed: config.nium.addresses_when_completed,
        redirect_lives: config.nium.redirect_lives,
        keep_callbacks: config.privacy.keep_callbacks,
        keep_closed: config.privacy.keep_closed,
        keep_applicants: config.privacy.keep_applicants,
        keep_documents: config.privacy.keep_documents,
        erasure_file: erasure_file(config),
    }
}

/// Where it is written down who was erased.
fn erasure_file(config: &Config) -> PathBuf {
    let beside = || config.store.spool_dir.join(ERASURE_FILE);
    config.privacy.erasure_file.clone().unwrap_or_else(beside)
}

fn takes_two(config: &Config, what: config::SecondPerson) -> bool {
    config.flow.second_person.contains(&what)
}

fn signed(span: Duration) -> jiff::SignedDuration {
    jiff::SignedDuration::try_from(span).unwrap_or(jiff::SignedDuration::MAX)
}

/// Opens the spool.
fn open_spool(config: &Config) -> anyhow::Result<Spool> {
    let options = spool::Options { folder: config.store.spool_dir.clone(), bytes: config.store.spool_bytes };
    Spool::open(&options).context("opening the spool")
}
