//! Which servers are reached without the environment's proxy: those that NO_PROXY names, and this machine, as in Go's
//! httpproxy and so for kubectl.

use std::net::IpAddr;

use http::Uri;

/// Is `server` reached directly, whatever proxy the environment names?
pub(crate) fn direct(server: &Uri) -> bool {
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']).to_lowercase();
    if host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback()) {
        return true;
    }
    let port = server.port_u16().unwrap_or(if server.scheme_str() == Some("http") { 80 } else { 443 });
    let list =
        ["NO_PROXY", "no_proxy"].iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    list.is_some_and(|list| list.split(',').any(|entry| matches(entry.trim(), &host, port)))
}

/// `*`, a domain with or without a leading dot or star, an address, a block of addresses; with or without a port.
fn matches(entry: &str, host: &str, port: u16) -> bool {
    if entry == "*" {
        return true;
    }
    let entry = entry.to_lowercase();
    if let Some((block, bits)) = entry.split_once('/') {
        return host.parse().is_ok_and(|address| in_block(address, block, bits));
    }
    let (name, only) = match entry.rsplit_once(':') {
        // More than one colon without brackets is an address of version 6.
        Some((name, only)) if name.ends_with(']') || !name.contains(':') => (name, only),
        _ => (entry.as_str(), ""),
    };
    if !only.is_empty() && only.parse() != Ok(port) {
        return false;
    }
    let name = name.trim_matches(['[', ']']);
    if let (Ok(address), Ok(named)) = (host.parse::<IpAddr>(), name.parse::<IpAddr>()) {
        return address == named;
    }
    let domain = name.strip_prefix('*').unwrap_or(name);
    match domain.strip_prefix('.') {
        Some(domain) => !domain.is_empty() && host.ends_with(&format!(".{domain}")),
        None => !domain.is_empty() && (host == domain || host.ends_with(&format!(".{domain}"))),
    }
}

fn in_block(address: IpAddr, block: &str, bits: &str) -> bool {
    let (Ok(block), Ok(bits)) = (block.parse::<IpAddr>(), bits.parse::<u32>()) else { return false };
    let prefix = |value: u128, width: u32| value.checked_shr(width.saturating_sub(bits)).unwrap_or(0);
    match (address, block) {
        (IpAddr::V4(a), IpAddr::V4(b)) => prefix(u32::from(a).into(), 32) == prefix(u32::from(b).into(), 32),
        (IpAddr::V6(a), IpAddr::V6(b)) => prefix(a.into(), 128) == prefix(b.into(), 128),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_go_reads_it() {
        for (entry, host) in [
            ("*", "x"),
            ("example.com", "example.com"),
            ("example.com", "api.example.com"),
            ("EXAMPLE.com:443", "example.com"),
            (".example.com", "api.example.com"),
            ("*.example.com", "api.example.com"),
            ("10.0.0.0/8", "10.200.255.2"),
            ("0.0.0.0/0", "1.2.3.4"),
            ("127.0.0.1", "127.0.0.1"),
            ("10.0.0.1:443", "10.0.0.1"),
            ("fd00::1", "fd00::1"),
            ("[fd00::1]:443", "fd00::1"),
            ("fd00::/8", "fd12::3"),
        ] {
            assert!(matches(entry, host, 443), "{entry} {host}");
        }
        for (entry, host) in [
            ("", "x"),
            (".", "x"),
            (":443", "x"),
            ("ample.com", "example.com"),
            ("example.com:80", "example.com"),
            (".example.com", "example.com"),
            ("*.example.com", "example.com"),
            ("10.0.0.0/8", "11.0.0.1"),
            ("10.0.0.0/zz", "10.0.0.1"),
            ("10.0.0.1:80", "10.0.0.1"),
            ("10.0.0.1", "110.0.0.1"),
            ("fd00::1", "fd00::2"),
            ("10.0.0.0/8", "example.com"),
        ] {
            assert!(!matches(entry, host, 443), "{entry} {host}");
        }
    }

    #[test]
    fn this_machine_needs_none() {
        for server in ["https://localhost:6443", "https://127.0.0.1:6443", "http://[::1]:80"] {
            assert!(direct(&server.parse().unwrap()), "{server}");
        }
        assert!(!direct(&"https://10.0.0.1:6443".parse().unwrap()));
    }
}
