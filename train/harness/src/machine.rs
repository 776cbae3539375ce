//! Where a run trains.

use burn::tensor::{DType, Device};

/// A processor or a GPU, and how a batch is dealt with there.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Where tensors are.
    pub device: Device,
    /// The numbers that the model computes in; weights and losses are `f32` everywhere.
    pub low: DType,
    /// Threads of the processor that each take some rows of a batch; 1 on a GPU.
    pub threads: usize,
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
            "cuda" => Ok(Self::gpu(
                Device::cuda(burn::tensor::DeviceIndex::Default),
                crate::card::multiplies_bfloat16(),
            )),
            #[cfg(feature = "wgpu")]
            "wgpu" => Ok(Self::gpu(Device::wgpu(burn::tensor::DeviceKind::DefaultDevice), true)),
            other => Err(format!(
                "OVERNIGHT_DEVICE: this was built for {}, not for `{other}`; build it with `--features {other}`",
                BUILT_FOR.join(" and ")
            )),
        }
    }

    /// The processor with so many threads.
    pub fn cpu(threads: usize) -> Self {
        Self { device: Device::flex(), low: DType::F32, threads }
    }

    #[cfg(any(feature = "cuda", feature = "wgpu"))]
    fn gpu(device: Device, bfloat16: bool) -> Self {
        let low = if bfloat16 && device.supports_dtype(DType::BF16) { DType::BF16 } else { DType::F32 };
        Self { device, low, threads: 1 }
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
