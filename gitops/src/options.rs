//! Sync options: of the Application, of one sync, and of single objects.
//!
//! What is applied is always applied server-side, so `ServerSideApply=true` and `=false` are both accepted and say
//! nothing more. An option that is not known is an error that names it.

use serde_json::Value;
use sluice_crds::names;

use crate::key::annotation;

/// What happens to objects that depend on a deleted one.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Propagation {
    /// They are deleted first.
    #[default]
    Foreground,
    /// They are deleted afterwards.
    Background,
    /// They stay.
    Orphan,
}

impl Propagation {
    /// Name in `DeleteOptions`.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Foreground => "Foreground",
            Self::Background => "Background",
            Self::Orphan => "Orphan",
        }
    }
}

/// Whether something destructive may be done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Consent {
    /// Yes.
    #[default]
    Given,
    /// No.
    Refused,
    /// Only after a person has agreed, by the annotation `argocd.argoproj.io/deletion-approved`.
    Asked,
}

/// Options that can be set for the whole Application and, most of them, for single objects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SyncOptions {
    /// Check fields strictly. Default true.
    pub validate: bool,
    /// Make the destination namespace.
    pub create_namespace: bool,
    /// Delete after everything else.
    pub prune_last: bool,
    /// What happens to objects that depend on a deleted one.
    pub propagation: Propagation,
    /// Leave objects alone that are as they should be.
    pub apply_out_of_sync_only: bool,
    /// Replace instead of applying.
    pub replace: bool,
    /// Delete and create again what cannot be applied.
    pub force: bool,
    /// Take fields over from client-side apply. Default true.
    pub migrate_client_side_apply: bool,
    /// Keep the live values of fields whose differences are ignored.
    pub respect_ignore_differences: bool,
    /// Fail when an object belongs to another Application.
    pub fail_on_shared_resource: bool,
    /// Try to apply objects of kinds that are not served.
    pub skip_dry_run_on_missing_resource: bool,
    /// Whether objects that are no longer in Git may be deleted.
    pub prune: Consent,
    /// Whether objects may be deleted with the Application.
    pub delete: Consent,
}

impl Default for SyncOptions {
    fn default() -> Self {
        Self {
            validate: true,
            create_namespace: false,
            prune_last: false,
            propagation: Propagation::default(),
            apply_out_of_sync_only: false,
            replace: false,
            force: false,
            migrate_client_side_apply: true,
            respect_ignore_differences: false,
            fail_on_shared_resource: false,
            skip_dry_run_on_missing_resource: false,
            prune: Consent::Given,
            delete: Consent::Given,
        }
    }
}

/// An option that cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("sync option {option:?} {reason}")]
pub struct OptionError {
    /// The option as it was written.
    pub option: String,
    /// What is wrong with it.
    pub reason: &'static str,
}

impl SyncOptions {
    /// Reads `syncPolicy.syncOptions` (and those of an operation); later entries win.
    ///
    /// Options that are wrong are returned beside the others.
    #[must_use]
    pub fn parse<'a>(options: impl IntoIterator<Item = &'a str>) -> (Self, Vec<OptionError>) {
        let mut parsed = Self::default();
        let mut errors = Vec::new();
        for option in options {
            let option = option.trim();
            if option.is_empty() {
                continue;
            }
            if let Err(reason) = parsed.set(option, true) {
                errors.push(OptionError {
                    option: option.to_owned(),
                    reason,
                });
            }
        }
        (parsed, errors)
    }

    /// These options as they hold for one object: its own annotation wins. Options that are wrong are returned
    /// beside.
    #[must_use]
    pub fn for_object(&self, object: &Value) -> (Self, Vec<OptionError>) {
        let mut parsed = self.clone();
        let mut errors = Vec::new();
        if annotation(object, "helm.sh/resource-policy")
            .is_some_and(|policy| policy.trim() == "keep")
        {
            parsed.prune = Consent::Refused;
            parsed.delete = Consent::Refused;
        }
        let own = annotation(object, names::SYNC_OPTIONS).unwrap_or("");
        for option in own
            .split(',')
            .map(str::trim)
            .filter(|option| !option.is_empty())
        {
            if let Err(reason) = parsed.set(option, false) {
                errors.push(OptionError {
                    option: option.to_owned(),
                    reason,
                });
            }
        }
        (parsed, errors)
    }

    fn set(&mut self, option: &str, application: bool) -> Result<(), &'static str> {
        const UNKNOWN: &str = "is not known";
        const VALUE: &str = "has a value that is not known";
        const APPLICATION_ONLY: &str = "can only be set on the Application";
        let (name, value) = option
            .split_once('=')
            .ok_or("must have the form Name=value")?;
        let (name, value) = (name.trim(), value.trim());
        let flag = || match value {
            "true" => Ok(true),
            "false" => Ok(false),
            _ => Err(VALUE),
        };
        let consent = || match value {
            "true" => Ok(Consent::Given),
            "false" => Ok(Consent::Refused),
            "confirm" => Ok(Consent::Asked),
            _ => Err(VALUE),
        };
        match name {
            "Validate" => self.validate = flag()?,
            "PruneLast" => self.prune_last = flag()?,
            "Replace" => self.replace = flag()?,
            "SkipDryRunOnMissingResource" => self.skip_dry_run_on_missing_resource = flag()?,
            "ServerSideApply" => {
                flag()?;
            }
            "Prune" => self.prune = consent()?,
            "Delete" => self.delete = consent()?,
            "Force" if application => return Err("can only be set on single objects"),
            "Force" => self.force = flag()?,
            "CreateNamespace"
            | "PrunePropagationPolicy"
            | "ApplyOutOfSyncOnly"
            | "ClientSideApplyMigration"
            | "RespectIgnoreDifferences"
            | "FailOnSharedResource"
                if !application =>
            {
                return Err(APPLICATION_ONLY);
            }
            "CreateNamespace" => self.create_namespace = flag()?,
            "ApplyOutOfSyncOnly" => self.apply_out_of_sync_only = flag()?,
            "ClientSideApplyMigration" => self.migrate_client_side_apply = flag()?,
            "RespectIgnoreDifferences" => self.respect_ignore_differences = flag()?,
            "FailOnSharedResource" => self.fail_on_shared_resource = flag()?,
            "PrunePropagationPolicy" => {
                self.propagation = match value {
                    "foreground" => Propagation::Foreground,
                    "background" => Propagation::Background,
                    "orphan" => Propagation::Orphan,
                    _ => return Err(VALUE),
                }
            }
            _ => return Err(UNKNOWN),
        }
        Ok(())
    }
}

