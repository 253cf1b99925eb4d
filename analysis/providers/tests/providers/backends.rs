//! Datadog, Graphite, InfluxDB, New Relic, SkyWalking and Wavefront: what they are asked, and what their answers give.

use serde_json::{Value as Json, json as value};
use sluice_analysis::expression::Value;
use sluice_analysis::{MeasureRequest, Outcome, SecretValues};
use sluice_analysis_providers::{
    AwsEnvironment, Credentials, CredentialsRef, Registry, RunIdentity, Settings,
};
use sluice_crds::analysis::Metric;

use super::support::{Server, failed, json, shown, status};

fn metric(provider: Json) -> Metric {
    serde_json::from_value(value!({ "name": "m", "provider": provider })).unwrap()
}

async fn measure(provider: Json, credentials: &[(&str, &str)]) -> Outcome {
    let request = MeasureRequest {
        metric: metric(provider),
        number: 1,
        resume: None,
        secrets: Vec::new(),
    };
    let credentials: Credentials = credentials
        .iter()
        .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
        .collect();
    Registry::new(&Settings::default())
        .measure_as(
            &request,
            &SecretValues::new(),
            Some(&credentials),
            &RunIdentity::default(),
            "2026-08-17T10:00:00Z".parse().unwrap(),
        )
        .await
}

fn result(outcome: &Outcome) -> &Value {
    match outcome {
        Outcome::Value { value, .. } => value,
        other => panic!("no value: {other:?}"),
    }
}

