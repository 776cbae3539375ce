//! Products of matrices, and parts of tensors where they lie.

use std::ops::Range;

use burn::backend::ops::FloatTensorOps;
use burn::tensor::Shape;
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use burn_cubecl::tensor::CubeTensor;

use super::Card;

/// Writes the product of the last two dimensions into memory that is there.
pub(super) fn product<R: Card>(left: CubeTensor<R>, right: CubeTensor<R>, to: CubeTensor<R>) {
    let dtype = to.dtype;
    matmul(left, right, Some(to), MatmulStrategy::default(), dtype).expect("the shapes belong together");
}

/// A contiguous tensor in another shape.
pub(super) fn reshape<R: Card, const D: usize>(tensor: CubeTensor<R>, shape: [usize; D]) -> CubeTensor<R> {
    let CubeTensor { client, handle, device, dtype, .. } = tensor;
    CubeTensor::new_contiguous(client, device, Shape::from(shape), handle, dtype)
}

/// With the last two dimensions in each other's place.
pub(super) fn transposed<R: Card>(tensor: CubeTensor<R>) -> CubeTensor<R> {
    let dims = tensor.meta.num_dims();
    CubeBackend::<R>::float_swap_dims(tensor, dims - 2, dims - 1)
}

/// A range of one dimension.
pub(super) fn narrow<R: Card>(mut tensor: CubeTensor<R>, dim: usize, range: &Range<usize>) -> CubeTensor<R> {
    let start = range.start * tensor.meta.strides()[dim] * tensor.elem_size();
    tensor.handle = tensor.handle.offset_start(start as u64);
    tensor.meta.shape_mut()[dim] = range.len();
    tensor
}
