//! The PROXY protocol, versions 1 and 2: a load balancer that passes bytes on says in front of them whom it speaks for.
//! Only balancers that are named are believed, and they must say it: a listener with the protocol on serves nobody else.

use std::net::SocketAddr;

use proxy_header::{ParseConfig, ProxyHeader};
use tokio::io::{AsyncRead, AsyncReadExt};

/// How every header of version 2 begins.
const SIGNATURE: [u8; 12] = *b"\r\n\r\n\0\r\nQUIT\n";

/// Longest line of version 1, in bytes, with its end; the protocol says so.
const LINE_BYTES_MAX: usize = 107;

/// Longest header of version 2 that is read, in bytes: its fields beyond the addresses have a few hundred.
const HEADER_BYTES_MAX: usize = 4096;

/// Bytes of version 2 that say how many follow.
const START_BYTES: usize = 16;

/// There was no header, or none that can be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct NoHeader;

/// Reads the header, and not one byte more: what follows may be TLS. Gives the address that the balancer speaks for;
/// `None` if it speaks for itself, as its own health checks do.
pub(super) async fn read(stream: &mut (impl AsyncRead + Unpin)) -> Result<Option<SocketAddr>, NoHeader> {
    let mut header = vec![0; SIGNATURE.len()];
    stream.read_exact(&mut header).await.map_err(|_| NoHeader)?;
    if header == SIGNATURE {
        rest_of_header(stream, &mut header).await?;
    } else if header.starts_with(b"PROXY ") {
        rest_of_line(stream, &mut header).await?;
    } else {
        return Err(NoHeader);
    }
    let config = ParseConfig { include_tlvs: false, ..ParseConfig::default() };
    match ProxyHeader::parse(&header, config) {
        Ok((read, length)) if length == header.len() => {
            Ok(read.proxied_address().map(|address| address.source))
        }
        _ => Err(NoHeader),
    }
}

async fn rest_of_header(stream: &mut (impl AsyncRead + Unpin), header: &mut Vec<u8>) -> Result<(), NoHeader> {
    header.resize(START_BYTES, 0);
    let (_, start) = header.split_at_mut(SIGNATURE.len());
    stream.read_exact(start).await.map_err(|_| NoHeader)?;
    let length = start.last_chunk().map(|length| usize::from(u16::from_be_bytes(*length)));
    let length =
        length.map(|length| START_BYTES.saturating_add(length)).filter(|length| *length <= HEADER_BYTES_MAX);
    header.resize(length.ok_or(NoHeader)?, 0);
    let (_, rest) = header.split_at_mut(START_BYTES);
    stream.read_exact(rest).await.map_err(|_| NoHeader)?;
    Ok(())
}

/// A line says nowhere how long it is: it is read byte by byte.
async fn rest_of_line(stream: &mut (impl AsyncRead + Unpin), line: &mut Vec<u8>) -> Result<(), NoHeader> {
    while !line.ends_with(b"\r\n") {
        if line.len() >= LINE_BYTES_MAX {
            return Err(NoHeader);
        }
        line.push(stream.read_u8().await.map_err(|_| NoHeader)?);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    async fn read_from(mut bytes: &[u8]) -> (Result<Option<SocketAddr>, NoHeader>, usize) {
        let read = read(&mut bytes).await;
        (read, bytes.len())
    }

    fn version_2(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[0x20 | command, family], &length, rest].concat()
    }

    #[tokio::test]
    async fn both_versions_are_read_and_not_a_byte_more() {
        let v4 = [203, 0, 113, 9, 10, 0, 0, 1, 0x12, 0x67, 0, 80];
        let with_more = [&v4[..], &[0x04, 0, 3, 1, 2, 3]].concat();
        let mut v6 = vec![0; 36];
        v6[15] = 1;
        for (header, expected) in [
            (b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 80\r\n".to_vec(), Some("203.0.113.9:4711")),
            (b"PROXY TCP6 2001:db8::9 ::1 4711 80\r\n".to_vec(), Some("[2001:db8::9]:4711")),
            (b"PROXY UNKNOWN\r\n".to_vec(), None),
            (b"PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n".to_vec(), None),
            (version_2(1, 0x11, &v4), Some("203.0.113.9:4711")),
            (version_2(1, 0x11, &with_more), Some("203.0.113.9:4711")),
            (version_2(1, 0x21, &v6), Some("[::1]:0")),
            (version_2(0, 0x11, &v4), None),
            (version_2(0, 0, &[]), None),
        ] {
            let expected = expected.map(|address| address.parse().unwrap());
            let stream = [&header[..], b"GET / HTTP/1.1"].concat();
            assert_eq!(read_from(&stream).await, (Ok(expected), 14), "{header:?}");
        }
    }

    #[tokio::test]
    async fn what_is_no_header_is_refused() {
        let long = [b"PROXY TCP4 ".as_slice(), &[b'1'; 200], b"\r\n"].concat();
        for bytes in [
            b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
            b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\x00\x00\x00\x00".to_vec(),
            b"PROXY TCP4 203.0.113.9 10.0.0.1 4711\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.999 10.0.0.1 4711 80\r\n".to_vec(),
            b"PROXY TCP4 2001:db8::9 ::1 4711 80\r\n".to_vec(),
            b"PROXY TCP4 203.0.113.9 10.0.0.1 4711 99999\r\n".to_vec(),
            b"PROXY UDP4 203.0.113.9 10.0.0.1 4711 80\r\n".to_vec(),
            b"PROXY ".to_vec(),
            long,
            version_2(2, 0x11, &[0; 12]),
            version_2(1, 0x11, &[0; 4]),
            version_2(1, 0x77, &[0; 12]),
            version_2(1, 0x11, &[0; 5000]),
            version_2(1, 0x11, &[0; 12])[..20].to_vec(),
        ] {
            assert_eq!(read_from(&bytes).await.0, Err(NoHeader), "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(version in 0..3_u8, bytes in prop::collection::vec(any::<u8>(), 0..300)) {
            let start: &[u8] = [&b""[..], b"PROXY TCP4 ", &SIGNATURE][usize::from(version)];
            let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
            let _ = runtime.block_on(read_from(&[start, &bytes].concat()));
        }
    }
}
