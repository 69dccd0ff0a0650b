//! Certificates of a listener: which versions are spoken, whom clients must be vouched for by, and how files are read again
//! without a connection noticing.

use std::path::{Path, PathBuf};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use reinstate::http::serve::{Certificates, Files, Options};
use tokio::io::AsyncWriteExt;

use crate::house::install_crypto;
use crate::listener::{PATIENCE, SHORT, Server, closed, start, unlimited};
use crate::reload::Service;
use crate::serve::reinstate;

/// An authority, and what it has signed.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new(name: &str) -> Self {
        install_crypto();
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(rcgen::DnType::CommonName, name);
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    /// A certificate for `localhost` and its key, as PEM.
    pub fn signs(&self, usage: ExtendedKeyUsagePurpose) -> (String, String) {
        let mut params = CertificateParams::new(["localhost".to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap().pem(), key.serialize_pem())
    }

    fn pem(&self) -> String {
        self.0.pem()
    }

    pub fn client(&self) -> reqwest::ClientBuilder {
        let trusted = reqwest::Certificate::from_pem(self.pem().as_bytes()).unwrap();
        reqwest::Client::builder().no_proxy().tls_certs_only([trusted]).timeout(PATIENCE)
    }
}

/// The files of a listener, as an operator has them.
struct Folder(tempfile::TempDir);

impl Folder {
    fn of(authority: &Authority) -> Self {
        let folder = Self(tempfile::tempdir().unwrap());
        folder.write(authority.signs(ExtendedKeyUsagePurpose::ServerAuth));
        folder
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn write(&self, (certificate, key): (String, String)) {
        std::fs::write(self.path("tls.crt"), certificate).unwrap();
        std::fs::write(self.path("tls.key"), key).unwrap();
    }

    fn files(&self) -> Files {
        let client_authority = Some(self.path("clients.crt")).filter(|path| path.exists());
        Files { certificate: self.path("tls.crt"), key: self.path("tls.key"), client_authority }
    }

    async fn load(&self) -> Certificates {
        Certificates::load(self.files()).await.unwrap()
    }
}

fn serving(tls: &Certificates) -> Server {
    start(Options { tls: Some(tls.clone()), ..unlimited() })
}

/// What the server answers to a client that connects anew.
async fn ask(server: &Server, client: reqwest::ClientBuilder) -> Result<String, reqwest::Error> {
    let client = client.resolve("localhost", server.address).build().unwrap();
    let url = format!("https://localhost:{}/", server.address.port());
    client.get(&url).send().await?.text().await
}

#[tokio::test]
async fn tls_is_served_with_both_protocols_and_both_versions_and_no_older_one() {
    let authority = Authority::new("one");
    let folder = Folder::of(&authority);
    let server = serving(&folder.load().await);
    let url = format!("https://localhost:{}/", server.address.port());
    let tls12 = reqwest::tls::Version::TLS_1_2;
    for (client, version) in [
        (authority.client(), reqwest::Version::HTTP_2),
        (authority.client().http1_only(), reqwest::Version::HTTP_11),
        (authority.client().tls_version_max(tls12), reqwest::Version::HTTP_2),
    ] {
        let client = client.resolve("localhost", server.address).build().unwrap();
        let answer = client.get(&url).send().await.unwrap();
        assert_eq!(answer.version(), version);
        assert_eq!(answer.text().await.unwrap(), "127.0.0.1");
    }
    let mut old = server.connect().await;
    old.write_all(&client_hello_of_tls_1_1()).await.unwrap();
    let mut answer = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut old, &mut answer).await.unwrap();
    // A fatal alert: protocol_version (70).
    assert_eq!((answer.first(), answer.get(5..)), (Some(&21), Some(&[2, 70][..])), "{answer:?}");
}

