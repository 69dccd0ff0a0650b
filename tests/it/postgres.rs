//! PostgreSQL for the tests: a private cluster, made from the server programs of this machine and gone with the test
//! binary, and databases that belong to one test each.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{BufRead, BufReader, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};

use rand::RngExt;
use tempfile::TempDir;

use crate::house::lasting_address;

const FOLDER: &str = "REINSTATE_TEST_POSTGRES";
const MISSING: &str = "PostgreSQL's server programs are not here: install Debian's package `postgresql`, or name their \
                       folder in REINSTATE_TEST_POSTGRES; `tests/run` does it";
const PROGRAMS: [&str; 4] = ["initdb", "pg_isready", "postgres", "psql"];
const USER: &str = "reinstate";
/// How root runs the server programs, which refuse to be root.
const UNPRIVILEGED: [&str; 4] = ["setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups"];
const DISK: &str = "/tmp";
const MEMORY: &str = "/dev/shm";
/// Free memory, in MiB, that the shared cluster may be put into.
const ROOM: u64 = 2048;
const SETTINGS: &str = "
listen_addresses = '127.0.0.1'
max_connections = 400
max_prepared_transactions = 0
shared_buffers = 64MB
max_wal_size = 256MB
dynamic_shared_memory_type = mmap # in the folder, so that a killed server leaves none
deadlock_timeout = 200ms
log_min_messages = warning
log_statement = none
ssl = on
";

/// The cluster that the tests share, started by the first that asks. It is in memory where there is room: a database is
/// 300 files, and ext4 makes files slowly for a minute after others were deleted.
pub fn cluster() -> &'static Cluster {
    static SHARED: OnceLock<Result<Cluster, String>> = OnceLock::new();
    SHARED
        .get_or_init(|| Cluster::make(if has_room() { MEMORY } else { DISK }))
        .as_ref()
        .unwrap_or_else(|reason| panic!("{reason}"))
}

/// A server with its data. It ends when this is dropped, or with the test binary, however that ends.
pub struct Cluster {
    watchdog: Mutex<Watchdog>,
    address: Address,
    folder: TempDir,
}

impl Cluster {
    /// A cluster for one test alone, which may stop it; on disk.
    pub fn own() -> Self {
        Self::make(DISK).unwrap_or_else(|reason| panic!("{reason}"))
    }

    fn make(place: &str) -> Result<Self, String> {
        let programs = programs().ok_or(MISSING)?;
        // A socket's path may have 107 bytes, so the folder is not where TMPDIR says.
        let folder = tempfile::Builder::new().prefix("reinstate-pg-").tempdir_in(place).unwrap();
        let port = lasting_address().port();
        let password = format!("{:032x}", rand::rng().random::<u128>());
        let watchdog = Mutex::new(Watchdog::new(folder.path(), port, &programs));
        initialise(folder.path(), port, &programs, &password)?;
        let address = Address { psql: programs.join("psql"), port, password };
        let made = Self { watchdog, address, folder };
        made.order("start")?;
        Ok(made)
    }

    /// What the server has written down.
    pub fn log(&self) -> String {
        fs::read_to_string(log(self.folder.path())).unwrap()
    }

    /// Where a database of it is, without TLS.
    pub fn url(&self, database: &str) -> String {
        self.address.url(database, "disable")
    }

    /// The same with TLS, for a client that knows the authority of [`Self::ca`].
    pub fn tls_url(&self, database: &str) -> String {
        self.address.url(database, "verify-full")
    }

    /// The authority that signed the server's certificate, as a PEM file.
    pub fn ca(&self) -> PathBuf {
        self.folder.path().join("ca.crt")
    }

    /// A new, empty database.
    pub fn fresh(&self) -> Database {
        static MADE: AtomicU32 = AtomicU32::new(0);
        let name = format!("it_{}_{}", std::process::id(), MADE.fetch_add(1, Ordering::Relaxed));
        self.address.sql("postgres", &format!("CREATE DATABASE {name} TEMPLATE template0")).unwrap();
        Database { address: self.address.clone(), name }
    }

    /// Runs one of the programs that come with the server.
    pub fn program(&self, name: &str, args: &[&str]) -> Result<String, String> {
        run(bare(self.address.psql.with_file_name(name)).args(args).stdin(Stdio::null()))
    }

    /// Stops the server, `fast` (sessions are ended, all is written) or `immediate` (it recovers at the next start).
    pub fn stop(&self, mode: &str) {
        let signal = match mode {
            "fast" => "INT",
            "immediate" => "QUIT",
            _ => panic!("{mode} is neither fast nor immediate"),
        };
        self.order(signal).unwrap();
    }

