//! The three servers, each a process of its own, so that its processor time can be told apart.

use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use axum::Router;
use axum::extract::{Request, State};
use axum::http::StatusCode;
use axum::routing::post;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;

use crate::disk::DATABASE;

use crate::Args;

/// How long a server may take to listen.
const START_WAIT: Duration = Duration::from_secs(30);

/// How often it is asked.
const START_POLL: Duration = Duration::from_millis(20);

/// Ticks of processor time per second in `/proc/<pid>/stat`: what Linux shows to programs, whatever it counts in.
const TICKS_PER_SECOND: u64 = 100;

/// Bytes the file log writes per callback: about one row of the service's own log.
const LOG_RECORD_BYTES: usize = 128;

/// Most callbacks that wait for the file log; more than the connections of any run.
const LOG_WAITING_MAX: usize = 65_536;

/// Which server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Kind {
    /// Stores nothing.
    Bare,
    /// Appends to a file.
    FileLog,
    /// The service.
    Reinstate,
}

impl Kind {
    pub(crate) const ALL: [Kind; 3] = [Self::Bare, Self::FileLog, Self::Reinstate];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Bare => "bare",
            Self::FileLog => "file log",
            Self::Reinstate => "reinstate",
        }
    }
}

/// A running server; dropping it kills it.
pub(crate) struct Server {
    pub(crate) kind: Kind,
    pub(crate) address: SocketAddr,
    child: Child,
}

impl Server {
    /// Starts a server and waits until it listens.
    pub(crate) async fn start(kind: Kind, dir: &Path, args: &Args) -> Result<Self> {
        match kind {
            Kind::Bare => Self::start_own(kind, Command::new(std::env::current_exe()?).arg("--bare")),
            Kind::FileLog => {
                let mut command = Command::new(std::env::current_exe()?);
                Self::start_own(kind, command.arg("--filelog").arg(dir.join("filelog")))
            }
            Kind::Reinstate => Self::start_service(dir, args).await,
        }
    }

    /// Starts this program in another role; it says its address on its first line.
    fn start_own(kind: Kind, command: &mut Command) -> Result<Self> {
        let mut child = command.stdout(Stdio::piped()).spawn().context("starting a yardstick")?;
        let stdout = child.stdout.take().context("the yardstick has no output")?;
        let mut line = String::new();
        BufReader::new(stdout).read_line(&mut line)?;
        let address = line.trim().parse().context("reading the yardstick's address")?;
        Ok(Self { kind, address, child })
    }

    async fn start_service(dir: &Path, args: &Args) -> Result<Self> {
        let binary = &args.binary;
        let file = || format!("sqlite:{}", dir.join(DATABASE).display());
        let (address, admin, nobody) = (free_port()?, free_port()?, free_port()?);
        let child = Command::new(binary)
            .arg("serve")
            .current_dir(dir)
            .env("REINSTATE__PUBLIC__LISTEN", address.to_string())
            .env("REINSTATE__ADMIN__LISTEN", admin.to_string())
            .env("REINSTATE__ADMIN__BOOTSTRAP_TOKEN", "bench-token-that-opens-nothing-else")
            .env("REINSTATE__STORE__URL", args.store_url.clone().unwrap_or_else(file))
            .env("REINSTATE__STORE__SPOOL_DIR", dir.join("spool"))
            // Nobody answers there: what is measured is the intake, while processing waits for its Nium.
            .env("REINSTATE__NIUM__BASE_URL", format!("http://{nobody}"))
            .env("REINSTATE__NIUM__CLIENT_HASH_ID", "6f0f8e0a-51c7-4d1e-9d3f-0b7a5d6f2c11")
            .env("REINSTATE__NIUM__API_KEY", "bench-key")
            .env("REINSTATE__PRIVACY__MASTER_KEYS", "bench:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=")
            .env("REINSTATE__TELEMETRY__LOG", "error")
            .spawn()
            .with_context(|| format!("starting {}", binary.display()))?;
        let mut server = Self { kind: Kind::Reinstate, address, child };
        server.listening().await?;
        Ok(server)
    }

    async fn listening(&mut self) -> Result<()> {
        let until = Instant::now() + START_WAIT;
        while TcpStream::connect(self.address).await.is_err() {
            if let Some(status) = self.child.try_wait()? {
                bail!("the service ended before it listened: {status}");
            }
            anyhow::ensure!(Instant::now() < until, "the service does not listen");
            tokio::time::sleep(START_POLL).await;
        }
        Ok(())
    }

    /// Processor time used so far, in user mode and in the kernel.
    pub(crate) fn cpu_time(&self) -> Result<Duration> {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", self.child.id()))?;
        // The name in brackets may hold spaces; the fields after it are counted from the state, field 3.
        let (_, fields) = stat.rsplit_once(')').context("reading the processor time")?;
        let ticks = fields.split_whitespace().skip(11).take(2);
        let ticks: u64 = ticks.map(str::parse::<u64>).sum::<Result<_, _>>()?;
        Ok(Duration::from_millis(ticks * (1000 / TICKS_PER_SECOND)))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended by itself; either way nothing of it is left.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// An address that was free a moment ago.
fn free_port() -> Result<SocketAddr> {
    let listener = std::net::TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    Ok(listener.local_addr()?)
}

/// Serves until killed, after saying where on the standard output.
async fn serve(router: Router) -> Result<()> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
    println!("{}", listener.local_addr()?);
    axum::serve(listener, router).await.context("serving")
}

/// The bare handler.
pub(crate) async fn be_bare() -> Result<()> {
    serve(Router::new().route("/callback/compliance", post(async || StatusCode::OK))).await
}

/// One callback that waits for the file log.
struct Entry {
    record: [u8; LOG_RECORD_BYTES],
    written: oneshot::Sender<()>,
}

/// The file log: one thread writes what waits, flushes once, and answers everybody.
pub(crate) async fn be_file_log(path: &Path) -> Result<()> {
    let file = File::options().create(true).append(true).open(path)?;
    let (entries, waiting) = mpsc::sync_channel(LOG_WAITING_MAX);
    std::thread::Builder::new().spawn(move || write_groups(file, &waiting))?;
    serve(Router::new().route("/callback/compliance", post(log)).with_state(entries)).await
}

async fn log(State(entries): State<mpsc::SyncSender<Entry>>, request: Request) -> StatusCode {
    let mut record = [b' '; LOG_RECORD_BYTES];
    let query = request.uri().query().unwrap_or_default().bytes();
    for (place, byte) in record.iter_mut().zip(query) {
        *place = byte;
    }
    let (written, done) = oneshot::channel();
    let sent = entries.try_send(Entry { record, written });
    if sent.is_err() || done.await.is_err() {
        return StatusCode::SERVICE_UNAVAILABLE;
    }
    StatusCode::OK
}

fn write_groups(mut file: File, waiting: &mpsc::Receiver<Entry>) -> std::io::Result<()> {
    let mut bytes = Vec::new();
    let mut group = Vec::new();
    while let Ok(first) = waiting.recv() {
        for entry in std::iter::once(first).chain(waiting.try_iter()) {
            bytes.extend_from_slice(&entry.record);
            group.push(entry.written);
        }
        file.write_all(&bytes)?;
        file.sync_data()?;
        bytes.clear();
        for written in group.drain(..) {
            // The caller may have gone away.
            let _ = written.send(());
        }
    }
    Ok(())
}
