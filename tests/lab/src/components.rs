//! The parts of Kubernetes: what each is called with.

use crate::configuration;
use crate::lab::Lab;
use crate::network::{Network, SERVICES};
use crate::pki;

/// Feature gates of every part, by name and setting. The one place to try others: the next `up` makes the cluster anew.
pub(crate) const FEATURE_GATES: &[(&str, bool)] = &[];

/// The only node.
pub(crate) const NODE: &str = "n1";

/// etcd listens inside the sandbox alone, so the usual port is free.
const ETCD: &str = "http://127.0.0.1:2379";
const ETCD_PEERS: &str = "http://127.0.0.1:2380";

/// A process of the cluster.
#[derive(Debug)]
pub(crate) struct Component {
    /// The program's name, and that of its log.
    pub(crate) name: &'static str,
    /// The program and its arguments.
    pub(crate) words: Vec<String>,
}

/// What the API server is built upon: storage, itself and the container runtime.
pub(crate) const FIRST: [&str; 3] = ["etcd", "kube-apiserver", "containerd"];

/// Every component.
pub(crate) fn all(lab: &Lab, network: Network) -> Vec<Component> {
    let mut all = vec![etcd(lab), api_server(lab, network), controller_manager(lab, network)];
    if lab.node {
        all.extend([containerd(lab), scheduler(lab), kubelet(lab, network), proxy(lab, network)]);
    }
    all
}

/// A lab may lose its data: no fsync, which makes it several times as fast on a slow disk.
fn etcd(lab: &Lab) -> Component {
    let initial = format!("default={ETCD_PEERS}");
    let mut flags = Flags::new(lab, "etcd");
    flags.set("data-dir", "/var/lib/etcd").set("listen-client-urls", ETCD).set("advertise-client-urls", ETCD);
    flags.set("listen-peer-urls", ETCD_PEERS).set("initial-advertise-peer-urls", ETCD_PEERS);
    flags
        .set("initial-cluster", &initial)
        .set("unsafe-no-fsync", "true")
        .set("auto-compaction-retention", "1h");
    flags.done()
}

fn api_server(lab: &Lab, network: Network) -> Component {
    let mut flags = Flags::new(lab, "kube-apiserver");
    flags.set("etcd-servers", ETCD).set("bind-address", &network.node()).set("secure-port", "6443");
    flags.set("advertise-address", &network.node()).set("service-cluster-ip-range", SERVICES);
    flags.pki("tls-cert-file", "kube-apiserver.crt").pki("tls-private-key-file", "kube-apiserver.key");
    flags.pki("client-ca-file", "ca.crt");
    flags.set("authorization-mode", "Node,RBAC").set("enable-admission-plugins", "NodeRestriction");
    flags.set("service-account-issuer", "https://kubernetes.default.svc");
    flags.pki("service-account-key-file", "service-accounts.key");
    flags.pki("service-account-signing-key-file", "service-accounts.key");
    flags.pki("kubelet-client-certificate", "apiserver-kubelet.crt");
    flags.pki("kubelet-client-key", "apiserver-kubelet.key");
    flags.set("kubelet-preferred-address-types", "InternalIP,Hostname").set("allow-privileged", "true");
    flags.config("audit-policy-file", "audit.yaml").set("audit-log-path", &lab.audit().display().to_string());
    // Tests read the log while it is written: it is not rotated under them.
    flags.set("audit-log-maxsize", "10000");
    // Tests run many at once from one machine, and measure Oz, not the limits of its neighbours.
    flags.set("max-requests-inflight", "2000").set("max-mutating-requests-inflight", "1000");
    flags.gates().done()
}

fn containerd(lab: &Lab) -> Component {
    let config = configuration::folder(lab).join("containerd.toml");
    let words = vec!["containerd".to_owned(), "--config".to_owned(), config.display().to_string()];
    Component { name: "containerd", words }
}

/// Namespaces and owned objects go as fast as the tests make them.
fn controller_manager(lab: &Lab, network: Network) -> Component {
    let mut flags = Flags::new(lab, "kube-controller-manager");
    flags
        .pki("kubeconfig", "kube-controller-manager.yaml")
        .set("leader-elect", "false")
        .set("secure-port", "0");
    flags.set("controllers", "*").set("use-service-account-credentials", "true");
    flags.pki("root-ca-file", "ca.crt").pki("service-account-private-key-file", "service-accounts.key");
    flags.pki("cluster-signing-cert-file", "ca.crt").pki("cluster-signing-key-file", "ca.key");
    flags.set("cluster-cidr", &network.pods()).set("allocate-node-cidrs", "false");
    flags.set("kube-api-qps", "300").set("kube-api-burst", "600");
    flags.set("concurrent-namespace-syncs", "30").set("concurrent-gc-syncs", "30");
    // The usual place is outside of the sandbox, and would be made.
    flags.set("flex-volume-plugin-dir", crate::configuration::VOLUME_PLUGINS);
    flags.gates().done()
}

fn scheduler(lab: &Lab) -> Component {
    let mut flags = Flags::new(lab, "kube-scheduler");
    flags.pki("kubeconfig", "kube-scheduler.yaml").set("leader-elect", "false").set("secure-port", "0");
    flags.set("kube-api-qps", "200").set("kube-api-burst", "400");
    flags.gates().done()
}

fn kubelet(lab: &Lab, network: Network) -> Component {
    let mut flags = Flags::new(lab, "kubelet");
    flags.config("config", "kubelet.yaml").pki("kubeconfig", "kubelet.yaml");
    flags.set("hostname-override", NODE).set("node-ip", &network.node());
    flags.done()
}

/// Conntrack's limits belong to the machine: they are left alone.
fn proxy(lab: &Lab, network: Network) -> Component {
    let mut flags = Flags::new(lab, "kube-proxy");
    flags.pki("kubeconfig", "kube-proxy.yaml").set("hostname-override", NODE).set("proxy-mode", "iptables");
    flags.set("cluster-cidr", &network.pods()).set("conntrack-max-per-core", "0");
    flags.set("conntrack-tcp-timeout-established", "0").set("conntrack-tcp-timeout-close-wait", "0");
    flags
        .set("healthz-bind-address", crate::cluster::PROXY_HEALTH)
        .set("metrics-bind-address", "127.0.0.1:10249");
    flags.gates().done()
}

/// Command lines of flags and values.
struct Flags<'a> {
    lab: &'a Lab,
    component: Component,
}

impl<'a> Flags<'a> {
    fn new(lab: &'a Lab, name: &'static str) -> Flags<'a> {
        let program = lab.bin().join(name).display().to_string();
        Flags { lab, component: Component { name, words: vec![program] } }
    }

    fn set(&mut self, flag: &str, value: &str) -> &mut Self {
        self.component.words.push(format!("--{flag}={value}"));
        self
    }

    fn pki(&mut self, flag: &str, file: &str) -> &mut Self {
        let path = pki::folder(self.lab).join(file);
        self.set(flag, &path.display().to_string())
    }

    fn config(&mut self, flag: &str, file: &str) -> &mut Self {
        let path = configuration::folder(self.lab).join(file);
        self.set(flag, &path.display().to_string())
    }

    fn gates(&mut self) -> &mut Self {
        if FEATURE_GATES.is_empty() {
            return self;
        }
        let gates: Vec<String> = FEATURE_GATES.iter().map(|(gate, on)| format!("{gate}={on}")).collect();
        self.set("feature-gates", &gates.join(","))
    }

    fn done(&mut self) -> Component {
        let words = std::mem::take(&mut self.component.words);
        Component { name: self.component.name, words }
    }
}
