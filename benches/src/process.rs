//! What the system says of processes and processors.

use std::fs;
use std::time::Duration;

use crate::failure::Failure;

/// Clock ticks a second in `/proc`; the same on every Linux that burn runs on.
const TICKS: f64 = 100.0;

/// Memory of a process that lies in RAM, in bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Memory {
    /// Now.
    pub(crate) now: u64,
    /// The most there ever was.
    pub(crate) peak: u64,
}

/// Memory of a process, by default of this one.
///
/// # Errors
/// If there is no such process, or the system is not Linux.
pub(crate) fn memory(process: Option<u32>) -> Result<Memory, Failure> {
    let path = format!("/proc/{}/status", process.map_or_else(|| "self".to_owned(), |id| id.to_string()));
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}; memory is measured on Linux"))?;
    memory_of(&text).ok_or_else(|| format!("{path} has no VmRSS and VmHWM").into())
}

/// Has the peak of this process's memory begin anew.
///
/// # Errors
/// If the system does not allow it.
pub(crate) fn forget_peak() -> Result<(), Failure> {
    Ok(fs::write("/proc/self/clear_refs", "5").map_err(|error| format!("/proc/self/clear_refs: {error}"))?)
}

fn memory_of(status: &str) -> Option<Memory> {
    let kibibytes = |key: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(key))?;
        line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()
    };
    Some(Memory { now: kibibytes("VmRSS:")? * 1024, peak: kibibytes("VmHWM:")? * 1024 })
}

/// Processor time a process has used; `with_ended` adds that of children it has waited for.
///
/// # Errors
/// As [`memory`].
pub(crate) fn processor_time(process: u32, with_ended: bool) -> Result<Duration, Failure> {
    let path = format!("/proc/{process}/stat");
    let text = fs::read_to_string(&path).map_err(|error| format!("{path}: {error}"))?;
    let ticks = ticks_of(&text, if with_ended { 4 } else { 2 });
    Ok(Duration::from_secs_f64(ticks.ok_or_else(|| format!("{path} is malformed"))? as f64 / TICKS))
}

/// The first of utime, stime, cutime and cstime, added up.
fn ticks_of(stat: &str, fields: usize) -> Option<u64> {
    // The program's name stands in parentheses and may hold anything.
    let (_, rest) = stat.rsplit_once(')')?;
    let values: Vec<u64> = rest.split_whitespace().skip(11).take(fields).map_while(|word| word.parse().ok()).collect();
    (values.len() == fields).then(|| values.iter().sum())
}

/// Time for which the machine's processors together were busy, or taken by another machine on the same host.
///
/// # Errors
/// As [`memory`].
pub(crate) fn busy_time() -> Result<Duration, Failure> {
    let text = fs::read_to_string("/proc/stat").map_err(|error| format!("/proc/stat: {error}"))?;
    Ok(Duration::from_secs_f64(busy_of(&text).ok_or("/proc/stat is malformed")? as f64 / TICKS))
}

/// All of the first line but idle and waiting time. Guests' time is in the users' already.
fn busy_of(stat: &str) -> Option<u64> {
    let line = stat.lines().next()?.strip_prefix("cpu ")?;
    let values: Vec<u64> = line.split_whitespace().take(8).map_while(|word| word.parse().ok()).collect();
    (values.len() == 8).then(|| values.iter().sum::<u64>() - values[3] - values[4])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_is_read_from_the_status() {
        let status = "Name:\tx\nVmHWM:\t    2048 kB\nVmRSS:\t    1024 kB\n";
        assert_eq!(memory_of(status), Some(Memory { now: 1 << 20, peak: 2 << 20 }));
        assert_eq!(memory_of("VmRSS: 1 kB"), None);
    }

    #[test]
    fn names_cannot_shift_the_fields() {
        let stat = "7 (a) 1 2 (b) S 1 7 7 0 -1 0 1 2 3 4 100 20 30 4 20 0";
        assert_eq!(ticks_of(stat, 2), Some(120));
        assert_eq!(ticks_of(stat, 4), Some(154));
        assert_eq!(ticks_of("7 (a) S 1", 2), None);
    }

    #[test]
    fn waiting_is_not_being_busy() {
        assert_eq!(busy_of("cpu  1 2 4 1000 2000 8 16 32 64 128\ncpu0 9"), Some(63));
    }

    #[test]
    fn this_process_has_memory_and_uses_time() {
        let filled = std::hint::black_box(vec![1_u8; 64 << 20]);
        let large = memory(None).expect("memory");
        assert!(large.now >= filled.len() as u64 && large.peak >= large.now);
        drop(filled);
        forget_peak().expect("allowed");
        assert!(memory(None).expect("memory").peak < large.peak);
        assert!(processor_time(std::process::id(), true).is_ok() && busy_time().expect("time") > Duration::ZERO);
    }
}
