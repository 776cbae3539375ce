//! What a GPU could do at most.

/// Parts of cards' names, the more special first, and the dense bfloat16 operations a second of their
/// matrix units, in units of 10¹², by NVIDIA's data sheets.
const PEAKS: [(&str, f64); 19] = [
    ("B200", 2250.0),
    ("GB200", 2500.0),
    ("H200", 989.5),
    ("GH200", 989.5),
    ("H100 PCIe", 756.0),
    ("H100 NVL", 835.5),
    ("H100", 989.5),
    ("H20", 148.0),
    ("A100", 312.0),
    ("A800", 312.0),
    ("L40S", 362.0),
    ("L40", 181.0),
    ("L4", 121.0),
    ("A40", 149.7),
    ("A10", 125.0),
    ("RTX 6000 Ada", 364.2),
    ("RTX 5090", 209.5),
    ("RTX 4090", 165.2),
    ("RTX 3090", 71.0),
];

/// What the driver's tool says of a card.
#[derive(Debug, PartialEq)]
pub(crate) struct Card {
    name: String,
    /// CUDA's compute capability, 9.0 for Hopper.
    capability: Option<f64>,
}

impl Card {
    /// The first card that this process may use; none where the driver's tool is not there.
    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    pub(crate) fn first() -> Option<Self> {
        let mut query = std::process::Command::new("nvidia-smi");
        query.args(["--query-gpu=name,compute_cap", "--format=csv,noheader"]);
        let visible = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
        if let Some(first) = visible.split(',').next().filter(|first| !first.is_empty()) {
            query.arg(format!("--id={first}"));
        }
        let output = query.output().ok().filter(|output| output.status.success())?;
        String::from_utf8_lossy(&output.stdout).lines().next().and_then(Self::read)
    }

    /// From a line `NVIDIA H100 80GB HBM3, 9.0`.
    fn read(line: &str) -> Option<Self> {
        let (name, capability) = line.rsplit_once(',')?;
        Some(Self { name: name.trim().to_owned(), capability: capability.trim().parse().ok() })
    }

    /// Operations a second that it does at most in bfloat16.
    pub(crate) fn peak(&self) -> Option<f64> {
        let known = |part: &str| {
            self.name.match_indices(part).any(|(at, _)| {
                let letter = |c: char| c.is_alphanumeric();
                !self.name[..at].ends_with(letter) && !self.name[at + part.len()..].starts_with(letter)
            })
        };
        PEAKS.iter().find(|(part, _)| known(part)).map(|(_, peak)| peak * 1e12)
    }

    /// Whether its matrix units take bfloat16: since Ampere they do.
    pub(crate) fn multiplies_bfloat16(&self) -> bool {
        self.capability.is_none_or(|number| number >= 8.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peak(name: &str) -> Option<f64> {
        Card { name: name.to_owned(), capability: None }.peak()
    }

    #[test]
    fn what_the_driver_s_tool_says_is_read() {
        let capability = |line| Card::read(line).map(|card| (card.capability, card.multiplies_bfloat16()));
        assert_eq!(capability("NVIDIA H100 80GB HBM3, 9.0"), Some((Some(9.0), true)));
        assert_eq!(capability("Tesla T4, 7.5"), Some((Some(7.5), false)));
        assert_eq!(capability("NVIDIA A100, [N/A]"), Some((None, true)));
        assert_eq!(Card::read("NVIDIA A100, 8.0").map(|card| card.name), Some("NVIDIA A100".to_owned()));
        assert_eq!(Card::read(""), None);
    }

    #[test]
    fn cards_are_known_by_their_names() {
        assert_eq!(peak("NVIDIA H100 80GB HBM3"), Some(989.5e12));
        assert_eq!(peak("NVIDIA H100 PCIe"), Some(756e12));
        assert_eq!(peak("NVIDIA GH200 480GB"), Some(989.5e12));
        assert_eq!(peak("NVIDIA A100-SXM4-80GB"), Some(312e12));
        assert_eq!(peak("NVIDIA L40S"), Some(362e12));
        assert_eq!(peak("NVIDIA A1000"), None);
    }
}
