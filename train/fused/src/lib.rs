//! Operations of the model that burn has only in parts.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! let x = Tensor::<2>::from_floats([[3.0, 4.0]], &Device::flex());
//! let y: Vec<f32> = fused::norm(x).into_data().to_vec().unwrap();
//! assert!((y[0] - 0.848_528).abs() < 1e-5);
//! ```
//!
//! Each is one pass over memory with a backward pass of its own, where burn's small operations go over it
//! again and again: on the processor (in the file of its name) written for the widest vectors that it has,
//! on a GPU (below `gpu`) as one kernel for CUDA and wgpu. A test of each compares it with its formula in
//! burn's operations, values and gradients, on each device that the tests are built for.

#![cfg_attr(
    not(any(feature = "cuda", feature = "wgpu")),
    allow(dead_code, reason = "some of what an operation knows is for a GPU alone")
)]

mod apply;
mod attention;
mod blend;
mod cross_entropy;
mod embedding;
#[cfg(any(feature = "cuda", feature = "wgpu"))]
mod gpu;
/// Built for the processor alone: nothing is asked of an operation.
#[cfg(not(any(feature = "cuda", feature = "wgpu")))]
mod gpu {
    pub(crate) trait OnGpu<const N: usize> {}

    impl<O, const N: usize> OnGpu<N> for O {}
}
mod lanes;
mod linear;
mod matrix;
mod norm;
mod processor;
mod relu;
mod rotary;

pub use attention::attention;
pub use blend::blend;
pub use cross_entropy::capped_cross_entropy;
pub use embedding::{Tokens, embedding};
pub use linear::linear;
pub use norm::norm;
pub use relu::relu_squared;
pub use rotary::Rotary;

#[cfg(test)]
mod testing;
