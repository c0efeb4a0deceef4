//! Servers as rewards.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use reward::{RawLimits, Reason, WeightedSum};
use serde_json::{Value, json};

use crate::round::{impatient, judge, patient, reasons, rewards, server};

/// What a server does with a request.
enum Act {
    /// Replies with a status and a body.
    Reply(u16, String),
    /// Writes these bytes and closes.
    Raw(Vec<u8>),
    /// Says nothing for a minute.
    Hang,
    /// Writes a byte of a header every so often, for a minute.
    Drip,
}

/// A server on this machine that does with its `n`th request, from 0, what it is told.
struct Server {
    url: String,
    requests: Arc<AtomicUsize>,
    seen: Arc<Mutex<Vec<String>>>,
}

impl Server {
    fn new(act: impl Fn(usize, Value) -> Act + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let url = format!("http://{}/judge", listener.local_addr().expect("an address"));
        let (requests, seen) = (Arc::new(AtomicUsize::new(0)), Arc::new(Mutex::new(Vec::new())));
        let (counted, noted, act) = (Arc::clone(&requests), Arc::clone(&seen), Arc::new(act));
        // The thread goes with the test's process.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (counted, noted, act) = (Arc::clone(&counted), Arc::clone(&noted), Arc::clone(&act));
                thread::spawn(move || {
                    let Some((head, body)) = receive(&stream) else { return };
                    noted.lock().expect("no panics").push(head);
                    let _ = answer(stream, act(counted.fetch_add(1, Ordering::SeqCst), body));
                });
            }
        });
        Self { url, requests, seen }
    }

    fn reward(&self, limits: RawLimits) -> WeightedSum {
        server(self.url.clone(), limits)
    }

    fn requests(&self) -> usize {
        self.requests.load(Ordering::SeqCst)
    }
}

/// Head and body of a request.
fn receive(stream: &TcpStream) -> Option<(String, Value)> {
    let mut reader = BufReader::new(stream);
    let (mut head, mut length) = (String::new(), 0);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        if line.trim().is_empty() {
            break;
        }
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().ok()?;
        }
        head.push_str(&line);
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, serde_json::from_slice(&body).expect("a JSON body")))
}

fn answer(mut stream: TcpStream, act: Act) -> std::io::Result<()> {
    match act {
        Act::Reply(status, body) => {
            let head = format!("HTTP/1.1 {status} Said\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", body.len());
            stream.write_all(head.as_bytes())?;
            stream.write_all(body.as_bytes())
        }
        Act::Raw(bytes) => stream.write_all(&bytes),
        Act::Hang => {
            thread::sleep(Duration::from_secs(60));
            Ok(())
        }
        Act::Drip => {
            stream.write_all(b"HTTP/1.1 200 OK\r\n")?;
            (0..600).try_for_each(|_| {
                thread::sleep(Duration::from_millis(100));
                stream.write_all(b"X")
            })
        }
    }
}

/// Every request's answer as its score.
fn scores(requests: &Value) -> Vec<Value> {
    let reply = |request: &Value| {
        let score: f64 = request["answer"].as_str().expect("text").parse().expect("a number");
        json!({ "id": request["id"], "score": score })
    };
    requests.as_array().expect("a list").iter().map(reply).collect()
}

fn replies(requests: &Value) -> Act {
    Act::Reply(200, Value::from(scores(requests)).to_string())
}

#[test]
fn scores_find_their_answers() {
    let reversed = |_, requests: Value| {
        for request in requests.as_array().expect("a list") {
            assert_eq!(request["problem"], "Which?");
            assert_eq!(request["response"], "a\n\"b\"");
        }
        let mut replies = scores(&requests);
        replies.reverse();
        Act::Reply(200, Value::from(replies).to_string())
    };
    let server = Server::new(reversed);
    let reward = server.reward(RawLimits { workers: 3, batch: 7, ..patient() });
    for round in 1..=2 {
        let expected: Vec<f32> = (0..45_u8).map(|index| 2.0 * f32::from(index)).collect();
        assert_eq!(rewards(&judge(&reward, &["a\n\"b\""; 45])), expected);
        assert_eq!(server.requests(), 7 * round, "45 answers in batches of 7");
    }
    let heads = server.seen.lock().expect("no panics");
    let head = heads[0].to_lowercase();
    assert!(head.starts_with("post /judge http/1.1\r\n") && head.contains("content-type: application/json"), "{head}");
}

#[test]
fn silence_is_not_waited_for() {
    for act in [|| Act::Hang, || Act::Drip] {
        let server = Server::new(move |_, _| act());
        let outcomes = judge(&server.reward(impatient()), &["x"; 2]);
        assert_eq!(reasons(&outcomes), vec![Reason::Silent { seconds: 0.5 }; 2]);
    }
}

#[test]
fn a_round_has_a_deadline() {
    let server = Server::new(|_, _| Act::Hang);
    let limits = RawLimits { timeout: 0.3, deadline: 0.7, retries: 100, ..impatient() };
    let outcomes = judge(&server.reward(limits), &["x"; 9]);
    let late = |reason: &Reason| matches!(reason, Reason::Deadline { .. } | Reason::Silent { .. });
    assert!(reasons(&outcomes).iter().all(late) && server.requests() < 6, "{outcomes:?}");
}

