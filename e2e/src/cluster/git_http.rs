//! A Git server over smart HTTP: `git http-backend` behind a small CGI gateway.
//!
//! Every bare repository under the root can be fetched, and pushed to without a password: it listens on loopback and on
//! the cluster's own bridge only. Runs as a process of its own, so that tests can stop and start it.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use axum::Router;
use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use axum::response::Response;
use futures::TryStreamExt;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::Child;
use tokio::sync::Semaphore;
use tokio_util::io::{ReaderStream, StreamReader};

/// How many requests run at once; others wait.
const AT_ONCE: usize = 16;

/// How long one request may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Git's CGI program, as Debian installs it.
const BACKEND: &str = "/usr/lib/git-core/git-http-backend";

struct Server {
    root: PathBuf,
    slots: Semaphore,
}

/// Serves the repositories under `root` on all `addresses` until the process ends.
///
/// # Errors
/// When an address cannot be bound.
pub async fn serve(root: &Path, addresses: &[SocketAddr]) -> Result<()> {
    let server = Arc::new(Server {
        root: root.to_owned(),
        slots: Semaphore::new(AT_ONCE),
    });
    let app = Router::new().fallback(handle).with_state(server);
    let mut listeners = tokio::task::JoinSet::new();
    for address in addresses {
        let listener = tokio::net::TcpListener::bind(address)
            .await
            .with_context(|| format!("cannot listen on {address}"))?;
        eprintln!("serving {} on http://{address}", root.display());
        let app = app.clone();
        listeners.spawn(async move { axum::serve(listener, app).await });
    }
    while let Some(ended) = listeners.join_next().await {
        ended
            .context("a listener broke")?
            .context("a listener ended")?;
    }
    Ok(())
}

async fn handle(State(server): State<Arc<Server>>, request: Request) -> Response {
    let line = format!("{} {}", request.method(), request.uri());
    if request.uri().path() == "/" {
        return text(StatusCode::OK, "Git over HTTP\n");
    }
    let answer = tokio::time::timeout(LIMIT, gateway(&server, request)).await;
    let response = match answer {
        Ok(Ok(response)) => response,
        Ok(Err(error)) => {
            eprintln!("{line}: {error:#}");
            text(
                StatusCode::INTERNAL_SERVER_ERROR,
                "git http-backend failed\n",
            )
        }
        Err(_) => text(
            StatusCode::GATEWAY_TIMEOUT,
            "git http-backend took too long\n",
        ),
    };
    eprintln!("{line} {}", response.status().as_u16());
    response
}

/// Runs one request through the CGI program. Input is fed while output is read: a large push needs both at once.
async fn gateway(server: &Server, request: Request) -> Result<Response> {
    let _slot = server
        .slots
        .acquire()
        .await
        .context("the server is closing")?;
    let (parts, body) = request.into_parts();
    let header = |name: &str| {
        parts
            .headers
            .get(name)
            .and_then(|value| value.to_str().ok())
    };
    let mut command = tokio::process::Command::new(BACKEND);
    command
        .env_clear()
        .env("PATH", "/usr/bin:/bin")
        .env("GIT_PROJECT_ROOT", &server.root)
        .env("GIT_HTTP_EXPORT_ALL", "1")
        .env("GIT_CONFIG_NOSYSTEM", "1")
        .env("HOME", &server.root)
        .env("PATH_INFO", parts.uri.path())
        .env("QUERY_STRING", parts.uri.query().unwrap_or_default())
        .env("REQUEST_METHOD", parts.method.as_str())
        .env("REMOTE_ADDR", "127.0.0.1")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true);
    for (variable, name) in [
        ("CONTENT_TYPE", "content-type"),
        ("CONTENT_LENGTH", "content-length"),
        ("HTTP_CONTENT_ENCODING", "content-encoding"),
        ("GIT_PROTOCOL", "git-protocol"),
    ] {
        if let Some(value) = header(name) {
            command.env(variable, value);
        }
    }
    let mut child = command.spawn().context("cannot start git http-backend")?;
    let mut stdin = child.stdin.take().context("no input")?;
    let stdout = child.stdout.take().context("no output")?;
    tokio::spawn(async move {
        let mut body = StreamReader::new(body.into_data_stream().map_err(std::io::Error::other));
        // The program may have seen enough; what it answers tells.
        let _ = tokio::io::copy(&mut body, &mut stdin).await;
        let _ = stdin.shutdown().await;
    });
    let mut output = BufReader::new(stdout);
    let (status, headers) = read_head(&mut output).await?;
    let body = Body::from_stream(ReaderStream::new(Output {
        output,
        _child: child,
    }));
    let mut response = Response::new(body);
    *response.status_mut() = status;
    *response.headers_mut() = headers;
    Ok(response)
}

/// The rest of a CGI program's output; the program ends when nobody wants it any more.
struct Output<R> {
    output: R,
    _child: Child,
}

impl<R: AsyncRead + Unpin> AsyncRead for Output<R> {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.output).poll_read(context, buffer)
    }
}

/// Reads the header that a CGI program prints before its body.
async fn read_head<R: AsyncBufReadExt + Unpin>(output: &mut R) -> Result<(StatusCode, HeaderMap)> {
    let mut status = StatusCode::OK;
    let mut headers = HeaderMap::new();
    loop {
        let mut line = String::new();
        let read = output
            .read_line(&mut line)
            .await
            .context("cannot read the answer")?;
        let line = line.trim_end();
        if line.is_empty() {
            anyhow::ensure!(read > 0, "git http-backend ended without an answer");
            return Ok((status, headers));
        }
        let (name, value) = line
            .split_once(':')
            .with_context(|| format!("odd header {line}"))?;
        let value = value.trim();
        if name.eq_ignore_ascii_case("status") {
            let code = value.split(' ').next().unwrap_or_default();
            status = code
                .parse()
                .with_context(|| format!("odd status {value}"))?;
        } else {
            headers.append(
                HeaderName::try_from(name).with_context(|| format!("odd header {line}"))?,
                HeaderValue::from_str(value).with_context(|| format!("odd header {line}"))?,
            );
        }
    }
}

fn text(status: StatusCode, text: &'static str) -> Response {
    let mut response = Response::new(Body::from(text));
    *response.status_mut() = status;
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn the_status_is_taken_out_of_the_header() {
        let mut text: &[u8] = b"Status: 404 Not Found\r\nContent-Type: text/plain\r\n\r\nbody";
        let (status, headers) = read_head(&mut text).await.unwrap();
        assert_eq!(status, StatusCode::NOT_FOUND);
        assert_eq!(headers["content-type"], "text/plain");
        assert_eq!(text, b"body");
    }

    #[tokio::test]
    async fn a_program_that_dies_before_its_header_is_an_error() {
        let mut text: &[u8] = b"";
        assert!(read_head(&mut text).await.is_err());
    }
}
