//! Reads a page of the Prometheus text format: just enough to add samples up.

use std::collections::BTreeMap;

/// A page of metrics as text.
#[derive(Debug, Clone, Default)]
pub struct Scrape(String);

/// One sample, borrowed from the page.
struct Sample<'a> {
    labels: &'a str,
    value: f64,
}

impl Scrape {
    /// Takes a page.
    #[must_use]
    pub fn new(text: String) -> Self {
        Self(text)
    }

    /// Samples of exactly this name.
    fn samples<'a>(&'a self, name: &'a str) -> impl Iterator<Item = Sample<'a>> {
        self.0.lines().filter_map(move |line| {
            let rest = line.strip_prefix(name)?;
            // A longer name begins with the same letters.
            let (labels, value) = match rest.strip_prefix('{') {
                Some(rest) => rest.rsplit_once("} ")?,
                None => ("", rest.strip_prefix(' ')?),
            };
            let value = value.split(' ').next()?.parse().ok()?;
            Some(Sample { labels, value })
        })
    }

    /// How many samples of this name there are.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.samples(name).count()
    }

    /// Sum of all samples of this name; zero when there is none.
    #[must_use]
    pub fn sum(&self, name: &str) -> f64 {
        self.samples(name).map(|sample| sample.value).sum()
    }

    /// Sums of the samples of this name by the values of these labels, in lower case, with a space between two.
    #[must_use]
    pub fn by(&self, name: &str, labels: &[&str]) -> BTreeMap<String, f64> {
        let mut sums = BTreeMap::new();
        for sample in self.samples(name) {
            let values: Vec<&str> = labels
                .iter()
                .map(|label| text(sample.labels, label))
                .collect();
            *sums.entry(values.join(" ").to_lowercase()).or_default() += sample.value;
        }
        sums
    }
}

/// The value of one label; empty when it is not there. Quotes in values come escaped, so `",` ends a value.
fn text<'a>(labels: &'a str, wanted: &str) -> &'a str {
    let mut rest = labels;
    while let Some((name, after)) = rest.split_once("=\"") {
        let Some(end) = closing_quote(after) else {
            return "";
        };
        if name == wanted {
            return &after[..end];
        }
        rest = after[end + 1..].trim_start_matches(',');
    }
    ""
}

/// Where a quoted value ends: at the first quote that is not escaped.
fn closing_quote(text: &str) -> Option<usize> {
    let mut escaped = false;
    for (index, byte) in text.bytes().enumerate() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' => escaped = true,
            b'"' => return Some(index),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page() -> Scrape {
        Scrape::new(
            r#"# HELP requests_total Requests.
# TYPE requests_total counter
requests_total{kind="rollouts",verb="Patch",status_code="200"} 7
requests_total{kind="a,\"}b",verb="patch"} 2
requests_total{verb="get",kind="x"} 1 1700000000
requests_total_created 5
up 1
"#
            .to_owned(),
        )
    }

    #[test]
    fn samples_are_added_up_by_a_label_whatever_its_case() {
        let by = page().by("requests_total", &["verb"]);
        assert_eq!(
            by,
            BTreeMap::from([("get".into(), 1.0), ("patch".into(), 9.0)])
        );
    }

    #[test]
    fn two_labels_make_one_name() {
        let by = page().by("requests_total", &["verb", "kind"]);
        assert_eq!(by["patch rollouts"], 7.0);
        assert_eq!(by.len(), 3);
    }

    #[test]
    fn longer_names_are_other_metrics() {
        assert_eq!(page().count("requests_total"), 3);
        assert_eq!(page().sum("requests_total_created"), 5.0);
        assert_eq!(page().sum("up"), 1.0);
        assert_eq!(page().sum("down"), 0.0);
    }
}
