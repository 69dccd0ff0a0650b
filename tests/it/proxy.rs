//! A TCP proxy of the tests: it spreads connections over whoever takes them, and cuts them all at once.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;

use crate::house::spawn;

/// A proxy that lives as long as the test.
#[derive(Clone)]
pub struct Proxy {
    pub address: SocketAddr,
    targets: Arc<Mutex<Vec<SocketAddr>>>,
    cuts: Arc<watch::Sender<u32>>,
}

impl Proxy {
    pub async fn to(targets: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let proxy =
            Self { address, targets: Arc::new(Mutex::new(targets)), cuts: Arc::new(watch::Sender::new(0)) };
        let serving = proxy.clone();
        spawn(async move {
            let next = AtomicUsize::new(0);
            while let Ok((incoming, _)) = listener.accept().await {
                let (targets, turn) =
                    (serving.targets.lock().unwrap().clone(), next.fetch_add(1, Ordering::Relaxed));
                spawn(pass(incoming, targets, turn, serving.cuts.subscribe()));
            }
        });
        proxy
    }

    /// Who gets connections from now on.
    pub fn lead_to(&self, targets: Vec<SocketAddr>) {
        *self.targets.lock().unwrap() = targets;
    }

    /// Ends every connection, in the middle of whatever it carries.
    pub fn cut(&self) {
        self.cuts.send_modify(|cuts| *cuts += 1);
    }
}

/// Passes bytes to the first target, from `turn` on, that takes the connection.
async fn pass(mut incoming: TcpStream, targets: Vec<SocketAddr>, turn: usize, mut cut: watch::Receiver<u32>) {
    cut.mark_unchanged();
    for attempt in 0..targets.len() {
        let target = targets[(turn + attempt) % targets.len()];
        if let Ok(mut outgoing) = TcpStream::connect(target).await {
            tokio::select! {
                _ = copy_bidirectional(&mut incoming, &mut outgoing) => {}
                _ = cut.changed() => {}
            }
            return;
        }
    }
}
