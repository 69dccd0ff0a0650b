//! A mailbox: a small SMTP server without TLS, for this machine, that takes everything and shows it on a page, so that the
//! story of a customer can be followed without a mail server. It is no part of Nium.

use std::io;
use std::net::{SocketAddr, TcpListener};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use mail_parser::MessageParser;
use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::net::TcpStream;

use super::{Reply, Sim, World};

/// Messages that are kept; the oldest go.
const MAILS_MAX: usize = 500;
/// Longest line of a conversation, in bytes.
const LINE_BYTES_MAX: u64 = 8 * 1024;
/// Largest message, in bytes.
const MAIL_BYTES_MAX: usize = 1024 * 1024;
/// How long a sender may be silent.
const SILENCE_MAX: Duration = Duration::from_mins(1);

/// A message that arrived.
#[derive(Clone, Debug)]
pub(super) struct Mail {
    number: usize,
    at: Timestamp,
    to: String,
    raw: Vec<u8>,
}

/// What is kept of all of them.
#[derive(Debug, Default)]
pub(super) struct Mails {
    taken: usize,
    kept: Vec<Mail>,
}

impl Mails {
    fn take(&mut self, at: Timestamp, to: String, raw: Vec<u8>) {
        self.taken += 1;
        self.kept.push(Mail { number: self.taken, at, to, raw });
        if self.kept.len() > MAILS_MAX {
            self.kept.remove(0);
        }
    }
}

impl Sim {
    /// Takes mail on `listener` until the pretend Nium is stopped. Addresses that begin with `bounce` are refused for good,
    /// those that begin with `busy` for the moment. Must be called on a runtime.
    pub fn take_mail(&self, listener: TcpListener) -> io::Result<SocketAddr> {
        listener.set_nonblocking(true)?;
        let listener = tokio::net::TcpListener::from_std(listener)?;
        let address = listener.local_addr()?;
        let world = Arc::clone(&self.world);
        self.world.tasks.spawn(async move {
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = world.stop.cancelled() => return,
                };
                let Ok((socket, _)) = accepted else { continue };
                let served = Arc::clone(&world);
                world.tasks.spawn(async move {
                    tokio::select! {
                        // A conversation that broke off is the sender's trouble.
                        _ = converse(&served, socket) => {}
                        () = served.stop.cancelled() => {}
                    }
                });
            }
        });
        Ok(address)
    }
}

/// One conversation (RFC 5321).
async fn converse(world: &World, socket: TcpStream) -> io::Result<()> {
    let (read, mut write) = socket.into_split();
    let mut lines = BufReader::new(read);
    write.write_all(b"220 mailbox ESMTP\r\n").await?;
    let mut recipients: Vec<String> = Vec::new();
    loop {
        let mut line = String::new();
        let mut limited = (&mut lines).take(LINE_BYTES_MAX);
        let length = tokio::time::timeout(SILENCE_MAX, limited.read_line(&mut line))
            .await
            .map_err(io::Error::other)
            .flatten()?;
        if length == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        let (verb, rest) = line.split_once([' ', ':']).unwrap_or((line, ""));
        let answer: &[u8] = match verb.to_ascii_uppercase().as_str() {
            "EHLO" => b"250-mailbox\r\n250-8BITMIME\r\n250-SMTPUTF8\r\n250 SIZE 1048576\r\n",
            "HELO" | "NOOP" | "MAIL" => b"250 fine\r\n",
            "RSET" => {
                recipients.clear();
                b"250 fine\r\n"
            }
            "RCPT" => {
                let address = rest.split_once('<').and_then(|(_, rest)| rest.split_once('>'));
                let address = address.map(|(address, _)| address).unwrap_or_default();
                if address.starts_with("bounce") {
                    b"550 5.1.1 no such user\r\n"
                } else if address.starts_with("busy") {
                    b"450 4.2.1 not now\r\n"
                } else {
                    recipients.push(address.to_owned());
                    b"250 fine\r\n"
                }
            }
            "DATA" if recipients.is_empty() => b"503 for whom?\r\n",
            "DATA" => {
                write.write_all(b"354 go on\r\n").await?;
                let raw = tokio::time::timeout(SILENCE_MAX, data(&mut lines)).await;
                let raw = raw.map_err(io::Error::other).flatten()?;
                let mut state = world.state();
                let now = state.now();
                state.mails.take(now, recipients.join(", "), raw);
                recipients.clear();
                b"250 taken\r\n"
            }
            "QUIT" => {
                return write.write_all(b"221 bye\r\n").await;
            }
            _ => b"502 not here\r\n",
        };
        write.write_all(answer).await?;
    }
}

