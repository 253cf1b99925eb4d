//! Container images without a registry and without a container builder: a set of files and a configuration.
//!
//! An [`Image`] is built in memory as a docker-archive (one layer, a configuration, a manifest) and imported into
//! containerd under its name. The same files give the same image: times and owners in it are zero.

use std::collections::BTreeMap;
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use tar::{Builder, EntryType, Header};

use super::{Cluster, containerd};
use crate::command::Command;

/// An image to be built.
#[derive(Clone, Debug)]
pub struct Image {
    name: String,
    entries: BTreeMap<String, Entry>,
    config: serde_json::Map<String, Value>,
    environment: Vec<String>,
}

#[derive(Clone, Debug)]
enum Entry {
    File { mode: u32, bytes: Bytes },
    Directory { mode: u32 },
    Link { target: String },
}

#[derive(Clone, Debug)]
enum Bytes {
    Here(Vec<u8>),
    /// Read when the image is built: programs are large.
    At(PathBuf),
}

impl Image {
    /// An empty image. The name has a registry's host with a dot and a tag, such as `sluice.local/app:v1`; use another
    /// tag than `latest` in pods, so that nobody tries to pull it.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            entries: BTreeMap::new(),
            config: serde_json::Map::new(),
            environment: Vec::new(),
        }
    }

    /// The name under which pods use it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Adds a file; folders above it are made with mode 755.
    pub fn file(self, path: &str, mode: u32, bytes: impl Into<Vec<u8>>) -> Self {
        self.entry(
            path,
            Entry::File {
                mode,
                bytes: Bytes::Here(bytes.into()),
            },
        )
    }

    /// Adds a program of this machine. It must be a static one: see [`Image::program_with_libraries`] for others.
    pub fn program(self, path: &str, source: &Path) -> Self {
        self.entry(
            path,
            Entry::File {
                mode: 0o755,
                bytes: Bytes::At(source.to_owned()),
            },
        )
    }

    /// Adds a program of this machine together with the shared libraries that it is linked to, each at the path at
    /// which the loader looks for it.
    ///
    /// # Errors
    /// When a library is not found on this machine.
    pub async fn program_with_libraries(mut self, path: &str, source: &Path) -> Result<Self> {
        self = self.program(path, source);
        let output = Command::new("ldd").arg(source).output().await?;
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        // A static program: ldd fails and says so on either stream.
        if !output.status.success() {
            return Ok(self);
        }
        for line in text.lines() {
            match library(line) {
                Library::At(place) => self = self.program(place, Path::new(place)),
                Library::Missing(name) => {
                    bail!("{} needs {name}, which is missing", source.display())
                }
                Library::None => {}
            }
        }
        Ok(self)
    }

    /// Adds a folder with this mode, such as `/tmp` with `0o1777`.
    pub fn directory(self, path: &str, mode: u32) -> Self {
        self.entry(path, Entry::Directory { mode })
    }

    /// Adds a symbolic link.
    pub fn link(self, path: impl AsRef<str>, target: &str) -> Self {
        self.entry(
            path.as_ref(),
            Entry::Link {
                target: target.to_owned(),
            },
        )
    }

    fn entry(mut self, path: &str, entry: Entry) -> Self {
        self.entries
            .insert(path.trim_matches('/').to_owned(), entry);
        self
    }

    /// What runs when the pod says nothing else.
    pub fn entrypoint<'a>(self, words: impl IntoIterator<Item = &'a str>) -> Self {
        let words: Vec<&str> = words.into_iter().collect();
        self.set("Entrypoint", json!(words))
    }

    /// The arguments of the entry point when the pod gives none.
    pub fn cmd<'a>(self, words: impl IntoIterator<Item = &'a str>) -> Self {
        let words: Vec<&str> = words.into_iter().collect();
        self.set("Cmd", json!(words))
    }

    /// The user and group by number, such as `65532:65532`.
    pub fn user(self, user: &str) -> Self {
        self.set("User", json!(user))
    }

    /// The working folder.
    pub fn workdir(self, path: &str) -> Self {
        self.set("WorkingDir", json!(path))
    }

    /// Sets a variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.environment.push(format!("{name}={value}"));
        self
    }

    fn set(mut self, key: &str, value: Value) -> Self {
        self.config.insert(key.to_owned(), value);
        self
    }

    /// Writes the image as a docker-archive, which `docker load` and `ctr images import` read.
    ///
    /// # Errors
    /// When a program cannot be read or the archive not be written.
    pub fn write_archive(&self, archive: &Path) -> Result<()> {
        let layer = self.layer()?;
        let layer_digest = hex(&layer);
        let mut config = self.config.clone();
        config.insert("Env".to_owned(), json!(self.environment));
        let config = serde_json::to_vec(&json!({
            "architecture": architecture(),
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": config,
            "rootfs": {"type": "layers", "diff_ids": [format!("sha256:{layer_digest}")]},
        }))?;
        let config_file = format!("{}.json", hex(&config));
        let layer_file = format!("{layer_digest}.tar");
        let manifest = serde_json::to_vec(&json!([{
            "Config": config_file, "RepoTags": [self.name], "Layers": [layer_file],
        }]))?;
        let file = std::fs::File::create(archive)
            .with_context(|| format!("cannot create {}", archive.display()))?;
        let mut tar = Builder::new(std::io::BufWriter::new(file));
        append(&mut tar, &config_file, 0o644, &config)?;
        append(&mut tar, &layer_file, 0o644, &layer)?;
        append(&mut tar, "manifest.json", 0o644, &manifest)?;
        tar.into_inner()?
            .flush()
            .context("cannot write the archive")
    }

    fn layer(&self) -> Result<Vec<u8>> {
        let mut tar = Builder::new(Vec::new());
        let mut made = std::collections::BTreeSet::new();
        for (path, entry) in &self.entries {
            for folder in ancestors(path) {
                let listed = matches!(self.entries.get(folder), Some(Entry::Directory { .. }));
                if !listed && made.insert(folder) {
                    special(&mut tar, folder, EntryType::Directory, 0o755, None)?;
                }
            }
            match entry {
                Entry::Directory { mode } => {
                    special(&mut tar, path, EntryType::Directory, *mode, None)?;
                }
                Entry::Link { target } => {
                    special(&mut tar, path, EntryType::Symlink, 0o777, Some(target))?;
                }
                Entry::File {
                    mode,
                    bytes: Bytes::Here(bytes),
                } => {
                    append(&mut tar, path, *mode, bytes)?;
                }
                Entry::File {
                    mode,
                    bytes: Bytes::At(source),
                } => {
                    let bytes = std::fs::read(source)
                        .with_context(|| format!("cannot read {}", source.display()))?;
                    append(&mut tar, path, *mode, &bytes)?;
                }
            }
        }
        tar.into_inner().context("cannot build the layer")
    }
}

