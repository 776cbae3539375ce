//! From an operation on one backend's tensors to one that burn's automatic differentiation knows.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor, Flex};
use burn::tensor::{BackendPrimitive, Float, Shape, Tensor};

use crate::gpu::OnGpu;
use crate::processor::OnProcessor;

/// An operation of N tensors with a backward pass of its own, on one backend.
pub(crate) trait Operation<B: Backend, const N: usize>: Clone + Debug + Send + Sync + 'static {
    /// The same numbers one after another in memory, as `forward` and `backward` want their inputs.
    fn contiguous(input: FloatTensor<B>) -> FloatTensor<B>;

    /// The output, of the given shape, and what `backward` wants to know again.
    fn forward(&self, inputs: [FloatTensor<B>; N], shape: Shape) -> (FloatTensor<B>, Vec<FloatTensor<B>>);

    /// The gradient of each input, from that of the output.
    fn backward(&self, known: Known<B, N>, gradient: FloatTensor<B>) -> [FloatTensor<B>; N];
}

/// What the backward pass has of the forward pass.
#[derive(Clone, Debug)]
pub(crate) struct Known<B: Backend, const N: usize> {
    pub(crate) inputs: [FloatTensor<B>; N],
    pub(crate) output: FloatTensor<B>,
    pub(crate) saved: Vec<FloatTensor<B>>,
}

/// The operation's output, of the given shape, where the inputs are; recorded for the backward pass where
/// they are.
pub(crate) fn apply<O, const N: usize, const D: usize, const E: usize>(
    operation: O,
    inputs: [Tensor<D>; N],
    shape: [usize; E],
) -> Tensor<E>
where
    O: OnProcessor<N> + OnGpu<N>,
{
    match inputs[0].device().inner().as_dispatch() {
        #[cfg(feature = "cuda")]
        burn::backend::DispatchDevice::Cuda(_) => {
            on::<burn::backend::Cuda, O, N, D, E>(operation, inputs, shape)
        }
        #[cfg(feature = "wgpu")]
        burn::backend::DispatchDevice::Wgpu(_) => {
            on::<burn::backend::Wgpu, O, N, D, E>(operation, inputs, shape)
        }
        _ => on::<Flex, O, N, D, E>(operation, inputs, shape),
    }
}

fn on<B, O, const N: usize, const D: usize, const E: usize>(
    operation: O,
    inputs: [Tensor<D>; N],
    shape: [usize; E],
) -> Tensor<E>
where
    B: Backend,
    O: Operation<B, N>,
    Float: BackendPrimitive<B, Primitive = FloatTensor<B>>
        + BackendPrimitive<Autodiff<B>, Primitive = FloatTensor<Autodiff<B>>>,
    DispatchTensor: DispatchKindConversion<B> + DispatchKindConversion<Autodiff<B>>,
{
    let shape = Shape::from(shape);
    if !inputs[0].device().is_autodiff() {
        let inputs = inputs.map(|input| O::contiguous(primitive::<B, D>(input)));
        let (output, _) = operation.forward(inputs, shape);
        return Tensor::from_primitive::<B>(output);
    }
    let inputs = inputs.map(primitive::<Autodiff<B>, D>);
    let nodes = inputs.each_ref().map(|input| input.node.clone());
    let inputs = inputs.map(|input| O::contiguous(input.primitive));
    let step = Step(PhantomData::<O>).prepare::<NoCheckpointing>(nodes).compute_bound();
    let (output, saved) = operation.forward(inputs.clone(), shape);
    let output = match step.stateful() {
        OpsKind::Tracked(step) => {
            let known = Known { inputs, output: output.clone(), saved };
            step.finish((operation, known), output)
        }
        OpsKind::UnTracked(step) => step.finish(output),
    };
    Tensor::from_primitive::<Autodiff<B>>(output)
}

/// The operation in burn's graph.
#[derive(Debug)]
struct Step<O>(PhantomData<O>);

impl<B: Backend, O: Operation<B, N>, const N: usize> Backward<B, N> for Step<O> {
    type State = (O, Known<B, N>);

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = O::contiguous(gradients.consume::<B>(&ops.node));
        let (operation, known) = ops.state;
        let of_inputs = operation.backward(known, gradient);
        for (parent, of_input) in ops.parents.into_iter().zip(of_inputs) {
            if let Some(parent) = parent {
                gradients.register::<B>(parent.id, of_input);
            }
        }
    }
}

fn primitive<B: Backend, const D: usize>(input: Tensor<D>) -> FloatTensor<B>
where
    Float: BackendPrimitive<B, Primitive = FloatTensor<B>>,
    DispatchTensor: DispatchKindConversion<B>,
{
    input.try_into_primitive::<B>().expect("the inputs are on the device of the first")
}
