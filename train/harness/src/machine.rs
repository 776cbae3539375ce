//! Where a run trains.

use burn::tensor::{DType, Device};

#[cfg(any(feature = "cuda", feature = "wgpu"))]
use crate::card::Card;

/// A processor or a GPU, and how a batch is dealt with there.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Where tensors are.
    pub device: Device,
    /// The numbers that the model computes in; weights and losses are `f32` everywhere.
    pub low: DType,
    /// Threads of the processor that each take some rows of a batch; 1 on a GPU.
    pub threads: usize,
    /// Operations a second that a GPU does at most, where that is known of it.
    pub(crate) peak: Option<f64>,
}

/// What this binary was built for, the best first.
const BUILT_FOR: &[&str] = &[
    #[cfg(feature = "cuda")]
    "cuda",
    #[cfg(feature = "wgpu")]
    "wgpu",
    "cpu",
];

impl Machine {
    /// The processor, or the GPU by `cuda` or `wgpu`; without a name the best that this was built for.
    pub fn named(name: Option<&str>) -> Result<Self, String> {
        match name.unwrap_or(BUILT_FOR[0]) {
            "cpu" => Ok(Self::cpu(rayon::current_num_threads())),
            #[cfg(feature = "cuda")]
            "cuda" => Self::gpu(|| Device::cuda(burn::tensor::DeviceIndex::Default)),
            #[cfg(feature = "wgpu")]
            "wgpu" => Self::gpu(|| Device::wgpu(burn::tensor::DeviceKind::DefaultDevice)),
            other => {
                let built = BUILT_FOR.join(" and ");
                let hint = match other {
                    "cuda" | "wgpu" => format!("build it with `--features {other}`"),
                    _ => "there are `cpu`, `cuda` and `wgpu`".to_owned(),
                };
                Err(format!("OVERNIGHT_DEVICE: this was built for {built}, not for `{other}`; {hint}"))
            }
        }
    }

    /// The processor with so many threads.
    pub fn cpu(threads: usize) -> Self {
        Self { device: Device::flex(), low: DType::F32, threads, peak: None }
    }

    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    fn gpu(make: impl FnOnce() -> Device + std::panic::UnwindSafe) -> Result<Self, String> {
        let card = Card::first();
        // CUDA says of every card that it has bfloat16.
        let bfloat16 = card.as_ref().is_none_or(Card::multiplies_bfloat16);
        // burn panics where no driver or no card answers.
        let found = std::panic::catch_unwind(|| {
            let device = make();
            let bfloat16 = bfloat16 && device.supports_dtype(DType::BF16);
            (device, if bfloat16 { DType::BF16 } else { DType::F32 })
        });
        let (device, low) = found.map_err(|_| {
            "no GPU answers, for the reason above; OVERNIGHT_DEVICE=cpu trains on the processor".to_owned()
        })?;
        Ok(Self { device, low, threads: 1, peak: card.and_then(|card| card.peak()) })
    }

    /// Whether tensors are on the processor.
    pub fn is_cpu(&self) -> bool {
        self.device == Device::flex()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unknown_device_is_told_what_there_is() {
        assert!(Machine::named(Some("cpu")).is_ok_and(|machine| machine.is_cpu()));
        let error = Machine::named(Some("tpu")).map(|_| ()).unwrap_err();
        assert!(error.contains("cpu") && error.contains("`tpu`"), "{error}");
    }
}
