//! The shared files of the SDKs: `~/.aws/config` and `~/.aws/credentials`, or where `AWS_CONFIG_FILE` and
//! `AWS_SHARED_CREDENTIALS_FILE` say.

use std::collections::BTreeMap;
use std::io::ErrorKind;

use tokio::io::AsyncReadExt;

use super::AwsEnvironment;
use crate::http::Failure;

/// Bytes of a file that are read at most.
const MOST_BYTES: u64 = 1024 * 1024;

/// Settings by profile. They hold secrets.
#[derive(Default)]
pub(super) struct Profiles(BTreeMap<String, BTreeMap<String, String>>);

impl Profiles {
    pub(super) fn get(&self, profile: &str) -> Option<&BTreeMap<String, String>> {
        self.0.get(profile)
    }

    /// Adds what a file says; what is added later counts. In the file of the configuration the header of a profile has
    /// the word `profile` before its name.
    pub(super) fn add(&mut self, text: &str, configuration: bool) {
        let mut section: Option<&mut BTreeMap<String, String>> = None;
        for line in text.lines() {
            // Indented lines belong to settings of services, which matter to nobody here.
            if line.starts_with([' ', '\t', '#', ';']) {
                continue;
            }
            let line = [" #", " ;", "\t#", "\t;"]
                .iter()
                .filter_map(|comment| line.split_once(comment))
                .map(|(before, _)| before)
                .min_by_key(|before| before.len())
                .unwrap_or(line)
                .trim();
            if let Some(header) = line.strip_prefix('[') {
                let header = header.strip_suffix(']').unwrap_or_default().trim();
                let name = match header.split_once([' ', '\t']) {
                    Some(("profile", name)) if configuration => Some(name.trim()),
                    None if !configuration || header == "default" => Some(header),
                    _ => None,
                };
                section = name.map(|name| self.0.entry(name.to_owned()).or_default());
            } else if let (Some(section), Some((key, value))) = (&mut section, line.split_once('='))
            {
                let value = value.trim();
                if !value.is_empty() {
                    section.insert(key.trim().to_ascii_lowercase(), value.to_owned());
                }
            }
        }
    }
}

/// Reads both files. One that is not there says nothing.
pub(super) async fn read(environment: &AwsEnvironment) -> Result<Profiles, Failure> {
    let mut profiles = Profiles::default();
    for (variable, name, configuration) in [
        ("AWS_CONFIG_FILE", "config", true),
        ("AWS_SHARED_CREDENTIALS_FILE", "credentials", false),
    ] {
        let home = || Some(format!("{}/.aws/{name}", environment.get("HOME")?));
        let Some(path) = environment.get(variable).map(str::to_owned).or_else(home) else {
            continue;
        };
        if let Some(text) = text_of(variable, &path).await? {
            profiles.add(&text, configuration);
        }
    }
    Ok(profiles)
}

/// The text of a file, if it is there.
///
/// # Errors
/// When it cannot be read, is not text, or is larger than any such file.
pub(super) async fn text_of(variable: &str, path: &str) -> Result<Option<String>, Failure> {
    let failure = |what: &str| Failure::permanent(format!("{variable}: {path} {what}"));
    let file = match tokio::fs::File::open(path).await {
        Ok(file) => file,
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failure(&format!("cannot be read: {error}"))),
    };
    let mut text = String::new();
    file.take(MOST_BYTES + 1)
        .read_to_string(&mut text)
        .await
        .map_err(|error| failure(&format!("cannot be read: {error}")))?;
    if u64::try_from(text.len()).is_ok_and(|length| length > MOST_BYTES) {
        return Err(failure("is larger than 1 MiB"));
    }
    Ok(Some(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_later_file_counts_and_lines_of_services_do_not() {
        let mut profiles = Profiles::default();
        profiles.add(
            "region = nowhere\n[default]\nRegion=eu-west-1 # near\ns3 =\n  role_arn = inner\n; role_arn = no\n\
             [profile team]\nrole_arn = arn:role\naws_access_key_id = old\n[sso-session x]\nsso_region = y\n\
             [other]\nrole_arn = without-the-word\n[profile broken\nrole_arn = z\n",
            true,
        );
        profiles.add(
            "[team]\naws_access_key_id=new\naws_secret_access_key = a=b#c/\n[profile odd]\nregion = x\n",
            false,
        );
        assert_eq!(profiles.0.keys().collect::<Vec<_>>(), ["default", "team"]);
        let default = profiles.get("default").unwrap();
        assert_eq!(default["region"], "eu-west-1");
        assert_eq!(default.len(), 1);
        let team = profiles.get("team").unwrap();
        assert_eq!(team["aws_access_key_id"], "new");
        assert_eq!(team["aws_secret_access_key"], "a=b#c/");
        assert_eq!(team["role_arn"], "arn:role");
    }
}