/// Answers that are sent again are shared among all workers, also where one batch held them all.
#[test]
fn retries_are_shared_among_workers() {
    let time = |workers: usize| {
        let server = Server::new(|_, _| Act::Hang);
        let limits = RawLimits { timeout: 0.4, retries: 1, batch: 16, workers, ..impatient() };
        let reward = server.reward(limits);
        let started = Instant::now();
        assert_eq!(reasons(&judge(&reward, &["x"; 8])), vec![Reason::Silent { seconds: 0.4 }; 8]);
        assert_eq!(server.requests(), 1 + 8);
        started.elapsed().as_secs_f64()
    };
    let (alone, shared) = (time(1), time(4));
    assert!(alone > 3.5, "nine timeouts, one after another: {alone}");
    assert!(shared < 0.7 * alone, "three timeouts, one after another: {shared} of {alone}");
}

/// What may pass is tried again, answer by answer; what will not is not.
#[test]
fn errors_that_may_pass_are_tried_again() {
    for status in [408, 429, 500, 503, 599] {
        let act = move |index, requests: Value| {
            if index == 0 { Act::Reply(status, "busy".to_owned()) } else { replies(&requests) }
        };
        let server = Server::new(act);
        let limits = RawLimits { retries: 1, ..patient() };
        assert_eq!(rewards(&judge(&server.reward(limits), &["x"; 3])), [0.0, 2.0, 4.0], "{status}");
        assert_eq!(server.requests(), 4, "one batch and three single answers");
    }
    for status in [204, 302, 400, 404, 407, 409, 428, 430, 499] {
        let server = Server::new(move |_, _| Act::Reply(status, "no\nsuch thing".to_owned()));
        let outcomes = judge(&server.reward(RawLimits { retries: 2, ..patient() }), &["x"]);
        let reason = &reasons(&outcomes)[0];
        if status == 204 {
            assert!(matches!(reason, Reason::Nonsense { .. } | Reason::Unreachable { .. }), "{reason}");
        } else {
            let Reason::Refused { message, .. } = reason else { panic!("{reason}") };
            assert!(message.contains(&status.to_string()), "{message}");
            assert!(message.ends_with("no such thing"), "{message}");
            assert_eq!(server.requests(), 1, "{status}");
        }
    }
}

#[test]
fn lists_that_do_not_fit_are_refused() {
    let of = |list: fn(Vec<Value>) -> Value| {
        Server::new(move |_, requests| Act::Reply(200, list(scores(&requests)).to_string()))
    };
    let missing = judge(&of(|mut list| list.split_off(1).into()).reward(impatient()), &["x"; 3]);
    assert_eq!(reasons(&missing[..1]), [Reason::Missing { id: 0 }]);
    assert_eq!(rewards(&missing[1..]), [2.0, 4.0], "the others are replied to");
    let twice = of(|mut list| {
        list.push(list[0].clone());
        list.into()
    });
    assert_eq!(reasons(&judge(&twice.reward(impatient()), &["x"; 3])), vec![Reason::Unasked { id: 0 }; 3]);
    let other = of(|mut list| {
        list[0]["id"] = 99.into();
        list.into()
    });
    assert_eq!(reasons(&judge(&other.reward(impatient()), &["x"; 2])), vec![Reason::Unasked { id: 99 }; 2]);
    let object = of(|list| json!({ "replies": list }));
    assert!(matches!(reasons(&judge(&object.reward(impatient()), &["x"]))[0], Reason::Nonsense { .. }));
}

#[test]
fn what_is_no_http_is_survived() {
    let acts: [fn() -> Act; 5] = [
        || Act::Raw(Vec::new()),
        || Act::Raw(b"hello\r\n\r\n".to_vec()),
        || Act::Raw(vec![0; 100_000]),
        || Act::Raw(b"HTTP/1.1 200 OK\r\nContent-Length: 500\r\n\r\n[".to_vec()),
        || Act::Reply(200, "<html>".to_owned()),
    ];
    for (index, act) in acts.into_iter().enumerate() {
        let server = Server::new(move |_, _| act());
        let outcomes = judge(&server.reward(impatient()), &["x"; 2]);
        let known = |reason: &Reason| matches!(reason, Reason::Unreachable { .. } | Reason::Nonsense { .. });
        assert!(reasons(&outcomes).iter().all(known), "{index}: {outcomes:?}");
    }
}

#[test]
fn floods_are_cut_off() {
    let server = Server::new(|_, _| Act::Reply(200, " ".repeat(1 << 20)));
    let limits = RawLimits { max_reply_bytes: 1000, ..impatient() };
    let outcomes = judge(&server.reward(limits), &["x"; 2]);
    assert_eq!(reasons(&outcomes), vec![Reason::TooLong { limit: 1000 }; 2]);
}

#[test]
fn a_server_may_be_away() {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let url = format!("http://{}/judge", listener.local_addr().expect("an address"));
    drop(listener);
    let outcomes = judge(&server(url.clone(), RawLimits { retries: 1, ..impatient() }), &["x"; 2]);
    for reason in reasons(&outcomes) {
        assert!(matches!(&reason, Reason::Unreachable { url: asked, .. } if *asked == url), "{reason}");
    }
}
