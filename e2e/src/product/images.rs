//! The images: Sluice with git, helm and kustomize beside it, and the demo's app in several versions.
//!
//! The Containerfile says the same for people with a container builder.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use super::build::Programs;
use crate::cluster::{Cluster, Image};
use crate::install::Program;

/// Name of Sluice's image, without a tag.
pub const SLUICE: &str = "sluice.local/sluice";
/// Tag of Sluice's image.
pub const TAG: &str = "dev";
/// Name of the demo app's image, without a tag.
pub const DEMO_APP: &str = "sluice.local/demo-app";

/// The user that Sluice runs as.
const USER: &str = "65532";

/// Sluice's image.
///
/// # Errors
/// When a program or a library of it is missing on this machine.
pub async fn sluice(cluster: &Cluster, programs: &Programs) -> Result<Image> {
    let certificates = Path::new("/etc/ssl/certs/ca-certificates.crt");
    let mut image = Image::new(format!("{SLUICE}:{TAG}"))
        .program("/usr/local/bin/sluice-controller", &programs.controller)
        .program("/usr/local/bin/helm", cluster.tools().path(Program::Helm)?)
        .program(
            "/usr/local/bin/kustomize",
            cluster.tools().path(Program::Kustomize)?,
        )
        .file(
            "/etc/passwd",
            0o644,
            format!("sluice:x:{USER}:{USER}::/tmp:/sbin/nologin\n"),
        )
        .file("/etc/group", 0o644, format!("sluice:x:{USER}:\n"))
        .file("/etc/nsswitch.conf", 0o644, "hosts: files dns\n")
        .directory("/tmp", 0o1777)
        .user(USER)
        .env("PATH", "/usr/local/bin:/usr/bin")
        .entrypoint(["/usr/local/bin/sluice-controller"]);
    if certificates.is_file() {
        let bundle = std::fs::read(certificates).context("cannot read the CA certificates")?;
        image = image.file("/etc/ssl/certs/ca-certificates.crt", 0o644, bundle);
    }
    image = image
        .program_with_libraries("/usr/bin/git", Path::new("/usr/bin/git"))
        .await?;
    for helper in ["git-remote-http", "git-remote-https"] {
        let path = git_folder().join(helper);
        image = image
            .program_with_libraries(&path.display().to_string(), &path)
            .await?;
    }
    for name_service in ["libnss_files.so.2", "libnss_dns.so.2", "libresolv.so.2"] {
        // Loaded by name when git looks a host up, so ldd does not see them.
        let path = PathBuf::from("/lib/x86_64-linux-gnu").join(name_service);
        if path.is_file() {
            image = image.program(&path.display().to_string(), &path);
        }
    }
    Ok(image)
}

fn git_folder() -> PathBuf {
    PathBuf::from("/usr/lib/git-core")
}

/// A version of the demo's app, which fails a percentage of its requests.
#[must_use]
pub fn demo_app(programs: &Programs, version: &str, fail_percent: u32) -> Image {
    Image::new(format!("{DEMO_APP}:{version}"))
        .program("/demo-app", &programs.demo_app)
        .user(USER)
        .env("VERSION", version)
        .env("FAIL_PERCENT", &fail_percent.to_string())
        .entrypoint(["/demo-app"])
}

/// Builds and imports everything that the demo and the scenarios run; returns the digest of Sluice's image.
///
/// # Errors
/// When an image cannot be built or imported.
pub async fn import(cluster: &Cluster, programs: &Programs) -> Result<String> {
    let digest = cluster.import(&sluice(cluster, programs).await?).await?;
    for (version, fail_percent) in [("v1", 0), ("v2", 0), ("v3", 20), ("v4", 0)] {
        cluster
            .import(&demo_app(programs, version, fail_percent))
            .await?;
    }
    Ok(digest)
}
