//! What the tests of the operations share.

use burn::tensor::{Device, Distribution, Tensor};

/// Each device that this was built for, with gradients.
pub(crate) fn devices() -> Vec<Device> {
    let devices = [
        Device::flex(),
        #[cfg(feature = "cuda")]
        Device::cuda(burn::tensor::DeviceIndex::Default),
        #[cfg(feature = "wgpu")]
        Device::wgpu(burn::tensor::DeviceKind::DefaultDevice),
    ];
    devices.into_iter().map(Device::autodiff).collect()
}

/// Normal numbers, the same on each device.
pub(crate) fn random<const D: usize>(shape: [usize; D], device: &Device) -> Tensor<D> {
    let numbers = Tensor::<D>::random(shape, Distribution::Normal(0.0, 1.0), &Device::flex());
    Tensor::from_data(numbers.into_data(), device)
}

/// Asserts that two ways to compute agree in their values and in the gradients of all inputs.
pub(crate) fn same<const N: usize, const D: usize, const E: usize>(
    inputs: [Tensor<D>; N],
    one: impl Fn([Tensor<D>; N]) -> Tensor<E>,
    two: impl Fn([Tensor<D>; N]) -> Tensor<E>,
) {
    let device = inputs[0].device();
    let inputs = inputs.map(|input| Tensor::from_inner(input.inner()).require_grad());
    let (one, two) = (one(inputs.clone()), two(inputs.clone()));
    close("values", &one.clone().inner(), &two.clone().inner());
    // Another weight for each number, so that none stands for another.
    let weights = random(one.dims(), &device);
    let mut of_one = (one * weights.clone()).sum().backward();
    let mut of_two = (two * weights).sum().backward();
    for (index, input) in inputs.iter().enumerate() {
        let one = input.grad_remove(&mut of_one).expect("a gradient");
        let two = input.grad_remove(&mut of_two).expect("a gradient");
        close(&format!("gradient of input {index}"), &one.no_grad(), &two.no_grad());
    }
}

fn close<const D: usize>(what: &str, one: &Tensor<D>, two: &Tensor<D>) {
    let difference: f32 = (one.clone() - two.clone()).abs().max().into_scalar();
    let size: f32 = two.clone().abs().max().into_scalar();
    let device = one.device();
    assert!(difference <= 1e-5 * (1.0 + size), "{what} on {device:?}: {difference} of {size}");
}
