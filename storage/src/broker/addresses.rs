//! What is known of the addresses that clients connect from: how many connections each holds, how often its logins fail.
//!
//! An IPv6 client has a whole /64 network to itself, so that counts as one address. Loopback is not limited: who can
//! connect from there has the machine already. Memory is bounded: an address is forgotten when it holds no connection
//! and its failures are old, or when too many have failed.

use std::collections::HashMap;
use std::net::{IpAddr, Ipv6Addr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Failures are forgotten after this time without another.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(120);
/// The pause doubles with each failure, this many times.
const DOUBLINGS: u32 = 4;
/// Addresses remembered at the same time for failures alone.
const MAXIMUM_REMEMBERED: usize = 10_000;

/// All addresses that matter at present.
#[derive(Debug, Default)]
pub(super) struct Addresses {
    addresses: Mutex<HashMap<IpAddr, Address>>,
}

#[derive(Debug, Clone, Copy, Default)]
struct Address {
    open: usize,
    failures: u32,
    last_failure: Option<Instant>,
}

/// A connection that counts for its address until this is dropped.
#[derive(Debug)]
pub(super) struct Arrival {
    addresses: Arc<Addresses>,
    ip: IpAddr,
}

impl Addresses {
    /// Counts a connection, unless its address holds `limit` of them.
    pub(super) fn arrive(self: &Arc<Self>, ip: IpAddr, limit: usize) -> Option<Arrival> {
        let ip = network(ip);
        let mut addresses = self.lock();
        let address = addresses.entry(ip).or_default();
        if address.open >= limit && !ip.is_loopback() {
            return None;
        }
        address.open += 1;
        Some(Arrival { addresses: Arc::clone(self), ip })
    }

    /// Notes a failed login and gives the pause before its answer: `first`, doubled with each failure.
    pub(super) fn failed(&self, ip: IpAddr, first: Duration) -> Duration {
        let now = Instant::now();
        let mut addresses = self.lock();
        if addresses.len() > MAXIMUM_REMEMBERED {
            addresses.retain(|_, address| address.open > 0 || !address.is_forgotten(now));
        }
        if addresses.len() > MAXIMUM_REMEMBERED {
            addresses.retain(|_, address| address.open > 0);
        }
        let address = addresses.entry(network(ip)).or_default();
        if address.is_forgotten(now) {
            address.failures = 0;
        }
        let pause = first.saturating_mul(1 << address.failures.min(DOUBLINGS));
        address.failures = address.failures.saturating_add(1);
        address.last_failure = Some(now);
        pause
    }

    /// Forgets the failures of an address after a login that worked.
    pub(super) fn forgive(&self, ip: IpAddr) {
        if let Some(address) = self.lock().get_mut(&network(ip)) {
            address.failures = 0;
            address.last_failure = None;
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<IpAddr, Address>> {
        self.addresses.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Address {
    fn is_forgotten(&self, now: Instant) -> bool {
        self.last_failure.is_none_or(|last| now.saturating_duration_since(last) > FORGOTTEN_AFTER)
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let mut addresses = self.addresses.lock();
        if let Some(address) = addresses.get_mut(&self.ip) {
            address.open -= 1;
            if address.open == 0 && address.is_forgotten(Instant::now()) {
                addresses.remove(&self.ip);
            }
        }
    }
}

fn network(ip: IpAddr) -> IpAddr {
    match ip.to_canonical() {
        IpAddr::V6(v6) if !v6.is_loopback() => Ipv6Addr::from_bits(v6.to_bits() & !u128::from(u64::MAX)).into(),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_holds_so_many_connections_and_no_more() {
        let addresses = Arc::new(Addresses::default());
        let [one, other]: [IpAddr; 2] = ["10.0.0.1", "10.0.0.2"].map(|text| text.parse().unwrap());
        let first = addresses.arrive(one, 2).unwrap();
        let _second = addresses.arrive(one, 2).unwrap();
        assert!(addresses.arrive(one, 2).is_none());
        assert!(addresses.arrive("::ffff:10.0.0.1".parse().unwrap(), 2).is_none(), "the same address");
        drop(addresses.arrive(other, 2).unwrap());
        drop(first);
        assert!(addresses.arrive(one, 2).is_some());
        assert_eq!(addresses.lock().len(), 1, "who has left is forgotten");
        let local: Vec<_> = (0..5).map(|_| addresses.arrive("127.0.0.1".parse().unwrap(), 2)).collect();
        assert!(local.iter().all(Option::is_some));
    }

    #[test]
    fn a_network_of_ipv6_is_one_address() {
        let addresses = Arc::new(Addresses::default());
        let _first = addresses.arrive("2001:db8::1".parse().unwrap(), 1).unwrap();
        assert!(addresses.arrive("2001:db8::ffff:1".parse().unwrap(), 1).is_none());
        assert!(addresses.arrive("2001:db8:0:1::1".parse().unwrap(), 1).is_some());
    }

    #[test]
    fn failures_cost_ever_more_until_one_login_works() {
        let addresses = Addresses::default();
        let ip = "10.0.0.1".parse().unwrap();
        let first = Duration::from_millis(10);
        let pauses: Vec<_> = (0..7).map(|_| addresses.failed(ip, first).as_millis()).collect();
        assert_eq!(pauses, [10, 20, 40, 80, 160, 160, 160]);
        addresses.forgive(ip);
        assert_eq!(addresses.failed(ip, first), first);
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let addresses = Addresses::default();
        for number in 0..30_000_u32 {
            addresses.failed(IpAddr::from(number.to_be_bytes()), Duration::ZERO);
        }
        assert!(addresses.lock().len() <= MAXIMUM_REMEMBERED + 1);
    }
}