/// The greeting of a client that knows nothing newer than TLS 1.1.
fn client_hello_of_tls_1_1() -> Vec<u8> {
    let ciphers = [0xc0, 0x2f, 0xc0, 0x13, 0x00, 0x2f];
    let signatures = [0, 8, 0, 13, 0, 4, 0, 2, 4, 1];
    let hello = [&[3, 2][..], &[7; 32], &[0], &[0, 6], &ciphers, &[1, 0], &signatures].concat();
    let length = u8::try_from(hello.len()).unwrap();
    [&[22, 3, 1, 0, length + 4, 1, 0, 0, length][..], &hello].concat()
}

#[tokio::test]
async fn a_new_certificate_is_used_without_a_restart_and_open_connections_stay() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let folder = Folder::of(&old);
    let tls = folder.load().await;
    let server = serving(&tls);
    let held = old.client().http1_only().resolve("localhost", server.address).build().unwrap();
    let url = format!("https://localhost:{}/", server.address.port());
    assert_eq!(held.get(&url).send().await.unwrap().text().await.unwrap(), "127.0.0.1");
    assert!(!tls.refresh().await.unwrap(), "nothing has changed");

    folder.write(new.signs(ExtendedKeyUsagePurpose::ServerAuth));
    assert!(tls.refresh().await.unwrap());
    assert_eq!(ask(&server, new.client()).await.unwrap(), "127.0.0.1");
    assert!(ask(&server, old.client()).await.is_err());
    // The client would not trust the new one: this is the connection from before.
    assert_eq!(held.get(&url).send().await.unwrap().text().await.unwrap(), "127.0.0.1");
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_and_what_was_there_stays() {
    let (ours, other) = (Authority::new("ours"), Authority::new("other"));
    let folder = Folder::of(&ours);
    let tls = folder.load().await;
    let server = serving(&tls);
    let (certificate, key) = ours.signs(ExtendedKeyUsagePurpose::ServerAuth);
    let (_, foreign_key) = other.signs(ExtendedKeyUsagePurpose::ServerAuth);
    for (written, why) in [
        ((certificate.clone(), foreign_key), "certificate, key and authorities cannot be used"),
        ((String::new(), key.clone()), "holds no certificate"),
        ((certificate.clone(), "not a key".to_owned()), "holds no private key"),
        ((certificate[..200].to_owned(), key.clone()), "holds no certificate"),
    ] {
        folder.write(written);
        let told = tls.refresh().await.unwrap_err().to_string();
        assert!(told.contains(why) && !told.contains(&key), "{told}");
        assert!(!tls.refresh().await.unwrap(), "told once");
        assert_eq!(ask(&server, ours.client()).await.unwrap(), "127.0.0.1");
    }
    std::fs::remove_file(folder.path("tls.key")).unwrap();
    assert!(tls.refresh().await.unwrap_err().to_string().contains("tls.key cannot be read"));
    folder.write((certificate, key));
    assert!(tls.refresh().await.unwrap());
}

#[tokio::test]
async fn links_that_are_swapped_are_a_change() {
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let (before, after, mount) = (Folder::of(&old), Folder::of(&new), tempfile::tempdir().unwrap());
    let link = |to: &Path| {
        let fresh = mount.path().join("..data_tmp");
        std::os::unix::fs::symlink(to, &fresh).unwrap();
        std::fs::rename(fresh, mount.path().join("..data")).unwrap();
    };
    link(before.0.path());
    for name in ["tls.crt", "tls.key"] {
        std::os::unix::fs::symlink(format!("..data/{name}"), mount.path().join(name)).unwrap();
    }
    let files = Files {
        certificate: mount.path().join("tls.crt"),
        key: mount.path().join("tls.key"),
        client_authority: None,
    };
    let tls = Certificates::load(files).await.unwrap();
    let server = serving(&tls);
    assert!(ask(&server, old.client()).await.is_ok());
    link(after.0.path());
    assert!(tls.refresh().await.unwrap());
    assert!(ask(&server, new.client()).await.is_ok());
}

