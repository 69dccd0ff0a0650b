//! What opens doors is wiped from memory with what held it. The tests look for it in the memory of their own process, which is
//! where the service's code runs here.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::process::Command;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use reinstate::config::{Config, Sources};
use reinstate::vault::{MasterKey, Vault};

/// How much is looked through at once.
const PIECE: usize = 1 << 20;
/// How much of it at least is passed over.
const BLOCK: usize = 256;

/// Where these bytes begin. Most of a memory is empty: what does not even hold the first of them is passed over at once, which
/// the standard library does fast without optimisation, too.
fn places(piece: &[u8], wanted: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    for (number, block) in piece.chunks(BLOCK).enumerate().filter(|(_, block)| block.contains(&wanted[0])) {
        let begins = (0..block.len()).filter(|place| block[*place] == wanted[0]);
        let begins = begins.map(|place| number * BLOCK + place);
        found.extend(begins.filter(|place| piece[*place..].starts_with(wanted)));
    }
    found
}

/// How often these bytes stand anywhere in this process's memory, but where they are given.
fn copies(wanted: &[u8]) -> usize {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap();
    let memory = File::open("/proc/self/mem").unwrap();
    // What was looked through before is not to be found in the buffer again.
    let mut piece = vec![0_u8; PIECE];
    let own = [
        wanted.as_ptr().addr()..wanted.as_ptr().addr() + wanted.len(),
        piece.as_ptr().addr()..piece.as_ptr().addr() + PIECE,
    ];
    let mut found = 0;
    for line in maps.lines().filter(|line| line.split(' ').nth(1).is_some_and(|may| may.starts_with("rw"))) {
        let (from, to) = line.split(' ').next().unwrap().split_once('-').unwrap();
        let (mut at, to) = (usize::from_str_radix(from, 16).unwrap(), usize::from_str_radix(to, 16).unwrap());
        while at < to {
            let Ok(read) = memory.read_at(&mut piece, at.try_into().unwrap()) else { break };
            let read = read.min(to - at);
            let hits = places(&piece[..read], wanted);
            found +=
                hits.iter().filter(|place| !own.iter().any(|range| range.contains(&(at + **place)))).count();
            if read <= wanted.len() {
                break;
            }
            // What lies across two pieces is found in the second.
            at += if at + read < to { read - wanted.len() } else { read };
        }
    }
    found
}

/// Writes so many random bytes in base64 into a file; this process does not see them.
fn secret_in(file: &Path, before: &str) {
    let script = format!("printf %s '{before}' > \"$0\" && head -c 32 /dev/urandom | base64 -w 0 >> \"$0\"");
    assert!(Command::new("sh").args(["-c", &script]).arg(file).status().unwrap().success());
}

fn text_of(file: &Path, before: &str) -> Vec<u8> {
    let mut text = std::fs::read(file).unwrap();
    text.drain(..before.len());
    text
}

/// Every secret that a file may hold, with what stands before its random part.
const SECRETS: [(&str, &str); 6] = [
    ("PRIVACY__MASTER_KEYS", "k1:"),
    ("NIUM__API_KEY", ""),
    ("ADMIN__BOOTSTRAP_TOKEN", ""),
    ("CALLBACK__HMAC_SECRETS", ""),
    ("CALLBACK__STATIC_HEADER_VALUES", ""),
    ("NOTIFY__WEBHOOK__SECRETS", "whsec_"),
];

#[test]
fn a_secret_leaves_no_copy_behind() {
    let folder = tempfile::tempdir().unwrap();
    let mut env = BTreeMap::from(
        [
            ("NIUM__BASE_URL", "http://127.0.0.1:1"),
            ("NIUM__CLIENT_HASH_ID", "6f0f8e0a-51c7-4d1e-9d3f-0b7a5d6f2c11"),
            ("NIUM__REGION", "SG"),
            ("CALLBACK__HMAC_HEADER", "x-signature"),
            ("CALLBACK__STATIC_HEADER_NAME", "x-key"),
            ("NOTIFY__WEBHOOK__URL", "https://backend.example/events"),
        ]
        .map(|(key, value)| (format!("REINSTATE__{key}"), value.to_owned())),
    );
    for (key, before) in SECRETS {
        let file = folder.path().join(key);
        secret_in(&file, before);
        env.insert(format!("REINSTATE__{key}_FILE"), file.to_str().unwrap().to_owned());
    }
    let config = Config::load(&Sources { file: None, env }).unwrap();
    let masters = config.privacy.master_keys.iter();
    let masters = masters.map(|key| MasterKey::new(&key.id, key.key.expose()).unwrap()).collect();
    let vault = Vault::new(masters).unwrap();
    let wrapped = vault.new_data_key("somebody").unwrap();
    vault.unwrap("somebody", &wrapped).unwrap();
    let secrets = SECRETS.map(|(key, before)| {
        let text = text_of(&folder.path().join(key), before);
        let bytes = STANDARD.decode(&text).unwrap();
        assert!(copies(&text) + copies(&bytes) > 0, "{key} is not found while it is there");
        (key, text, bytes)
    });
    drop((config, vault));
    for (key, text, bytes) in secrets {
        assert_eq!((copies(&text), copies(&bytes)), (0, 0), "copies of {key}: as text, as bytes");
    }
}
