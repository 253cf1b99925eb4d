//! Building one Go module's programs into the cache.
//!
//! All programs of a module are built by one `go build`, so shared packages are compiled once. The result appears
//! under its final name only when it is whole.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::io::{AsyncBufReadExt, BufReader};

use super::cache;
use super::programs::Module;
use crate::command::{Command, last_lines};
use crate::progress::{Reporter, Step};

/// The oldest Go that the pinned modules build with.
const OLDEST_GO: (u32, u32) = (1, 26);

/// Longer than any module takes on two slow cores with nothing downloaded yet.
const LIMIT: Duration = Duration::from_secs(40 * 60);

/// Builds the module's programs unless they are in the cache.
pub(super) async fn ensure(module: &Module, reporter: &Reporter) -> Result<()> {
    let folder = cache::folder()?.join(module.key()?);
    let complete = || {
        module
            .programs
            .iter()
            .all(|program| folder.join(program.file()).is_file())
    };
    if complete() {
        return Ok(());
    }
    let _lock = cache::lock().await?;
    if complete() {
        return Ok(());
    }
    let go = go().await?;
    let version = module.version()?;
    let step = reporter.step(format!("build {} {version}", module.name));
    let scratch = folder.with_extension("building");
    let _ = std::fs::remove_dir_all(&scratch);
    std::fs::create_dir_all(&scratch)
        .with_context(|| format!("cannot create {}", scratch.display()))?;
    let packages = build(module, &go, &scratch, &step).await?;
    std::fs::create_dir_all(&folder)?;
    for &program in module.programs {
        let built = scratch.join(program.file());
        std::fs::rename(&built, folder.join(program.file()))
            .with_context(|| format!("go built no {}", built.display()))?;
    }
    let _ = std::fs::remove_dir_all(&scratch);
    step.done(if packages == 0 {
        String::new()
    } else {
        format!("{packages} packages")
    });
    Ok(())
}

async fn build(module: &Module, go: &str, scratch: &Path, step: &Step) -> Result<usize> {
    // Into a folder, go names a file after its package (`server` for etcd), so a single program gets a file name.
    let target = match module.programs {
        [program] => scratch.join(program.file()),
        _ => scratch.to_owned(),
    };
    let mut command = tokio::process::Command::new(go);
    command
        .current_dir(module.folder())
        .args(["build", "-mod=readonly", "-trimpath", "-v", "-ldflags"])
        .arg(module.linker_flags()?)
        .arg("-o")
        .arg(target)
        .args(module.programs.iter().map(|program| program.package()))
        .env("CGO_ENABLED", "0")
        .env_remove("GOFLAGS")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .kill_on_drop(true);
    // Its own go.sum pins every dependency; the public checksum database lacks one of Traefik's.
    if module.name == "traefik" {
        command.env("GONOSUMDB", "*");
    }
    let mut child = command.spawn().context("cannot start go")?;
    let stderr = child.stderr.take().context("go has no standard error")?;
    let follow = async {
        let (mut packages, mut said) = (0_usize, String::new());
        let mut lines = BufReader::new(stderr).lines();
        while let Some(line) = lines.next_line().await? {
            if is_progress(&line) {
                packages += 1;
                step.detail(format!("{packages} packages"));
            } else if line.starts_with("go: downloading") {
                step.detail(line.trim_start_matches("go: ").to_owned());
            } else {
                said.push_str(&line);
                said.push('\n');
            }
        }
        let status = child.wait().await?;
        if !status.success() {
            bail!(
                "go build of {} failed ({status}):\n{}",
                module.name,
                last_lines(&said, 25)
            );
        }
        Ok(packages)
    };
    tokio::time::timeout(LIMIT, follow)
        .await
        .with_context(|| format!("go build of {} took more than 40 minutes", module.name))?
}

/// `go build -v` prints the import path of each package that it compiles, alone on a line.
fn is_progress(line: &str) -> bool {
    !line.is_empty() && !line.contains([' ', ':', '#'])
}

/// Finds Go on the `PATH` or in its usual place, and checks that it is new enough.
pub(super) async fn go() -> Result<String> {
    let mut seen = None;
    for candidate in ["go", "/usr/local/go/bin/go"] {
        let Ok(text) = Command::new(candidate).arg("version").run().await else {
            continue;
        };
        match go_version(&text) {
            Some(version) if version >= OLDEST_GO => return Ok(candidate.to_owned()),
            _ => seen = Some(text.trim().to_owned()),
        }
    }
    let (major, minor) = OLDEST_GO;
    match seen {
        Some(found) => bail!("Go {major}.{minor} or newer is needed, but this is {found}"),
        None => bail!("Go {major}.{minor} or newer is needed on the PATH or in /usr/local/go"),
    }
}

/// Major and minor version in the text that `go version` prints.
fn go_version(text: &str) -> Option<(u32, u32)> {
    let mut numbers = text
        .split_whitespace()
        .nth(2)?
        .strip_prefix("go")?
        .split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_go_is_understood() {
        assert_eq!(go_version("go version go1.26.8 linux/amd64"), Some((1, 26)));
        assert_eq!(go_version("go version devel"), None);
    }

    #[test]
    fn only_import_paths_count_as_progress() {
        assert!(is_progress("k8s.io/api/core/v1"));
        assert!(!is_progress("# k8s.io/api/core/v1"));
        assert!(!is_progress("go: downloading k8s.io/api v0.36.3"));
    }
}
