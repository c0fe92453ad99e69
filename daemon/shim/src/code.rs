//! The code of this process that is in its memory. Starting touches most of a program, and what follows
//! a small part, but the kernel takes nothing of it out of a process before memory is short. What a debugger
//! or a probe has written into it goes with it.
#![expect(unsafe_code, reason = "advice on a mapping has no safe form")]

use nix::libc;

/// Takes all code out of this process; what runs comes back from the page cache, 64 KiB at a time
/// (`fault_around_bytes` of the kernel). Some hundred microseconds in all.
pub fn give_back() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for (start, length) in maps.lines().filter_map(code) {
        // SAFETY: a private mapping of a file that cannot be written to holds nothing but the file,
        // from which the kernel fills in again what is used.
        unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED) };
    }
}

/// Where a line of `/proc/self/maps` names code of a file.
fn code(line: &str) -> Option<(usize, usize)> {
    let mut fields = line.split_ascii_whitespace();
    let (start, end) = fields.next()?.split_once('-')?;
    let is_code = fields.next()? == "r-xp";
    // Past offset and device; the kernel's own mappings have no inode.
    let is_file = fields.nth(2)? != "0";
    let start = usize::from_str_radix(start, 16).ok()?;
    let end = usize::from_str_radix(end, 16).ok()?;
    (is_code && is_file && end > start).then(|| (start, end - start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_of_files_is_given_back() {
        let line = "7f00-8f00 r-xp 00028000 fe:00 524613    /usr/lib/libc.so.6";
        assert_eq!(code(line), Some((0x7f00, 0x1000)));
        for other in [
            "7f00-8f00 r--p 00028000 fe:00 524613    /usr/lib/libc.so.6",
            "7f00-8f00 rw-p 00000000 00:00 0    [heap]",
            "7f00-8f00 r-xp 00000000 00:00 0    [vdso]",
            "",
        ] {
            assert_eq!(code(other), None);
        }
    }
}