#[tokio::test]
async fn where_an_authority_for_clients_is_set_nobody_comes_in_without_its_word() {
    let (ours, clients, strangers) =
        (Authority::new("ours"), Authority::new("clients"), Authority::new("strangers"));
    let folder = Folder::of(&ours);
    std::fs::write(folder.path("clients.crt"), clients.pem()).unwrap();
    let tls = folder.load().await;
    let server = serving(&tls);
    let identity = |(certificate, key): (String, String)| {
        reqwest::Identity::from_pem(format!("{certificate}{key}").as_bytes()).unwrap()
    };
    let known = identity(clients.signs(ExtendedKeyUsagePurpose::ClientAuth));
    let unknown = identity(strangers.signs(ExtendedKeyUsagePurpose::ClientAuth));
    let tls12 = reqwest::tls::Version::TLS_1_2;
    assert_eq!(ask(&server, ours.client().identity(known.clone())).await.unwrap(), "127.0.0.1");
    assert!(ask(&server, ours.client()).await.is_err());
    assert!(ask(&server, ours.client().tls_version_max(tls12)).await.is_err());
    assert!(ask(&server, ours.client().identity(unknown.clone())).await.is_err());
    let servers = identity(clients.signs(ExtendedKeyUsagePurpose::ServerAuth));
    assert!(
        ask(&server, ours.client().identity(servers)).await.is_err(),
        "a server's certificate is no client's"
    );

    std::fs::write(folder.path("clients.crt"), strangers.pem()).unwrap();
    assert!(tls.refresh().await.unwrap());
    assert!(ask(&server, ours.client().identity(unknown)).await.is_ok());
    assert!(ask(&server, ours.client().identity(known)).await.is_err());
}

#[tokio::test]
async fn a_handshake_that_stalls_is_cut_off() {
    let folder = Folder::of(&Authority::new("one"));
    let tls = Some(folder.load().await);
    let server = start(Options { tls, handshake_wait: SHORT, ..unlimited() });
    let mut silent = server.connect().await;
    let mut half = server.connect().await;
    // The first bytes of a TLS record that says it has 512 more.
    half.write_all(&[0x16, 0x03, 0x01, 0x02, 0x00, 0x01]).await.unwrap();
    closed(&mut half).await;
    closed(&mut silent).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_commands_of_this_program_come_in_where_clients_need_a_certificate() {
    let (ours, clients) = (Authority::new("ours"), Authority::new("clients"));
    let folder = Folder::of(&ours);
    std::fs::write(folder.path("clients.crt"), clients.pem()).unwrap();
    let (certificate, key) = clients.signs(ExtendedKeyUsagePurpose::ClientAuth);
    std::fs::write(folder.path("command.crt"), certificate).unwrap();
    std::fs::write(folder.path("command.key"), key).unwrap();
    // Whom the listener's own certificate is from is in its file, as a chain.
    let chain = std::fs::read_to_string(folder.path("tls.crt")).unwrap() + &ours.pem();
    std::fs::write(folder.path("tls.crt"), chain).unwrap();
    let path = |name: &str| folder.path(name).display().to_string();
    let env = [
        ("ADMIN__TLS_CERT", path("tls.crt")),
        ("ADMIN__TLS_KEY", path("tls.key")),
        ("ADMIN__CLIENT_CA", path("clients.crt")),
        ("ADMIN__URL", "https://localhost".to_owned()),
    ];
    let service = Service::start("", &env).await;
    let list = async |more: &[(&str, String)]| {
        let mut command = reinstate(service.folder.path(), &["customers", "list"]);
        let done = command.envs(&service.env).envs(more.iter().cloned()).output().await.unwrap();
        (done.status.code(), String::from_utf8([done.stdout, done.stderr].concat()).unwrap())
    };
    let shown = [
        ("REINSTATE__ADMIN__COMMAND_CERT", path("command.crt")),
        ("REINSTATE__ADMIN__COMMAND_KEY", path("command.key")),
    ];
    let (code, told) = list(&shown).await;
    assert_eq!(code, Some(0), "{told}");
    let (code, told) = list(&[]).await;
    assert!(code == Some(1) && told.contains("does not answer"), "{told}");
}
