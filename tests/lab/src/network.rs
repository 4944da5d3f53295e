//! The network of a cluster: a cable from the machine into the sandbox, and a range of addresses that no other cluster and
//! nothing else on the machine uses.

use anyhow::{Result, bail};

use crate::run::{command, output};
use crate::sandbox::Sandbox;

/// Clusters take 10.200.0.0/16, 10.201.0.0/16 and so on.
const SLOTS: std::ops::Range<u8> = 200..250;

/// Services are seen inside the sandbox only: every cluster uses the same range.
pub(crate) const SERVICES: &str = "10.96.0.0/16";
/// The API server's service address, the first of [`SERVICES`].
pub(crate) const KUBERNETES_SERVICE: &str = "10.96.0.1";

/// The addresses of one cluster.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Network {
    slot: u8,
}

impl Network {
    /// The one that a cluster has chosen before.
    pub(crate) fn of(slot: u8) -> Network {
        Network { slot }
    }

    /// The first one that neither the machine uses nor another cluster has recorded.
    pub(crate) fn choose(recorded: &[u8]) -> Result<Network> {
        let routes = output(&mut command(["ip", "-4", "route", "show", "table", "all"]))?;
        let free = SLOTS.filter(|slot| !recorded.contains(slot)).find(|slot| !is_used(&routes, *slot));
        match free {
            Some(slot) => Ok(Network { slot }),
            None => {
                bail!("every range from 10.{}.0.0/16 to 10.{}.0.0/16 is in use", SLOTS.start, SLOTS.end - 1)
            }
        }
    }

    /// The number that was chosen.
    pub(crate) fn slot(self) -> u8 {
        self.slot
    }

    /// The machine's end of the cable.
    pub(crate) fn cable(self) -> String {
        format!("oz-lab{}", self.slot)
    }

    /// The address of the node and of the API server: the same from the machine and from every pod.
    pub(crate) fn node(self) -> String {
        format!("10.{}.255.2", self.slot)
    }

    /// The address of the machine.
    pub(crate) fn host(self) -> String {
        format!("10.{}.255.1", self.slot)
    }

    /// The addresses of pods.
    pub(crate) fn pods(self) -> String {
        format!("10.{}.0.0/17", self.slot)
    }

    /// Where the API server is reached.
    pub(crate) fn server(self) -> String {
        format!("https://{}:6443", self.node())
    }

    /// Lays the cable. It goes with the sandbox.
    pub(crate) fn lay(self, sandbox: &Sandbox) -> Result<()> {
        let cable = self.cable();
        let (host, node) = (format!("{}/30", self.host()), format!("{}/30", self.node()));
        let keeper = sandbox.pid().to_string();
        let outside: [&[&str]; 4] = [
            &["ip", "link", "add", &cable, "type", "veth", "peer", "name", "eth0", "netns", &keeper],
            &["ip", "address", "add", &host, "dev", &cable],
            &["ip", "link", "set", &cable, "up"],
            &["ip", "route", "add", &self.pods(), "via", &self.node()],
        ];
        let inside: [&[&str]; 3] = [
            &["ip", "address", "add", &node, "dev", "eth0"],
            &["ip", "link", "set", "eth0", "up"],
            &["ip", "route", "add", "default", "via", &self.host()],
        ];
        for words in &outside[..3] {
            output(&mut command(*words))?;
        }
        for words in inside {
            output(&mut sandbox.command(words))?;
        }
        output(&mut command(outside[3])).map(drop)
    }

    /// Removes the cable, which may have outlived the sandbox by a moment.
    pub(crate) fn remove(self) {
        // It is gone already, as a rule: the kernel removes it with the other end.
        let _ = output(&mut command(["ip", "link", "delete", &self.cable()]));
    }
}

/// Whether any route on the machine leads into that range.
fn is_used(routes: &str, slot: u8) -> bool {
    let prefix = format!("10.{slot}.");
    routes.split_whitespace().any(|word| word.starts_with(&prefix))
}

#[cfg(test)]
mod tests {
    use super::is_used;

    #[test]
    fn a_range_with_a_route_into_it_is_used() {
        let routes =
            "default via 192.0.2.1 dev eth0\n10.200.0.0/17 via 10.200.255.2 dev oz-lab200\nlocal 110.201.0.1";
        assert!(is_used(routes, 200));
        assert!(!is_used(routes, 201));
        assert!(!is_used(routes, 20));
    }
}
