//! Products of matrices, and parts of tensors where they lie.

use std::ops::Range;

use burn::backend::cubecl::dtype_to_storage_type;
use burn::backend::ops::FloatTensorOps;
use burn::tensor::{DType, Shape};
use burn_cubecl::CubeBackend;
use burn_cubecl::kernel::matmul::{MatmulStrategy, matmul};
use burn_cubecl::tensor::CubeTensor;
use cubek::matmul::definition::{MatmulElems, MatmulGlobalElems, MatmulSetupError};
use cubek::matmul::launch::launch_ref;
use cubek::matmul::multi_level;
use cubek::matmul::routine::BlueprintStrategy;
use cubek::matmul::strategy::Strategy;
use cubek::std::InputBinding;

use super::Card;

/// Writes the product of the last two dimensions into memory that is there; both have the same dimensions before.
pub(super) fn product<R: Card>(left: CubeTensor<R>, right: CubeTensor<R>, to: CubeTensor<R>) {
    if left.dtype == DType::BF16 && by_matrix_units(&left, &right, &to).is_ok() {
        return;
    }
    let dtype = to.dtype;
    matmul(left, right, Some(to), MatmulStrategy::default(), dtype).expect("the shapes belong together");
}

/// By the instructions of the card's matrix units themselves. burn's default goes by CUDA's `wmma`, which keeps 600
/// bytes of each thread's sums in memory, for want of registers (`tests/gpu/compile.py`); these fit.
fn by_matrix_units<R: Card>(
    left: &CubeTensor<R>,
    right: &CubeTensor<R>,
    to: &CubeTensor<R>,
) -> Result<(), MatmulSetupError> {
    let [of_left, of_right, of_to] = [left, right, to].map(|tensor| dtype_to_storage_type(tensor.dtype));
    launch_ref(
        &Strategy::MultiLevel(multi_level::Strategy::SimpleCyclicMma(BlueprintStrategy::default())),
        &to.client,
        InputBinding::new(left.clone().binding(), of_left),
        InputBinding::new(right.clone().binding(), of_right),
        to.clone().binding(),
        &mut MatmulElems::from_globals(&MatmulGlobalElems { lhs: of_left, rhs: of_right, out: of_to }),
    )
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