impl Cluster {
    /// Builds an image and imports it, unless containerd has it already with the same content. Pods use it with
    /// `imagePullPolicy: IfNotPresent` or `Never`. Returns a digest of its content.
    ///
    /// # Errors
    /// When it cannot be built or containerd refuses it.
    pub async fn import(&self, image: &Image) -> Result<String> {
        let folder = self.layout.path("images");
        std::fs::create_dir_all(&folder)?;
        let file_name: String = image
            .name
            .chars()
            .map(|c| if c.is_ascii_alphanumeric() { c } else { '-' })
            .collect();
        let archive = folder.join(format!("{file_name}.tar"));
        let built = {
            let (image, archive) = (image.clone(), archive.clone());
            tokio::task::spawn_blocking(move || -> Result<String> {
                image.write_archive(&archive)?;
                Ok(hex(&std::fs::read(&archive)?))
            })
            .await??
        };
        let stamp = folder.join(format!("{file_name}.digest"));
        if std::fs::read_to_string(&stamp).is_ok_and(|old| old == built) {
            let _ = std::fs::remove_file(&archive);
            return Ok(built);
        }
        containerd::ctr(&self.layout)
            .args(["images", "import"])
            .arg(&archive)
            .limit(std::time::Duration::from_secs(120))
            .run()
            .await
            .with_context(|| format!("cannot import the image {}", image.name))?;
        std::fs::write(&stamp, &built)?;
        std::fs::remove_file(&archive).context("cannot remove the image's archive")?;
        Ok(built)
    }
}

/// What one line of `ldd` says.
enum Library<'a> {
    At(&'a str),
    Missing(&'a str),
    None,
}

fn library(line: &str) -> Library<'_> {
    let line = line.trim();
    if let Some((name, _)) = line.split_once(" => not found") {
        return Library::Missing(name);
    }
    let place = line.split_once(" => ").map_or(line, |(_, place)| place);
    match place.split_once(" (").map(|(path, _)| path) {
        Some(path) if path.starts_with('/') => Library::At(path),
        _ => Library::None,
    }
}

