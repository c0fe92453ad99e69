//! Whose a listening socket is. A port is anybody's once nobody has it; the kernel's table tells.

use std::net::{IpAddr, SocketAddr};

/// The state of a listening socket in the kernel's tables.
const LISTENING: &str = "0A";

/// Whether what listens there is this user's, or root's, who could do as he likes anyway. Where the
/// kernel shows no table there is nothing to go by, and it is taken to be.
pub(super) fn is_mine(address: SocketAddr) -> bool {
    let tables: Vec<String> = ["/proc/net/tcp", "/proc/net/tcp6"]
        .into_iter()
        .filter_map(|path| std::fs::read_to_string(path).ok())
        .collect();
    if tables.is_empty() {
        return true;
    }
    let me = rustix::process::geteuid().as_raw();
    match owner(address, tables.iter().map(String::as_str)) {
        Some(owner) => owner == me || owner == 0,
        None => false,
    }
}

/// The user whose socket takes connections to this address: the one bound to it, else one that is
/// bound to all of them.
fn owner<'a>(address: SocketAddr, tables: impl Iterator<Item = &'a str>) -> Option<u32> {
    let exact = hex(address.ip());
    let mut any = None;
    for line in tables.flat_map(str::lines) {
        let mut columns = line.split_ascii_whitespace().skip(1);
        let (Some(local), Some(_), Some(LISTENING)) =
            (columns.next(), columns.next(), columns.next())
        else {
            continue;
        };
        let Some((ip, port)) = local.split_once(':') else {
            continue;
        };
        if u16::from_str_radix(port, 16) != Ok(address.port()) {
            continue;
        }
        // tx:rx, tr:when, retrnsmt, and then whose it is.
        let uid = columns.nth(3).and_then(|uid| uid.parse().ok());
        if ip == exact {
            return uid;
        }
        if ip.bytes().all(|byte| byte == b'0') {
            any = any.or(uid);
        }
    }
    any
}

/// An address as the kernel writes it: words of four bytes, each in the machine's own order.
fn hex(ip: IpAddr) -> String {
    let bytes = match ip {
        IpAddr::V4(ip) => ip.octets().to_vec(),
        IpAddr::V6(ip) => ip.octets().to_vec(),
    };
    bytes
        .as_chunks::<4>()
        .0
        .iter()
        .map(|word| format!("{:08X}", u32::from_ne_bytes(*word)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "\
  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:0DAD 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1000        0 1 1
   1: 00000000:0DAE 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1001        0 2 1
   2: 0100007F:0DAF 0100007F:9999 01 00000000:00000000 00:00000000 00000000  1002        0 3 1
   3: 0200007F:0DB0 00000000:0000 0A 00000000:00000000 00:00000000 00000000  1003        0 4 1
";

    fn owner_of(address: &str) -> Option<u32> {
        owner(address.parse().unwrap(), [TABLE].into_iter())
    }

    #[cfg(target_endian = "little")]
    #[test]
    fn the_socket_that_takes_the_connection_tells_whose_it_is() {
        assert_eq!(owner_of("127.0.0.1:3501"), Some(1000));
        assert_eq!(owner_of("127.0.0.1:3502"), Some(1001));
        assert_eq!(owner_of("127.0.0.1:3503"), None);
        assert_eq!(owner_of("127.0.0.1:3504"), None);
    }

    #[test]
    fn a_socket_of_ours_is_ours() {
        for address in ["127.0.0.1:0", "[::1]:0"] {
            // A machine without the second protocol has nothing to look for.
            let Ok(listener) = std::net::TcpListener::bind(address) else {
                continue;
            };
            assert!(is_mine(listener.local_addr().unwrap()));
        }
    }
}
