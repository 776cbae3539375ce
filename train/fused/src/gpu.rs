//! Operations as kernels of a GPU, written once for CUDA and wgpu.

#![allow(
    clippy::needless_pass_by_value,
    clippy::used_underscore_binding,
    clippy::too_many_arguments,
    reason = "of kernels, whose signatures are a launch's"
)]

mod attention;
mod blend;
mod cross_entropy;
mod embedding;
mod linear;
mod matrix;
mod norm;
mod relu;
mod rotary;
mod rows;

use std::fmt::Debug;

use burn::backend::TensorMetadata;
use burn::tensor::{DType, Int, Shape, Tensor};
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;
use burn_cubecl::{CubeBackend, CubeRuntime};

use crate::apply::{Known, Operation};

/// An operation on contiguous tensors of N inputs.
pub(crate) trait OnGpu<const N: usize>: Clone + Debug + Send + Sync + 'static {
    /// The output, and what `backward` wants to know again.
    fn forward<R: Card>(
        &self,
        inputs: [CubeTensor<R>; N],
        shape: Shape,
    ) -> (CubeTensor<R>, Vec<CubeTensor<R>>);

    /// The gradient of each input, from that of the output.
    fn backward<R: Card>(
        &self,
        known: Known<CubeBackend<R>, N>,
        gradient: CubeTensor<R>,
    ) -> [CubeTensor<R>; N];
}

impl<R: Card, O: OnGpu<N>, const N: usize> Operation<CubeBackend<R>, N> for O {
    fn contiguous(input: CubeTensor<R>) -> CubeTensor<R> {
        into_contiguous(input)
    }

    fn forward(&self, inputs: [CubeTensor<R>; N], shape: Shape) -> (CubeTensor<R>, Vec<CubeTensor<R>>) {
        OnGpu::forward(self, inputs, shape)
    }

    fn backward(&self, known: Known<CubeBackend<R>, N>, gradient: CubeTensor<R>) -> [CubeTensor<R>; N] {
        OnGpu::backward(self, known, gradient)
    }
}

/// A runtime, and what burn's tensors are on it.
pub(crate) trait Card: CubeRuntime {
    /// The numbers of a tensor that is on this runtime's device.
    fn floats<const D: usize>(tensor: &Tensor<D>) -> CubeTensor<Self>;

    /// The integers of a tensor that is on this runtime's device.
    fn ints<const D: usize>(tensor: &Tensor<D, Int>) -> CubeTensor<Self>;
}

macro_rules! card {
    ($runtime:ty, $backend:ty) => {
        impl Card for $runtime {
            fn floats<const D: usize>(tensor: &Tensor<D>) -> CubeTensor<Self> {
                let tensor = tensor.clone().try_into_primitive::<$backend>();
                into_contiguous(tensor.expect("it is on the device of the inputs"))
            }

            fn ints<const D: usize>(tensor: &Tensor<D, Int>) -> CubeTensor<Self> {
                let tensor = tensor.clone().try_into_primitive::<$backend>();
                into_contiguous(tensor.expect("it is on the device of the inputs"))
            }
        }
    };
}

#[cfg(feature = "cuda")]
card!(burn_cubecl::cubecl::cuda::CudaRuntime, burn::backend::Cuda);
#[cfg(feature = "wgpu")]
card!(burn_cubecl::cubecl::wgpu::WgpuRuntime, burn::backend::Wgpu);

/// Memory for a tensor of that shape, on the device of another.
fn empty<R: CubeRuntime>(beside: &CubeTensor<R>, shape: Shape, dtype: DType) -> CubeTensor<R> {
    empty_device_contiguous_dtype(beside.client.clone(), beside.device.clone(), shape, dtype)
}

/// What `forward` saved, one by one.
fn taken<R: Card, const K: usize>(saved: Vec<CubeTensor<R>>) -> [CubeTensor<R>; K] {
    saved.try_into().expect("`backward` takes as many as `forward` saves")
}

/// Memory for a tensor like another.
fn like<R: CubeRuntime>(tensor: &CubeTensor<R>) -> CubeTensor<R> {
    empty(tensor, tensor.shape(), tensor.dtype)
}
