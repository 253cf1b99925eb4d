//! The image of the container that holds a pod's namespaces open: busybox, asleep.

use anyhow::{Context, Result};

use super::Cluster;
use super::image::Image;

/// Its name.
pub(super) const IMAGE: &str = "sluice.local/pause:1";

/// A shell with the usual tools, for pods of tests. Debian's build crashes when it looks up a name: it is no HTTP
/// client.
pub const BUSYBOX_IMAGE: &str = "sluice.local/busybox:1";

/// Builds and imports both images.
pub(super) async fn start(cluster: &Cluster) -> Result<()> {
    let busybox = std::fs::read("/bin/busybox").context("cannot read /bin/busybox")?;
    let pause = Image::new(IMAGE)
        .file("/busybox", 0o755, busybox.clone())
        .entrypoint(["/busybox", "sleep", "2147483647"])
        .user("65535:65535");
    let mut shell = Image::new(BUSYBOX_IMAGE)
        .file("/bin/busybox", 0o755, busybox)
        .directory("/tmp", 0o1777)
        .env("PATH", "/bin")
        .entrypoint(["/bin/sh"]);
    for applet in [
        "sh", "sleep", "cat", "ls", "echo", "env", "id", "nc", "true", "false", "httpd",
    ] {
        shell = shell.link(format!("/bin/{applet}"), "busybox");
    }
    cluster.import(&pause).await?;
    cluster.import(&shell).await?;
    Ok(())
}
