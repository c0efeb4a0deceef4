//! How the allocator treats the memory of large tensors.

/// Has the C library's allocator keep what is freed, for the next tensor of that size. Call it when a process starts, if its
/// work is to make and drop tensors again and again.
///
/// By default blocks of some megabytes go back to the operating system when they are freed, and are handed out again page by
/// page, each cleared first, which can take a tenth of a forward pass. The price is that the process keeps the most memory it
/// ever needed.
///
/// Changes nothing where the C library is not glibc.
pub fn keep_freed_memory() {
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    {
        /// Blocks up to this size come from memory that is kept.
        const LARGEST: libc::c_int = 1 << 30;
        /// Taken from the operating system at once, beyond what is asked for.
        const AHEAD: libc::c_int = 64 << 20;
        const NEVER: libc::c_int = -1;
        let settings = [(libc::M_MMAP_THRESHOLD, LARGEST), (libc::M_TRIM_THRESHOLD, NEVER), (libc::M_TOP_PAD, AHEAD)];
        for (setting, value) in settings {
            #[expect(unsafe_code, reason = "a setting of the C library, which has no other entrance")]
            // SAFETY: takes two numbers, and locks what it changes.
            unsafe {
                libc::mallopt(setting, value);
            }
        }
    }
}
