//! The files that the components read: audit policy, containerd, CNI, kubelet.

use std::path::{Path, PathBuf};

use anyhow::Result;
use serde_json::{Value, json};

use crate::files;
use crate::lab::Lab;
use crate::network::Network;
use crate::pki;

/// The socket of containerd, inside the sandbox.
pub(crate) const CONTAINERD: &str = "/run/containerd/containerd.sock";

/// Where volume plugins would be, inside the sandbox.
pub(crate) const VOLUME_PLUGINS: &str = "/var/lib/kubelet/volume-plugins";

/// The image that holds a pod's namespaces.
pub(crate) const PAUSE: &str = "localhost/pause:1";

/// One file of the configuration.
#[derive(Debug)]
pub(crate) struct Config {
    /// Below the folder of the configuration.
    pub(crate) path: &'static str,
    /// All of it.
    pub(crate) text: String,
}

/// The folder of the configuration.
pub(crate) fn folder(lab: &Lab) -> PathBuf {
    lab.dir.join("etc")
}

/// Every file.
pub(crate) fn all(lab: &Lab, network: Network, cgroup: &str, cni: &Path) -> Vec<Config> {
    let json = |path, value: Value| Config { path, text: format!("{value:#}\n") };
    vec![
        json("audit.yaml", audit()),
        Config { path: "containerd.toml", text: containerd(lab, cni) },
        json("cni/10-bridge.conflist", bridge(network)),
        json("kubelet.yaml", kubelet(lab, network, cgroup)),
        // The machine's may point to something that the sandbox does not have, such as systemd-resolved.
        Config { path: "resolv.conf", text: format!("nameserver {}\n", network.host()) },
    ]
}

/// Writes them.
pub(crate) fn write(lab: &Lab, configs: &[Config]) -> Result<()> {
    files::folder(&folder(lab).join("cni"))?;
    configs.iter().try_for_each(|config| files::write(&folder(lab).join(config.path), config.text.as_bytes()))
}

/// Who did what to which object, without bodies: enough to count calls and to prove who decided.
fn audit() -> Value {
    json!({
        "apiVersion": "audit.k8s.io/v1",
        "kind": "Policy",
        "omitStages": ["RequestReceived"],
        "rules": [{"level": "Metadata"}],
    })
}

/// `restrict_oom_score_adj`: without CAP_SYS_RESOURCE nobody may lower that score, and runc fails with "can't get final
/// child's PID from pipe". AppArmor profiles belong to the machine, so none is loaded.
fn containerd(lab: &Lab, cni: &Path) -> String {
    format!(
        r#"version = 2
root = "/var/lib/containerd"
state = "/run/containerd"
[grpc]
  address = "{CONTAINERD}"
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{PAUSE}"
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "{}"
    conf_dir = "{}"
"#,
        cni.display(),
        folder(lab).join("cni").display()
    )
}

fn bridge(network: Network) -> Value {
    json!({
        "cniVersion": "0.4.0",
        "name": "oz-lab",
        "plugins": [
            {
                "type": "bridge",
                "bridge": "cni0",
                "isGateway": true,
                "ipMasq": true,
                "hairpinMode": true,
                "ipam": {
                    "type": "host-local",
                    "ranges": [[{"subnet": network.pods()}]],
                    "routes": [{"dst": "0.0.0.0/0"}],
                },
            },
            {"type": "portmap", "capabilities": {"portMappings": true}},
        ],
    })
}

/// Tests make and remove many pods on a small machine: nothing is reserved, and little disk is enough. A kubelet leaves
/// out what it is too old to know, as that of 1.30 `failCgroupV1`.
fn kubelet(lab: &Lab, network: Network, cgroup: &str) -> Value {
    let mut config = json!({
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "address": network.node(),
        "authentication": {
            "anonymous": {"enabled": false},
            "webhook": {"enabled": true, "cacheTTL": "0s"},
            "x509": {"clientCAFile": pki::folder(lab).join("ca.crt")},
        },
        "authorization": {"mode": "Webhook"},
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": cgroup,
        "clusterDomain": "cluster.local",
        "containerRuntimeEndpoint": format!("unix://{CONTAINERD}"),
        "enforceNodeAllocatable": [],
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "1%", "imagefs.available": "1%"},
        "failCgroupV1": false,
        "failSwapOn": false,
        "imageGCHighThresholdPercent": 100,
        "kubeAPIQPS": 200,
        "kubeAPIBurst": 400,
        "maxPods": 250,
        "registryPullQPS": 0,
        "resolvConf": folder(lab).join("resolv.conf"),
        "serializeImagePulls": false,
        "syncFrequency": "10s",
        "volumePluginDir": VOLUME_PLUGINS,
        "volumeStatsAggPeriod": "0s",
    });
    let gates = crate::components::FEATURE_GATES;
    if let (false, Some(fields)) = (gates.is_empty(), config.as_object_mut()) {
        let gates = gates.iter().map(|(gate, on)| ((*gate).to_owned(), json!(on))).collect();
        fields.insert("featureGates".to_owned(), Value::Object(gates));
    }
    config
}
