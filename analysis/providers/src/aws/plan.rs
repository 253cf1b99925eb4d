//! Where the keys of an identity come from. Pure: decided from the environment and the shared files.

use std::collections::BTreeMap;

use super::profile::Profiles;
use super::{AwsEnvironment, AwsKeys, Identity};
use crate::http::Failure;

/// Profiles that refer to each other, at most.
const DEEPEST: usize = 8;
/// Name of our sessions in the logs of AWS, unless something else is said.
const SESSION: &str = "sluice";

/// A source, and the roles that are assumed one after the other with its keys.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) source: Source,
    pub(super) roles: Vec<AssumedRole>,
}

/// Where keys come from.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Source {
    Keys(AwsKeys),
    WebIdentity(WebIdentity),
    /// ECS, EKS Pod Identity.
    Container,
    /// The machine's role.
    Instance,
}

/// A role that is given for a token that the cluster wrote into a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct WebIdentity {
    /// What names the role.
    pub(super) field: String,
    pub(super) role_arn: String,
    pub(super) session: String,
    pub(super) token_file: String,
}

/// A role to assume.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct AssumedRole {
    /// What names it.
    pub(super) field: String,
    pub(super) arn: String,
    /// Region whose STS is asked; `None`: that of the controller.
    pub(super) region: Option<String>,
    pub(super) session: String,
    pub(super) external_id: Option<String>,
}

/// Decides where the keys of an identity come from.
///
/// # Errors
/// When what names them is incomplete, or needs something that a controller cannot do.
pub(super) fn plan(
    environment: &AwsEnvironment,
    profiles: &Profiles,
    who: &Identity,
) -> Result<Plan, Failure> {
    let mut plan = match &who.profile {
        Some(profile) => of_profile(environment, profiles, "profile", profile)?,
        None => by_default(environment, profiles)?,
    };
    if let Some(role) = &who.role {
        plan.roles.push(AssumedRole {
            field: "roleArn".to_owned(),
            arn: role.arn.clone(),
            region: Some(role.region.clone()),
            session: SESSION.to_owned(),
            external_id: None,
        });
    }
    Ok(plan)
}

fn by_default(environment: &AwsEnvironment, profiles: &Profiles) -> Result<Plan, Failure> {
    if let Some(keys) = environment.keys() {
        return Ok(Plan::of(Source::Keys(keys)));
    }
    if let Some(file) = environment.get("AWS_WEB_IDENTITY_TOKEN_FILE") {
        let role = environment.get("AWS_ROLE_ARN").ok_or_else(|| {
            Failure::permanent(
                "AWS_ROLE_ARN is not set beside AWS_WEB_IDENTITY_TOKEN_FILE: name the role in the annotation \
                 eks.amazonaws.com/role-arn of the controller's service account",
            )
        })?;
        let session = environment.get("AWS_ROLE_SESSION_NAME");
        return Ok(Plan::of(Source::WebIdentity(WebIdentity {
            field: "AWS_ROLE_ARN".to_owned(),
            role_arn: role.to_owned(),
            session: session.unwrap_or(SESSION).to_owned(),
            token_file: file.to_owned(),
        })));
    }
    match environment.get("AWS_PROFILE") {
        Some(profile) => of_profile(environment, profiles, "AWS_PROFILE", profile),
        None if profiles.get("default").is_some() => {
            of_profile(environment, profiles, "profile", "default")
        }
        None => Ok(Plan::of(around(environment))),
    }
}

/// The container when its address is set, else the machine.
fn around(environment: &AwsEnvironment) -> Source {
    let set = |name| environment.get(name).is_some();
    if set("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") || set("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
        Source::Container
    } else {
        Source::Instance
    }
}

impl Plan {
    fn of(source: Source) -> Self {
        Self {
            source,
            roles: Vec::new(),
        }
    }
}

/// `field` is what names the profile.
fn of_profile(
    environment: &AwsEnvironment,
    profiles: &Profiles,
    field: &str,
    profile: &str,
) -> Result<Plan, Failure> {
    let mut roles = Vec::new();
    let (mut field, mut name) = (field.to_owned(), profile);
    for _ in 0..DEEPEST {
        let settings = profiles.get(name).ok_or_else(|| {
            Failure::permanent(format!(
                "{field}: the controller's AWS files have no profile {name}: add it, or mount them and set \
                 AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE"
            ))
        })?;
        let settings = Profile { name, settings };
        settings.check()?;
        let Some(arn) = settings.get("role_arn") else {
            return Ok(Plan {
                source: settings
                    .keys()?
                    .map_or_else(|| around(environment), Source::Keys),
                roles: reversed(roles),
            });
        };
        if let Some(file) = settings.get("web_identity_token_file") {
            let source = Source::WebIdentity(WebIdentity {
                field: settings.field("role_arn"),
                role_arn: arn.to_owned(),
                session: settings.session(),
                token_file: file.to_owned(),
            });
            return Ok(Plan {
                source,
                roles: reversed(roles),
            });
        }
        roles.push(AssumedRole {
            field: settings.field("role_arn"),
            arn: arn.to_owned(),
            region: settings.get("region").map(str::to_owned),
            session: settings.session(),
            external_id: settings.get("external_id").map(str::to_owned),
        });
        match settings.get("source_profile") {
            // A profile may be its own source: the role is assumed with the keys beside it.
            Some(source) if source == name => {
                let keys = settings.keys()?.ok_or_else(|| {
                    settings.wrong("source_profile", "the profile itself has no keys")
                })?;
                return Ok(Plan {
                    source: Source::Keys(keys),
                    roles: reversed(roles),
                });
            }
            Some(source) => (field, name) = (settings.field("source_profile"), source),
            None => {
                return Ok(Plan {
                    source: settings.credential_source(environment)?,
                    roles: reversed(roles),
                });
            }
        }
    }
    Err(Failure::permanent(format!(
        "{field}: more than {DEEPEST} profiles refer to each other"
    )))
}