#[tokio::test]
async fn graphite_gives_the_numbers_of_the_first_series() {
    let server = Server::new(|_| {
        json(r#"[{"target":"a","datapoints":[[1.5,1],[null,2],["2",3]]},{"target":"b","datapoints":[[9,1]]}]"#)
    })
    .await;
    let query = "target=sumSeries( app.errors )\n &from=-5min";
    let outcome = measure(
        value!({ "graphite": { "address": server.address, "query": query } }),
        &[],
    )
    .await;
    assert_eq!(shown(&outcome), "[1.5,2]");
    assert_eq!(*result(&outcome), Value::numbers([1.5, 2.0]));
    let asked = &server.asked()[0];
    assert_eq!(asked.path, "/render");
    assert_eq!(
        asked.parameter("target").as_deref(),
        Some("sumSeries(app.errors)")
    );
    assert_eq!(asked.parameter("from").as_deref(), Some("-5min"));
    assert_eq!(asked.parameter("format").as_deref(), Some("json"));
    let empty = Server::new(|_| json("[]")).await;
    let outcome = measure(value!({ "graphite": { "address": empty.address } }), &[]).await;
    assert_eq!(failed(&outcome), ("no values found", false));
}

const DATADOG: &[(&str, &str)] = &[("api-key", "one"), ("app-key", "two")];

async fn datadog(server: &Server, settings: Json) -> Outcome {
    let mut credentials = DATADOG.to_vec();
    credentials.push(("address", &server.address));
    measure(value!({ "datadog": settings }), &credentials).await
}

#[tokio::test]
async fn datadog_v1_gives_the_newest_point_and_nil_for_nothing() {
    let server = Server::new(|asked| {
        json(if asked.query.contains("empty") {
            r#"{"status":"ok","series":[]}"#
        } else {
            r#"{"status":"ok","series":[{"pointlist":[[1,0.5],[2,0.25]]}]}"#
        })
    })
    .await;
    let outcome = datadog(
        &server,
        value!({ "query": "avg:cpu{*}", "interval": "10m" }),
    )
    .await;
    assert_eq!(shown(&outcome), "0.25");
    let asked = &server.asked()[0];
    assert_eq!(asked.path, "/api/v1/query");
    assert_eq!(asked.headers["dd-api-key"], "one");
    assert_eq!(asked.headers["dd-application-key"], "two");
    let (from, to) = (asked.parameter("from"), asked.parameter("to"));
    let seconds = |text: Option<String>| text.unwrap().parse::<i64>().unwrap();
    assert_eq!(seconds(to) - seconds(from), 600);
    let outcome = datadog(&server, value!({ "query": "empty" })).await;
    assert_eq!(*result(&outcome), Value::Nil);
    assert_eq!(shown(&outcome), "[]");
}

#[tokio::test]
async fn datadog_v2_asks_for_a_scalar() {
    let server = Server::new(|asked| {
        json(if asked.body.contains("nothing") {
            r#"{"data":{"attributes":{"columns":[{"values":[null]}]}}}"#
        } else if asked.body.contains("wrong") {
            r#"{"data":{"errors":"so it is"}}"#
        } else {
            r#"{"data":{"attributes":{"columns":[{"values":[0.125]}]}}}"#
        })
    })
    .await;
    let settings = value!({
        "apiVersion": "v2", "queries": { "a": "x", "b": "y" }, "formula": "a / b", "aggregator": "sum",
        "requestTimeout": "5s"
    });
    let outcome = datadog(&server, settings).await;
    assert_eq!(shown(&outcome), "0.125");
    let asked = &server.asked()[0];
    assert_eq!(
        (asked.method.as_str(), asked.path.as_str()),
        ("POST", "/api/v2/query/scalar")
    );
    let body: Json = serde_json::from_str(&asked.body).unwrap();
    let attributes = &body["data"]["attributes"];
    assert_eq!(attributes["formulas"], value!([{ "formula": "a / b" }]));
    assert_eq!(attributes["queries"][1]["aggregator"], "sum");
    assert_eq!(attributes["from"], 1_786_960_500_000_i64);
    let outcome = datadog(&server, value!({ "apiVersion": "v2", "query": "nothing" })).await;
    assert_eq!((result(&outcome), shown(&outcome)), (&Value::Nil, "[null]"));
    let outcome = datadog(&server, value!({ "apiVersion": "v2", "query": "wrong" })).await;
    assert_eq!(
        failed(&outcome).0,
        "There were errors in your query: so it is"
    );
}

#[tokio::test]
async fn datadog_refuses_what_does_not_fit_together() {
    for (settings, expected) in [
        (value!({}), "Must have either a query or queries"),
        (
            value!({ "query": "a", "queries": { "a": "b" } }),
            "Cannot have both",
        ),
        (
            value!({ "queries": { "a": "b" } }),
            "API Version v1 only supports",
        ),
        (
            value!({ "apiVersion": "v2", "query": "a", "formula": "a" }),
            "Formula are only valid",
        ),
        (
            value!({ "apiVersion": "v2", "queries": { "a": "1", "b": "2" } }),
            "must include a formula",
        ),
        (
            value!({ "query": "a", "aggregator": "sum" }),
            "Aggregator is not supported",
        ),
        (
            value!({ "query": "a", "interval": "soon" }),
            "datadog.interval",
        ),
        (
            value!({ "query": "a", "requestTimeout": "0s" }),
            "datadog.requestTimeout",
        ),
        (
            value!({ "query": "a", "colour": "red" }),
            "unknown field `colour`",
        ),
    ] {
        let outcome = measure(value!({ "datadog": settings }), DATADOG).await;
        assert!(failed(&outcome).0.contains(expected), "{outcome:?}");
    }
    let outcome = measure(value!({ "datadog": { "query": "a" } }), &[]).await;
    assert_eq!(failed(&outcome).0, "datadog: the Secret has no key api-key");
}

#[tokio::test]
async fn an_answer_that_is_no_success_is_shown_shortly() {
    let server = Server::new(|asked| match asked.parameter("query").as_deref() {
        Some("who") => status(403, "who are you"),
        Some("busy") => status(503, &"x".repeat(5_000)),
        _ => status(200, "no json"),
    })
    .await;
    let outcome = datadog(&server, value!({ "query": "who" })).await;
    let (message, transient) = failed(&outcome);
    assert!(message.starts_with("received authentication error response code: 403"));
    assert!(message.ends_with("who are you") && !transient);
    let outcome = datadog(&server, value!({ "query": "busy" })).await;
    let (message, transient) = failed(&outcome);
    assert!(message.len() < 500 && transient, "{message}");
    let outcome = datadog(&server, value!({ "query": "else" })).await;
    assert!(failed(&outcome).0.contains("something else than JSON"));
}

#[tokio::test]
async fn new_relic_gives_the_row_or_the_rows() {
    let server = Server::new(|asked| {
        let rows = match asked.body.as_str() {
            body if body.contains("many") => r#"[{"a":1},{"a":2}]"#,
            body if body.contains("none") => "[]",
            body if body.contains("wrong") => {
                return json(r#"{"errors":[{"message":"NRQL Syntax Error"}]}"#);
            }
            _ => r#"[{"count":7}]"#,
        };
        json(&format!(
            r#"{{"data":{{"actor":{{"account":{{"nrql":{{"results":{rows}}}}}}}}}}}"#
        ))
    })
    .await;
    let credentials = [
        ("personal-api-key", "key"),
        ("account-id", "12"),
        ("base-url-nerdgraph", server.address.as_str()),
    ];
    let ask = |query: &str| measure(value!({ "newRelic": { "query": query } }), &credentials);
    assert_eq!(shown(&ask("one").await), r#"{"count":7}"#);
    assert_eq!(shown(&ask("many").await), r#"[{"a":1},{"a":2}]"#);
    assert_eq!(
        failed(&ask("none").await).0,
        "no results returned from NRQL query"
    );
    assert_eq!(
        failed(&ask("wrong").await).0,
        "New Relic: NRQL Syntax Error"
    );
    let asked = &server.asked()[0];
    assert_eq!(asked.headers["api-key"], "key");
    let body: Json = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(
        body["variables"],
        value!({ "accountId": 12, "query": "one", "timeout": 5 })
    );
    let outcome = measure(
        value!({ "newRelic": { "query": "q", "timeout": -1 } }),
        &credentials,
    )
    .await;
    assert!(failed(&outcome).0.contains("positive value"));
    let outcome = measure(
        value!({ "newRelic": { "query": "q" } }),
        &[
            ("personal-api-key", "k"),
            ("account-id", "12"),
            ("region", "mars"),
        ],
    )
    .await;
    assert!(failed(&outcome).0.contains("region mars"));
    let outcome = measure(
        value!({ "newRelic": { "query": "q" } }),
        &[("personal-api-key", "k"), ("account-id", "x")],
    )
    .await;
    assert!(failed(&outcome).0.contains("could not parse account ID"));
}

#[tokio::test]
async fn sky_walking_asks_for_the_last_minutes() {
    let server = Server::new(|asked| {
        json(match asked.body.as_str() {
            body if body.contains("wrong") => r#"{"errors":[{"message":"no such field"}]}"#,
            body if body.contains("none") => r#"{"data":null}"#,
            _ => r#"{"data":{"service":{"sla":9990}}}"#,
        })
    })
    .await;
    let ask = |query: &str| {
        measure(
            value!({ "skywalking": { "address": server.address, "query": query, "interval": "3m" } }),
            &[],
        )
    };
    assert_eq!(shown(&ask("one").await), r#"{"service":{"sla":9990}}"#);
    let asked = &server.asked()[0];
    assert_eq!(asked.path, "/graphql");
    let body: Json = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(
        body["variables"]["duration"],
        value!({ "start": "2026-08-17 0957", "end": "2026-08-17 1000", "step": "MINUTE" })
    );
    assert_eq!(failed(&ask("wrong").await).0, "SkyWalking: no such field");
    assert_eq!(
        failed(&ask("none").await).0,
        "no results returned from SkyWalking query"
    );
}

#[tokio::test]
async fn wavefront_gives_the_point_that_is_nearest_for_each_series() {
    let server = Server::new(|asked| {
        json(match asked.parameter("q").as_deref() {
            Some("many") => {
                r#"{"warnings":"slow","timeseries":[{"data":[[1786960790,1.5]]},{"data":[[1786960800,2]]}]}"#
            }
            Some("none") => r#"{"timeseries":[]}"#,
            Some("wrong") => r#"{"errorType":"QuerySyntaxError","errorMessage":"no"}"#,
            _ => r#"{"timeseries":[{"data":[[1786960000,9],[1786960801,0.126],[1786960900,8]]}]}"#,
        })
    })
    .await;
    let credentials = [(server.address.as_str(), "token")];
    let ask = |query: &str| {
        measure(
            value!({ "wavefront": { "address": server.address, "query": query } }),
            &credentials,
        )
    };
    let outcome = ask("one").await;
    assert_eq!(
        (shown(&outcome), result(&outcome)),
        ("0.13", &Value::Float(0.126))
    );
    let Outcome::Value { metadata, .. } = &outcome else {
        panic!("a value");
    };
    assert_eq!(
        (metadata["timestamps"].as_str(), metadata["drift"].as_str()),
        ("1786960801", "1")
    );
    assert_eq!(server.asked()[0].headers["authorization"], "Bearer token");
    let outcome = ask("many").await;
    assert_eq!(shown(&outcome), "[1.50,2.00]");
    let Outcome::Value { metadata, .. } = &outcome else {
        panic!("a value");
    };
    assert_eq!(
        (metadata["drift"].as_str(), metadata["warnings"].as_str()),
        ("[-10,0]", "slow")
    );
    assert!(
        failed(&ask("none").await)
            .0
            .starts_with("No TimeSeries found")
    );
    assert_eq!(failed(&ask("wrong").await).0, "Wavefront: no");
    let outcome = measure(
        value!({ "wavefront": { "address": "other", "query": "q" } }),
        &credentials,
    )
    .await;
    assert_eq!(failed(&outcome).0, "wavefront: API token not found");
}

#[tokio::test]
async fn influxdb_gives_the_values_of_all_records_by_their_type() {
    let server = Server::new(|asked| {
        json(match asked.body.as_str() {
            body if body.contains("none") => "",
            body if body.contains("wrong") => "#datatype,string,string\r\n,error,reference\r\n,\"bad, \"\"very\"\"\",7\r\n",
            _ => {
                "#datatype,string,long,double\r\n#group,false,false,false\r\n#default,_result,,\r\n,result,table,_value\r\n,,0,1.5\r\n,,0,NaN\r\n\r\n\
                 #datatype,string,long,long\r\n,result,table,_value\r\n,,1,7\r\n\r\n\
                 #datatype,string,long,boolean\r\n,result,table,_value\r\n,,2,true\r\n,,2,\r\n\r\n\
                 #datatype,string,long,string\r\n,result,table,_value\r\n,,3,\"a,b\"\r\n"
            }
        })
    })
    .await;
    let credentials = [
        ("authToken", "token"),
        ("org", "mine"),
        ("address", server.address.as_str()),
    ];
    let ask = |query: &str| measure(value!({ "influxdb": { "query": query } }), &credentials);
    let outcome = ask("one").await;
    assert_eq!(shown(&outcome), "[1.5 NaN 7 true <nil> a,b]");
    let asked = &server.asked()[0];
    assert_eq!(asked.path, "/api/v2/query");
    assert_eq!(asked.parameter("org").as_deref(), Some("mine"));
    assert_eq!(asked.headers["authorization"], "Token token");
    assert_eq!(
        failed(&ask("none").await).0,
        "no results returned from flux query"
    );
    assert_eq!(failed(&ask("wrong").await).0, "InfluxDB: bad, \"very\"");
}

#[test]
fn credentials_are_in_the_secrets_that_upstream_names() {
    let registry = Registry::new(&Settings::default());
    let secret = |provider: Json| registry.credentials(&metric(provider));
    let of = |secret: &str, of_run: bool| {
        Some(CredentialsRef {
            secret: secret.to_owned(),
            of_run,
        })
    };
    assert_eq!(
        secret(value!({ "datadog": { "query": "a" } })),
        of("datadog", false)
    );
    assert_eq!(
        secret(value!({ "datadog": { "secretRef": { "name": "x", "namespaced": true } } })),
        of("x", true)
    );
    assert_eq!(secret(value!({ "newRelic": {} })), of("newrelic", false));
    assert_eq!(
        secret(value!({ "newRelic": { "profile": "p" } })),
        of("p", false)
    );
    assert_eq!(
        secret(value!({ "influxdb": { "profile": "i" } })),
        of("i", false)
    );
    assert_eq!(
        secret(value!({ "wavefront": {} })),
        of("wavefront-api-tokens", false)
    );
    assert_eq!(secret(value!({ "graphite": {} })), None);
    assert_eq!(secret(value!({ "kayenta": {} })), None);
}

async fn cloud_watch(server: &Server, settings: Json) -> Outcome {
    let request = MeasureRequest {
        metric: metric(value!({ "cloudWatch": settings })),
        number: 1,
        resume: None,
        secrets: Vec::new(),
    };
    let settings = Settings {
        aws: AwsEnvironment::read(|name| match name {
            "AWS_ACCESS_KEY_ID" => Some("AKID".to_owned()),
            "AWS_SECRET_ACCESS_KEY" => Some("SECRET".to_owned()),
            "AWS_REGION" => Some("eu-central-1".to_owned()),
            "AWS_ENDPOINT_URL_CLOUDWATCH" => Some(server.address.clone()),
            _ => None,
        }),
        ..Settings::default()
    };
    Registry::new(&settings)
        .measure(
            &request,
            &SecretValues::new(),
            &RunIdentity::default(),
            "2026-08-17T10:00:00Z".parse().unwrap(),
        )
        .await
}

#[tokio::test]
async fn cloud_watch_gives_the_results_with_the_names_of_aws() {
    let server = Server::new(|_| {
        json(
            r#"{"MetricDataResults":[{"Id":"rate","Label":"errors","StatusCode":"Complete","Timestamps":[1],"Values":[0.01,2]},
                {"Id":"b","Values":[]}],"Messages":[{"Code":"c","Value":"v"}]}"#,
        )
    })
    .await;
    let outcome = cloud_watch(
        &server,
        value!({ "interval": "10m", "metricDataQueries": [
            { "id": "rate", "expression": "a/b", "returnData": true },
            { "id": "a", "returnData": false, "metricStat": {
                "metric": { "namespace": "app", "metricName": "errors", "dimensions": [{ "name": "n", "value": "v" }] },
                "period": "300", "stat": "Sum", "unit": "Count"
            } },
        ] }),
    )
    .await;
    assert_eq!(shown(&outcome), "[[0.01 2] []]");
    let Outcome::Value {
        value, metadata, ..
    } = &outcome
    else {
        panic!("{outcome:?}")
    };
    let condition =
        "len(result[0].Values) == 2 && all(result[0].Values, {# <= 2}) && result[1].Id == 'b'";
    let condition = sluice_analysis::condition::Condition::parse(condition).unwrap();
    assert_eq!(
        condition.evaluate(value, jiff::Timestamp::UNIX_EPOCH),
        Ok(true)
    );
    assert_eq!(metadata["messages"], r#"[{"Code":"c","Value":"v"}]"#);
    let asked = &server.asked()[0];
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/"));
    assert_eq!(
        asked.headers.get("x-amz-target").map(String::as_str),
        Some("GraniteServiceVersion20100801.GetMetricData")
    );
    let signature = &asked.headers["authorization"];
    assert!(
        signature.starts_with(
            "AWS4-HMAC-SHA256 Credential=AKID/20260817/eu-central-1/monitoring/aws4_request"
        ),
        "{signature}"
    );
    let body: Json = serde_json::from_str(&asked.body).unwrap();
    assert_eq!(
        body,
        value!({
            "StartTime": 1_786_960_200, "EndTime": 1_786_960_800,
            "MetricDataQueries": [
                { "Id": "rate", "Expression": "a/b", "ReturnData": true },
                { "Id": "a", "ReturnData": false, "MetricStat": {
                    "Metric": { "Namespace": "app", "MetricName": "errors", "Dimensions": [{ "Name": "n", "Value": "v" }] },
                    "Period": 300, "Stat": "Sum", "Unit": "Count"
                } },
            ]
        })
    );
}

#[tokio::test]
async fn cloud_watch_says_which_setting_is_wrong() {
    let server = Server::new(|_| json(r#"{"MetricDataResults":[],"NextToken":"x"}"#)).await;
    let outcome = cloud_watch(
        &server,
        value!({ "metricDataQueries": [{ "id": "a", "period": "1m" }] }),
    )
    .await;
    let expected = "cloudWatch.metricDataQueries[0].period must be whole seconds above 0";
    assert_eq!(failed(&outcome), (expected, false));
    let outcome = cloud_watch(&server, value!({ "metricDataQueries": [] })).await;
    assert!(failed(&outcome).0.contains("shorter interval"));
    let outcome = measure(value!({ "cloudWatch": {} }), &[]).await;
    assert!(failed(&outcome).0.ends_with("has no AWS_REGION"));
}
