//! The code of this process that is in its memory, and its constants. Starting touches most of a program,
//! and what follows a small part, but the kernel takes nothing of it out of a process before memory is
//! short. What a debugger or a probe has written into it goes with it.
#![expect(unsafe_code, reason = "advice on a mapping has no safe form")]

use nix::libc;

/// Takes all code out of this process; what runs comes back from the page cache, 64 KiB at a time
/// (`fault_around_bytes` of the kernel). Some hundred microseconds in all.
pub fn give_back() {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    for (start, length) in code(&maps) {
        // SAFETY: a private mapping of a file that never could be written to holds nothing but the file,
        // from which the kernel fills in again what is used.
        unsafe { libc::madvise(start as *mut libc::c_void, length, libc::MADV_DONTNEED) };
    }
}

/// Where `/proc/self/maps` names code of files, and their constants: what lies with a file's beginning,
/// as a linker puts some or all of them there. Only as the first that is mapped of the file: what became
/// read-only after addresses were filled in comes later, and may be of the same page.
fn code(maps: &str) -> impl Iterator<Item = (usize, usize)> {
    let mut last = "";
    maps.lines().filter_map(move |line| {
        let mut fields = line.split_ascii_whitespace();
        let (start, end) = fields.next()?.split_once('-')?;
        let (access, offset) = (fields.next()?, fields.next()?);
        // Past the device; the kernel's own mappings have no inode.
        let inode = fields.nth(1)?;
        let is_first = std::mem::replace(&mut last, inode) != inode;
        let has_beginning = is_first && u64::from_str_radix(offset, 16) == Ok(0);
        let is_code = access == "r-xp" || access == "r--p" && has_beginning;
        let start = usize::from_str_radix(start, 16).ok()?;
        let end = usize::from_str_radix(end, 16).ok()?;
        (is_code && inode != "0" && end > start).then(|| (start, end - start))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_code_and_constants_of_files_are_given_back() {
        let maps = "\
1000-3000 r--p 00000000 fe:00 524613    /usr/lib/libc.so.6
3000-7000 r-xp 00002000 fe:00 524613    /usr/lib/libc.so.6
7000-8000 r--p 00000000 fe:00 524613    /usr/lib/libc.so.6
8000-9000 rw-p 00006000 fe:00 524613    /usr/lib/libc.so.6
9000-a000 rw-p 00000000 00:00 0    [heap]
a000-b000 r--p 00000000 00:00 0    [vvar]
b000-c000 r-xp 00000000 00:00 0    [vdso]
c000-d000 rw-p 00000000 fe:00 7    /usr/lib/small.so
d000-e000 r--p 00000000 fe:00 7    /usr/lib/small.so
nonsense
";
        let given: Vec<_> = code(maps).collect();
        assert_eq!(given, [(0x1000, 0x2000), (0x3000, 0x4000)]);
    }
}
