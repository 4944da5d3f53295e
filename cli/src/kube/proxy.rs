//! NO_PROXY: which servers are reached without the environment's proxy.

use std::net::IpAddr;

use http::Uri;

/// Does NO_PROXY name the host of `server`?
pub(crate) fn bypassed(server: &Uri) -> bool {
    let list =
        ["NO_PROXY", "no_proxy"].iter().find_map(|name| std::env::var(name).ok().filter(|v| !v.is_empty()));
    let host = server.host().unwrap_or_default().trim_matches(['[', ']']);
    list.is_some_and(|list| list.split(',').any(|entry| matches(entry.trim(), host)))
}

/// `*`, a name, a domain with or without a leading dot, an address, a block of addresses. As in Go's httpproxy.
fn matches(entry: &str, host: &str) -> bool {
    let entry = entry.split_once("://").map_or(entry, |(_, rest)| rest).to_lowercase();
    let host = host.to_lowercase();
    if entry == "*" {
        return true;
    }
    if let Ok(address) = host.parse::<IpAddr>() {
        return match entry.split_once('/') {
            Some((block, bits)) => in_block(address, block, bits),
            None => entry.trim_matches(['[', ']']).parse() == Ok(address),
        };
    }
    let name = entry.split(':').next().unwrap_or_default();
    let bare = name.trim_start_matches("*.").trim_start_matches('.');
    !bare.is_empty() && (host.ends_with(&format!(".{bare}")) || (host == bare && !name.starts_with('.')))
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
    use super::matches;

    #[test]
    fn as_go_reads_it() {
        assert!(matches("*", "x"));
        assert!(matches("example.com", "example.com") && matches("example.com", "api.example.com"));
        assert!(matches(".example.com", "api.example.com") && !matches(".example.com", "example.com"));
        assert!(matches("10.0.0.0/8", "10.200.255.2") && !matches("10.0.0.0/8", "11.0.0.1"));
        assert!(
            matches("127.0.0.1", "127.0.0.1") && matches("::1", "::1") && matches("0.0.0.0/0", "1.2.3.4")
        );
        assert!(
            !matches("", "x") && !matches("ample.com", "example.com") && !matches("10.0.0.0/zz", "10.0.0.1")
        );
    }
}
