//! An API server's address, as one is handed from one person to another.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use http::Uri;

/// Why an address will not do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum BadServer {
    /// Not a URL with a host.
    #[error("it is no address: write https://HOST:PORT")]
    NoUrl,
    /// A token would go over it for everybody to read.
    #[error("it is not https: a token would be read on the way")]
    Plain,
    /// More than a server.
    #[error("it holds a user, a query or a fragment, which no server needs")]
    Surplus,
}

/// Checks and completes an address: `https://host`, with a port or a path where it has one.
///
/// # Errors
/// Whatever else it is.
pub(crate) fn server(text: &str) -> Result<String, BadServer> {
    let plain = text.bytes().all(|b| b.is_ascii_graphic());
    let uri: Uri = Some(text).filter(|_| plain).and_then(|t| t.parse().ok()).ok_or(BadServer::NoUrl)?;
    let authority = uri.authority().ok_or(BadServer::NoUrl)?.as_str();
    match uri.scheme_str() {
        Some("https") => {}
        Some("http") => return Err(BadServer::Plain),
        _ => return Err(BadServer::NoUrl),
    }
    if authority.contains('@') || uri.query().is_some() || text.contains('#') {
        return Err(BadServer::Surplus);
    }
    if uri.host().is_none_or(|host| host.trim_matches(['[', ']']).is_empty()) {
        return Err(BadServer::NoUrl);
    }
    Ok(format!("https://{authority}{}", uri.path().trim_end_matches('/')))
}

/// Does the address mean something else, or nothing, on another network? By its looks alone: no name is looked up.
pub(crate) fn is_private(server: &str) -> bool {
    let uri = server.parse::<Uri>().ok();
    let host = uri.as_ref().and_then(Uri::host).unwrap_or_default().trim_matches(['[', ']']).to_lowercase();
    match host.parse() {
        Ok(IpAddr::V4(address)) => is_private_v4(address),
        Ok(IpAddr::V6(address)) => is_private_v6(address),
        Err(_) => {
            const LOCAL: [&str; 7] =
                [".localhost", ".local", ".internal", ".svc", ".lan", ".home.arpa", ".test"];
            let name = host.trim_end_matches('.');
            !name.contains('.') || LOCAL.iter().any(|end| name.ends_with(end))
        }
    }
}

fn is_private_v4(address: Ipv4Addr) -> bool {
    // 100.64.0.0/10 is what carriers and overlay networks share (RFC 6598).
    let shared = address.octets()[0] == 100 && address.octets()[1] & 0xc0 == 64;
    address.is_loopback()
        || address.is_private()
        || address.is_link_local()
        || address.is_unspecified()
        || shared
}

fn is_private_v6(address: Ipv6Addr) -> bool {
    address.is_loopback()
        || address.is_unspecified()
        || address.is_unique_local()
        || address.is_unicast_link_local()
        || address.to_ipv4_mapped().is_some_and(is_private_v4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_of_servers() {
        for (text, whole) in [
            ("https://api.example.com", "https://api.example.com"),
            ("https://api.example.com:6443/", "https://api.example.com:6443"),
            ("https://[2001:db8::1]:6443", "https://[2001:db8::1]:6443"),
            ("https://rancher.example.com/k8s/clusters/c-1", "https://rancher.example.com/k8s/clusters/c-1"),
        ] {
            assert_eq!(server(text).as_deref(), Ok(whole), "{text}");
        }
    }

    #[test]
    fn what_is_none() {
        use BadServer::{NoUrl, Plain, Surplus};
        for (text, why) in [
            ("", NoUrl),
            ("api.example.com:6443", NoUrl),
            ("/only/a/path", NoUrl),
            ("file:///etc/passwd", NoUrl),
            ("ftp://x", NoUrl),
            ("https://", NoUrl),
            ("https://a\nb", NoUrl),
            ("https://a b", NoUrl),
            ("https://\u{202e}moc", NoUrl),
            ("http://api.example.com", Plain),
            ("https://me:pw@api.example.com", Surplus),
            ("https://api.example.com?x=y", Surplus),
            ("https://api.example.com/#x", Surplus),
        ] {
            assert_eq!(server(text), Err(why), "{text:?}");
        }
    }

    #[test]
    fn what_others_cannot_reach() {
        for private in [
            "https://127.0.0.1:6443",
            "https://10.88.0.1:6443",
            "https://172.31.0.1",
            "https://192.168.1.1",
            "https://169.254.1.1",
            "https://100.100.1.1",
            "https://0.0.0.0",
            "https://[::1]:6443",
            "https://[fd00::1]",
            "https://[fe80::1]",
            "https://[::ffff:10.0.0.1]",
            "https://localhost:6443",
            "https://kubernetes.default.svc",
            "https://nas",
            "https://Api.Local.",
        ] {
            assert!(is_private(private), "{private}");
        }
        for public in [
            "https://8.8.8.8",
            "https://172.32.0.1",
            "https://[2001:4860::1]",
            "https://api.example.com:6443",
        ] {
            assert!(!is_private(public), "{public}");
        }
    }
}
