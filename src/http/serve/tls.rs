//! Certificates of a listener: read from PEM files, and read again when the files change, without a connection noticing.
//! What cannot be used is refused whole, and what was there before stays.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use arc_swap::ArcSwap;
use aws_lc_rs::digest;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::WebPkiClientVerifier;
use rustls::version::{TLS12, TLS13};
use rustls::{RootCertStore, ServerConfig};
use zeroize::Zeroizing;

/// Largest of these files, in bytes; a bundle of authorities has some hundred KiB.
const FILE_BYTES_MAX: usize = 4 * 1024 * 1024;

/// Protocols offered inside TLS, the preferred one first.
const PROTOCOLS: [&[u8]; 2] = [b"h2", b"http/1.1"];

/// Which files a listener's certificate is in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Files {
    /// The chain, the listener's own certificate first.
    pub certificate: PathBuf,
    /// Its private key.
    pub key: PathBuf,
    /// The authorities one of which must have signed a client's certificate; `None` asks for none.
    pub client_authority: Option<PathBuf>,
}

/// Why the files cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// A file cannot be read.
    #[error("{} cannot be read: {why}", .file.display())]
    File {
        /// Which.
        file: PathBuf,
        /// Why, in the system's words.
        why: io::Error,
    },
    /// A file has no PEM of the kind that is needed.
    #[error("{} holds no {what} in PEM", .file.display())]
    Empty {
        /// Which.
        file: PathBuf,
        /// What it should hold.
        what: &'static str,
    },
    /// They do not fit together, or are of a kind that is not known.
    #[error("certificate, key and authorities cannot be used: {0}")]
    Unusable(String),
}

/// The certificate in use, and where it comes from. Clones share it.
#[derive(Clone)]
pub struct Certificates {
    files: Files,
    current: Arc<ArcSwap<ServerConfig>>,
    /// What the files held when they were last read, whether or not it could be used.
    seen: Arc<Mutex<digest::Digest>>,
}

impl std::fmt::Debug for Certificates {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Certificates").field("files", &self.files).finish_non_exhaustive()
    }
}

impl Certificates {
    /// Reads the files. Needs the process's crypto provider to be installed.
    pub async fn load(files: Files) -> Result<Self, TlsError> {
        let texts = Texts::read(&files).await?;
        let current = Arc::new(ArcSwap::from_pointee(texts.config(&files)?));
        Ok(Self { files, current, seen: Arc::new(Mutex::new(texts.digest())) })
    }

    /// What a new connection is to use.
    pub(super) fn current(&self) -> Arc<ServerConfig> {
        self.current.load_full()
    }

    /// Reads the files again. True if they changed and new connections use what they hold now. An error leaves in use what
    /// was in use, and is told once for what the files hold; files that cannot be read are told every time.
    ///
    /// What the files hold is compared, not when they were written: links that are swapped, as Kubernetes does, and two
    /// writes within one tick of the clock look the same as any other change.
    pub async fn refresh(&self) -> Result<bool, TlsError> {
        let texts = Texts::read(&self.files).await?;
        let digest = texts.digest();
        {
            let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
            if seen.as_ref() == digest.as_ref() {
                return Ok(false);
            }
            *seen = digest;
        }
        self.current.store(Arc::new(texts.config(&self.files)?));
        Ok(true)
    }
}

/// What the files hold.
struct Texts {
    certificate: Vec<u8>,
    key: Zeroizing<Vec<u8>>,
    client_authority: Option<Vec<u8>>,
}

impl Texts {
    async fn read(files: &Files) -> Result<Self, TlsError> {
        let client_authority = match &files.client_authority {
            Some(file) => Some(read(file).await?),
            None => None,
        };
        Ok(Self {
            certificate: read(&files.certificate).await?,
            key: Zeroizing::new(read(&files.key).await?),
            client_authority,
        })
    }

    fn digest(&self) -> digest::Digest {
        let mut all = digest::Context::new(&digest::SHA256);
        for text in [&self.certificate, &*self.key].into_iter().chain(&self.client_authority) {
            all.update(&text.len().to_be_bytes());
            all.update(text);
        }
        all.finish()
    }

    /// TLS 1.2 and 1.3, and nothing older.
    fn config(&self, files: &Files) -> Result<ServerConfig, TlsError> {
        let chain = certificates(&self.certificate, &files.certificate)?;
        let key = PrivateKeyDer::from_pem_slice(&self.key)
            .map_err(|_| TlsError::Empty { file: files.key.clone(), what: "private key" })?;
        let builder = ServerConfig::builder_with_protocol_versions(&[&TLS13, &TLS12]);
        let builder = match (&self.client_authority, &files.client_authority) {
            (Some(text), Some(file)) => {
                let mut roots = RootCertStore::empty();
                for authority in certificates(text, file)? {
                    roots.add(authority).map_err(unusable)?;
                }
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().map_err(unusable)?;
                builder.with_client_cert_verifier(verifier)
            }
            _ => builder.with_no_client_auth(),
        };
        // This also finds out whether the key is the certificate's own.
        let mut config = builder.with_single_cert(chain, key).map_err(unusable)?;
        config.alpn_protocols = PROTOCOLS.map(<[u8]>::to_vec).to_vec();
        Ok(config)
    }
}

fn unusable(error: impl std::fmt::Display) -> TlsError {
    TlsError::Unusable(error.to_string())
}

fn certificates(text: &[u8], file: &std::path::Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let empty = || TlsError::Empty { file: file.to_owned(), what: "certificate" };
    let read = CertificateDer::pem_slice_iter(text).collect::<Result<Vec<_>, _>>().map_err(|_| empty())?;
    if read.is_empty() { Err(empty()) } else { Ok(read) }
}

async fn read(file: &std::path::Path) -> Result<Vec<u8>, TlsError> {
    let told = |why| TlsError::File { file: file.to_owned(), why };
    let size = tokio::fs::metadata(file).await.map_err(told)?.len();
    if usize::try_from(size).map_or(true, |size| size > FILE_BYTES_MAX) {
        return Err(told(io::Error::other("it is too large")));
    }
    tokio::fs::read(file).await.map_err(told)
}
