//! The cluster's own certificate authority and what it signs for Kubernetes' parts. People get theirs from the cluster
//! itself ([`crate::identities`]).

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::lab::Lab;
use crate::network::{KUBERNETES_SERVICE, Network};
use crate::run::{command, output};
use crate::{files, kubeconfig};

/// A lab is not kept for longer.
const DAYS: &str = "365";

/// The lab's own, so that the machine's defaults do not matter.
const SETTINGS: &str = "[req]
distinguished_name = subject
prompt = no
[subject]
[authority]
basicConstraints = critical, CA:TRUE
keyUsage = critical, keyCertSign, cRLSign
subjectKeyIdentifier = hash
";

/// Who calls the API server by certificate: file name, subject.
const CLIENTS: [(&str, &str); 6] = [
    ("admin", "/O=system:masters/CN=admin"),
    ("kubelet", "/O=system:nodes/CN=system:node:n1"),
    ("kube-controller-manager", "/CN=system:kube-controller-manager"),
    ("kube-scheduler", "/CN=system:kube-scheduler"),
    ("kube-proxy", "/CN=system:kube-proxy"),
    // What the API server shows to the kubelet.
    ("apiserver-kubelet", "/O=system:masters/CN=apiserver-kubelet"),
];

/// The folder of keys and certificates.
pub(crate) fn folder(lab: &Lab) -> PathBuf {
    lab.dir.join("pki")
}

/// Makes all of it anew, with the kubeconfigs of the components and of the administrator.
pub(crate) fn make(lab: &Lab, network: Network) -> Result<()> {
    let pki = folder(lab);
    files::folder(&pki)?;
    files::write(&pki.join("openssl.cnf"), SETTINGS.as_bytes())?;
    let subject = format!("/CN=oz-lab {}", lab.name);
    openssl(&pki, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "ca.key"])?;
    let authority =
        ["req", "-x509", "-new", "-config", "openssl.cnf", "-extensions", "authority", "-key", "ca.key"];
    openssl(&pki, &[&authority[..], &["-subj", &subject, "-days", DAYS, "-out", "ca.crt"]].concat())?;
    openssl(&pki, &["genrsa", "-out", "service-accounts.key", "2048"])?;
    let names = format!(
        "extendedKeyUsage=serverAuth\nsubjectAltName=IP:{},IP:{KUBERNETES_SERVICE},IP:127.0.0.1,DNS:localhost,\
         DNS:kubernetes,DNS:kubernetes.default,DNS:kubernetes.default.svc,DNS:kubernetes.default.svc.cluster.local",
        network.node()
    );
    certificate(&pki, "kube-apiserver", "/CN=kube-apiserver", &names)?;
    for (name, subject) in CLIENTS {
        certificate(&pki, name, subject, "extendedKeyUsage=clientAuth")?;
    }
    let cluster = cluster(&pki, network)?;
    for (name, _) in CLIENTS {
        let user = client(&pki, name)?;
        let text = kubeconfig::compose(&lab.name, &cluster, name, &user)?;
        files::write_private(&pki.join(format!("{name}.yaml")), text.as_bytes())?;
    }
    files::folder(&lab.kubeconfigs())?;
    let admin = kubeconfig::compose(&lab.name, &cluster, "admin", &client(&pki, "admin")?)?;
    files::write_private(&lab.kubeconfig("admin"), admin.as_bytes())
}

/// How a kubeconfig describes this cluster.
fn cluster(pki: &Path, network: Network) -> Result<Value> {
    Ok(json!({
        "server": network.server(),
        "certificate-authority-data": encoded(&pki.join("ca.crt"))?,
    }))
}

fn client(pki: &Path, name: &str) -> Result<Value> {
    Ok(json!({
        "client-certificate-data": encoded(&pki.join(format!("{name}.crt")))?,
        "client-key-data": encoded(&pki.join(format!("{name}.key")))?,
    }))
}

fn encoded(path: &Path) -> Result<String> {
    let content = fs::read(path).with_context(|| format!("failed to read {}", path.display()))?;
    Ok(kubeconfig::base64(&content))
}

fn certificate(pki: &Path, name: &str, subject: &str, extensions: &str) -> Result<()> {
    let (key, request, signed) = (format!("{name}.key"), format!("{name}.csr"), format!("{name}.crt"));
    let extensions_file = format!("{name}.cnf");
    files::write(
        &pki.join(&extensions_file),
        format!("basicConstraints=critical,CA:FALSE\nkeyUsage=critical,digitalSignature\n{extensions}\n")
            .as_bytes(),
    )?;
    openssl(pki, &["ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", &key])?;
    openssl(
        pki,
        &["req", "-new", "-config", "openssl.cnf", "-key", &key, "-subj", subject, "-out", &request],
    )?;
    let sign = [
        "x509",
        "-req",
        "-in",
        &request,
        "-CA",
        "ca.crt",
        "-CAkey",
        "ca.key",
        "-CAcreateserial",
        "-days",
        DAYS,
    ];
    openssl(pki, &[&sign[..], &["-extfile", &extensions_file, "-out", &signed]].concat())
}

fn openssl(folder: &Path, words: &[&str]) -> Result<()> {
    output(command(["openssl"]).args(words).current_dir(folder)).map(drop)
}