/// Whether `compare-options` of an object holds an option.
#[must_use]
pub fn has_compare_option(object: &Value, option: &str) -> bool {
    annotation(object, names::COMPARE_OPTIONS)
        .is_some_and(|options| options.split(',').any(|entry| entry.trim() == option))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_option_of_the_application_is_understood() {
        let (options, errors) = SyncOptions::parse([
            "Validate=false",
            "CreateNamespace=true",
            "PruneLast=true",
            "PrunePropagationPolicy=background",
            "ApplyOutOfSyncOnly=true",
            "Replace=true",
            "ServerSideApply=true",
            "ClientSideApplyMigration=false",
            "RespectIgnoreDifferences=true",
            "FailOnSharedResource=true",
            "SkipDryRunOnMissingResource=true",
            "Prune=confirm",
            "Delete=false",
        ]);
        assert_eq!(errors, []);
        assert_eq!(
            options,
            SyncOptions {
                validate: false,
                create_namespace: true,
                prune_last: true,
                propagation: Propagation::Background,
                apply_out_of_sync_only: true,
                replace: true,
                force: false,
                migrate_client_side_apply: false,
                respect_ignore_differences: true,
                fail_on_shared_resource: true,
                skip_dry_run_on_missing_resource: true,
                prune: Consent::Asked,
                delete: Consent::Refused,
            }
        );
    }

    #[test]
    fn an_option_that_cannot_be_carried_out_is_named() {
        let (options, errors) =
            SyncOptions::parse(["Sorcery=true", "Prune=maybe", "Force=true", "Replace"]);
        assert_eq!(options, SyncOptions::default());
        let texts: Vec<_> = errors.iter().map(ToString::to_string).collect();
        assert_eq!(
            texts,
            [
                "sync option \"Sorcery=true\" is not known",
                "sync option \"Prune=maybe\" has a value that is not known",
                "sync option \"Force=true\" can only be set on single objects",
                "sync option \"Replace\" must have the form Name=value",
            ]
        );
    }

    #[test]
    fn an_object_overrides_the_application() {
        let (application, _) = SyncOptions::parse(["Replace=true", "Prune=false"]);
        let object = json!({"metadata": {"annotations": {
            names::SYNC_OPTIONS: "Replace=false, Force=true,CreateNamespace=true",
        }}});
        let (options, errors) = application.for_object(&object);
        assert!(!options.replace && options.force && !options.create_namespace);
        assert_eq!(options.prune, Consent::Refused);
        assert_eq!(errors.len(), 1);
    }

    #[test]
    fn helm_can_keep_an_object() {
        let object = json!({"metadata": {"annotations": {"helm.sh/resource-policy": "keep"}}});
        let (options, _) = SyncOptions::default().for_object(&object);
        assert_eq!(
            (options.prune, options.delete),
            (Consent::Refused, Consent::Refused)
        );
    }
}
