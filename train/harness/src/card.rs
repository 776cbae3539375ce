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

/// Operations a second that the card of this name does at most in bfloat16.
pub(crate) fn peak(name: &str) -> Option<f64> {
    let known = |part: &str| {
        name.match_indices(part).any(|(at, _)| {
            let letter = |c: char| c.is_alphanumeric();
            !name[..at].ends_with(letter) && !name[at + part.len()..].starts_with(letter)
        })
    };
    PEAKS.iter().find(|(part, _)| known(part)).map(|(_, peak)| peak * 1e12)
}

/// The name of the first card that this process may use, as its driver's tool says.
pub(crate) fn name() -> Option<String> {
    ask("name")
}

/// Whether that card's matrix units take bfloat16, which they have since Ampere (compute capability 8.0). Where its
/// driver's tool is not there, it is believed to.
#[cfg(feature = "cuda")]
pub(crate) fn multiplies_bfloat16() -> bool {
    let capability = ask("compute_cap").and_then(|number| number.parse().ok());
    capability.is_none_or(|number: f64| number >= 8.0)
}

/// What the driver's tool says of the first card that this process may use.
fn ask(field: &str) -> Option<String> {
    let mut query = std::process::Command::new("nvidia-smi");
    query.args([&format!("--query-gpu={field}"), "--format=csv,noheader"]);
    let visible = std::env::var("CUDA_VISIBLE_DEVICES").unwrap_or_default();
    if let Some(first) = visible.split(',').next().filter(|first| !first.is_empty()) {
        query.arg(format!("--id={first}"));
    }
    let output = query.output().ok().filter(|output| output.status.success())?;
    String::from_utf8_lossy(&output.stdout).lines().next().map(|line| line.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

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
