//! Operations of the model that burn has only in parts.
//!
//! ```
//! use burn::tensor::{Device, Tensor};
//! let x = Tensor::<2>::from_floats([[3.0, 4.0]], &Device::flex());
//! let y: Vec<f32> = fused::norm(x).into_data().to_vec().unwrap();
//! assert!((y[0] - 0.848_528).abs() < 1e-5);
//! ```
//!
//! On the processor each is one pass over memory with a backward pass of its own, written for the widest
//! vectors that it has; burn's small operations, one after the other, take twice as long for the whole
//! step. On a GPU each is the formula in burn's operations, which are compiled together there. A test of
//! each compares the two, values and gradients.

mod apply;
mod attention;
mod cross_entropy;
mod lanes;
mod matrix;
mod norm;
mod relu;
mod rotary;

pub use attention::attention;
pub use cross_entropy::capped_cross_entropy;
pub use norm::norm;
pub use relu::relu_squared;
pub use rotary::Rotary;

#[cfg(test)]
mod testing;
