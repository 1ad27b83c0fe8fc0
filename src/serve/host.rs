//! Which names the server answers to.
//!
//! A page of another site can point a name of its own at 127.0.0.1 and then read what the browser takes for that site's
//! answers (DNS rebinding). The `Host` header still has that other name: a request for a name that isn't the server's own is refused.

use std::net::IpAddr;

/// The names of a server.
///
/// ```
/// use cartlog::serve::Hosts;
///
/// let hosts = Hosts::of("127.0.0.1");
/// assert!(hosts.answers_to("localhost:8080") && hosts.answers_to("[::1]:8080"));
/// assert!(!hosts.answers_to("evil.example:8080"));
/// ```
#[derive(Debug, Clone)]
pub struct Hosts {
    listened_on: String,
}

impl Hosts {
    /// The names of a server that listens on this host: that one and those of loopback.
    #[must_use]
    pub fn of(listened_on: &str) -> Self {
        Self { listened_on: bare(listened_on).to_ascii_lowercase() }
    }

    /// Whether a `Host` header names this server. Its port doesn't matter: it may have been forwarded.
    #[must_use]
    pub fn answers_to(&self, header: &str) -> bool {
        let Some(host) = without_port(header) else { return false };
        let host = bare(host).to_ascii_lowercase();
        let is_loopback = host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback());
        host == "localhost" || is_loopback || (!host.is_empty() && host == self.listened_on)
    }
}

fn bare(host: &str) -> &str {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host)
}

/// The host of `host`, `host:port` or `[address]:port`; `None` if what should be a port is none.
fn without_port(header: &str) -> Option<&str> {
    let end = if header.starts_with('[') { header.find(']')? + 1 } else { header.find(':').unwrap_or(header.len()) };
    let (host, port) = header.split_at(end);
    let is_port = |port: &str| port.is_empty() || port.bytes().all(|byte| byte.is_ascii_digit());
    (port.is_empty() || port.strip_prefix(':').is_some_and(is_port)).then_some(host)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_its_own_names_are_answered() {
        let hosts = Hosts::of("shop.example");
        for own in ["localhost", "LOCALHOST:1", "127.0.0.1:8080", "127.1.2.3", "[::1]", "[::1]:80", "Shop.example:8080"]
        {
            assert!(hosts.answers_to(own), "{own}");
        }
        let others = ["", ":80", "evil.example", "localhost.evil.example", "127.0.0.1.evil.example", "localhost:80:80"];
        for other in others.into_iter().chain(["[::1", "[::1]x", "localhost:x", "10.0.0.1", "user@localhost", "::1"]) {
            assert!(!hosts.answers_to(other), "{other}");
        }
    }
}