/// A message, up to the line with a single dot.
async fn data(lines: &mut (impl AsyncBufReadExt + Unpin)) -> io::Result<Vec<u8>> {
    let mut raw = Vec::new();
    loop {
        let mut line = Vec::new();
        if lines.take(LINE_BYTES_MAX).read_until(b'\n', &mut line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if line == b".\r\n" {
            return Ok(raw);
        }
        // A dot at the beginning was doubled on the way (RFC 5321, 4.5.2).
        raw.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
        if raw.len() > MAIL_BYTES_MAX {
            return Err(io::ErrorKind::FileTooLarge.into());
        }
    }
}

/// `GET /__sim/mail…`: the list as a page, one message as its reader sees it, and everything for programs.
pub(super) fn answer(world: &World, rest: &str) -> Reply {
    let kept = world.state().mails.kept.clone();
    match rest {
        "mail" => page(&list(&kept)),
        "mail.json" => Reply::Json(200, json!({ "items": kept.iter().map(opened).collect::<Vec<_>>() })),
        other => {
            let number: Option<usize> = other.strip_prefix("mail/").and_then(|number| number.parse().ok());
            match kept.iter().find(|mail| Some(mail.number) == number) {
                Some(mail) => match opened(mail).get("html").and_then(Value::as_str) {
                    Some(html) => page(html),
                    None => Reply::Text(
                        200,
                        "text/plain; charset=utf-8",
                        String::from_utf8_lossy(&mail.raw).into_owned(),
                    ),
                },
                None => Reply::Text(404, "text/plain", "no such message\n".to_owned()),
            }
        }
    }
}

fn page(html: &str) -> Reply {
    Reply::Text(200, "text/html; charset=utf-8", html.to_owned())
}

/// A message, taken apart.
fn opened(mail: &Mail) -> Value {
    let parsed = MessageParser::default().parse(&mail.raw);
    let part = |which: &str| {
        let parsed = parsed.as_ref()?;
        let text = match which {
            "subject" => parsed.subject().map(str::to_owned),
            "messageId" => parsed.message_id().map(str::to_owned),
            "from" => {
                parsed.from().and_then(|from| from.first()).and_then(|from| from.address()).map(str::to_owned)
            }
            "html" => parsed.body_html(0).map(std::borrow::Cow::into_owned),
            _ => parsed.body_text(0).map(std::borrow::Cow::into_owned),
        };
        text.map(Value::from)
    };
    let raw = String::from_utf8_lossy(&mail.raw).into_owned();
    json!({
        "number": mail.number, "at": mail.at, "to": mail.to, "from": part("from"), "subject": part("subject"),
        "messageId": part("messageId"), "text": part("text"), "html": part("html"), "raw": raw,
    })
}

fn list(kept: &[Mail]) -> String {
    let row = |mail: &Mail| {
        let message = opened(mail);
        let subject = message.get("subject").and_then(Value::as_str).unwrap_or("(no subject)");
        let at = mail.at.strftime("%Y-%m-%d %H:%M:%S");
        let (to, subject) = (escaped(&mail.to), escaped(subject));
        format!(
            "<tr><td>{at}</td><td>{to}</td><td><a href=\"/__sim/mail/{}\">{subject}</a></td></tr>\n",
            mail.number,
        )
    };
    let rows = kept.iter().rev().map(row).collect::<Vec<_>>().concat();
    format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\"><title>Mailbox</title>\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <style>body{{font:16px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:60rem;padding:0 1rem;color:#1b2430}}\
         table{{border-collapse:collapse;width:100%}}th,td{{text-align:left;vertical-align:top;overflow-wrap:anywhere;padding:.5rem .5rem .5rem 0;border-bottom:1px solid #c5ccd6}}\
         a{{color:#0b57d0}}</style></head>\
         <body><main><h1>Mailbox</h1><p>What the service has written to customers, newest first. Nothing here was really sent.</p>\
         <table><caption hidden>Messages</caption><thead><tr><th scope=\"col\">When (UTC)</th><th scope=\"col\">To</th>\
         <th scope=\"col\">Subject</th></tr></thead><tbody>\n{rows}</tbody></table></main></body></html>\n"
    )
}

fn escaped(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
