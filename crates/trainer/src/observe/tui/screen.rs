//! The thread that has the terminal.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ratatui::DefaultTerminal;
use ratatui::crossterm::event::{self, Event, KeyCode, KeyEvent, KeyEventKind, KeyModifiers};

use super::dashboard::Dashboard;
use crate::observe::log::LogLines;

/// Time between two drawings; a key or a change of size comes sooner.
const BEAT: Duration = Duration::from_millis(250);

pub(super) struct Screen {
    pub(super) terminal: DefaultTerminal,
    pub(super) dashboard: Arc<Mutex<Dashboard>>,
    pub(super) closing: Arc<AtomicBool>,
    pub(super) log: LogLines,
    pub(super) stop: Box<dyn Fn() + Send>,
}

impl Screen {
    /// Draws until it is closed or the terminal is gone.
    pub(super) fn run(mut self) {
        while !self.closing.load(Ordering::SeqCst) {
            let lines = self.log.last(usize::from(u16::MAX));
            {
                let mut dashboard = self.dashboard.lock().unwrap_or_else(PoisonError::into_inner);
                dashboard.log = lines;
                if self.terminal.draw(|frame| dashboard.draw(frame)).is_err() {
                    return;
                }
            }
            match event::poll(BEAT).and_then(|some| some.then(event::read).transpose()) {
                Ok(Some(Event::Key(key))) if asks_to_stop(key) => self.ask_to_stop(),
                Ok(_) => {}
                Err(_) => return,
            }
        }
    }

    fn ask_to_stop(&mut self) {
        let again = {
            let mut dashboard = self.dashboard.lock().unwrap_or_else(PoisonError::into_inner);
            std::mem::replace(&mut dashboard.stopping, true)
        };
        if again {
            // The program may end here and now.
            self.closing.store(true, Ordering::SeqCst);
            ratatui::restore();
            self.log.release();
        }
        (self.stop)();
    }
}

/// In this mode of a terminal Ctrl-C is a key like others.
fn asks_to_stop(key: KeyEvent) -> bool {
    key.kind == KeyEventKind::Press
        && match key.code {
            KeyCode::Char('q') | KeyCode::Esc => true,
            KeyCode::Char('c') => key.modifiers.contains(KeyModifiers::CONTROL),
            _ => false,
        }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn some_keys_stop() {
        let key = |code, modifiers| asks_to_stop(KeyEvent::new(code, modifiers));
        assert!(key(KeyCode::Char('q'), KeyModifiers::NONE) && key(KeyCode::Esc, KeyModifiers::NONE));
        assert!(key(KeyCode::Char('c'), KeyModifiers::CONTROL) && !key(KeyCode::Char('c'), KeyModifiers::NONE));
        assert!(!key(KeyCode::Enter, KeyModifiers::NONE));
        let release = KeyEvent { kind: KeyEventKind::Release, ..KeyEvent::new(KeyCode::Char('q'), KeyModifiers::NONE) };
        assert!(!asks_to_stop(release));
    }
}
