//! What a Rollout names: Services and analyses, whatever its strategy.

use std::collections::BTreeSet;

use super::RolloutSpec;
use super::canary::RolloutAnalysis;
use crate::analysis::AnalysisTemplateRef;

impl RolloutSpec {
    /// Names of the Services that the strategy routes with.
    #[must_use]
    pub fn service_names(&self) -> BTreeSet<&str> {
        let canary = self.canary();
        let pair = canary.and_then(|canary| canary.ping_pong.as_ref());
        let blue_green = self.blue_green();
        [
            canary.and_then(|canary| canary.stable_service.as_deref()),
            canary.and_then(|canary| canary.canary_service.as_deref()),
            pair.and_then(|pair| pair.ping_service.as_deref()),
            pair.and_then(|pair| pair.pong_service.as_deref()),
            blue_green.and_then(|strategy| strategy.active_service.as_deref()),
            blue_green.and_then(|strategy| strategy.preview_service.as_deref()),
        ]
        .into_iter()
        .flatten()
        .filter(|name| !name.is_empty())
        .collect()
    }

    /// Every analysis of the strategy: in the background, as a step, before and after a promotion.
    pub fn analyses(&self) -> impl Iterator<Item = &RolloutAnalysis> {
        let canary = self.canary();
        let background = canary.and_then(|canary| canary.analysis.as_ref());
        let steps = canary.into_iter().flat_map(|canary| canary.steps());
        let blue_green = self.blue_green();
        let before = blue_green.and_then(|strategy| strategy.pre_promotion_analysis.as_ref());
        let after = blue_green.and_then(|strategy| strategy.post_promotion_analysis.as_ref());
        background
            .map(|background| &background.analysis)
            .into_iter()
            .chain(steps.filter_map(|step| step.analysis.as_ref()))
            .chain(before)
            .chain(after)
    }

    /// The templates of all analyses, and of the experiments among the steps.
    pub fn analysis_templates(&self) -> impl Iterator<Item = AnalysisTemplateRef> {
        let steps = self.canary().into_iter().flat_map(|canary| canary.steps());
        let experiments = steps.filter_map(|step| step.experiment.as_ref());
        let of_experiments = experiments
            .flat_map(|experiment| experiment.analyses.iter().flatten())
            .map(|analysis| AnalysisTemplateRef {
                template_name: Some(analysis.template_name.clone()),
                cluster_scope: analysis.cluster_scope,
            });
        self.analyses()
            .flat_map(|analysis| analysis.templates.iter().flatten().cloned())
            .chain(of_experiments)
    }
}
