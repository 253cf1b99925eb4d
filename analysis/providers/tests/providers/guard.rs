//! What a metric may not reach.

use std::net::IpAddr;

use axum::body::Body;
use axum::http::Response;
use sluice_analysis_providers::Settings;
use sluice_analysis_providers::http::guard;

use super::support::{Server, failed, json, measure, measure_with, prometheus, shown, web};

#[test]
fn link_local_and_metadata_addresses_are_refused_in_every_notation() {
    for refused in [
        "169.254.169.254",
        "169.254.0.1",
        "100.100.100.200",
        "fe80::1",
        "fd00:ec2::254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
    ] {
        assert!(
            guard::refused(refused.parse::<IpAddr>().unwrap()).is_some(),
            "{refused}"
        );
    }
    for allowed in [
        "127.0.0.1",
        "10.96.0.10",
        "192.168.1.1",
        "100.64.0.1",
        "::1",
        "fd00::1",
        "8.8.8.8",
    ] {
        assert!(
            guard::refused(allowed.parse::<IpAddr>().unwrap()).is_none(),
            "{allowed}"
        );
    }
}

#[tokio::test]
async fn an_address_that_is_refused_is_not_asked() {
    for address in [
        "http://169.254.169.254/latest/meta-data",
        "http://[fe80::1]:9090",
        "http://[::ffff:169.254.169.254]/",
        // Other notations of the same number.
        "http://2852039166/",
        "http://0xa9fea9fe/",
        "http://0251.0376.0251.0376/",
    ] {
        for metric in [prometheus(address, |_| {}), web(address, |_| {})] {
            let outcome = measure(metric).await;
            let (message, transient) = failed(&outcome);
            assert!(
                message.contains("is not an address for metrics"),
                "{address}: {message}"
            );
            assert!(!transient);
        }
    }
}

#[tokio::test]
async fn the_guard_can_be_lifted_by_who_runs_the_controller() {
    let settings = Settings {
        allow_link_local: true,
        ..Settings::default()
    };
    let metric = prometheus("http://169.254.255.254:1", |prometheus| {
        prometheus.timeout = Some(1)
    });
    let outcome = measure_with(&settings, metric).await;
    assert!(
        !failed(&outcome).0.contains("is not an address for metrics"),
        "{outcome:?}"
    );
}

fn redirect(to: &str) -> Response<Body> {
    Response::builder()
        .status(307)
        .header("location", to)
        .body(Body::empty())
        .unwrap()
}

#[tokio::test]
async fn a_redirect_stays_on_its_host_and_out_of_refused_addresses() {
    let elsewhere = Server::new(|_| json("1")).await;
    let port = elsewhere.address.rsplit(':').next().unwrap().to_owned();
    let other_host = format!("http://localhost:{port}/");
    for (to, expected) in [
        (other_host, "a redirect to another host is not followed"),
        (
            "http://169.254.169.254/".to_owned(),
            "is not an address for metrics",
        ),
    ] {
        let server = Server::new(move |_| redirect(&to)).await;
        let outcome = measure(web(&server.address, |_| {})).await;
        assert!(failed(&outcome).0.contains(expected), "{outcome:?}");
    }
    assert!(elsewhere.asked().is_empty());
    let server = Server::new(|asked| match asked.path.as_str() {
        "/new" => json("1"),
        _ => redirect("/new"),
    })
    .await;
    assert_eq!(shown(&measure(web(&server.address, |_| {})).await), "1");
    let endless = Server::new(|_| redirect("/")).await;
    let outcome = measure(web(&endless.address, |_| {})).await;
    assert!(failed(&outcome).0.contains("redirects"), "{outcome:?}");
}
