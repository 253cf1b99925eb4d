//! Which addresses a metric may not reach.
//!
//! Templates are written by people who may have no more rights than to write templates, and the controller sends the
//! request. So what only the machine itself is meant to reach is refused: link-local addresses, where clouds serve the
//! machine's credentials, and the addresses at which some clouds serve them elsewhere. The check is made on the address
//! that is connected to, not on the name, so a name that resolves to such an address is refused as well.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use reqwest::Url;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};

/// Why an address is refused; `None` when it is not.
#[must_use]
pub fn refused(address: IpAddr) -> Option<&'static str> {
    match address {
        IpAddr::V4(address) => refused_v4(address),
        IpAddr::V6(address) => refused_v6(address),
    }
}

fn refused_v4(address: Ipv4Addr) -> Option<&'static str> {
    if address.is_link_local() {
        Some("it is link-local, where clouds serve credentials")
    } else if address == Ipv4Addr::new(100, 100, 100, 200) {
        Some("it is a metadata service")
    } else {
        None
    }
}

fn refused_v6(address: Ipv6Addr) -> Option<&'static str> {
    if address.is_unicast_link_local() {
        return Some("it is link-local");
    }
    if address == Ipv6Addr::new(0xfd00, 0x0ec2, 0, 0, 0, 0, 0, 0x0254) {
        return Some("it is a metadata service");
    }
    // An IPv4 address inside of an IPv6 one: mapped, or translated (64:ff9b::/96).
    let embedded = address.to_ipv4_mapped().or_else(|| {
        let octets = address.octets();
        (octets.starts_with(&[0, 0x64, 0xff, 0x9b, 0, 0, 0, 0, 0, 0, 0, 0]))
            .then(|| Ipv4Addr::new(octets[12], octets[13], octets[14], octets[15]))
    });
    embedded.and_then(refused_v4)
}

/// Checks an address whose host is written as a number; names are checked when they are resolved.
///
/// # Errors
/// Why it is refused.
pub fn check_host(url: &Url) -> Result<(), String> {
    let host = url.host_str().unwrap_or_default();
    let number = host.trim_start_matches('[').trim_end_matches(']').parse();
    match number.ok().and_then(refused) {
        Some(reason) => Err(message(host, reason)),
        None => Ok(()),
    }
}

fn message(host: &str, reason: &str) -> String {
    format!("{host} is not an address for metrics: {reason}")
}

/// Resolves names as the system does, without the addresses that are refused.
#[derive(Debug, Clone, Copy)]
pub(super) struct GuardedResolver;

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        Box::pin(async move {
            let host = name.as_str().to_owned();
            let found: Vec<SocketAddr> =
                tokio::net::lookup_host((host.as_str(), 0)).await?.collect();
            let mut reason = None;
            let allowed: Vec<SocketAddr> = found
                .into_iter()
                .filter(|address| {
                    let refused = refused(address.ip());
                    reason = reason.or(refused);
                    refused.is_none()
                })
                .collect();
            match (allowed.is_empty(), reason) {
                (true, Some(reason)) => Err(message(&host, reason).into()),
                _ => Ok(Box::new(allowed.into_iter()) as Addrs),
            }
        })
    }
}
