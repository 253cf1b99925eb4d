//! A small HTTP server: Git over HTTP by git's own `http-backend`, and plain files, with a password if wanted.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// What it serves.
#[derive(Clone)]
pub(crate) enum Content {
    /// Git repositories below a folder.
    Git(PathBuf),
    /// Files below a folder.
    Files(PathBuf),
    /// A redirect of everything to another server.
    Redirect(String),
    /// Nothing: connections stay open and silent.
    Silence,
}

/// First line and `Authorization` header of a request.
type Request = (String, Option<String>);

/// A running server; it ends with the test's runtime.
pub(crate) struct Server {
    pub(crate) address: SocketAddr,
    /// What was asked.
    pub(crate) requests: Arc<Mutex<Vec<Request>>>,
    task: tokio::task::JoinHandle<()>,
}

impl Server {
    /// Serves `content`; with `authorization`, only to requests with that header.
    pub(crate) async fn start(content: Content, authorization: Option<&str>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (seen, wanted) = (Arc::clone(&requests), authorization.map(str::to_owned));
        let task = tokio::spawn(async move {
            let mut open = tokio::task::JoinSet::new();
            while let Ok((stream, _)) = listener.accept().await {
                open.spawn(serve(
                    stream,
                    content.clone(),
                    wanted.clone(),
                    Arc::clone(&seen),
                ));
            }
        });
        Self {
            address,
            requests,
            task,
        }
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}/{path}", self.address)
    }

    /// Stops it: connections are refused from now on.
    pub(crate) async fn stop(self) {
        self.task.abort();
        let _ = self.task.await;
    }
}

async fn serve(
    mut stream: TcpStream,
    content: Content,
    wanted: Option<String>,
    seen: Arc<Mutex<Vec<Request>>>,
) {
    let mut data = Vec::new();
    let head_end = loop {
        let mut part = [0; 4096];
        let Ok(count @ 1..) = stream.read(&mut part).await else {
            return;
        };
        data.extend_from_slice(&part[..count]);
        if let Some(end) = data.windows(4).position(|window| window == b"\r\n\r\n") {
            break end + 4;
        }
    };
    let head = String::from_utf8_lossy(&data[..head_end]).into_owned();
    let header = |name: &str| {
        head.lines().find_map(|line| {
            let (key, value) = line.split_once(':')?;
            key.eq_ignore_ascii_case(name)
                .then(|| value.trim().to_owned())
        })
    };
    let first = head.lines().next().unwrap_or_default().to_owned();
    seen.lock()
        .unwrap()
        .push((first.clone(), header("authorization")));
    let mut body = data.split_off(head_end);
    if header("expect").is_some() {
        let _ = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
    }
    if let Some(length) = header("content-length").and_then(|length| length.parse::<usize>().ok()) {
        while body.len() < length {
            let mut part = vec![0; 65536];
            let Ok(count @ 1..) = stream.read(&mut part).await else {
                return;
            };
            body.extend_from_slice(&part[..count]);
        }
    }
    let mut words = first.split(' ');
    let (method, target) = (
        words.next().unwrap_or_default(),
        words.next().unwrap_or_default(),
    );
    let (path, query) = target.split_once('?').unwrap_or((target, ""));
    if wanted.is_some() && wanted != header("authorization") {
        let answer = "HTTP/1.1 401 Unauthorized\r\nWWW-Authenticate: Basic realm=\"t\"\r\nContent-Length: 0\r\nConnection: close\r\n\r\n";
        let _ = stream.write_all(answer.as_bytes()).await;
        return;
    }
    let answer = match content {
        Content::Silence => {
            tokio::time::sleep(std::time::Duration::from_secs(3600)).await;
            return;
        }
        Content::Redirect(to) => format!(
            "HTTP/1.1 302 Found\r\nLocation: {to}{target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        )
        .into_bytes(),
        Content::Files(folder) => match std::fs::read(folder.join(path.trim_start_matches('/'))) {
            Ok(file) => {
                let head = format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", file.len());
                [head.into_bytes(), file].concat()
            }
            Err(_) => b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".to_vec(),
        },
        Content::Git(folder) => {
            let mut command = tokio::process::Command::new(crate::common::program("git"));
            command
                .arg("http-backend")
                .env("GIT_PROJECT_ROOT", folder)
                .env("GIT_HTTP_EXPORT_ALL", "1")
                .env("GIT_CONFIG_NOSYSTEM", "1")
                .env("REQUEST_METHOD", method)
                .env("PATH_INFO", path)
                .env("QUERY_STRING", query)
                .env("CONTENT_TYPE", header("content-type").unwrap_or_default())
                .env("CONTENT_LENGTH", body.len().to_string())
                .stdin(Stdio::piped())
                .stdout(Stdio::piped())
                .stderr(Stdio::null());
            for (name, variable) in [("git-protocol", "GIT_PROTOCOL"), ("content-encoding", "HTTP_CONTENT_ENCODING")] {
                if let Some(value) = header(name) {
                    command.env(variable, value);
                }
            }
            let mut child = command.spawn().unwrap();
            let mut input = child.stdin.take().unwrap();
            let writer = tokio::spawn(async move {
                let _ = input.write_all(&body).await;
            });
            let output = child.wait_with_output().await.unwrap().stdout;
            let _ = writer.await;
            let end = output.windows(4).position(|window| window == b"\r\n\r\n").unwrap_or(0);
            let cgi = String::from_utf8_lossy(&output[..end]).into_owned();
            let status = cgi
                .lines()
                .find_map(|line| line.strip_prefix("Status: "))
                .unwrap_or("200 OK")
                .to_owned();
            let head = format!("HTTP/1.1 {status}\r\nConnection: close\r\n{cgi}\r\n\r\n");
            [head.as_bytes(), &output[(end + 4).min(output.len())..]].concat()
        }
    };
    let _ = stream.write_all(&answer).await;
    let _ = stream.shutdown().await;
}
