//! A window of a headless Chromium.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use headless_chrome::browser::tab::point::Point;
use headless_chrome::protocol::cdp::Emulation::{MediaFeature, SetDeviceMetricsOverride, SetEmulatedMedia};
use headless_chrome::protocol::cdp::Page::CaptureScreenshotFormatOption::Png;
use headless_chrome::protocol::cdp::types::Event;
use headless_chrome::protocol::cdp::{Log, Network, Page, Runtime};
use headless_chrome::{Browser, LaunchOptions, Tab};
use serde_json::Value;

/// How long anything may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// What is seen of the page, in pixels.
const WIDTH: u32 = 1440;
const HEIGHT: u32 = 900;

/// Where distributions put it.
const PROGRAMS: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// What the page is shown on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Theme {
    /// White paper.
    Light,
    /// A dark screen.
    Dark,
}

/// A page in a window of its own browser.
pub struct Window {
    tab: Arc<Tab>,
    address: String,
    seen: Arc<Mutex<Vec<String>>>,
    _browser: Browser,
}

impl Window {
    /// Opens a file, at a place in it (`""` or `#…`), and waits until it is ready.
    pub fn open(file: &Path, place: &str) -> Result<Self> {
        let file = file.canonicalize().with_context(|| format!("no page at {}", file.display()))?;
        Self::open_address(&format!("file://{}", file.display()), place)
    }

    /// Opens an address, at a place in it, and waits until it is ready.
    pub fn open_address(address: &str, place: &str) -> Result<Self> {
        let options = LaunchOptions {
            // Chromium refuses its sandbox to root, which containers run as.
            sandbox: false,
            path: Some(program()?),
            window_size: Some((WIDTH, HEIGHT)),
            args: vec![OsStr::new("--hide-scrollbars"), OsStr::new("--force-device-scale-factor=1")],
            idle_browser_timeout: PATIENCE,
            ..LaunchOptions::default()
        };
        let browser = Browser::new(options).context("Chromium does not start")?;
        let tab = browser.new_tab()?;
        tab.set_default_timeout(PATIENCE);
        let seen = Arc::new(Mutex::new(Vec::new()));
        let notes = Arc::clone(&seen);
        tab.add_event_listener(Arc::new(move |event: &Event| {
            if let Some(note) = note(event) {
                notes.lock().unwrap_or_else(PoisonError::into_inner).push(note);
            }
        }))?;
        tab.call_method(Network::Enable {
            max_total_buffer_size: None,
            max_resource_buffer_size: None,
            max_post_data_size: None,
            report_direct_socket_traffic: None,
            enable_durable_messages: None,
        })?;
        tab.call_method(Page::Enable { enable_file_chooser_opened_event: None })?;
        tab.call_method(Runtime::Enable(None))?;
        tab.call_method(Log::Enable(None))?;
        tab.call_method(SetDeviceMetricsOverride {
            width: WIDTH,
            height: HEIGHT,
            device_scale_factor: 1.0,
            mobile: false,
            scale: None,
            screen_width: None,
            screen_height: None,
            position_x: None,
            position_y: None,
            dont_set_visible_size: None,
            screen_orientation: None,
            viewport: None,
            display_feature: None,
            device_posture: None,
        })?;
        let window = Self { tab, address: address.to_owned(), seen, _browser: browser };
        window.theme(Theme::Light)?;
        window.tab.navigate_to(&format!("{address}{place}"))?;
        window.wait("document.documentElement?.dataset.ready === 'true'")?;
        Ok(window)
    }

    /// The value of an expression, which may be a promise.
    pub fn value(&self, expression: &str) -> Result<Value> {
        let wrapped = format!("(async () => JSON.stringify(await ({expression})))()");
        let object = self.tab.evaluate(&wrapped, true).with_context(|| format!("evaluating {expression}"))?;
        match object.value {
            Some(Value::String(text)) => Ok(serde_json::from_str(&text)?),
            _ => Ok(Value::Null),
        }
    }

