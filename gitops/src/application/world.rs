//! What was observed of one Application, as plain data.

use std::collections::BTreeMap;

use sluice_crds::app_project::AppProject;
use sluice_crds::application::status::RevisionHistory;
use sluice_crds::application::{Application, ApplicationSource};

use crate::compare::{LiveState, Prediction};
use crate::key::Key;
use crate::manifest::{Placement, Targets};

/// Everything that one decision may depend on, besides the time.
#[derive(Debug, Clone, Copy)]
pub struct AppWorld<'a> {
    /// The Application, with metadata and status.
    pub app: &'a Application,
    /// The AppProject that it names; `None` when there is none of that name.
    pub project: Option<&'a AppProject>,
    /// How Git stands.
    pub head: &'a Head,
    /// Whether Git was asked for this decision, and not only remembered.
    pub looked: bool,
    /// Renderings that an earlier plan needed, or why they could not be had.
    pub renderings: &'a [(RenderRequest, Result<Rendering, String>)],
    /// The cluster.
    pub live: &'a LiveState,
    /// Where objects go and how they are marked.
    pub placement: &'a Placement,
    /// Settings of the controller.
    pub settings: &'a Settings,
}

impl AppWorld<'_> {
    /// A rendering that was needed.
    #[must_use]
    pub fn rendering(&self, request: &RenderRequest) -> Option<Result<&Rendering, &String>> {
        self.renderings
            .iter()
            .find(|(asked, _)| asked == request)
            .map(|(_, rendering)| rendering.as_ref())
    }
}

/// Settings of the controller that decisions depend on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// Namespace of the controller: Applications there may use every project.
    pub control_namespace: String,
}

/// How Git stands: what the Application's sources say at their target revisions.
#[derive(Debug, Clone, PartialEq)]
pub enum Head {
    /// It was not looked at yet.
    Pending,
    /// It could not be rendered.
    Failed {
        /// One sentence.
        message: String,
        /// Whether it is expected to go away by itself (a server is down) or not (a manifest is wrong).
        transient: bool,
        /// The last rendering that went well, if it was of these sources.
        last: Option<Box<Rendering>>,
    },
    /// It was rendered.
    Rendered(Box<Rendering>),
}

/// Sources at revisions, made into targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Rendering {
    /// The sources.
    pub sources: Vec<ApplicationSource>,
    /// Commit of each source.
    pub revisions: Vec<String>,
    /// `Helm`, `Kustomize`, `Directory` or `Plugin`, for each source.
    pub source_types: Vec<String>,
    /// The objects that should be there.
    pub targets: Targets,
    /// What the API server says they would become; hooks have none.
    pub predictions: BTreeMap<Key, Prediction>,
}

impl Rendering {
    /// The commits as people read them.
    #[must_use]
    pub fn revision(&self) -> String {
        self.revisions.join(",")
    }
}

/// What to render.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct RenderRequest {
    /// The sources.
    pub sources: Vec<ApplicationSource>,
    /// Revision of each source; empty means what each source's `targetRevision` is now.
    pub revisions: Vec<String>,
}

impl RenderRequest {
    /// The Application's sources at their target revisions.
    #[must_use]
    pub fn head(app: &Application) -> Self {
        Self {
            sources: app.spec.sources().to_vec(),
            revisions: Vec::new(),
        }
    }

    /// What an entry of the history says.
    #[must_use]
    pub fn of_history(entry: &RevisionHistory) -> Self {
        Self {
            sources: sources(entry.source.as_ref(), entry.sources.as_deref()),
            revisions: revisions(entry.revision.as_deref(), entry.revisions.as_deref()),
        }
    }
}

/// One list of sources from the two ways to write them.
#[must_use]
pub fn sources(
    one: Option<&ApplicationSource>,
    many: Option<&[ApplicationSource]>,
) -> Vec<ApplicationSource> {
    match many {
        Some(many) if !many.is_empty() => many.to_vec(),
        _ => one.cloned().into_iter().collect(),
    }
}

/// One list of revisions from the two ways to write them.
#[must_use]
pub fn revisions(one: Option<&str>, many: Option<&[String]>) -> Vec<String> {
    match many {
        Some(many) if !many.is_empty() => many.to_vec(),
        _ => one
            .filter(|one| !one.is_empty())
            .map(str::to_owned)
            .into_iter()
            .collect(),
    }
}
