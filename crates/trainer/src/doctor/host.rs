//! What the machine and the program are.

use std::path::Path;

use serde::Serialize;
use sysinfo::{CpuRefreshKind, Disks, MemoryRefreshKind, RefreshKind, System};

/// The version of burn that the program computes with.
const BURN: &str = "0.22.1";

/// The program and the machine it runs on.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Host {
    /// Version of the program.
    pub version: &'static str,
    /// Version of burn.
    pub burn: &'static str,
    /// Cargo features the program was built with.
    pub features: Vec<&'static str>,
    /// Whether it was built without optimization or with checks for debugging.
    pub debug: bool,
    /// Operating system and its version.
    pub system: String,
    /// Architecture the program was built for.
    pub architecture: &'static str,
    /// What the processor calls itself.
    pub processor: String,
    /// Vector instructions the processor has, of those that kernels may use.
    pub vector_instructions: Vec<&'static str>,
    /// Cores; absent if they cannot be counted.
    pub cores: Option<usize>,
    /// Threads that kernels run on.
    pub threads: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// Bytes of memory that can be had now.
    pub memory_available: u64,
    /// Bytes that can be written to the disk of the working directory; absent if that cannot be told.
    pub disk_available: Option<u64>,
}

impl Host {
    /// Looks at the machine.
    #[must_use]
    pub fn look() -> Self {
        let what = RefreshKind::nothing()
            .with_memory(MemoryRefreshKind::nothing().with_ram())
            .with_cpu(CpuRefreshKind::nothing());
        let system = System::new_with_specifics(what);
        let processor = system.cpus().first().map(|cpu| cpu.brand().trim().to_owned()).unwrap_or_default();
        Self {
            version: env!("CARGO_PKG_VERSION"),
            burn: BURN,
            features: features(),
            debug: cfg!(debug_assertions),
            system: System::long_os_version().unwrap_or_else(|| std::env::consts::OS.to_owned()),
            architecture: std::env::consts::ARCH,
            processor,
            vector_instructions: vector_instructions(),
            cores: System::physical_core_count(),
            threads: rayon::current_num_threads(),
            memory: system.total_memory(),
            memory_available: system.available_memory(),
            disk_available: disk_available(Path::new(".")),
        }
    }

    /// A line for each fact: its name and what is known.
    #[must_use]
    pub fn lines(&self) -> Vec<(&'static str, String)> {
        let gibibytes = |bytes: u64| format!("{:.1} GiB", bytes as f64 / (1_u64 << 30) as f64);
        let list = |names: &[&str]| if names.is_empty() { "none".to_owned() } else { names.join(", ") };
        let debug = if self.debug { ", built for debugging: slow" } else { "" };
        let cores = self.cores.map_or_else(String::new, |cores| format!("{cores} cores, "));
        vec![
            ("sightline", format!("{}, burn {}{debug}", self.version, self.burn)),
            ("features", list(&self.features)),
            ("system", format!("{}, {}", self.system, self.architecture)),
            ("processor", format!("{}, {cores}{} threads", self.processor, self.threads)),
            ("vectors", list(&self.vector_instructions)),
            ("memory", format!("{}, {} of it available", gibibytes(self.memory), gibibytes(self.memory_available))),
            (
                "disk",
                self.disk_available
                    .map_or_else(|| "unknown".to_owned(), |free| format!("{} free here", gibibytes(free))),
            ),
        ]
    }
}

/// The backends that are built in.
fn features() -> Vec<&'static str> {
    let all = [("flex", cfg!(feature = "flex")), ("wgpu", cfg!(feature = "wgpu")), ("cuda", cfg!(feature = "cuda"))];
    all.into_iter().filter(|(_, built)| *built).map(|(name, _)| name).collect()
}

#[cfg(target_arch = "x86_64")]
fn vector_instructions() -> Vec<&'static str> {
    let all = [
        ("sse4.2", is_x86_feature_detected!("sse4.2")),
        ("avx", is_x86_feature_detected!("avx")),
        ("fma", is_x86_feature_detected!("fma")),
        ("avx2", is_x86_feature_detected!("avx2")),
        ("avx512f", is_x86_feature_detected!("avx512f")),
        ("avx512bf16", is_x86_feature_detected!("avx512bf16")),
    ];
    all.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
}

#[cfg(target_arch = "aarch64")]
fn vector_instructions() -> Vec<&'static str> {
    let all = [
        ("neon", std::arch::is_aarch64_feature_detected!("neon")),
        ("sve", std::arch::is_aarch64_feature_detected!("sve")),
        ("bf16", std::arch::is_aarch64_feature_detected!("bf16")),
    ];
    all.into_iter().filter(|(_, there)| *there).map(|(name, _)| name).collect()
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn vector_instructions() -> Vec<&'static str> {
    Vec::new()
}

/// Bytes free on the disk of a folder: that of the longest mount point above it.
fn disk_available(folder: &Path) -> Option<u64> {
    let folder = folder.canonicalize().ok()?;
    let disks = Disks::new_with_refreshed_list();
    let above = disks.list().iter().filter(|disk| folder.starts_with(disk.mount_point()));
    above.max_by_key(|disk| disk.mount_point().as_os_str().len()).map(sysinfo::Disk::available_space)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_version_of_burn_is_the_one_that_is_built() {
        let lock = include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/../../Cargo.lock"));
        assert!(lock.contains(&format!("name = \"burn\"\nversion = \"{BURN}\"")), "burn is no longer {BURN}");
    }

    #[test]
    fn the_machine_is_described() {
        let host = Host::look();
        assert!(host.memory > 1 << 28 && host.memory_available <= host.memory, "{host:?}");
        assert!(host.threads > 0 && host.features.contains(&"flex"), "{host:?}");
        assert!(!cfg!(target_arch = "x86_64") || host.vector_instructions.contains(&"sse4.2"), "{host:?}");
    }
}
