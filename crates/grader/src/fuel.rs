//! How much work one verdict may take.

use std::cell::{Cell, RefCell};

use astro_float::Consts;

/// Longest answer that is read for its structure, in bytes; a longer one is compared as text.
pub(crate) const LONGEST_READ: usize = 4096;

/// Deepest nest of brackets, groups and arguments that is read.
pub(crate) const DEEPEST_NEST: usize = 40;

/// Most elements of a list, a set, a tuple or a matrix.
pub(crate) const MOST_ELEMENTS: usize = 64;

/// Longest literal, in digits.
pub(crate) const MOST_DIGITS: usize = 1000;

/// Largest numerator or denominator of an exact value, in bits.
pub(crate) const MOST_BITS: u64 = 8192;

/// Work of one verdict, in units of about a microsecond.
const WORK: u64 = 8000;

/// A computation was given up, or a value does not exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// Too large, too deep or too long: not evaluated.
    Refused,
    /// There is no such value: a division by zero, a logarithm of zero.
    Undefined,
    /// Not understood.
    Unread,
}

/// What is left of the work of one verdict, and the constants it has computed.
pub(crate) struct Fuel {
    left: Cell<u64>,
    constants: RefCell<Option<Consts>>,
}

impl Fuel {
    pub(crate) fn new() -> Self {
        Self { left: Cell::new(WORK), constants: RefCell::new(None) }
    }

    /// Takes `work` away.
    ///
    /// # Errors
    /// [`Failure::Refused`] if that much is not left; nothing is left from then on.
    pub(crate) fn spend(&self, work: u64) -> Result<(), Failure> {
        let left = self.left.get().checked_sub(work);
        self.left.set(left.unwrap_or(0));
        left.map(|_| ()).ok_or(Failure::Refused)
    }

    /// Computes with the digits of π and the like that were found so far.
    pub(crate) fn with_constants<T>(&self, compute: impl FnOnce(&mut Consts) -> T) -> Result<T, Failure> {
        let mut constants = self.constants.try_borrow_mut().map_err(|_| Failure::Refused)?;
        if constants.is_none() {
            *constants = Consts::new().ok();
        }
        constants.as_mut().map(compute).ok_or(Failure::Refused)
    }
}
