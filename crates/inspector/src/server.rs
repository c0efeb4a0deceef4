//! A page for the browsers of this machine.

use std::fmt::Display;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use tiny_http::{Header, Method, Request, Response};

use crate::error::InspectorError;

/// How long a stop may go unnoticed.
const PATIENCE: Duration = Duration::from_millis(100);

/// Sent with every answer. What the page itself may load stands in the page.
const HEADERS: [(&str, &str); 5] = [
    ("Cache-Control", "no-store"),
    ("Content-Security-Policy", "frame-ancestors 'none'"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
    ("Referrer-Policy", "no-referrer"),
    ("X-Content-Type-Options", "nosniff"),
];

/// Serves one page on 127.0.0.1.
///
/// It answers `GET /` and `HEAD /` of programs that name it by `127.0.0.1`, `localhost` or `[::1]`, at whatever port, since
/// a tunnel may have another one; a site that made its own name point here is refused.
pub struct Server {
    server: tiny_http::Server,
    address: SocketAddr,
}

impl Server {
    /// Listens on a port; 0 takes any that is free.
    ///
    /// # Errors
    ///
    /// [`InspectorError::Listen`] if the port is taken or not allowed.
    pub fn bind(port: u16) -> Result<Self, InspectorError> {
        let refused = |reason: String| InspectorError::Listen { port, reason };
        let server =
            tiny_http::Server::http((Ipv4Addr::LOCALHOST, port)).map_err(|error| refused(error.to_string()))?;
        let address =
            server.server_addr().to_ip().ok_or_else(|| refused("it is no address of a network".to_owned()))?;
        Ok(Self { server, address })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Serves until `stop` is set, which it notices within a tenth of a second.
    ///
    /// `page` is called for every `GET`, so that a reload can show what a run did since; an error of it is the answer.
    pub fn run<E: Display>(&self, stop: &AtomicBool, mut page: impl FnMut() -> Result<Vec<u8>, E>) {
        while !stop.load(Ordering::Relaxed) {
            let Ok(Some(request)) = self.server.recv_timeout(PATIENCE) else { continue };
            let (status, kind, body) = match self.refusal(&request) {
                Some((status, reason)) => (status, "text/plain; charset=utf-8", reason.into_bytes()),
                None => match page() {
                    Ok(page) => (200, "text/html; charset=utf-8", page),
                    Err(error) => (500, "text/plain; charset=utf-8", format!("{error}\n").into_bytes()),
                },
            };
            let response = HEADERS
                .iter()
                .chain(&[("Content-Type", kind), ("Allow", "GET, HEAD")])
                .filter_map(|(name, value)| Header::from_bytes(*name, *value).ok())
                .fold(Response::from_data(body).with_status_code(status), Response::with_header);
            // A browser that stops reading must not keep others waiting, nor the stop. What it does not take is lost.
            thread::spawn(move || request.respond(response));
        }
    }

    /// Why a request gets no page, if it gets none.
    fn refusal(&self, request: &Request) -> Option<(u16, String)> {
        let host = request.headers().iter().find(|header| header.field.equiv("Host"));
        let host = host.map_or("", |header| header.value.as_str());
        if !names_this_machine(host) {
            let port = self.address.port();
            return Some((403, format!("this server is 127.0.0.1:{port}, not {host}; ask for it as localhost\n")));
        }
        if !matches!(request.method(), Method::Get | Method::Head) {
            return Some((405, format!("{} is not answered, only GET and HEAD\n", request.method())));
        }
        let path = request.url().split(['?', '#']).next().unwrap_or_default();
        (path != "/").then(|| (404, format!("there is no {path}, only /\n")))
    }
}

/// Whether a `Host` header has a name of this machine. The port says nothing: behind `ssh -L` it is the tunnel's.
fn names_this_machine(host: &str) -> bool {
    ["127.0.0.1", "localhost", "[::1]"].iter().any(|name| {
        let rest = host.get(..name.len()).filter(|start| start.eq_ignore_ascii_case(name)).map(|_| &host[name.len()..]);
        let port = rest.map(|rest| if rest.is_empty() { Some("") } else { rest.strip_prefix(':') });
        port.flatten().is_some_and(|port| port.bytes().all(|byte| byte.is_ascii_digit()))
    })
}
