//! Answers of the Prometheus API.

use reqwest::StatusCode;
use serde::Deserialize;
use sluice_analysis::expression::{NumberText, Value};

use crate::http::Failure;

/// What a query gave.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Parsed {
    pub(super) value: Value,
    /// As upstream writes it: `0.99`, or `[0.99,NaN]`.
    pub(super) display: String,
    pub(super) warnings: Vec<String>,
}

#[derive(Deserialize)]
struct Envelope {
    status: String,
    data: Option<Data>,
    #[serde(default)]
    error: String,
    #[serde(default, rename = "errorType")]
    error_type: String,
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Deserialize)]
#[serde(tag = "resultType", content = "result", rename_all = "lowercase")]
enum Data {
    Scalar(Sample),
    Vector(Vec<Series>),
    Matrix(Vec<Series>),
    String(Sample),
}

/// Time and value.
#[derive(Deserialize)]
struct Sample(
    #[expect(dead_code, reason = "only its place matters")] f64,
    String,
);

#[derive(Deserialize)]
struct Series {
    value: Option<Sample>,
    #[serde(default)]
    values: Vec<Sample>,
    histogram: Option<serde_json::Value>,
    histograms: Option<serde_json::Value>,
}

/// Reads an answer.
pub(super) fn parse(body: &[u8], status: StatusCode) -> Result<Parsed, Failure> {
    let envelope: Envelope = match serde_json::from_slice(body) {
        Ok(envelope) => envelope,
        Err(_) if !status.is_success() => {
            return Err(Failure {
                message: format!("Prometheus answers {status}"),
                transient: status.is_server_error() || status == StatusCode::TOO_MANY_REQUESTS,
            });
        }
        Err(error) => {
            return Err(Failure::permanent(format!(
                "Prometheus answers with something else than a query result: {error}"
            )));
        }
    };
    if envelope.status != "success" || !status.is_success() {
        return Err(Failure {
            message: format!(
                "Prometheus refuses the query: {}: {}",
                envelope.error_type, envelope.error
            ),
            transient: matches!(
                envelope.error_type.as_str(),
                "timeout" | "canceled" | "unavailable" | "internal"
            ),
        });
    }
    let (value, display) = match envelope.data {
        Some(Data::Scalar(sample)) => {
            let number = number(&sample)?;
            (Value::Float(number), NumberText(number).to_string())
        }
        Some(Data::Vector(series) | Data::Matrix(series)) => {
            let mut numbers = Vec::with_capacity(series.len());
            for series in &series {
                if series.histogram.is_some() || series.histograms.is_some() {
                    return Err(Failure::permanent(
                        "Prometheus answers with a native histogram: make numbers of it in the query, as with \
                         histogram_quantile",
                    ));
                }
                for sample in series.value.iter().chain(&series.values) {
                    numbers.push(number(sample)?);
                }
            }
            let texts: Vec<String> = numbers
                .iter()
                .map(|number| NumberText(*number).to_string())
                .collect();
            (Value::numbers(numbers), format!("[{}]", texts.join(",")))
        }
        Some(Data::String(Sample(_, text))) => {
            return Err(Failure::permanent(format!(
                "Prometheus answers with the text {text:?}: the query must give a scalar, a vector, or a range"
            )));
        }
        None => return Err(Failure::permanent("Prometheus answers without data")),
    };
    Ok(Parsed {
        value,
        display,
        warnings: envelope.warnings,
    })
}

fn number(sample: &Sample) -> Result<f64, Failure> {
    match Value::from_display(&sample.1) {
        Value::Float(number) => Ok(number),
        _ => Err(Failure::permanent(format!(
            "Prometheus answers with {:?} where a number is expected",
            sample.1
        ))),
    }
}