    pub fn stop_fast(&self) {
        self.stop("fast");
    }

    pub fn stop_at_once(&self) {
        self.stop("immediate");
    }

    /// Starts it again, with the same port and data.
    pub fn start(&self) {
        self.order("start").unwrap_or_else(|reason| panic!("{reason}"));
    }

    /// Kills the server's first process; the others go as soon as they notice.
    pub fn kill(&self) {
        self.order("KILL").unwrap();
    }

    fn order(&self, word: &str) -> Result<(), String> {
        let is_done = self.watchdog.lock().unwrap().order(word);
        is_done.then_some(()).ok_or_else(|| {
            let log = fs::read_to_string(log(self.folder.path())).unwrap_or_default();
            let tail: Vec<&str> = log.lines().rev().take(20).collect();
            let tail: Vec<&str> = tail.into_iter().rev().collect();
            format!("PostgreSQL did not obey `{word}`; the end of its log:\n{}", tail.join("\n"))
        })
    }
}

/// A database of one test, dropped with this.
pub struct Database {
    address: Address,
    name: String,
}

impl Database {
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where it is, without TLS.
    pub fn url(&self) -> String {
        self.address.url(&self.name, "disable")
    }

    /// What `psql` answers, a row a line and `|` between columns; or its complaint.
    pub fn sql(&self, statement: &str) -> Result<String, String> {
        self.address.sql(&self.name, statement)
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        // A server that is stopped or gone keeps it, which harms nobody.
        let _ = self.address.sql("postgres", &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

/// `PgBouncer` before a database, handing out a server connection for each transaction.
pub struct Pooler {
    pub url: String,
    process: Child,
    _folder: TempDir,
}

impl Pooler {
    /// With fewer connections to the server than its clients have to it.
    pub fn start(direct: &str) -> Self {
        let program =
            ["/usr/sbin/pgbouncer", "/usr/bin/pgbouncer"].into_iter().find(|path| Path::new(path).exists());
        let program = program
            .expect("PgBouncer is not here: install Debian's package `pgbouncer`; `tests/run` does it");
        let folder = tempfile::Builder::new().prefix("reinstate-pool-").tempdir_in(DISK).unwrap();
        let (login, rest) = direct.trim_start_matches("postgres://").split_once('@').unwrap();
        let (place, _) = rest.split_once('/').unwrap();
        let ((user, password), (_, server)) =
            (login.split_once(':').unwrap(), place.split_once(':').unwrap());
        let port = lasting_address().port();
        let path = folder.path().display();
        fs::write(folder.path().join("users"), format!("\"{user}\" \"{password}\"\n")).unwrap();
        let settings = format!(
            "[databases]\n* = host=127.0.0.1 port={server}\n[pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\n\
             auth_type = scram-sha-256\nauth_file = {path}/users\npool_mode = transaction\ndefault_pool_size = 5\n\
             unix_socket_dir =\nlogfile = {path}/log\n"
        );
        fs::write(folder.path().join("settings"), settings).unwrap();
        own(folder.path()).unwrap();
        let before = if is_root() { &UNPRIVILEGED[..] } else { &[] };
        let settings = folder.path().join("settings").display().to_string();
        let command: Vec<&str> = before.iter().copied().chain([program, "-q", &settings]).collect();
        // It ends with this process, however that ends: the pipe closes then.
        let mut process = bare("sh")
            .args(["-c", "\"$@\" & running=$!; read _; kill $running", "pooler"])
            .args(command)
            .stdin(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        for _ in 0..1_200 {
            if std::net::TcpStream::connect(("127.0.0.1", port)).is_ok() {
                let url = direct.replace(place, &format!("127.0.0.1:{port}"));
                return Self { url, process, _folder: folder };
            }
            assert!(process.try_wait().unwrap().is_none(), "PgBouncer ended");
            std::thread::park_timeout(std::time::Duration::from_millis(25));
        }
        panic!("PgBouncer does not answer");
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        let _ = self.process.wait();
    }
}

#[derive(Clone)]
struct Address {
    psql: PathBuf,
    port: u16,
    password: String,
}

impl Address {
    fn url(&self, database: &str, tls: &str) -> String {
        let Self { port, password, .. } = self;
        format!("postgres://{USER}:{password}@127.0.0.1:{port}/{database}?sslmode={tls}")
    }

    fn sql(&self, database: &str, statement: &str) -> Result<String, String> {
        psql(&self.psql, &self.url(database, "disable"), statement)
    }
}

fn psql(program: &Path, url: &str, statement: &str) -> Result<String, String> {
    run(bare(program)
        .args(["-X", "-q", "-A", "-t", "-v", "ON_ERROR_STOP=1", "-d", url, "-c", statement])
        .stdin(Stdio::null()))
}

/// The shell that runs a server. It is told by a pipe's end that the test binary is gone, even by `kill -9`.
struct Watchdog {
    process: Child,
    orders: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
}

impl Watchdog {
    fn new(folder: &Path, port: u16, programs: &Path) -> Self {
        let mut process = bare("sh")
            .args(["-c", include_str!("postgres/watchdog.sh"), "watchdog"])
            .arg(folder)
            .arg(port.to_string())
            .arg(programs.join("pg_isready"))
            .args(unprivileged(programs, "postgres"))
            .arg("-D")
            .arg(folder.join("data"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(File::create(log(folder)).unwrap())
            // Ctrl-C is for the tests; this one goes after them.
            .process_group(0)
            .spawn()
            .unwrap();
        let (orders, answers) = (process.stdin.take(), BufReader::new(process.stdout.take().unwrap()));
        Self { process, orders, answers }
    }

    fn order(&mut self, word: &str) -> bool {
        let mut answer = String::new();
        writeln!(self.orders.as_mut().unwrap(), "{word}").unwrap();
        self.answers.read_line(&mut answer).unwrap();
        answer == "done\n"
    }
}

impl Drop for Watchdog {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.process.wait();
    }
}

fn log(folder: &Path) -> PathBuf {
    folder.join("log")
}

/// The folder of the server programs. Debian keeps them apart from PATH, one folder for each version.
fn programs() -> Option<PathBuf> {
    let is_whole = |folder: &PathBuf| PROGRAMS.iter().all(|program| folder.join(program).is_file());
    if let Some(named) = std::env::var_os(FOLDER) {
        return fs::canonicalize(named).ok().filter(is_whole);
    }
    let mut versions: Vec<(u32, PathBuf)> = fs::read_dir("/usr/lib/postgresql")
        .into_iter()
        .flatten()
        .filter_map(|entry| {
            let folder = entry.ok()?.path();
            Some((folder.file_name()?.to_str()?.parse().ok()?, folder.join("bin")))
        })
        .collect();
    versions.sort();
    let path = std::env::var_os("PATH").unwrap_or_default();
    let on_path = std::env::split_paths(&path)
        .filter_map(|folder| Some(fs::canonicalize(folder.join("postgres")).ok()?.parent()?.to_owned()));
    versions.into_iter().rev().map(|(_, folder)| folder).chain(on_path).find(is_whole)
}

/// Makes all that the server needs in the folder.
fn initialise(folder: &Path, port: u16, programs: &Path, password: &str) -> Result<(), String> {
    let (data, pwfile) = (folder.join("data"), folder.join("password"));
    fs::write(&pwfile, password).unwrap();
    certify(folder);
    own(folder)?;
    let command = unprivileged(programs, "initdb");
    run(bare(&command[0])
        .args(&command[1..])
        .args(["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C", "--no-sync"])
        .arg(format!("--username={USER}"))
        .arg(format!("--pwfile={}", pwfile.display()))
        .arg("-D")
        .arg(&data)
        .current_dir(folder))?;
    let folder = folder.display();
    let mut settings = OpenOptions::new().append(true).open(data.join("postgresql.conf")).unwrap();
    writeln!(settings, "{SETTINGS}port = {port}\nunix_socket_directories = '{folder}'").unwrap();
    writeln!(settings, "ssl_cert_file = '{folder}/server.crt'\nssl_key_file = '{folder}/server.key'")
        .unwrap();
    Ok(())
}

/// A certificate for the server, signed by an authority of this cluster's own.
fn certify(folder: &Path) {
    use rcgen::{
        BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, KeyUsagePurpose,
    };

    let mut authority = CertificateParams::default();
    authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    authority.key_usages = vec![KeyUsagePurpose::KeyCertSign];
    authority.distinguished_name.push(DnType::CommonName, "the tests' authority");
    let authority = CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let mut server = CertificateParams::new(["127.0.0.1".to_owned(), "localhost".to_owned()]).unwrap();
    server.distinguished_name.push(DnType::CommonName, "localhost");
    let server = server.signed_by(&key, &authority).unwrap();
    for (name, pem) in
        [("ca.crt", authority.pem()), ("server.crt", server.pem()), ("server.key", key.serialize_pem())]
    {
        let path = folder.join(name);
        fs::write(&path, pem).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
    }
}

fn has_room() -> bool {
    let free = run(bare("df").args(["--output=avail", "-BM", MEMORY])).ok();
    let free = free.and_then(|said| said.lines().last()?.trim().strip_suffix('M')?.parse().ok());
    free.is_some_and(|free: u64| free >= ROOM)
}

fn is_root() -> bool {
    static USER_ID: OnceLock<String> = OnceLock::new();
    USER_ID.get_or_init(|| run(bare("id").arg("-u")).unwrap()) == "0"
}

/// Hands the folder to whom the server runs as.
fn own(folder: &Path) -> Result<(), String> {
    if is_root() {
        run(bare("chown").args(["-R", "nobody:nogroup"]).arg(folder))?;
    }
    Ok(())
}

/// A server program with what goes before it.
fn unprivileged(programs: &Path, program: &str) -> Vec<OsString> {
    let before = if is_root() { &UNPRIVILEGED[..] } else { &[] };
    before.iter().map(OsString::from).chain([programs.join(program).into()]).collect()
}

/// A command that the environment of the tests (`PGHOST`, `LANG`) does not change.
fn bare(program: impl AsRef<std::ffi::OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command
}

/// What the command says, or what it complains of.
fn run(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().display().to_string();
    let output = command.output().map_err(|error| format!("{program}: {error}"))?;
    let said = if output.status.success() { output.stdout } else { output.stderr };
    let said = String::from_utf8(said).unwrap().trim_end().to_owned();
    if output.status.success() { Ok(said) } else { Err(said) }
}

#[test]
fn databases_are_separate_and_go() {
    let (one, other) = (cluster().fresh(), cluster().fresh());
    assert_ne!(one.name(), other.name());
    assert_eq!(one.sql("CREATE TABLE a (n int); INSERT INTO a VALUES (1), (2)").unwrap(), "");
    assert_eq!(one.sql("SELECT n, n + 1 FROM a").unwrap(), "1|2\n2|3");
    let complaint = other.sql("SELECT n FROM a").unwrap_err();
    assert!(complaint.contains("relation \"a\" does not exist"), "{complaint}");
    let named = format!("SELECT count(*) FROM pg_database WHERE datname = '{}'", one.name());
    assert_eq!(other.sql(&named).unwrap(), "1");
    drop(one);
    assert_eq!(other.sql(&named).unwrap(), "0");
}

#[test]
fn a_password_is_needed() {
    let database = cluster().fresh();
    let url = database.url();
    assert_eq!(url, cluster().url(database.name()));
    let psql = |url: &str| {
        psql(&cluster().address.psql, url, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    };
    assert_eq!(psql(&url).unwrap(), "f");
    let complaint = psql(&url.replace(&cluster().address.password, "wrong")).unwrap_err();
    assert!(complaint.contains("password authentication failed"), "{complaint}");
}

#[test]
fn tls_is_spoken_and_the_certificate_holds() {
    let psql = |ca: &Path| {
        let url = format!("{}&sslrootcert={}", cluster().tls_url("postgres"), ca.display());
        psql(&cluster().address.psql, &url, "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()")
    };
    assert_eq!(psql(&cluster().ca()).unwrap(), "t");
    let stranger = tempfile::tempdir().unwrap();
    certify(stranger.path());
    let complaint = psql(&stranger.path().join("ca.crt")).unwrap_err();
    assert!(complaint.contains("SSL error"), "{complaint}");
}

#[test]
fn an_own_cluster_stops_dies_and_keeps_its_data() {
    let cluster = Cluster::own();
    let database = cluster.fresh();
    database.sql("CREATE TABLE a (n int)").unwrap();
    let ends: [&dyn Fn(); 3] = [&|| cluster.stop("fast"), &|| cluster.stop("immediate"), &|| cluster.kill()];
    for (n, end) in ends.into_iter().enumerate() {
        database.sql(&format!("INSERT INTO a VALUES ({n})")).unwrap();
        end();
        database.sql("SELECT 1").unwrap_err();
        cluster.start();
        assert_eq!(database.sql("SELECT count(*) FROM a").unwrap(), (n + 1).to_string());
    }
    let folder = cluster.folder.path().to_owned();
    cluster.kill();
    drop(cluster);
    assert!(!folder.exists());
}