/// The folders above a path, outermost first.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    path.match_indices('/').map(|(end, _)| &path[..end])
}

fn append<W: Write>(tar: &mut Builder<W>, path: &str, mode: u32, bytes: &[u8]) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_size(bytes.len() as u64);
    header.set_mode(mode);
    header.set_mtime(0);
    tar.append_data(&mut header, path, bytes)
        .with_context(|| format!("cannot add {path}"))
}

fn special(
    tar: &mut Builder<Vec<u8>>,
    path: &str,
    kind: EntryType,
    mode: u32,
    target: Option<&str>,
) -> Result<()> {
    let mut header = Header::new_gnu();
    header.set_entry_type(kind);
    header.set_size(0);
    header.set_mode(mode);
    header.set_mtime(0);
    let added = match target {
        Some(target) => tar.append_link(&mut header, path, target),
        None => tar.append_data(&mut header, format!("{path}/"), std::io::empty()),
    };
    added.with_context(|| format!("cannot add {path}"))
}

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn contents(archive: &Path) -> BTreeMap<String, Vec<u8>> {
        let mut tar = tar::Archive::new(std::fs::File::open(archive).unwrap());
        tar.entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let path = entry.path().unwrap().display().to_string();
                let mut bytes = Vec::new();
                entry.read_to_end(&mut bytes).unwrap();
                (path, bytes)
            })
            .collect()
    }

    #[test]
    fn an_archive_names_its_configuration_and_layer_by_digest() {
        let dir = tempfile::tempdir().unwrap();
        let archive = dir.path().join("image.tar");
        let image = Image::new("sluice.local/app:v1")
            .file("/app/bin/app", 0o755, "program")
            .directory("/tmp", 0o1777)
            .link("/bin", "app/bin")
            .user("65532:65532")
            .env("MODE", "test")
            .entrypoint(["/app/bin/app", "serve"]);
        image.write_archive(&archive).unwrap();
        let files = contents(&archive);
        let manifest: Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        assert_eq!(manifest[0]["RepoTags"], json!(["sluice.local/app:v1"]));
        let layer_file = manifest[0]["Layers"][0].as_str().unwrap();
        let config: Value =
            serde_json::from_slice(&files[manifest[0]["Config"].as_str().unwrap()]).unwrap();
        assert_eq!(config["config"]["User"], "65532:65532");
        assert_eq!(config["config"]["Env"], json!(["MODE=test"]));
        let digest = layer_file.trim_end_matches(".tar");
        assert_eq!(
            config["rootfs"]["diff_ids"],
            json!([format!("sha256:{digest}")])
        );
        assert_eq!(hex(&files[layer_file]), digest);
        let mut layer = tar::Archive::new(files[layer_file].as_slice());
        let names: Vec<String> = layer
            .entries()
            .unwrap()
            .map(|entry| entry.unwrap().path().unwrap().display().to_string())
            .collect();
        assert_eq!(names, ["app/", "app/bin/", "app/bin/app", "bin", "tmp/"]);
    }

    #[test]
    fn the_same_files_give_the_same_image() {
        let dir = tempfile::tempdir().unwrap();
        let image = Image::new("sluice.local/app:v1").file("/app", 0o755, "program");
        let (one, two) = (dir.path().join("one"), dir.path().join("two"));
        image.write_archive(&one).unwrap();
        image.write_archive(&two).unwrap();
        assert_eq!(std::fs::read(one).unwrap(), std::fs::read(two).unwrap());
    }

    #[test]
    fn every_form_of_a_line_of_ldd_is_understood() {
        let at = |line| match library(line) {
            Library::At(path) => path.to_owned(),
            Library::Missing(name) => format!("missing {name}"),
            Library::None => String::new(),
        };
        assert_eq!(
            at("\tlibz.so.1 => /lib/libz.so.1 (0x00007f)"),
            "/lib/libz.so.1"
        );
        assert_eq!(
            at("\t/lib64/ld-linux-x86-64.so.2 (0x00007f)"),
            "/lib64/ld-linux-x86-64.so.2"
        );
        assert_eq!(at("\tlibx.so => not found"), "missing libx.so");
        assert_eq!(at("\tlinux-vdso.so.1 (0x00007ffd)"), "");
    }
}
