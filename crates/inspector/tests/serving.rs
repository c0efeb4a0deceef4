//! The server, asked over loopback.

use std::convert::Infallible;
use std::io::{Read, Write};
use std::net::{IpAddr, Ipv4Addr, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::Duration;

use inspector::{InspectorError, Server};

/// Sends a request and returns the answer's head and body.
fn ask(port: u16, request: &str) -> (String, String) {
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connected");
    stream.set_read_timeout(Some(Duration::from_secs(60))).expect("a time limit");
    stream.write_all(request.replace('\n', "\r\n").as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("answered");
    let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
    (head.to_owned(), body.to_owned())
}

fn get(port: u16, line: &str, host: &str) -> (String, String) {
    ask(port, &format!("{line} HTTP/1.1\nHost: {host}\nConnection: close\n\n"))
}

/// Serves while `client` runs with the port, then stops; the server's end is waited for.
fn serving<E: std::fmt::Display>(page: impl FnMut() -> Result<Vec<u8>, E> + Send, client: impl FnOnce(u16)) {
    let server = Server::bind(0).expect("a free port");
    assert_eq!(server.address().ip(), IpAddr::V4(Ipv4Addr::LOCALHOST));
    let port = server.address().port();
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| server.run(&stop, page));
        // Stops even when the client fails, so that the test ends.
        let outcome = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| client(port)));
        stop.store(true, Ordering::Relaxed);
        if let Err(failure) = outcome {
            std::panic::resume_unwind(failure);
        }
    });
}

#[test]
fn the_page_is_served_afresh_to_this_machine() {
    let asked = AtomicUsize::new(0);
    let page = || Ok::<_, Infallible>(format!("page {}", asked.fetch_add(1, Ordering::Relaxed)).into_bytes());
    serving(page, |port| {
        for (number, host) in [format!("127.0.0.1:{port}"), format!("LOCALHOST:{port}")].iter().enumerate() {
            let (head, body) = get(port, "GET /", host);
            assert!(head.starts_with("HTTP/1.1 200"), "{head}");
            assert!(head.contains("Content-Type: text/html; charset=utf-8"), "{head}");
            assert!(
                head.contains("X-Content-Type-Options: nosniff") && head.contains("Cache-Control: no-store"),
                "{head}"
            );
            assert_eq!(body, format!("page {number}"));
        }
        for host in ["localhost:9000", "127.0.0.1:1", "[::1]:9000", "localhost"] {
            assert!(get(port, "HEAD /", host).0.starts_with("HTTP/1.1 200"), "{host}, as behind a tunnel");
        }
        let (head, body) = get(port, "HEAD /?reload", &format!("127.0.0.1:{port}"));
        assert!(head.starts_with("HTTP/1.1 200") && head.contains("Content-Length: 6"), "{head}");
        assert_eq!(body, "");
    });
    assert_eq!(asked.into_inner(), 7);
}

#[test]
fn other_names_methods_and_paths_get_no_page() {
    let asked = AtomicUsize::new(0);
    let page = || Ok::<_, Infallible>(asked.fetch_add(1, Ordering::Relaxed).to_string().into_bytes());
    serving(page, |port| {
        let own = format!("127.0.0.1:{port}");
        let (named, tail) = (format!("evil.example:{port}"), format!("{own}.evil.example"));
        for host in ["evil.example", &named, &tail, "127.0.0.1.evil.example", "localhosts:1", "localhost:1x", ""] {
            let (head, body) = get(port, "GET /", host);
            assert!(head.starts_with("HTTP/1.1 403"), "{host}: {head}");
            assert!(body.contains(&own), "{body}");
        }
        assert!(ask(port, "GET / HTTP/1.0\n\n").0.contains(" 403 "), "no name at all");
        for line in ["POST /", "PUT /", "DELETE /", "OPTIONS /", "BREW /"] {
            let (head, _) = get(port, line, &own);
            assert!(head.starts_with("HTTP/1.1 405") && head.contains("Allow: GET, HEAD"), "{line}: {head}");
        }
        for line in ["GET /other", "GET /../etc/passwd", "GET //", "GET /index.html?/"] {
            assert!(get(port, line, &own).0.starts_with("HTTP/1.1 404"), "{line}");
        }
    });
    assert_eq!(asked.into_inner(), 0);
}

#[test]
fn a_page_that_fails_says_why() {
    serving(
        || Err::<Vec<u8>, _>("step-3.jsonl:7: not a record"),
        |port| {
            let (head, body) = get(port, "GET /", &format!("localhost:{port}"));
            assert!(head.starts_with("HTTP/1.1 500") && head.contains("text/plain"), "{head}");
            assert_eq!(body, "step-3.jsonl:7: not a record\n");
        },
    );
}

#[test]
fn a_client_that_does_not_read_keeps_nobody_waiting() {
    serving(
        || Ok::<_, Infallible>(vec![b'x'; 64 << 20]),
        |port| {
            let mut slow = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).expect("connected");
            write!(slow, "GET / HTTP/1.1\r\nHost: localhost:{port}\r\n\r\n").expect("sent");
            let mut first = [0];
            slow.read_exact(&mut first).expect("the answer has begun");
            assert!(get(port, "HEAD /", &format!("localhost:{port}")).0.contains("200"));
        },
    );
}

#[test]
fn a_taken_port_is_named() {
    let first = Server::bind(0).expect("a free port");
    let port = first.address().port();
    let refused = Server::bind(port).err().expect("taken");
    assert!(matches!(refused, InspectorError::Listen { port: named, .. } if named == port));
    assert!(refused.to_string().contains("choose another port, or 0"), "{refused}");
}