    /// Waits until an expression is true.
    pub fn wait(&self, expression: &str) -> Result<()> {
        let start = Instant::now();
        while self.value(expression)? != Value::Bool(true) {
            if start.elapsed() > PATIENCE {
                bail!("never came true: {expression}; the page said {:?}", self.complaints());
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Presses and lets go a key.
    pub fn press(&self, key: &str) -> Result<()> {
        self.tab.press_key(key).map(|_| ())
    }

    /// Types into what has the focus.
    pub fn write(&self, text: &str) -> Result<()> {
        self.tab.type_str(text).map(|_| ())
    }

    /// Clicks in the middle of the first element that a selector finds.
    pub fn click(&self, selector: &str) -> Result<()> {
        self.tab.click_point(self.middle(selector)?).map(|_| ())
    }

    /// Points at the first element that a selector finds.
    pub fn point(&self, selector: &str) -> Result<()> {
        self.tab.move_mouse_to_point(self.middle(selector)?).map(|_| ())
    }

    /// Chooses an option of a `select`, or fills an `input`, as a person would.
    pub fn fill(&self, selector: &str, value: &str) -> Result<()> {
        let (selector, value) = (serde_json::to_string(selector)?, serde_json::to_string(value)?);
        self.value(&format!(
            "((node) => {{ node.value = {value}; for (const kind of ['input', 'change']) \
             node.dispatchEvent(new Event(kind, {{ bubbles: true }})); return true; }})(document.querySelector({selector}))"
        ))?;
        Ok(())
    }

    /// Shows the page as on paper or on a dark screen.
    pub fn theme(&self, theme: Theme) -> Result<()> {
        let value = if theme == Theme::Dark { "dark" } else { "light" };
        let feature = MediaFeature { name: "prefers-color-scheme".to_owned(), value: value.to_owned() };
        self.tab.call_method(SetEmulatedMedia { media: None, features: Some(vec![feature]) })?;
        Ok(())
    }

    /// Writes what is seen as a PNG file.
    pub fn screenshot(&self, file: &Path) -> Result<()> {
        if let Some(folder) = file.parent() {
            fs::create_dir_all(folder)?;
        }
        // Two frames, so that what was changed is drawn.
        self.value("new Promise((done) => requestAnimationFrame(() => setTimeout(() => done(true), 150)))")?;
        Ok(fs::write(file, self.tab.capture_screenshot(Png, None, None, true)?)?)
    }

    /// Every dialog, exception, error of the console, and request but for the page itself.
    pub fn complaints(&self) -> Vec<String> {
        self.notes().into_iter().filter(|note| !self.is_load(note)).collect()
    }

    /// How often the page itself was asked for.
    pub fn loads(&self) -> usize {
        self.notes().iter().filter(|note| self.is_load(note)).count()
    }

    fn notes(&self) -> Vec<String> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn is_load(&self, note: &str) -> bool {
        let address = note.strip_prefix("request ").and_then(|address| address.split('#').next());
        address.is_some_and(|address| address == self.address)
    }

    fn middle(&self, selector: &str) -> Result<Point> {
        let quoted = serde_json::to_string(selector)?;
        let box_of = format!(
            "((node) => {{ node.scrollIntoView({{ block: 'nearest' }}); const box = node.getClientRects()[0]; \
             return [box.left + box.width / 2, box.top + box.height / 2]; }})(document.querySelector({quoted}))"
        );
        let value = self.value(&box_of)?;
        let at =
            |place: usize| value.get(place).and_then(Value::as_f64).with_context(|| format!("no place of {selector}"));
        Ok(Point { x: at(0)?, y: at(1)? })
    }
}

/// What an event tells against the page.
fn note(event: &Event) -> Option<String> {
    match event {
        Event::NetworkRequestWillBeSent(request) => {
            let address = &request.params.request.url;
            (!address.starts_with("data:")).then(|| format!("request {address}"))
        }
        Event::PageJavascriptDialogOpening(dialog) => Some(format!("dialog {}", dialog.params.message)),
        Event::RuntimeExceptionThrown(thrown) => Some(format!("exception {:?}", thrown.params.exception_details)),
        Event::RuntimeConsoleAPICalled(call) => Some(format!("console {:?}", call.params.args)),
        Event::LogEntryAdded(entry) => Some(format!("log {}", entry.params.entry.text)),
        _ => None,
    }
}

/// The browser, from `CHROME` or the search path.
fn program() -> Result<PathBuf> {
    if let Some(named) = std::env::var_os("CHROME") {
        return Ok(named.into());
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let found = std::env::split_paths(&folders).flat_map(|folder| PROGRAMS.map(|name| folder.join(name)));
    let mut found = found.filter(|path| path.is_file());
    found.next().context("there is no Chromium: `apt install chromium`, or name one in the variable CHROME")
}
