//! Certificates: one authority for each cluster, made at its start, and what it signs.
//!
//! Clients are who their certificate says: the common name is the user, organizations are groups.

use std::net::{IpAddr, Ipv4Addr};

use anyhow::{Context, Result};
use rcgen::{
    BasicConstraints, CertificateParams, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyPair,
    KeyUsagePurpose, SanType, date_time_ymd,
};

use super::layout::{Layout, NODE_ADDRESS, NODE_NAME, SERVICE_APISERVER, write, write_secret};

/// Members may do everything.
const ADMINISTRATORS: &str = "system:masters";

/// A client of the API server: the file name of its kubeconfig, its user and its group.
pub(super) struct Client {
    pub(super) file: &'static str,
    user: &'static str,
    group: Option<&'static str>,
}

/// The clients that run as processes of the machine. Those that Kubernetes knows get its own rights for them, the
/// others are administrators.
pub(super) const CLIENTS: &[Client] = &[
    Client {
        file: "admin",
        user: "admin",
        group: Some(ADMINISTRATORS),
    },
    Client {
        file: "controller-manager",
        user: "system:kube-controller-manager",
        group: None,
    },
    Client {
        file: "scheduler",
        user: "system:kube-scheduler",
        group: None,
    },
    Client {
        file: "kubelet",
        user: "system:node:node-1",
        group: Some("system:nodes"),
    },
    Client {
        file: "kube-proxy",
        user: "system:kube-proxy",
        group: None,
    },
    Client {
        file: "coredns",
        user: "coredns",
        group: Some(ADMINISTRATORS),
    },
    Client {
        file: "traefik",
        user: "traefik",
        group: Some(ADMINISTRATORS),
    },
    Client {
        file: "prometheus",
        user: "prometheus",
        group: Some(ADMINISTRATORS),
    },
    Client {
        file: "kwok",
        user: "kwok",
        group: Some(ADMINISTRATORS),
    },
];

/// Makes all certificates unless they are there.
pub(super) fn ensure(layout: &Layout) -> Result<()> {
    if layout.pki("complete").is_file() {
        return Ok(());
    }
    let authority = Authority::new(layout)?;
    authority.server(layout, "apiserver", &apiserver_names()?)?;
    authority.server(layout, "kubelet-server", &kubelet_names()?)?;
    authority.client(
        layout,
        "apiserver-kubelet",
        "kube-apiserver",
        Some(ADMINISTRATORS),
    )?;
    for client in CLIENTS {
        authority.client(layout, client.file, client.user, client.group)?;
    }
    // Tokens of service accounts are signed with a key of their own.
    let key = KeyPair::generate().context("cannot make a key")?;
    write_secret(&layout.pki("service-accounts.key"), &key.serialize_pem())?;
    write(&layout.pki("service-accounts.pub"), &key.public_key_pem())?;
    write(&layout.pki("complete"), "")
}

struct Authority {
    issuer: Issuer<'static, KeyPair>,
}

impl Authority {
    fn new(layout: &Layout) -> Result<Self> {
        let mut params = params("sluice-cluster", None)?;
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.key_usages = vec![
            KeyUsagePurpose::DigitalSignature,
            KeyUsagePurpose::KeyCertSign,
            KeyUsagePurpose::CrlSign,
        ];
        let key = KeyPair::generate().context("cannot make a key")?;
        let certificate = params
            .self_signed(&key)
            .context("cannot sign the authority")?;
        write(&layout.pki("ca.crt"), &certificate.pem())?;
        write_secret(&layout.pki("ca.key"), &key.serialize_pem())?;
        Ok(Self {
            issuer: Issuer::new(params, key),
        })
    }

    fn server(&self, layout: &Layout, name: &str, names: &[SanType]) -> Result<()> {
        let mut params = params(name, None)?;
        params.subject_alt_names = names.to_vec();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        self.sign(layout, name, params)
    }

    fn client(&self, layout: &Layout, name: &str, user: &str, group: Option<&str>) -> Result<()> {
        let mut params = params(user, group)?;
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        self.sign(layout, name, params)
    }

    fn sign(&self, layout: &Layout, name: &str, mut params: CertificateParams) -> Result<()> {
        params.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        params.use_authority_key_identifier_extension = true;
        let key = KeyPair::generate().context("cannot make a key")?;
        let certificate = params
            .signed_by(&key, &self.issuer)
            .with_context(|| format!("cannot sign the certificate of {name}"))?;
        write(&layout.pki(&format!("{name}.crt")), &certificate.pem())?;
        write_secret(&layout.pki(&format!("{name}.key")), &key.serialize_pem())
    }
}

fn params(name: &str, group: Option<&str>) -> Result<CertificateParams> {
    let mut params = CertificateParams::new(Vec::new()).context("no certificate parameters")?;
    params.distinguished_name.push(DnType::CommonName, name);
    if let Some(group) = group {
        params
            .distinguished_name
            .push(DnType::OrganizationName, group);
    }
    // Whole years on both sides: the certificates die with the cluster, and no clock is wrong by that much.
    let year = i32::from(jiff::Zoned::now().year());
    params.not_before = date_time_ymd(year - 1, 1, 1);
    params.not_after = date_time_ymd(year + 2, 1, 1);
    Ok(params)
}

fn apiserver_names() -> Result<Vec<SanType>> {
    names(
        &[
            "localhost",
            "kubernetes",
            "kubernetes.default",
            "kubernetes.default.svc",
            "kubernetes.default.svc.cluster.local",
        ],
        &[Ipv4Addr::LOCALHOST, NODE_ADDRESS, SERVICE_APISERVER],
    )
}

fn kubelet_names() -> Result<Vec<SanType>> {
    names(&[NODE_NAME], &[Ipv4Addr::LOCALHOST, NODE_ADDRESS])
}

fn names(names: &[&str], addresses: &[Ipv4Addr]) -> Result<Vec<SanType>> {
    let mut all = Vec::new();
    for &name in names {
        all.push(SanType::DnsName(
            name.try_into()
                .with_context(|| format!("bad name {name}"))?,
        ));
    }
    all.extend(
        addresses
            .iter()
            .map(|&address| SanType::IpAddress(IpAddr::V4(address))),
    );
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn certificates_are_made_once() {
        let dir = tempfile::tempdir().unwrap();
        let layout = Layout::new(dir.path()).unwrap();
        ensure(&layout).unwrap();
        let first = std::fs::read(layout.pki("ca.crt")).unwrap();
        ensure(&layout).unwrap();
        assert_eq!(std::fs::read(layout.pki("ca.crt")).unwrap(), first);
        for client in CLIENTS {
            assert!(
                layout.pki(&format!("{}.key", client.file)).exists(),
                "{}",
                client.file
            );
        }
    }

    #[test]
    fn the_kubelet_is_the_user_of_its_node() {
        let kubelet = CLIENTS
            .iter()
            .find(|client| client.file == "kubelet")
            .unwrap();
        assert_eq!(kubelet.user, format!("system:node:{NODE_NAME}"));
    }
}
