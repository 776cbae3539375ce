//! From slices of numbers to an operation that burn's automatic differentiation knows.

use std::fmt::Debug;
use std::marker::PhantomData;

use burn::backend::autodiff::checkpoint::base::Checkpointer;
use burn::backend::autodiff::checkpoint::strategy::NoCheckpointing;
use burn::backend::autodiff::grads::Gradients;
use burn::backend::autodiff::ops::{Backward, Ops, OpsKind};
use burn::backend::tensor::FloatTensor;
use burn::backend::{Autodiff, Backend, DispatchKindConversion, DispatchTensor, Flex};
use burn::tensor::{BackendPrimitive, Device, Float, Shape, Tensor, TensorData};
use burn_flex::FlexTensor;

/// An operation on contiguous `f32` of N tensors.
pub(crate) trait Operation<const N: usize>: Clone + Debug + Send + Sync + 'static {
    /// The values, and what `backward` wants to know again.
    fn forward(&self, inputs: [&[f32]; N]) -> (Vec<f32>, Vec<f32>);

    /// The gradient of each input, from that of the output.
    fn backward(&self, known: &Known<'_, N>, gradient: &[f32]) -> [Vec<f32>; N];
}

/// What the backward pass has of the forward pass.
pub(crate) struct Known<'a, const N: usize> {
    pub(crate) inputs: [&'a [f32]; N],
    pub(crate) output: &'a [f32],
    pub(crate) saved: &'a [f32],
}

/// Whether a tensor of this device is one that [`apply`] takes.
pub(crate) fn on_processor(device: &Device) -> bool {
    device.clone().inner() == Device::flex()
}

/// The operation's output, of the given shape; recorded for the backward pass where the inputs are.
pub(crate) fn apply<O: Operation<N>, const N: usize, const D: usize, const E: usize>(
    operation: O,
    inputs: [Tensor<D>; N],
    shape: [usize; E],
) -> Tensor<E> {
    if !inputs[0].device().is_autodiff() {
        let inputs = inputs.map(|input| contiguous(&primitive::<Flex, D>(input)));
        let (output, _) = operation.forward(inputs.each_ref().map(slice));
        return Tensor::from_primitive::<Flex>(tensor(output, Shape::from(shape)));
    }
    let inputs = inputs.map(primitive::<Autodiff<Flex>, D>);
    let nodes = inputs.each_ref().map(|input| input.node.clone());
    let inputs = inputs.map(|input| contiguous(&input.primitive));
    let (output, saved) = operation.forward(inputs.each_ref().map(slice));
    let output = tensor(output, Shape::from(shape));
    let step = Step(PhantomData::<O>).prepare::<NoCheckpointing>(nodes).compute_bound();
    let output = match step.stateful() {
        OpsKind::Tracked(step) => {
            let forward = Forward { operation, inputs, output: output.clone(), saved };
            step.finish(forward, output)
        }
        OpsKind::UnTracked(step) => step.finish(output),
    };
    Tensor::from_primitive::<Autodiff<Flex>>(output)
}

/// What is kept from the forward pass to the backward pass.
#[derive(Clone, Debug)]
struct Forward<O, const N: usize> {
    operation: O,
    inputs: [FlexTensor; N],
    output: FlexTensor,
    saved: Vec<f32>,
}

/// The operation in burn's graph.
#[derive(Debug)]
struct Step<O>(PhantomData<O>);

impl<O: Operation<N>, const N: usize> Backward<Flex, N> for Step<O> {
    type State = Forward<O, N>;

    fn backward(self, ops: Ops<Self::State, N>, gradients: &mut Gradients, _: &mut Checkpointer) {
        let gradient = contiguous(&gradients.consume::<Flex>(&ops.node));
        let Forward { operation, inputs, output, saved } = ops.state;
        let known = Known { inputs: inputs.each_ref().map(slice), output: slice(&output), saved: &saved };
        let of_inputs = operation.backward(&known, slice(&gradient));
        for ((parent, input), values) in ops.parents.into_iter().zip(&inputs).zip(of_inputs) {
            if let Some(parent) = parent {
                gradients.register::<Flex>(parent.id, tensor(values, input.layout().shape().clone()));
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

fn contiguous(tensor: &FlexTensor) -> FlexTensor {
    tensor.to_contiguous()
}

fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("`contiguous` came before, and the processor computes in f32")
}

fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}