/// The profile that is named last is assumed first.
fn reversed(mut roles: Vec<AssumedRole>) -> Vec<AssumedRole> {
    roles.reverse();
    roles
}

/// A section of the shared files.
struct Profile<'a> {
    name: &'a str,
    settings: &'a BTreeMap<String, String>,
}

impl<'a> Profile<'a> {
    fn get(&self, key: &str) -> Option<&'a str> {
        self.settings.get(key).map(String::as_str)
    }

    fn field(&self, key: &str) -> String {
        format!("{key} of the AWS profile {}", self.name)
    }

    fn wrong(&self, key: &str, what: &str) -> Failure {
        Failure::permanent(format!("{}: {what}", self.field(key)))
    }

    fn session(&self) -> String {
        self.get("role_session_name").unwrap_or(SESSION).to_owned()
    }

    /// What a program without a person or a shell cannot do.
    fn check(&self) -> Result<(), Failure> {
        for key in [
            "credential_process",
            "sso_session",
            "sso_start_url",
            "mfa_serial",
        ] {
            if self.get(key).is_some() {
                return Err(self.wrong(
                    key,
                    "this controller can neither run programs nor sign in as a person: use keys, role_arn with \
                     source_profile, credential_source or web_identity_token_file",
                ));
            }
        }
        Ok(())
    }

    fn keys(&self) -> Result<Option<AwsKeys>, Failure> {
        let Some(access_key) = self.get("aws_access_key_id") else {
            return Ok(None);
        };
        let secret_key = self
            .get("aws_secret_access_key")
            .ok_or_else(|| self.wrong("aws_secret_access_key", "it is missing"))?;
        Ok(Some(AwsKeys {
            access_key: access_key.to_owned(),
            secret_key: secret_key.to_owned(),
            session_token: self.get("aws_session_token").map(str::to_owned),
        }))
    }

    fn credential_source(&self, environment: &AwsEnvironment) -> Result<Source, Failure> {
        match self.get("credential_source") {
            Some("Environment") => environment.keys().map(Source::Keys).ok_or_else(|| {
                self.wrong(
                    "credential_source",
                    "the environment has no AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY",
                )
            }),
            Some("EcsContainer") => Ok(Source::Container),
            Some("Ec2InstanceMetadata") => Ok(Source::Instance),
            _ => Err(self.wrong(
                "role_arn",
                "it needs source_profile, web_identity_token_file, or a credential_source that is Environment, \
                 EcsContainer or Ec2InstanceMetadata",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::aws::Role;

    fn environment(variables: &[(&str, &str)]) -> AwsEnvironment {
        let variables: BTreeMap<&str, &str> = variables.iter().copied().collect();
        AwsEnvironment::read(|name| variables.get(name).map(|value| (*value).to_owned()))
    }

    fn profiles(text: &str) -> Profiles {
        let mut profiles = Profiles::default();
        profiles.add(text, true);
        profiles
    }

    fn named(profile: &str) -> Identity {
        Identity {
            profile: Some(profile.to_owned()),
            role: None,
        }
    }

    fn access_key(plan: &Plan) -> &str {
        match &plan.source {
            Source::Keys(keys) => &keys.access_key,
            other => panic!("no keys: {other:?}"),
        }
    }

    const KEYS: [(&str, &str); 2] = [
        ("AWS_ACCESS_KEY_ID", "ENV"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
    ];
    const WEB: [(&str, &str); 2] = [
        ("AWS_WEB_IDENTITY_TOKEN_FILE", "/token"),
        ("AWS_ROLE_ARN", "arn:irsa"),
    ];
    const CONTAINER: (&str, &str) = ("AWS_CONTAINER_CREDENTIALS_FULL_URI", "http://[::1]/");
    const FILE: &str = "[default]\naws_access_key_id = FILE\naws_secret_access_key = secret\n\
        [profile other]\naws_access_key_id = OTHER\naws_secret_access_key = secret\n";

    #[test]
    fn sources_are_taken_in_the_order_of_the_sdk() {
        let all = [&KEYS[..], &WEB, &[CONTAINER]].concat();
        let (file, none) = (profiles(FILE), Profiles::default());
        let by_default = |variables: &[(&str, &str)], profiles: &Profiles| {
            plan(&environment(variables), profiles, &Identity::default()).unwrap()
        };
        assert_eq!(access_key(&by_default(&all, &file)), "ENV");
        let web = by_default(&all[2..], &file).source;
        assert!(
            matches!(&web, Source::WebIdentity(web) if web.role_arn == "arn:irsa" && web.token_file == "/token"),
            "{web:?}"
        );
        assert_eq!(access_key(&by_default(&[CONTAINER], &file)), "FILE");
        let profile = [CONTAINER, ("AWS_PROFILE", "other")];
        assert_eq!(access_key(&by_default(&profile, &file)), "OTHER");
        assert_eq!(by_default(&[CONTAINER], &none).source, Source::Container);
        assert_eq!(by_default(&[], &none).source, Source::Instance);
        // One half of the keys is no keys.
        assert_eq!(by_default(&KEYS[..1], &none).source, Source::Instance);
        // What a metric names comes before everything.
        let named = plan(&environment(&all), &file, &named("other")).unwrap();
        assert_eq!(access_key(&named), "OTHER");
    }

    #[test]
    fn roles_are_assumed_from_the_source_on_and_that_of_the_metric_last() {
        let file = profiles(
            "[profile a]\nrole_arn = arn:a\nsource_profile = b\nregion = eu-west-1\n\
             [profile b]\nrole_arn = arn:b\nsource_profile = keys\nexternal_id = x\nrole_session_name = me\n\
             [profile keys]\naws_access_key_id = K\naws_secret_access_key = s\n",
        );
        let who = Identity {
            role: Some(Role {
                arn: "arn:metric".to_owned(),
                region: "eu-central-1".to_owned(),
            }),
            ..named("a")
        };
        let plan = plan(&environment(&[]), &file, &who).unwrap();
        assert_eq!(access_key(&plan), "K");
        let roles: Vec<_> = plan
            .roles
            .iter()
            .map(|role| {
                let optional = (role.region.as_deref(), role.external_id.as_deref());
                (role.arn.as_str(), role.session.as_str(), optional)
            })
            .collect();
        assert_eq!(
            roles,
            [
                ("arn:b", "me", (None, Some("x"))),
                ("arn:a", "sluice", (Some("eu-west-1"), None)),
                ("arn:metric", "sluice", (Some("eu-central-1"), None)),
            ]
        );
    }

    #[test]
    fn a_profile_may_name_each_other_source() {
        for (text, expected) in [
            ("credential_source = EcsContainer", Source::Container),
            ("credential_source = Ec2InstanceMetadata", Source::Instance),
        ] {
            let file = profiles(&format!("[profile p]\nrole_arn = arn:p\n{text}\n"));
            let plan = plan(&environment(&KEYS), &file, &named("p")).unwrap();
            assert_eq!((plan.source, plan.roles.len()), (expected, 1));
        }
        let of = |text: &str| {
            let file = profiles(&format!("[profile p]\nrole_arn = arn:p\n{text}\n"));
            plan(&environment(&KEYS), &file, &named("p")).unwrap()
        };
        assert_eq!(access_key(&of("credential_source = Environment")), "ENV");
        let own = "source_profile = p\naws_access_key_id = OWN\naws_secret_access_key = s";
        assert_eq!(access_key(&of(own)), "OWN");
        let web = of("web_identity_token_file = /token");
        assert!(web.roles.is_empty() && matches!(web.source, Source::WebIdentity(_)));
    }

    #[test]
    fn what_is_incomplete_or_needs_a_person_is_named() {
        for (text, expected) in [
            ("", "profile: the controller's AWS files have no profile p"),
            (
                "[profile p]\nsso_session = x",
                "sso_session of the AWS profile p: this controller can neither",
            ),
            (
                "[profile p]\naws_access_key_id = x",
                "aws_secret_access_key of the AWS profile p: it is missing",
            ),
            (
                "[profile p]\nrole_arn = x",
                "role_arn of the AWS profile p: it needs source_profile",
            ),
            (
                "[profile p]\nrole_arn = x\nsource_profile = gone",
                "source_profile of the AWS profile p: the controller's AWS files have no profile gone",
            ),
            (
                "[profile p]\nrole_arn = x\nsource_profile = p",
                "source_profile of the AWS profile p: the profile itself has no keys",
            ),
            (
                "[profile p]\nrole_arn = x\nsource_profile = q\n[profile q]\nrole_arn = x\nsource_profile = p",
                "more than 8 profiles refer to each other",
            ),
        ] {
            let failure = plan(&environment(&[]), &profiles(text), &named("p")).unwrap_err();
            assert!(failure.message.contains(expected), "{}", failure.message);
        }
        let half = environment(&WEB[..1]);
        let failure = plan(&half, &Profiles::default(), &Identity::default()).unwrap_err();
        assert!(failure.message.starts_with("AWS_ROLE_ARN is not set"));
    }
}
