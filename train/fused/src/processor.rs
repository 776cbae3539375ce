//! Operations on slices of numbers: what the processor works on.

use std::fmt::Debug;

use burn::backend::Flex;
use burn::tensor::{Shape, TensorData};
use burn_flex::FlexTensor;

use crate::apply::{Known, Operation};

/// An operation on contiguous `f32` of N tensors.
pub(crate) trait OnProcessor<const N: usize>: Clone + Debug + Send + Sync + 'static {
    /// The values, and what `backward` wants to know again.
    fn forward(&self, inputs: [&[f32]; N]) -> (Vec<f32>, Vec<f32>);

    /// The gradient of each input, from that of the output.
    fn backward(&self, known: &Slices<'_, N>, gradient: &[f32]) -> [Vec<f32>; N];
}

/// What the backward pass has of the forward pass.
pub(crate) struct Slices<'a, const N: usize> {
    pub(crate) inputs: [&'a [f32]; N],
    pub(crate) output: &'a [f32],
    pub(crate) saved: &'a [f32],
}

impl<O: OnProcessor<N>, const N: usize> Operation<Flex, N> for O {
    fn contiguous(input: FlexTensor) -> FlexTensor {
        input.to_contiguous()
    }

    fn forward(&self, inputs: [FlexTensor; N], shape: Shape) -> (FlexTensor, Vec<FlexTensor>) {
        let (output, saved) = OnProcessor::forward(self, inputs.each_ref().map(slice));
        let saved_shape = Shape::from([saved.len()]);
        (tensor(output, shape), vec![tensor(saved, saved_shape)])
    }

    fn backward(&self, known: Known<Flex, N>, gradient: FlexTensor) -> [FlexTensor; N] {
        let slices = Slices {
            inputs: known.inputs.each_ref().map(slice),
            output: slice(&known.output),
            saved: slice(&known.saved[0]),
        };
        let mut shapes = known.inputs.iter().map(|input| input.layout().shape().clone());
        OnProcessor::backward(self, &slices, slice(&gradient))
            .map(|values| tensor(values, shapes.next().expect("a shape for each input")))
    }
}

fn slice(tensor: &FlexTensor) -> &[f32] {
    tensor.as_slice::<f32>().expect("it is contiguous, and the processor computes in f32")
}

fn tensor(values: Vec<f32>, shape: Shape) -> FlexTensor {
    FlexTensor::from_data(TensorData::new(values, shape))
}
