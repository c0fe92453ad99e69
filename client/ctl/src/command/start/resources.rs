//! What an invocation may use of the machine, on the command line of `start`.

use crate::parse::size;

/// Bounds; as configured where nothing is said.
#[derive(Debug, clap::Args)]
#[group(id = "resources")]
pub(in crate::command) struct Args {
    /// Most memory of all its processes, such as 4GiB; `none`: not bounded [default: as configured]
    #[arg(long, value_name = "SIZE", value_parser = size)]
    pub(in crate::command) memory_max: Option<u64>,
    /// Most CPU time in percent of one processor, such as 150%; `none`: not bounded [default: as configured]
    #[arg(long, value_name = "PERCENT", value_parser = share)]
    pub(in crate::command) cpu_quota: Option<u32>,
    /// Most processes and threads; `none`: not bounded [default: as configured]
    #[arg(long, value_name = "N", value_parser = tasks)]
    pub(in crate::command) tasks_max: Option<u32>,
}

/// `150%`, or `150`.
fn share(text: &str) -> Result<u32, String> {
    match text {
        "none" => Ok(0),
        text => {
            let number = text.strip_suffix('%').unwrap_or(text);
            number
                .parse()
                .map_err(|_| "a share of one processor, such as 50% or 200%, or none".to_owned())
        }
    }
}

fn tasks(text: &str) -> Result<u32, String> {
    match text {
        "none" => Ok(0),
        text => text.parse().map_err(|_| "a number, or none".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bounds_take_units_and_a_word_for_none() {
        assert_eq!(size("512MiB"), Ok(512 << 20));
        assert_eq!((size("4 GiB"), size("4G")), (Ok(4 << 30), Ok(4 << 30)));
        assert_eq!((size("1000"), size("none")), (Ok(1000), Ok(0)));
        for wrong in ["", "GiB", "1.5GiB", "4 parsecs", "99999999999G"] {
            assert!(size(wrong).is_err(), "{wrong}");
        }
        assert_eq!(
            (share("150%"), share("50"), share("none")),
            (Ok(150), Ok(50), Ok(0))
        );
        assert!(share("half").is_err());
        assert_eq!((tasks("64"), tasks("none")), (Ok(64), Ok(0)));
    }
}
