//! Debian packages: containers, networking, Prometheus, Git.
//!
//! A package is installed only when one of its files is missing, and the services that Debian would start with it stay
//! off: the cluster starts the same programs itself, with its own state.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};

use crate::command::Command;
use crate::progress::Reporter;

/// A package and a file by which its presence is seen.
const PACKAGES: &[(&str, &str)] = &[
    ("busybox-static", "/bin/busybox"),
    ("ca-certificates", "/etc/ssl/certs/ca-certificates.crt"),
    ("conntrack", "/usr/sbin/conntrack"),
    ("containerd", "/usr/bin/containerd"),
    ("containernetworking-plugins", "/usr/lib/cni/ptp"),
    ("git", "/usr/lib/git-core/git-http-backend"),
    ("iproute2", "/sbin/ip"),
    ("iptables", "/usr/sbin/iptables"),
    ("kmod", "/sbin/modprobe"),
    ("nftables", "/usr/sbin/nft"),
    ("prometheus", "/usr/bin/prometheus"),
    ("runc", "/usr/sbin/runc"),
];

/// LLVM's tools that read the coverage of Rust programs, of the LLVM that the pinned toolchain is built with.
const COVERAGE: &[(&str, &str)] = &[("llvm-22", "/usr/lib/llvm-22/bin/llvm-cov")];

/// Services that Debian enables with these packages.
const SERVICES: &[(&str, &str)] = &[("containerd", "containerd"), ("prometheus", "prometheus")];

/// With this file in place, installing a package starts no service.
const POLICY: &str = "/usr/sbin/policy-rc.d";

/// Installs what the cluster needs and is missing.
pub(super) async fn ensure(reporter: &Reporter) -> Result<()> {
    packages(PACKAGES, reporter).await
}

/// Installs LLVM's tools when they are missing; gives their folder.
///
/// # Errors
/// When they cannot be installed; the error names the package.
pub async fn llvm_tools(reporter: &Reporter) -> Result<PathBuf> {
    packages(COVERAGE, reporter).await?;
    let folder = COVERAGE
        .first()
        .and_then(|(_, file)| Path::new(file).parent());
    folder
        .map(Path::to_owned)
        .context("no package has LLVM's tools")
}

/// Installs the packages whose files are missing.
async fn packages(wanted: &[(&'static str, &str)], reporter: &Reporter) -> Result<()> {
    let missing = missing(wanted);
    if missing.is_empty() {
        return Ok(());
    }
    let names = missing.join(" ");
    if !rustix::process::geteuid().is_root() {
        bail!("these Debian packages are missing: run `apt-get install {names}`, or this as root");
    }
    let step = reporter.step("Debian packages");
    step.detail(names.clone());
    let policy = Policy::put()?;
    // Other sources of this machine may be out of reach; whether it matters shows in the next command.
    let updated = apt(&["update"]).await;
    let mut install = vec!["install", "-y", "--no-install-recommends"];
    install.extend(&missing);
    if let Err(error) = apt(&install).await {
        return Err(match updated {
            Ok(_) => error,
            Err(update) => error.context(format!("apt-get update failed before: {update:#}")),
        });
    }
    drop(policy);
    disable_services(&missing).await;
    let still = self::missing(wanted);
    if !still.is_empty() {
        bail!(
            "apt-get installed {names}, but files of {} are missing",
            still.join(" ")
        );
    }
    step.done(names);
    Ok(())
}

fn missing(wanted: &[(&'static str, &str)]) -> Vec<&'static str> {
    let absent = wanted.iter().filter(|(_, file)| !Path::new(file).exists());
    absent.map(|(package, _)| *package).collect()
}

async fn apt(args: &[&str]) -> Result<String> {
    Command::new("apt-get")
        .args(["-q", "-o", "DPkg::Lock::Timeout=120"])
        .args(args)
        .env("DEBIAN_FRONTEND", "noninteractive")
        .limit(Duration::from_secs(15 * 60))
        .run()
        .await
}

/// Keeps services that came with packages of ours from starting at the next boot. Only those: a service that was there
/// before belongs to the machine's owner.
async fn disable_services(installed: &[&str]) {
    if !Path::new("/run/systemd/system").exists() {
        return;
    }
    for (_, service) in SERVICES
        .iter()
        .filter(|(package, _)| installed.contains(package))
    {
        // Best effort: the service does not run now, and a failure here harms nothing of ours.
        let _ = Command::new("systemctl")
            .args(["disable", "--now", service])
            .run()
            .await;
    }
}

/// The policy file, removed again when dropped if it is ours.
struct Policy(Option<PathBuf>);

impl Policy {
    fn put() -> Result<Self> {
        use std::os::unix::fs::PermissionsExt;
        let path = Path::new(POLICY);
        if path.exists() {
            return Ok(Self(None));
        }
        std::fs::write(path, "#!/bin/sh\nexit 101\n")
            .and_then(|()| std::fs::set_permissions(path, PermissionsExt::from_mode(0o755)))
            .with_context(|| format!("cannot write {POLICY}"))?;
        Ok(Self(Some(path.to_owned())))
    }
}

impl Drop for Policy {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            let _ = std::fs::remove_file(path);
        }
    }
}
