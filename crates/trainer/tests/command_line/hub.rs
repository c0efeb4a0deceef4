//! A small Hub on this machine.

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use serde_json::json;

const REVISION: &str = "0123456789abcdef0123456789abcdef01234567";

/// Serves repositories of files until the test ends.
pub(crate) struct Hub {
    pub(crate) address: String,
    log: Arc<Mutex<Vec<String>>>,
}

/// Files of a repository by name. The address of a data set begins with `datasets/`.
pub(crate) type Repositories = BTreeMap<String, BTreeMap<String, Vec<u8>>>;

impl Hub {
    pub(crate) fn start(repositories: Repositories) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a free port");
        let address = format!("http://{}", listener.local_addr().expect("its address"));
        let log = Arc::new(Mutex::new(Vec::new()));
        let served = Arc::clone(&log);
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                // A client that hangs up is no matter.
                let _ = answer(stream, &repositories, &served);
            }
        });
        Self { address, log }
    }

    /// The paths asked for since the last look.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.log.lock().expect("no thread panicked"))
    }
}

fn answer(stream: TcpStream, repositories: &Repositories, log: &Mutex<Vec<String>>) -> std::io::Result<()> {
    let mut reader = BufReader::new(stream.try_clone()?);
    let mut lines = Vec::new();
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line)? == 0 || line.trim().is_empty() {
            break;
        }
        lines.push(line.trim().to_owned());
    }
    let path = lines.first().and_then(|line| line.split(' ').nth(1)).unwrap_or_default().to_owned();
    log.lock().expect("no thread panicked").push(path.clone());
    let range = lines.iter().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        name.eq_ignore_ascii_case("range").then(|| value.trim().trim_start_matches("bytes=").to_owned())
    });
    let mut stream = stream;
    match content(&path, repositories) {
        None => write!(stream, "HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
        Some((bytes, _)) if range.is_none() => {
            write!(stream, "HTTP/1.1 200 OK\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", bytes.len())?;
            stream.write_all(&bytes)
        }
        Some((bytes, etag)) => {
            let range = range.unwrap_or_default();
            let (first, last) = range.split_once('-').unwrap_or(("0", ""));
            let first: usize = first.parse().unwrap_or(0);
            let end = last.parse().map_or(bytes.len(), |last: usize| (last + 1).min(bytes.len()));
            let part = &bytes[first.min(end)..end];
            write!(
                stream,
                "HTTP/1.1 206 Partial Content\r\nContent-Length: {}\r\nContent-Range: bytes {first}-{}/{}\r\n\
                 ETag: \"{etag}\"\r\nX-Repo-Commit: {REVISION}\r\nConnection: close\r\n\r\n",
                part.len(),
                end.saturating_sub(1),
                bytes.len()
            )?;
            // One file is never sent in full, one not at first, and one is never sent to its end.
            let sent = match path.rsplit('/').next() {
                Some("broken.parquet") => part.len().min(100),
                Some("halves.parquet") if first == 0 && part.len() > 1 => part.len() / 2,
                Some("stalls.parquet") if part.len() > 1 => part.len() / 2,
                _ => part.len(),
            };
            stream.write_all(&part[..sent])?;
            if sent < part.len() && path.ends_with("stalls.parquet") {
                thread::sleep(Duration::from_secs(30));
            }
            Ok(())
        }
    }
}

/// The bytes behind a path, and a name for them.
fn content(path: &str, repositories: &Repositories) -> Option<(Vec<u8>, String)> {
    let path = path.trim_start_matches('/');
    if let Some(asked) = path.strip_prefix("api/") {
        let (name, _) = asked.split_once("/revision/")?;
        let files = repositories.get(name.strip_prefix("models/").unwrap_or(name))?;
        let siblings: Vec<_> = files.keys().map(|file| json!({ "rfilename": file })).collect();
        let info = json!({ "sha": REVISION, "siblings": siblings }).to_string();
        return Some((info.into_bytes(), String::new()));
    }
    let (name, file) = path.split_once("/resolve/")?;
    let (revision, file) = file.split_once('/')?;
    let etag = format!("{name}/{file}").replace('/', "-").replace('.', "-");
    (revision == REVISION).then(|| Some((repositories.get(name)?.get(file)?.clone(), etag)))?
}
