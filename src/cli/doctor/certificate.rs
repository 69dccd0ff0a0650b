//! Our own certificate: until when it is good, and for which names.

use jiff::{SignedDuration, Timestamp};
use reqwest::Url;
use x509_cert::Certificate;
use x509_cert::ext::pkix::SubjectAltName;
use x509_cert::ext::pkix::name::GeneralName;

use super::report::Report;
use crate::clock::Clock;
use crate::config::{Config, Tls};
use crate::http::serve::{Certificates, Files};

/// A certificate that ends within this time should have been renewed: those who renew by themselves do so a month before.
const ENDS_SOON: SignedDuration = SignedDuration::from_hours(14 * 24);

/// What is found in the files of `public.tls_cert` and `public.tls_key`.
pub(super) async fn own(config: &Config, report: &mut Report) {
    let Some(tls) = &config.public.tls else {
        return report
            .note("certificate", "public.tls_cert is not set: TLS ends at the proxy in front, if anywhere");
    };
    let files = Files {
        certificate: tls.cert.clone(),
        key: tls.key.clone(),
        client_authority: tls.client_ca.clone(),
    };
    if let Err(error) = Certificates::load(files).await {
        let fix = "both files in PEM; the key must be that of the first certificate";
        return report.bad("certificate", format!("certificate and key cannot be used: {error}"), fix);
    }
    match read(tls) {
        Ok(chain) => examine(&chain, config.public.url.as_deref(), report),
        Err(why) => {
            report.bad("certificate", format!("{}: {why}", tls.cert.display()), "a chain in PEM, ours first");
        }
    }
}

fn read(tls: &Tls) -> Result<Vec<Certificate>, String> {
    let pem = std::fs::read(&tls.cert).map_err(|error| error.to_string())?;
    Certificate::load_pem_chain(&pem).map_err(|error| error.to_string())
}

fn examine(chain: &[Certificate], url: Option<&str>, report: &mut Report) {
    let now = Clock::System.now();
    for (number, certificate) in chain.iter().enumerate() {
        let whose = if number == 0 { "our certificate" } else { "a certificate of the chain" };
        let ends = ends(certificate);
        let left = ends.duration_since(now);
        let renew = "renew it, and see why that did not happen by itself";
        if left.is_negative() {
            report.bad("certificate", format!("{whose} ended {ends}"), renew);
        } else if left < ENDS_SOON {
            report.bad("certificate", format!("{whose} ends in {} days", left.as_hours() / 24), renew);
        } else {
            report.good("certificate", format!("{whose} is good for {} days", left.as_hours() / 24));
        }
    }
    let host = url.and_then(|url| Url::parse(url).ok()).and_then(|url| url.host_str().map(str::to_owned));
    if let (Some(host), Some(ours)) = (host, chain.first()) {
        let names = names(ours);
        if names.iter().any(|name| covers(name, &host)) {
            report.good("certificate", format!("it is for {host}"));
        } else {
            let fix = "a certificate for the name in public.url";
            report.bad("certificate", format!("it is for {}, not for {host}", names.join(", ")), fix);
        }
    }
    if chain.len() == 1 {
        report.note(
            "certificate",
            "the file has one certificate: callers need the issuer's, unless they know it",
        );
    }
}

fn ends(certificate: &Certificate) -> Timestamp {
    let ends = certificate.tbs_certificate.validity.not_after.to_unix_duration();
    i64::try_from(ends.as_secs())
        .ok()
        .and_then(|secs| Timestamp::from_second(secs).ok())
        .unwrap_or(Timestamp::MIN)
}

fn names(certificate: &Certificate) -> Vec<String> {
    let Ok(Some((_, SubjectAltName(names)))) = certificate.tbs_certificate.get::<SubjectAltName>() else {
        return Vec::new();
    };
    let names = names.into_iter().filter_map(|name| match name {
        GeneralName::DnsName(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => address(bytes.as_bytes()),
        _ => None,
    });
    names.collect()
}

fn address(bytes: &[u8]) -> Option<String> {
    let four: Option<[u8; 4]> = bytes.try_into().ok();
    let sixteen: Option<[u8; 16]> = bytes.try_into().ok();
    four.map(|ip| std::net::Ipv4Addr::from(ip).to_string())
        .or_else(|| sixteen.map(|ip| format!("[{}]", std::net::Ipv6Addr::from(ip))))
}

/// Whether a name of a certificate is good for a host; a star stands for one label.
fn covers(name: &str, host: &str) -> bool {
    let (name, host) = (name.to_ascii_lowercase(), host.to_ascii_lowercase());
    match name.strip_prefix("*.") {
        Some(rest) => host.split_once('.').is_some_and(|(_, parent)| parent == rest),
        None => name == host,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_star_stands_for_one_label() {
        for (name, host) in [("kyc.example.test", "KYC.example.test"), ("*.example.test", "kyc.example.test")]
        {
            assert!(covers(name, host), "{name} {host}");
        }
        for (name, host) in [
            ("example.test", "kyc.example.test"),
            ("*.example.test", "a.b.example.test"),
            ("*.example.test", "example.test"),
        ] {
            assert!(!covers(name, host), "{name} {host}");
        }
    }
}
