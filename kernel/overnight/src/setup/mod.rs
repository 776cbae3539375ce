//! Setting up a machine: the kernelspec, JupyterLab, and what is missing.

pub(crate) mod jupyterlab;
pub(crate) mod kernelspec;
