//! A user's reward as a server.

use std::collections::BTreeSet;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use ureq::Agent;

use super::limits::Limits;
use super::pool::{Fault, Pool, Worker, time_left};
use super::protocol::{Reply, Request, nonsense, shortened};
use crate::RewardError;
use crate::ungraded::Reason;

/// A server that judges answers.
///
/// It is sent batches by POST, a JSON list of requests, and replies with a JSON list of replies, in any order. Requests and replies
/// are those of [`crate::Subprocess`]:
///
/// ```text
/// [{"id":7,"problem":"What is 1 + 1?","response":"It is \\boxed{2}.","answer":"2"}]
/// [{"id":7,"score":1.0}]
/// ```
///
/// A status of 408, 429 or 500 and above, a reply that cannot be read and a server that cannot be reached are tried again; any other
/// status but 200 to 299 leaves the batch ungraded. Redirects are not followed and proxies not asked.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Where it listens, such as `http://127.0.0.1:8000/judge`.
    pub url: String,
    /// Bounds on it.
    #[serde(default)]
    pub limits: Limits,
}

impl Http {
    /// Checks the address and makes the pool of connections. Nobody is asked yet.
    pub(crate) fn pool(&self, name: &str) -> Result<Pool<Connection>, RewardError> {
        let wrong = |reason: String| RewardError::Url { name: name.to_owned(), url: self.url.clone(), reason };
        let uri: ureq::http::Uri = self.url.parse().map_err(|error| wrong(format!("{error}")))?;
        if !matches!(uri.scheme_str(), Some("http" | "https")) || uri.host().is_none() {
            return Err(wrong("it begins with neither http:// nor https://".to_owned()));
        }
        let agent = Agent::config_builder().http_status_as_error(false).max_redirects(0).proxy(None).build();
        let agent: Agent = agent.into();
        let connection = |_| Connection { settings: self.clone(), agent: agent.clone() };
        Ok(Pool::new(name, self.limits, (0..self.limits.raw().workers).map(connection).collect()))
    }
}

/// A worker of the pool.
pub(crate) struct Connection {
    settings: Http,
    agent: Agent,
}

impl Connection {
    fn unreachable(&self, message: &dyn std::fmt::Display) -> Reason {
        Reason::Unreachable { url: self.settings.url.clone(), message: message.to_string() }
    }

    /// The body of the reply to the requests.
    fn post(&self, requests: &[Request<'_>], deadline: Instant) -> Result<Vec<u8>, Reason> {
        let body = serde_json::to_vec(requests).map_err(|error| self.unreachable(&error))?;
        let time = time_left(self.settings.limits.timeout(), deadline);
        let request = self.agent.post(&self.settings.url).config().timeout_global(Some(time)).build();
        let sent = request.header("Content-Type", "application/json").send(body);
        let mut response = sent.map_err(|error| self.failed(&error, deadline))?;
        let per_reply = self.settings.limits.raw().max_reply_bytes;
        let limit = per_reply.saturating_mul(requests.len());
        let read = response.body_mut().with_config().limit(limit as u64).read_to_vec();
        let status = response.status().as_u16();
        if !(200..300).contains(&status) {
            let message =
                format!("status {status}: {}", shortened(&String::from_utf8_lossy(&read.unwrap_or_default())));
            let url = self.settings.url.clone();
            let may_pass = matches!(status, 408 | 429 | 500..);
            return Err(if may_pass { Reason::Unreachable { url, message } } else { Reason::Refused { url, message } });
        }
        read.map_err(|error| match error {
            ureq::Error::BodyExceedsLimit(_) => Reason::TooLong { limit: per_reply },
            error => self.failed(&error, deadline),
        })
    }

    fn failed(&self, error: &ureq::Error, deadline: Instant) -> Reason {
        let limits = self.settings.limits.raw();
        match error {
            ureq::Error::Timeout(_) if Instant::now() >= deadline => Reason::Deadline { seconds: limits.deadline },
            ureq::Error::Timeout(_) => Reason::Silent { seconds: limits.timeout },
            error => self.unreachable(error),
        }
    }
}

impl Worker for Connection {
    fn exchange(&mut self, requests: &[Request<'_>], deadline: Instant) -> (Vec<Reply>, Option<Fault>) {
        let body = match self.post(requests, deadline) {
            Ok(body) => body,
            Err(reason) => return (Vec::new(), Some(reason.into())),
        };
        let listed: Vec<Reply> = match serde_json::from_slice(&body) {
            Ok(listed) => listed,
            Err(error) => return (Vec::new(), Some(nonsense(&error, &body).into())),
        };
        let mut open: BTreeSet<u64> = requests.iter().map(|request| request.id).collect();
        // A list that answers something else as well is none that can be trusted.
        if let Some(reply) = listed.iter().find(|reply| !open.remove(&reply.id)) {
            return (Vec::new(), Some(Reason::Unasked { id: reply.id }.into()));
        }
        let fault = open.first().map(|&id| Reason::Missing { id }.into());
        (listed, fault)
    }
}
